//! Messages between agents: `POST /message`, `POST /send`, and what became of them.
//!
//! A message that comes becomes a task of an agent; one that is sent goes to the courier. Both are
//! looked up in the same book.

pub(super) mod access;
mod answered;
pub mod cancel;
pub mod list;
mod once;
pub mod receive;
mod route;
pub mod send;
pub mod show;
pub(super) mod view;
mod wait;

use postroom_actors::{courier::Sent, domain::ids::MessageId};
use serde::Serialize;
use utoipa::ToSchema;

pub use self::{cancel::cancel, list::list, receive::receive, send::send, show::show};

/// What a sender gets for its message.
#[derive(Debug, Serialize, ToSchema)]
pub struct Receipt {
    /// `received` or `sent`, for good.
    pub status: &'static str,
    /// The message's id; of a repeated one, that of the first.
    #[schema(value_type = String)]
    pub id: MessageId,
    /// `true` where it was sent before; else left out.
    #[serde(skip_serializing_if = "is_false")]
    pub duplicate: bool,
}

impl Receipt {
    const fn new(status: &'static str, sent: Sent) -> Self {
        Self {
            status,
            id: sent.id,
            duplicate: sent.is_duplicate,
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
const fn is_false(value: &bool) -> bool {
    !*value
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_receipt_tells_of_a_repetition_only_where_there_is_one() {
        let id = MessageId::new(Uuid::from_u128(1));
        let text = |is_duplicate| {
            let sent = Sent { id, is_duplicate };
            serde_json::to_string(&Receipt::new("received", sent)).unwrap()
        };
        let first = r#"{"status":"received","id":"00000000-0000-0000-0000-000000000001""#;
        assert_eq!(text(false), format!("{first}}}"));
        assert_eq!(text(true), format!("{first},\"duplicate\":true}}"));
    }
}
