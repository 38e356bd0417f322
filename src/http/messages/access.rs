//! Who may see a message, and finding the one that a path names.

use std::sync::Arc;

use actix_web::HttpRequest;
use percent_encoding::percent_decode_str;
use postroom_actors::domain::{
    agent_message::Envelope, ids::MessageId, party::Party, post::MessageRecord, task::TaskRecord,
};

use crate::{
    http::{SharedState, auth::Caller, error::ApiError, incoming},
    settings::Role,
};

/// Whoever wants to see messages.
#[derive(Debug, Clone)]
pub(in crate::http) struct Reader {
    /// Sees all of them.
    pub(super) is_operator: bool,
    /// As a sender and a recipient.
    pub(super) party: Party,
    /// The name that chats and responses are kept under.
    name: Option<Arc<str>>,
}

impl From<&Caller> for Reader {
    fn from(caller: &Caller) -> Self {
        Self {
            is_operator: caller.may(Role::Operator),
            party: caller.party(),
            name: caller.name().cloned(),
        }
    }
}

impl Reader {
    /// Whether a message may be seen: an operator sees all, others what they sent and what was
    /// sent to them.
    pub(super) fn may_see(&self, record: &MessageRecord) -> bool {
        if self.is_operator {
            return true;
        }
        match (envelope(record), record) {
            (Some(envelope), _) => {
                self.party == envelope.sender || self.party == envelope.recipient
            }
            (None, MessageRecord::Task(record)) => self.may_see_chat(record),
            (None, MessageRecord::Delivery(_)) => false,
        }
    }

    /// Whether a message may be taken back: by who sent it, or an operator.
    pub(super) fn may_end(&self, record: &MessageRecord) -> bool {
        if self.is_operator {
            return true;
        }
        match (envelope(record), record) {
            (Some(envelope), _) => self.party == envelope.sender,
            (None, MessageRecord::Task(record)) => self.brought(record),
            (None, MessageRecord::Delivery(_)) => false,
        }
    }

    /// What is not to be stored can be seen until it ends.
    fn may_see_chat(&self, record: &TaskRecord) -> bool {
        let works_on_it = self.party.agent() == Some(&record.task.agent);
        let is_there = record.task.is_kept || !record.state.is_ended();
        is_there && (works_on_it || self.brought(record))
    }

    fn brought(&self, record: &TaskRecord) -> bool {
        self.name.is_some() && self.name == record.task.caller
    }
}

/// What is known of a message besides its body; `None` for chats and responses.
pub(super) fn envelope(record: &MessageRecord) -> Option<&Arc<Envelope>> {
    match record {
        MessageRecord::Task(record) => record.task.envelope.as_ref(),
        MessageRecord::Delivery(record) => Some(&record.delivery.envelope),
    }
}

/// The message that the path names, by our id or by the one that its sender gave it; a sender's own
/// where the query does not name another `sender`.
///
/// # Errors
/// 400 for a sender that is none, 404 for what is not there or not to be seen.
pub(super) async fn find(
    shared: &SharedState,
    request: &HttpRequest,
    reader: &Reader,
) -> Result<MessageRecord, ApiError> {
    let name = path_id(request);
    if let Some(id) = MessageId::parse(&name)
        && let Some(found) = shared.book.message(id).await?
        && reader.may_see(&found)
    {
        return Ok(found);
    }
    let sender = sender(request, reader)?;
    let found = match shared
        .book
        .by_sender_id(sender, name.as_str().into())
        .await?
    {
        Some(id) => shared.book.message(id).await?,
        None => None,
    };
    found
        .filter(|found| reader.may_see(found))
        .ok_or_else(|| ApiError::unknown_message(&name))
}

/// Whose id the path names, where it is not ours.
fn sender(request: &HttpRequest, reader: &Reader) -> Result<Party, ApiError> {
    let query = incoming::query(request);
    let Some(named) = query.get("sender") else {
        return Ok(reader.party.clone());
    };
    Party::parse(named).ok_or_else(|| {
        let message = "`sender` is `agent:NAME`, `peer:NAME`, `key:NAME` or `anyone`";
        ApiError::bad_request(message, Some("sender"))
    })
}

