//! What an agent is given to read: tasks of any surface as one text.
//!
//! A new session is told everything, a resumed one only what is new to it. One task alone stands
//! there as it is, several are numbered and marked.

use std::sync::Arc;

use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use thiserror::Error;

use super::{
    ids::{AgentId, MessageId},
    request::{InvalidJson, document::Document},
    task::{NewTask, TaskOrigin},
};
use conversation::Conversation;
pub use reply_instructions::{ReplyFacts, reply_instructions};
use sections::Sections;

mod content;
mod conversation;
mod reply_instructions;
mod sections;
mod template;
#[cfg(test)]
mod tests;

/// The manager's prompt where nothing else is configured. Its placeholders: `{{agent}}`,
/// `{{date}}`, `{{target}}`, `{{metadata}}`, `{{instructions}}`, `{{input}}`.
pub const DEFAULT_MANAGER_TEMPLATE: &str = include_str!("prompt/manager.md");

/// Comes first when a crash cut off an earlier attempt.
const REPEAT_NOTE: &str = "Note: this is a repeat. An earlier attempt was cut off before it ended, \
and tools may have run in it. Look at what is there already before you do something again.";

/// One task, as far as its prompt needs it.
#[derive(Debug, Clone, Copy)]
pub struct TaskForPrompt<'a> {
    /// Its id.
    pub id: MessageId,
    /// How its body is read.
    pub origin: TaskOrigin,
    /// The request's JSON.
    pub body: &'a [u8],
    /// When it came in.
    pub received_at: DateTime<Utc>,
    /// Who sent it, where that is known.
    pub sender: Option<&'a str>,
    /// How the agent is to answer it; put behind it.
    pub reply_instructions: Option<&'a str>,
}

impl<'a> From<&'a NewTask> for TaskForPrompt<'a> {
    fn from(task: &'a NewTask) -> Self {
        Self {
            id: task.id,
            origin: task.origin,
            body: &task.body,
            received_at: task.received_at,
            sender: task.caller.as_deref(),
            reply_instructions: None,
        }
    }
}

/// What a prompt depends on besides its tasks. The requested target and the metadata stand in the
/// tasks themselves.
#[derive(Debug, Clone, Copy)]
pub struct PromptFacts<'a> {
    /// Whose prompt.
    pub agent: &'a AgentId,
    /// For the manager: its template ([`DEFAULT_MANAGER_TEMPLATE`], or the operator's).
    pub manager_template: Option<&'a str>,
    /// The session knows what was said before.
    pub is_resumed: bool,
    /// An earlier attempt was cut off by a crash.
    pub is_repeat: bool,
    /// Today, in UTC.
    pub today: NaiveDate,
}

/// There is nothing to give to an agent.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum PromptError {
    /// No task says anything.
    #[error("the input is empty; send at least one user message with text")]
    Empty,
    /// A task's body cannot be read.
    #[error("task `{task}` cannot be read")]
    Unreadable {
        /// Which task.
        task: MessageId,
        /// Why.
        #[source]
        source: InvalidJson,
    },
}

/// Renders the prompt of one turn.
///
/// # Errors
/// [`PromptError::Empty`] where no task has input ([`has_input`]),
/// [`PromptError::Unreadable`] where one is no JSON.
pub fn render(
    tasks: &[TaskForPrompt<'_>],
    facts: &PromptFacts<'_>,
) -> Result<Arc<str>, PromptError> {
    let read: Vec<Sections> = tasks
        .iter()
        .map(|task| read_task(task, facts.is_resumed))
        .collect::<Result<_, _>>()?;
    if !read.iter().any(|sections| sections.has_input) {
        return Err(PromptError::Empty);
    }
    let text = match (facts.manager_template, read.as_slice()) {
        (None, [only]) => only.whole(),
        (None, many) => batch(tasks, many),
        (Some(manager), [only]) => template::fill(manager, facts, only, &only.input_with_history()),
        (Some(manager), many) => {
            let together = Sections::of_batch(many);
            template::fill(manager, facts, &together, &batch(tasks, many))
        }
    };
    Ok(if facts.is_repeat {
        format!("{REPEAT_NOTE}\n\n{text}").into()
    } else {
        text.into()
    })
}

/// Whether a request asks for anything: something new that is not blank. What is no JSON has none.
///
/// For a chat that is what stands after the assistant's last message, and there is a user message.
pub fn has_input(origin: TaskOrigin, body: &[u8]) -> bool {
    Document::parse(body).is_ok_and(|document| match origin {
        TaskOrigin::Chat => Conversation::of_chat(document.root()).has_input(true),
        TaskOrigin::Response => Conversation::of_response(document.root()).has_input(false),
        TaskOrigin::Message => Sections::of_message(document.root()).has_input,
    })
}

fn read_task(task: &TaskForPrompt<'_>, is_resumed: bool) -> Result<Sections, PromptError> {
    let document = Document::parse(task.body).map_err(|fault| PromptError::Unreadable {
        task: task.id,
        source: InvalidJson::new(task.body, fault),
    })?;
    let root = document.root();
    let sections = match task.origin {
        TaskOrigin::Chat => {
            let conversation = Conversation::of_chat(root);
            Sections::of_conversation(&conversation, is_resumed, conversation.has_input(true))
        }
        TaskOrigin::Response => {
            let conversation = Conversation::of_response(root);
            Sections::of_conversation(&conversation, is_resumed, conversation.has_input(false))
        }
        TaskOrigin::Message => Sections::of_message(root),
    };
    Ok(sections.with_reply_instructions(task.reply_instructions))
}

fn batch(tasks: &[TaskForPrompt<'_>], read: &[Sections]) -> String {
    let count = read.len();
    let mut text = format!(
        "{count} messages have come in. Work on all of them, in this order, and answer them together."
    );
    for (number, (task, sections)) in tasks.iter().zip(read).enumerate() {
        let at = task.received_at.to_rfc3339_opts(SecondsFormat::Secs, true);
        let sender = task.sender.unwrap_or("unknown");
        let number = number + 1;
        let id = task.id;
        let mark = format!(
            "\n\n=== Message {number} of {count} | id {id} | received {at} | from {sender} ===\n\n"
        );
        text.push_str(&mark);
        text.push_str(&sections.whole());
    }
    text
}
