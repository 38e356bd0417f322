//! A document seen as a chat request.

use std::borrow::Cow;

use super::document::{Item, Kind};

/// Who speaks in a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::domain) enum Role {
    /// `system`.
    System,
    /// `user`.
    User,
    /// `assistant`.
    Assistant,
    /// `tool`.
    Tool,
    /// Any other, or none.
    Other,
}

/// A chat request. Missing parts and parts of other types read as empty.
#[derive(Debug)]
pub(in crate::domain) struct Chat<'d, 'a> {
    /// The document's value.
    pub(in crate::domain) root: Item<'d, 'a>,
    /// Its `messages`.
    pub(in crate::domain) messages: Vec<Message<'d, 'a>>,
}

/// An element of `messages`.
#[derive(Debug)]
pub(in crate::domain) struct Message<'d, 'a> {
    /// The whole message.
    pub(in crate::domain) item: Item<'d, 'a>,
    /// Who speaks.
    pub(in crate::domain) role: Role,
    /// What a user or the system says; none where that is empty, and for other roles.
    pub(in crate::domain) text: Option<Text<'a>>,
}

/// The text of a message.
#[derive(Debug)]
pub(in crate::domain) struct Text<'a> {
    /// All of it; text parts are joined by a newline.
    pub(in crate::domain) all: Cow<'a, str>,
    /// Where in it the last text part begins; 0 where the content is a string.
    pub(in crate::domain) last_part: usize,
    /// The content is a string, not a list of parts.
    pub(in crate::domain) is_string: bool,
}

impl<'d, 'a> Chat<'d, 'a> {
    pub(super) fn of(root: Item<'d, 'a>) -> Self {
        let messages = root.get("messages");
        let messages = messages.into_iter().flat_map(Item::elements);
        Self {
            root,
            messages: messages.map(Message::of).collect(),
        }
    }

    /// The texts of the messages of one role, oldest first.
    pub(in crate::domain) fn texts(
        &self,
        role: Role,
    ) -> impl DoubleEndedIterator<Item = &Text<'a>> {
        let of_role = move |message: &&Message<'d, 'a>| message.role == role;
        let messages = self.messages.iter().filter(of_role);
        messages.filter_map(|message| message.text.as_ref())
    }
}

impl<'d, 'a> Message<'d, 'a> {
    fn of(item: Item<'d, 'a>) -> Self {
        let role = item.get("role").map_or(Role::Other, Role::of);
        let text = match role {
            Role::System | Role::User => item.get("content").and_then(Text::of),
            _ => None,
        };
        Self { item, role, text }
    }
}

impl Role {
    fn of(item: Item<'_, '_>) -> Self {
        match item.text().as_deref() {
            Some("system") => Self::System,
            Some("user") => Self::User,
            Some("assistant") => Self::Assistant,
            Some("tool") => Self::Tool,
            _ => Self::Other,
        }
    }
}

impl<'a> Text<'a> {
    fn of(content: Item<'_, 'a>) -> Option<Self> {
        let text = match content.kind() {
            Kind::Array => Self::of_parts(content),
            _ => Self {
                all: content.text()?,
                last_part: 0,
                is_string: true,
            },
        };
        (!text.all.is_empty()).then_some(text)
    }

    fn of_parts(content: Item<'_, 'a>) -> Self {
        let mut all = Cow::Borrowed("");
        let mut last_part = 0;
        for text in content.elements().filter_map(part_text) {
            if all.is_empty() {
                all = text;
            } else {
                let joined = all.to_mut();
                joined.push('\n');
                last_part = joined.len();
                joined.push_str(&text);
            }
        }
        Self {
            all,
            last_part,
            is_string: false,
        }
    }
}

fn part_text<'a>(part: Item<'_, 'a>) -> Option<Cow<'a, str>> {
    let is_text = part.get("type").is_some_and(|kind| kind.is_text("text"));
    let text = part.get("text").filter(|_| is_text)?.text()?;
    (!text.is_empty()).then_some(text)
}
