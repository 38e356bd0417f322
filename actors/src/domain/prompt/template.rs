//! The manager's prompt, out of a template.

use super::{PromptFacts, sections::Sections};

/// Where the input goes.
const INPUT: &str = "input";

/// Fills a template in one pass: what is put in is never looked through for placeholders. Unknown
/// ones stay as they are; a template that has no place for the input gets it at its end.
pub(super) fn fill(
    template: &str,
    facts: &PromptFacts<'_>,
    sections: &Sections,
    input: &str,
) -> String {
    let date = facts.today.to_string();
    let value = |name: &str| match name {
        "agent" => Some(facts.agent.as_str()),
        "date" => Some(date.as_str()),
        "target" => Some(or_none(sections.target.as_deref())),
        "metadata" => Some(or_none(sections.metadata.as_deref())),
        "instructions" => Some(or_none(Some(&sections.instructions))),
        INPUT => Some(input),
        _ => None,
    };
    let mut filled = String::with_capacity(template.len() + input.len());
    let mut has_input = false;
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        filled.push_str(before);
        let named = after
            .split_once("}}")
            .and_then(|(name, next)| Some((name.trim(), value(name.trim())?, next)));
        rest = if let Some((name, text, next)) = named {
            has_input |= name == INPUT;
            filled.push_str(text);
            next
        } else {
            filled.push_str("{{");
            after
        };
    }
    filled.push_str(rest);
    if !has_input {
        filled = format!("{}\n\n{input}", filled.trim_end());
    }
    filled.trim_end().to_owned()
}

fn or_none(text: Option<&str>) -> &str {
    text.filter(|text| !text.is_empty()).unwrap_or("none")
}