/// The id in the path, as it was before it was made fit for a path.
pub(in crate::http) fn path_id(request: &HttpRequest) -> String {
    let name = request.match_info().query("id");
    percent_decode_str(name).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use postroom_actors::domain::task::{NewTask, TaskOrigin, TaskState};

    use super::*;
    use crate::http::messages::view::tests::{chat, delivery, task};

    fn reader(party: &str) -> Reader {
        let party = Party::parse(party).unwrap();
        let name = match &party {
            Party::Agent(agent) => Some(format!("agent:{agent}").into()),
            Party::Key(name) => Some(Arc::clone(name)),
            _ => None,
        };
        Reader {
            is_operator: false,
            party,
            name,
        }
    }

    fn operator() -> Reader {
        Reader {
            is_operator: true,
            ..reader("key:ops")
        }
    }

    #[actix_web::test]
    async fn an_id_in_a_path_is_read_as_it_was_written() {
        use actix_web::{App, test, web};
        let echo = |request: HttpRequest| async move { path_id(&request) };
        let app = App::new().route("/messages/{id}", web::get().to(echo));
        let app = test::init_service(app).await;
        for (path, id) in [
            ("/messages/m-1", "m-1"),
            ("/messages/job%2F1%25x", "job/1%x"),
            ("/messages/a%20b%2525", "a b%25"),
            ("/messages/%C3%A9", "é"),
        ] {
            let request = test::TestRequest::get().uri(path).to_request();
            let answer = test::call_and_read_body(&app, request).await;
            assert_eq!(answer, id.as_bytes(), "{path}");
        }
    }

    #[test]
    fn a_message_is_seen_by_its_sender_its_recipient_and_operators() {
        let message = MessageRecord::Task(task());
        for (who, sees, ends) in [
            (reader("peer:bob"), true, true),
            (reader("agent:manager"), true, false),
            (operator(), true, true),
            (reader("peer:eve"), false, false),
            (reader("agent:bob"), false, false),
            (reader("key:bob"), false, false),
            (reader("anyone"), false, false),
        ] {
            assert_eq!(who.may_see(&message), sees, "{who:?}");
            assert_eq!(who.may_end(&message), ends, "{who:?}");
        }
    }

    #[test]
    fn a_delivery_is_seen_by_the_agent_that_sent_it_and_by_its_recipient() {
        let message = MessageRecord::Delivery(delivery());
        for (who, sees, ends) in [
            (reader("agent:manager"), true, true),
            (reader("peer:bob"), true, false),
            (operator(), true, true),
            (reader("agent:engineer"), false, false),
            (reader("peer:eve"), false, false),
        ] {
            assert_eq!(who.may_see(&message), sees, "{who:?}");
            assert_eq!(who.may_end(&message), ends, "{who:?}");
        }
    }

    fn unnamed_chat() -> TaskRecord {
        chat(TaskOrigin::Chat, None)
    }

    #[test]
    fn a_chat_is_seen_by_who_brought_it_and_by_the_agent_that_works_on_it() {
        let chat = chat(TaskOrigin::Chat, Some("app"));
        let message = MessageRecord::Task(chat.clone());
        for (who, sees, ends) in [
            (reader("key:app"), true, true),
            (reader("agent:manager"), true, false),
            (reader("key:other"), false, false),
            (reader("peer:bob"), false, false),
            (operator(), true, true),
        ] {
            assert_eq!(who.may_see(&message), sees, "{who:?}");
            assert_eq!(who.may_end(&message), ends, "{who:?}");
        }
        let nobodys = MessageRecord::Task(unnamed_chat());
        assert!(!reader("peer:bob").may_see(&nobodys));
        let task = Arc::new(NewTask {
            is_kept: false,
            ..(*chat.task).clone()
        });
        let open = TaskRecord { task, ..chat };
        let ended = TaskRecord {
            state: TaskState::Answered,
            ..open.clone()
        };
        assert!(reader("key:app").may_see(&MessageRecord::Task(open)));
        assert!(!reader("key:app").may_see(&MessageRecord::Task(ended)));
    }
}
