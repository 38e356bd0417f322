//! What OpenClaw's system prompt says about the conversation.

use memchr::memmem;

use crate::domain::{
    context::first_string,
    request::{document::Document, scanner::Dialect},
};

const MARK: &str = "<!-- openclaw:attempt:";
const GENERATED_MARK: &str = "<!-- openclaw:attempt:DYNAMIC -->";
const HEADING: &str = "### Message Context";
const SCHEMA: &str = "openclaw.inbound_meta";

/// How many headings are tried: the text of a hostile prompt may consist of them.
const MAX_HEADINGS: usize = 8;

/// Whether a system prompt was made by a present OpenClaw.
pub(super) fn is_marked(prompt: &str) -> bool {
    memmem::find(prompt.as_bytes(), MARK.as_bytes()).is_some()
}

/// The part of a system prompt that is made anew for each turn: no workspace files in it.
pub(super) fn generated_part(prompt: &str) -> &str {
    let mark = memmem::rfind(prompt.as_bytes(), GENERATED_MARK.as_bytes());
    mark.and_then(|mark| prompt.get(mark..)).unwrap_or(prompt)
}

/// The `### Message Context` of a system prompt.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct MessageContext {
    /// Where the message came from.
    pub(super) channel: String,
    /// It was written in a group.
    pub(super) is_group: bool,
}

impl MessageContext {
    /// Finds the first valid one in the generated part of a system prompt.
    pub(super) fn find(prompt: &str) -> Option<Self> {
        let generated = generated_part(prompt);
        let headings = memmem::find_iter(generated.as_bytes(), HEADING);
        headings.take(MAX_HEADINGS).find_map(|heading| {
            let (before, section) = generated.split_at_checked(heading)?;
            let starts_line = before.is_empty() || before.ends_with('\n');
            Self::in_section(section).filter(|_| starts_line)
        })
    }

    fn in_section(section: &str) -> Option<Self> {
        let fence = memmem::find(section.as_bytes(), b"\n```json\n")?;
        let block = section.get(fence..)?.strip_prefix("\n```json\n")?;
        let (document, _) = Document::parse_start(block, Dialect::Strict).ok()?;
        let facts = document.root();
        let schema = facts.get("schema")?.text()?;
        let chat_type = facts.get("chat_type");
        Some(Self {
            channel: first_string(facts, &["channel"]).filter(|_| schema.starts_with(SCHEMA))?,
            is_group: chat_type.is_some_and(|kind| kind.is_text("group")),
        })
    }
}
