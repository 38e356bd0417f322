//! A chat request or a response request, read as a list of who said what.

use crate::domain::{
    openclaw::INTERNAL_CONTEXT,
    request::document::{Item, Kind},
};

use super::content::{field, shorten, text_of, text_of_result};

/// What a request tells an agent.
#[derive(Debug, Default)]
pub(super) struct Conversation {
    /// `instructions` of a response.
    pub(super) instructions: Option<String>,
    /// All that was said, oldest first.
    pub(super) entries: Vec<Entry>,
    /// `model`, as it was asked for.
    pub(super) target: Option<String>,
    /// `metadata` as JSON; none where it is empty.
    pub(super) metadata: Option<String>,
}

/// One thing that was said.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) speaker: Speaker,
    pub(super) text: String,
}

/// Who said it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Speaker {
    /// `system` or `developer`.
    System,
    /// A user; with a name where one is given.
    User(Option<String>),
    /// The assistant.
    Assistant,
    /// The assistant calls a tool of this name.
    ToolCall(String),
    /// A tool answers the call of this id.
    ToolResult(String),
    /// The client's own notes, in the place of a user message.
    Client,
    /// Anybody else.
    Other(String),
}

impl Entry {
    const fn new(speaker: Speaker, text: String) -> Self {
        Self { speaker, text }
    }

    const fn is_agents(&self) -> bool {
        matches!(self.speaker, Speaker::Assistant | Speaker::ToolCall(_))
    }

    const fn is_asking(&self) -> bool {
        matches!(self.speaker, Speaker::User(_) | Speaker::ToolResult(_))
    }

    pub(super) fn is_blank(&self) -> bool {
        self.text.trim().is_empty()
    }
}

impl Conversation {
    /// Reads the body of a chat request.
    pub(super) fn of_chat(root: Item<'_, '_>) -> Self {
        let mut conversation = Self::frame(root);
        let messages = root.get("messages");
        for message in messages.into_iter().flat_map(Item::elements) {
            conversation.read_message(message);
        }
        conversation
    }

    /// Reads the body of a response request.
    pub(super) fn of_response(root: Item<'_, '_>) -> Self {
        let mut conversation = Self::frame(root);
        conversation.instructions = field(root, "instructions");
        let Some(input) = root.get("input") else {
            return conversation;
        };
        match input.text() {
            Some(text) => conversation.say(Speaker::User(None), text.into_owned()),
            None => {
                for item in input.elements() {
                    conversation.read_item(item);
                }
            }
        }
        conversation
    }

    /// Whether there is something new to work on.
    pub(super) fn has_input(&self, needs_user: bool) -> bool {
        let (_, new) = self.split();
        let is_asked = new
            .iter()
            .any(|entry| entry.is_asking() && !entry.is_blank());
        let has_user =
            |entry: &Entry| matches!(entry.speaker, Speaker::User(_)) && !entry.is_blank();
        is_asked && (!needs_user || self.entries.iter().any(has_user))
    }

    /// What the session knows already, and what is new: all after the assistant's last words before
    /// the last question.
    pub(super) fn split(&self) -> (&[Entry], &[Entry]) {
        let last_question = self.entries.iter().rposition(Entry::is_asking);
        let until = last_question.unwrap_or(self.entries.len());
        let before = self.entries.get(..until).unwrap_or_default();
        let known = before.iter().rposition(Entry::is_agents);
        self.entries.split_at(known.map_or(0, |last| last + 1))
    }

    fn frame(root: Item<'_, '_>) -> Self {
        let metadata = root.get("metadata");
        let metadata = metadata.filter(|metadata| metadata.entries().next().is_some());
        Self {
            target: field(root, "model"),
            metadata: metadata.map(|metadata| metadata.raw().to_owned()),
            ..Self::default()
        }
    }

    fn say(&mut self, speaker: Speaker, text: String) {
        self.entries.push(Entry::new(speaker, text));
    }

    fn read_message(&mut self, message: Item<'_, '_>) {
        let content = message.get("content");
        let text = text_of(content);
        match field(message, "role").as_deref() {
            Some("system" | "developer") => self.say(Speaker::System, text),
            Some("user") if text.starts_with(INTERNAL_CONTEXT) => self.say(Speaker::Client, text),
            Some("user") => self.say(Speaker::User(field(message, "name")), text),
            Some("assistant") => {
                self.say(Speaker::Assistant, text);
                let calls = message.get("tool_calls");
                for call in calls.into_iter().flat_map(Item::elements) {
                    self.read_call(call.get("function").unwrap_or(call));
                }
            }
            Some("tool" | "function") => {
                let id = field(message, "tool_call_id").or_else(|| field(message, "name"));
                self.read_result(id, content);
            }
            Some(other) => self.say(Speaker::Other(shorten(other)), text),
            None => {}
        }
    }

    fn read_item(&mut self, item: Item<'_, '_>) {
        let kind = field(item, "type");
        match kind.as_deref() {
            None | Some("message") => self.read_message(item),
            // What a model thought is for itself; a tool's call and its result are for the reader.
            Some("reasoning") => {}
            Some("function_call" | "custom_tool_call") => self.read_call(item),
            Some("function_call_output" | "custom_tool_call_output") => {
                self.read_result(field(item, "call_id"), item.get("output"));
            }
            Some(other) => {
                let note = format!("[an item of type `{}`, not shown]", shorten(other));
                self.say(Speaker::Other("Note".to_owned()), note);
            }
        }
    }

    fn read_call(&mut self, call: Item<'_, '_>) {
        let name = field(call, "name").unwrap_or_default();
        let arguments = call.get("arguments").or_else(|| call.get("input"));
        self.say(Speaker::ToolCall(shorten(&name)), text_of_result(arguments));
    }

    fn read_result(&mut self, id: Option<String>, output: Option<Item<'_, '_>>) {
        let id = shorten(&id.unwrap_or_default());
        let is_literal = output.is_some_and(|output| output.kind() == Kind::Literal);
        let output = if is_literal { None } else { output };
        self.say(Speaker::ToolResult(id), text_of_result(output));
    }
}
