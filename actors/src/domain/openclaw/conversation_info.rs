//! What OpenClaw says about the sender of a message.

use crate::domain::{
    context::first_string,
    request::{
        document::{Document, Item, Kind},
        scanner::Dialect,
    },
};

const OPENING: &str = "Conversation info: ⟦openclaw:ctx⟧\n```json\n";
const CLOSING: &str = "\n```";
const END_OF_INTERNAL_CONTEXT: &str = "<<<END_OPENCLAW_INTERNAL_CONTEXT>>>";

/// The facts of one `Conversation info:` block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ConversationInfo {
    sender: Option<String>,
    chat: Option<String>,
    is_group: bool,
}

impl ConversationInfo {
    /// Reads the block that a text begins with; answers also what follows the block.
    pub(super) fn at_start(text: &str) -> Option<(Self, &str)> {
        let block = text.strip_prefix(OPENING)?;
        let (document, end) = Document::parse_start(block, Dialect::Strict).ok()?;
        let rest = block.get(end..)?.strip_prefix(CLOSING)?;
        let info = Self::of(document.root())?;
        let rest = rest
            .strip_prefix("\n\n")
            .or_else(|| rest.strip_prefix('\n'));
        Some((info, rest.unwrap_or_default()))
    }

    /// Finds the block in the internal context, where each piece of data is one JSON string.
    ///
    /// A block further inside such a string is a quotation, not a fact.
    pub(super) fn in_internal_context(text: &str) -> Option<Self> {
        let lines = text.lines();
        let inside = lines.take_while(|line| *line != END_OF_INTERNAL_CONTEXT);
        let mut quoted = inside.filter(|line| line.starts_with('"'));
        quoted.find_map(|line| {
            let (document, _) = Document::parse_start(line, Dialect::Strict).ok()?;
            let data = document.root().text()?;
            Self::at_start(&data).map(|(info, _)| info)
        })
    }

    fn of(facts: Item<'_, '_>) -> Option<Self> {
        if facts.kind() != Kind::Object {
            return None;
        }
        let sender = facts.get("sender");
        let has_group_flag = facts.get("is_group_chat").is_some_and(Item::is_true);
        let has_group_type = facts
            .get("chat_type")
            .is_some_and(|kind| kind.is_text("group"));
        Some(Self {
            sender: sender.and_then(|sender| first_string(sender, &["id"])),
            chat: first_string(facts, &["chat_id"]),
            is_group: has_group_flag || has_group_type,
        })
    }

    /// Who gets an answer on `channel`: the group that was spoken in, else the sender.
    pub(super) fn target(self, channel: &str, in_group: bool) -> Option<String> {
        let group = self.chat.filter(|_| self.is_group || in_group);
        let without_channel = |chat: String| {
            let bare = chat
                .strip_prefix(channel)
                .and_then(|rest| rest.strip_prefix(':'));
            bare.filter(|bare| !bare.is_empty())
                .map_or(chat.clone(), str::to_owned)
        };
        group.map(without_channel).or(self.sender)
    }
}
