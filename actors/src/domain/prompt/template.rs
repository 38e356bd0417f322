//! Texts with placeholders: the manager's prompt, and how to answer a message.

use std::cell::Cell;

use super::{PromptFacts, sections::Sections};

/// Where the input goes.
const INPUT: &str = "input";

/// Fills the manager's template; one that has no place for the input gets it at its end.
pub(super) fn fill(
    template: &str,
    facts: &PromptFacts<'_>,
    sections: &Sections,
    input: &str,
) -> String {
    let date = facts.today.to_string();
    let has_input = Cell::new(false);
    let mut filled = fill_placeholders(template, |name| match name {
        "agent" => Some(facts.agent.as_str()),
        "date" => Some(date.as_str()),
        "target" => Some(or_none(sections.target.as_deref())),
        "metadata" => Some(or_none(sections.metadata.as_deref())),
        "instructions" => Some(or_none(Some(&sections.instructions))),
        INPUT => {
            has_input.set(true);
            Some(input)
        }
        _ => None,
    });
    if !has_input.get() {
        filled = format!("{}\n\n{input}", filled.trim_end());
    }
    filled.trim_end().to_owned()
}

/// Fills `{{name}}` in one pass: what is put in is never looked through for placeholders. Unknown
/// ones stay as they are.
pub(super) fn fill_placeholders<'a>(
    template: &str,
    value: impl Fn(&str) -> Option<&'a str>,
) -> String {
    let mut filled = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        filled.push_str(before);
        let named = after
            .split_once("}}")
            .and_then(|(name, next)| Some((value(name.trim())?, next)));
        rest = if let Some((text, next)) = named {
            filled.push_str(text);
            next
        } else {
            filled.push_str("{{");
            after
        };
    }
    filled.push_str(rest);
    filled
}

fn or_none(text: Option<&str>) -> &str {
    text.filter(|text| !text.is_empty()).unwrap_or("none")
}
