//! What an inbox file holds.
//!
//! The text is what Python's `json.dumps` with `ensure_ascii=False`, `indent=2` and
//! `sort_keys=True` makes of the same content, and a newline; numbers keep the client's spelling.

use std::sync::Arc;

use bytes::Bytes;

use super::{
    envelope::{InboxForm, StoredMessage},
    request::document::{Document, Kind},
    task::NewTask,
};
use layout::{Layout, Value};

mod layout;
#[cfg(test)]
mod tests;

const PROMPT: &str = "latest-user-prompt";
const CONTEXT_ID: &str = "context_id";
const REPLY: &str = "backend-llm-reply";
const REPLY_INSTRUCTION: &str = "backend-llm-instruction";
const INSTRUCTION: &str = "instruction";
const SKILL_PATH: &str = "openclaw_message_cli_skill_path";
const MESSAGE: &str = "message";
const BATCH: &str = "batch";
const TASK_ID: &str = "task_id";
const SENDER: &str = "sender";

/// What an agent is told about a backend's reply.
const CHECK_THE_REPLY: &str = "A backend model has already answered with the text in \
                               backend-llm-reply; verify it and send a follow-up where one is needed.";

/// What the operator wants to see in every item.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ItemExtras {
    /// What to do with the item (`instruction`).
    pub instruction: Option<String>,
    /// Where the outbound-message skill lies (`openclaw_message_cli_skill_path`).
    pub skill_path: Option<String>,
}

/// The content of one inbox file, or of one element of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboxItem {
    body: Option<Bytes>,
    added: Vec<(&'static str, Added)>,
}

/// The value of a key that the broker adds.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Added {
    Text(Arc<str>),
    Json(Bytes),
    Items(Vec<InboxItem>),
}

/// Makes the item of a message, with the reply of a backend where there is one.
pub fn render(message: &StoredMessage, reply: Option<&str>, extras: &ItemExtras) -> InboxItem {
    let (body, under_key) = match message.form {
        InboxForm::Whole => (message.body.clone(), None),
        InboxForm::Repeat => (None, None),
        InboxForm::RepeatWithMessage => (None, message.body.clone()),
    };
    let context_id = message.context_id.as_ref();
    let texts = [
        (PROMPT, message.prompt.clone()),
        (CONTEXT_ID, context_id.map(|id| Arc::from(id.as_str()))),
        (REPLY, reply.map(Arc::from)),
        (REPLY_INSTRUCTION, reply.map(|_| Arc::from(CHECK_THE_REPLY))),
        (INSTRUCTION, extras.instruction.as_deref().map(Arc::from)),
        (SKILL_PATH, extras.skill_path.as_deref().map(Arc::from)),
    ];
    let texts = texts.into_iter();
    let present = texts.filter_map(|(key, text)| Some((key, Added::Text(text?))));
    let under_key = under_key.map(|body| (MESSAGE, Added::Json(body)));
    InboxItem {
        body,
        added: present.chain(under_key).collect(),
    }
}

/// Makes the item of a task of an agent: the request with the human's words, where it has some, and
/// the id to answer with. A message says who sent it, as its secret or key told.
pub fn render_task(task: &NewTask, prompt: Option<Arc<str>>) -> InboxItem {
    let id = Some(Arc::from(task.id.to_string()));
    let envelope = task.envelope.as_deref();
    let sender = envelope.map(|envelope| Arc::from(envelope.sender.to_string()));
    let texts = [(PROMPT, prompt), (TASK_ID, id), (SENDER, sender)].into_iter();
    let added = texts.filter_map(|(key, text)| Some((key, Added::Text(text?))));
    InboxItem {
        body: Some(task.body.clone()),
        added: added.collect(),
    }
}

/// Puts items of one context, oldest first, into one: the newest, and all of them as `batch`.
///
/// One item alone is left as it is; no items make an empty object.
pub fn render_batch(items: Vec<InboxItem>) -> InboxItem {
    let newest = items.last().cloned();
    let mut batch = newest.unwrap_or(InboxItem {
        body: None,
        added: Vec::new(),
    });
    if items.len() > 1 {
        batch.added.push((BATCH, Added::Items(items)));
    }
    batch
}

impl InboxItem {
    /// The text of the file, final newline included.
    pub fn to_file_text(&self) -> String {
        let mut layout = Layout::with_capacity(self.size_hint());
        self.lay_out(&mut layout);
        layout.finish()
    }

    /// Room for the content and, roughly, its indentation.
    fn size_hint(&self) -> usize {
        let added = self.added.iter().map(|(_, value)| match value {
            Added::Text(text) => text.len() + 64,
            Added::Json(json) => json.len() / 4 * 5,
            Added::Items(items) => items.iter().map(Self::size_hint).sum(),
        });
        let body = self.body.as_ref().map_or(0, |body| body.len() / 4 * 5);
        64 + body + added.sum::<usize>()
    }

    /// Writes the body with the added keys; a body that is no object is written as it is.
    fn lay_out(&self, layout: &mut Layout) {
        let body = self.body.as_deref().map(Document::parse);
        let added = self
            .added
            .iter()
            .map(|(key, value)| ((*key).into(), value.as_value()));
        match (&body, &self.body) {
            (Some(Ok(document)), _) if document.root().kind() != Kind::Object => {
                layout.value(Value::Item(document.root()));
            }
            (Some(Ok(document)), _) => {
                let own = document.root().entries().filter_map(Layout::entry);
                layout.object(own.chain(added).collect());
            }
            (Some(Err(_)), Some(bytes)) => layout.text(&String::from_utf8_lossy(bytes)),
            _ => layout.object(added.collect()),
        }
    }
}

impl Added {
    fn as_value(&self) -> Value<'_> {
        match self {
            Self::Text(text) => Value::Text(text),
            Self::Json(json) => Value::Json(json),
            Self::Items(items) => Value::Items(items),
        }
    }
}
