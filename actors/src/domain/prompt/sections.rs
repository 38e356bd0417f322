//! The parts of what one task tells an agent, and how they are put together.

use crate::domain::request::document::Item;

use super::{
    content::{field, shorten},
    conversation::{Conversation, Entry, Speaker},
};

/// What stands where a batch has something of each of its tasks.
const WITH_EACH: &str = "given with each message";

/// One task's text, in parts.
#[derive(Debug, Default)]
pub(super) struct Sections {
    /// What the system or developer says.
    pub(super) instructions: String,
    /// What was said before, where the session does not know it.
    pub(super) history: String,
    /// What is new.
    pub(super) input: String,
    /// The model that was asked for.
    pub(super) target: Option<String>,
    /// The request's metadata as JSON.
    pub(super) metadata: Option<String>,
    /// It asks for something.
    pub(super) has_input: bool,
}

impl Sections {
    /// Of a chat or a response.
    pub(super) fn of_conversation(
        conversation: &Conversation,
        is_resumed: bool,
        has_input: bool,
    ) -> Self {
        let (known, new) = conversation.split();
        let known = if is_resumed { &[] } else { known };
        let system = known.iter().chain(new).filter(|entry| is_system(entry));
        let instructions: Vec<&str> = conversation
            .instructions
            .iter()
            .chain(system.map(|entry| &entry.text))
            .map(|text| text.trim())
            .filter(|text| !text.is_empty())
            .collect();
        Self {
            instructions: instructions.join("\n\n"),
            history: labelled(known),
            input: plain(new).unwrap_or_else(|| labelled(new)),
            target: conversation.target.clone(),
            metadata: conversation.metadata.clone(),
            has_input,
        }
    }

    /// Of a peer's message: its type and payload as they were sent.
    pub(super) fn of_message(root: Item<'_, '_>) -> Self {
        let kind = field(root, "type");
        let payload = root.get("payload");
        let mut blocks = vec![match &kind {
            Some(kind) => format!("A message of type `{}`.", shorten(kind)),
            None => "A message.".to_owned(),
        }];
        if let Some(payload) = payload {
            blocks.push(format!("Payload:\n{}", payload.raw()));
        }
        let further: Vec<String> = root
            .entries()
            .filter(|(key, _)| !key.is_text("type") && !key.is_text("payload"))
            .map(|(key, value)| format!("{}: {}", key.raw(), value.raw()))
            .collect();
        if !further.is_empty() {
            blocks.push(format!("Further fields:\n{}", further.join("\n")));
        }
        Self {
            input: blocks.join("\n\n"),
            has_input: kind.is_some() || payload.is_some(),
            ..Self::default()
        }
    }

    /// What stands around a batch as a whole.
    pub(super) fn of_batch(tasks: &[Self]) -> Self {
        let mut targets: Vec<&str> = tasks
            .iter()
            .filter_map(|task| task.target.as_deref())
            .collect();
        targets.dedup();
        let has_metadata = tasks.iter().any(|task| task.metadata.is_some());
        let has_instructions = tasks.iter().any(|task| !task.instructions.is_empty());
        Self {
            target: (!targets.is_empty()).then(|| targets.join(", ")),
            metadata: has_metadata.then(|| WITH_EACH.to_owned()),
            instructions: if has_instructions { WITH_EACH } else { "" }.to_owned(),
            ..Self::default()
        }
    }

    /// Adds how to answer.
    pub(super) fn with_reply_instructions(mut self, instructions: Option<&str>) -> Self {
        if let Some(instructions) = instructions {
            self.input = format!("{}\n\n{}", self.input, instructions.trim_end());
        }
        self
    }

    /// All parts under headings; the new part alone where there is no other.
    pub(super) fn whole(&self) -> String {
        let metadata = self.metadata.as_deref().unwrap_or_default();
        under_headings(&[
            ("# Instructions", &self.instructions),
            ("# Metadata", metadata),
            ("# Conversation so far", &self.history),
            ("# Message", &self.input),
        ])
    }

    /// What was said before and what is new.
    pub(super) fn input_with_history(&self) -> String {
        under_headings(&[
            ("## Conversation so far", &self.history),
            ("## Message", &self.input),
        ])
    }
}

fn under_headings(parts: &[(&str, &str)]) -> String {
    let filled: Vec<&(&str, &str)> = parts.iter().filter(|(_, text)| !text.is_empty()).collect();
    match filled.as_slice() {
        [(_, only)] => (*only).to_owned(),
        many => {
            let blocks: Vec<String> = many
                .iter()
                .map(|(heading, text)| format!("{heading}\n\n{text}"))
                .collect();
            blocks.join("\n\n")
        }
    }
}

/// The words of users alone, where nobody else has said something.
fn plain(entries: &[Entry]) -> Option<String> {
    let mut texts = Vec::new();
    for entry in shown(entries) {
        match entry.speaker {
            Speaker::User(None) => texts.push(entry.text.as_str()),
            _ => return None,
        }
    }
    Some(texts.join("\n\n"))
}

fn labelled(entries: &[Entry]) -> String {
    let lines: Vec<String> = shown(entries)
        .map(|entry| format!("{}: {}", label(&entry.speaker), entry.text))
        .collect();
    lines.join("\n\n")
}

fn shown(entries: &[Entry]) -> impl Iterator<Item = &Entry> {
    entries
        .iter()
        .filter(|entry| !is_system(entry) && !entry.is_blank())
}

fn is_system(entry: &Entry) -> bool {
    entry.speaker == Speaker::System
}

fn label(speaker: &Speaker) -> String {
    match speaker {
        Speaker::System => "System".to_owned(),
        Speaker::User(None) => "User".to_owned(),
        Speaker::User(Some(name)) => format!("User ({})", shorten(name)),
        Speaker::Assistant => "Assistant".to_owned(),
        Speaker::ToolCall(name) => format!("Tool call `{name}`"),
        Speaker::ToolResult(id) => format!("Tool result `{id}`"),
        Speaker::Client => "Notes of the client".to_owned(),
        Speaker::Other(name) => name.clone(),
    }
}
