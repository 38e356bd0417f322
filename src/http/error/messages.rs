//! What goes wrong with messages between agents.

use actix_web::http::StatusCode;
use postroom_actors::{
    courier::SendError,
    domain::{
        agent_message::MessageFault,
        party::{Party, PeerName},
        peer::PeerProfile,
    },
};

use super::{ApiError, BUSY_RETRY_S, Kind, shorten};
use crate::post_address::UrlProblem;

impl ApiError {
    /// 404: nobody of this name gets messages.
    pub fn unknown_recipient(name: &str) -> Self {
        let message = format!(
            "no agent and no peer `{}`; `GET /agents` lists the agents, `peers` of the configuration the peers",
            shorten(name)
        );
        Self {
            param: Some("to".into()),
            ..Self::not_found(message, "recipient_not_found")
        }
    }

    /// 400: nobody is named, and there is nothing that is answered.
    pub fn no_recipient() -> Self {
        let message = "there is no message to answer, so `to` is needed: the name of an agent or a peer, or `in_reply_to` with the id of a message that came";
        Self::bad_request(message, Some("to"))
    }

    /// 403: an agent of ours has one way to send.
    pub fn agents_send() -> Self {
        let message = "an agent sends by `POST /send`, also to other agents; `POST /message` is for those outside";
        Self::new(StatusCode::FORBIDDEN, Kind::Permission, message)
    }

    /// 403: a peer's secret speaks to that peer alone.
    pub fn other_recipient(own: &PeerName) -> Self {
        let message = format!("the secret of peer `{own}` may send to `{own}` only");
        let error = Self::new(StatusCode::FORBIDDEN, Kind::Permission, message);
        Self {
            param: Some("to".into()),
            ..error
        }
    }

    /// 403: a peer may not speak as an agent of ours.
    pub fn peer_may_not_send(peer: &PeerName) -> Self {
        let message = format!(
            "the secret of peer `{peer}` is good for `POST /message` only; a turn sends with its own token (`peers.{peer}.secret_send` would allow it)"
        );
        Self::new(StatusCode::FORBIDDEN, Kind::Permission, message)
    }

    /// 422: nothing can be posted to this peer.
    pub fn peer_without_url(peer: &PeerName) -> Self {
        let message = format!("peer `{peer}` has no address; configure `peers.{peer}.url`");
        Self::unprocessable(message, "peer_not_reachable", "to")
    }

    /// 422: the peer does not take messages of this type.
    pub fn type_not_taken(peer: &PeerProfile, kind: &str) -> Self {
        let message = format!(
            "peer `{}` takes no `{}`; it takes `{}`",
            peer.name,
            shorten(kind),
            peer.types.join("`, `")
        );
        Self::unprocessable(message, "type_not_taken", "type")
    }

    /// 422: answers are not posted there.
    fn reply_to_not_allowed(why: UrlProblem) -> Self {
        let message = format!("`reply_to` cannot be used: {why}");
        Self::unprocessable(message, "reply_to_not_allowed", "reply_to")
    }

    /// 409: agents answer each other without an end.
    pub fn loop_limit(hops: u32, limit: u32) -> Self {
        let message = format!(
            "{hops} messages led to this one, each in answer to the one before; at most {limit} may (`limits.hops`)"
        );
        Self::looping(message)
    }

    /// 409: another body under an id that was used before.
    pub fn idempotency_conflict(message: String) -> Self {
        Self {
            code: Some("idempotency_conflict"),
            ..Self::new(StatusCode::CONFLICT, Kind::InvalidRequest, message)
        }
    }

    /// 404: no such message, or one that the caller may not see.
    pub fn unknown_message(id: &str) -> Self {
        let message = format!("no message `{}`", shorten(id));
        Self::not_found(message, "message_not_found")
    }

    /// 404: no such dead letter (any more).
    pub fn unknown_dead_letter(id: &str) -> Self {
        let message = format!(
            "no dead letter `{}`; `GET /dead-letters` lists them",
            shorten(id)
        );
        Self::not_found(message, "dead_letter_not_found")
    }

    /// 403: a message is taken back by its sender.
    pub fn other_sender(sender: Option<&Party>) -> Self {
        let sender = sender.map_or_else(|| "its sender".to_owned(), |sender| format!("`{sender}`"));
        let message = format!("only {sender} or an operator may take this message back");
        Self::new(StatusCode::FORBIDDEN, Kind::Permission, message)
    }

    fn looping(message: String) -> Self {
        Self {
            code: Some("loop_limit"),
            is_final: true,
            ..Self::new(StatusCode::CONFLICT, Kind::InvalidRequest, message)
        }
    }

    fn unprocessable(message: String, code: &'static str, param: &'static str) -> Self {
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        Self {
            code: Some(code),
            param: Some(param.into()),
            ..Self::new(status, Kind::InvalidRequest, message)
        }
    }
}

impl From<MessageFault> for ApiError {
    fn from(fault: MessageFault) -> Self {
        Self::bad_request(fault.to_string(), fault.field())
    }
}

impl From<SendError> for ApiError {
    fn from(error: SendError) -> Self {
        let message = error.to_string();
        match error {
            SendError::Store(error) => error.into(),
            SendError::Conflict(_) => Self::idempotency_conflict(message),
            SendError::Refused { .. } => Self::looping(message),
            SendError::TooMany { retry_after, .. } => Self {
                retry_after_s: Some(retry_after.as_secs().max(1)),
                ..Self::new(StatusCode::TOO_MANY_REQUESTS, Kind::RateLimit, message)
            },
            SendError::Full { .. } => Self::overloaded(message, BUSY_RETRY_S),
            SendError::Stopping => Self::stopping(),
        }
    }
}

impl From<UrlProblem> for ApiError {
    fn from(problem: UrlProblem) -> Self {
        Self::reply_to_not_allowed(problem)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use actix_web::{ResponseError, http::header};
    use postroom_actors::{
        domain::{
            agent_message::read_message,
            ids::MessageId,
            post::{DeadCode, DeadReason},
        },
        ports::StoreError,
    };
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_missing_type_is_told_in_the_words_of_the_protocol() {
        let error = ApiError::from(read_message(b"{}").unwrap_err());
        assert_eq!(error.status_code(), StatusCode::BAD_REQUEST);
        assert_eq!(error.body().error.message, "missing type");
        assert_eq!(error.body().error.param.as_deref(), Some("type"));
    }

    #[test]
    fn each_reason_not_to_send_has_its_status() {
        let id = MessageId::new(Uuid::from_u128(1));
        let refused = SendError::Refused {
            id,
            reason: DeadReason {
                code: DeadCode::HopLimit,
                message: "9 messages led to it".to_owned(),
            },
        };
        let too_many = SendError::TooMany {
            from: "agent:alice".to_owned(),
            to: "peer:bob".to_owned(),
            retry_after: Duration::from_secs(7),
        };
        for (error, status, code) in [
            (SendError::Conflict(id), 409, "idempotency_conflict".into()),
            (refused, 409, "loop_limit".into()),
            (too_many, 429, serde_json::Value::from(429)),
            (SendError::Full { waiting: 3 }, 503, 503.into()),
            (SendError::Stopping, 503, 503.into()),
            (SendError::Store(StoreError::Full), 503, 503.into()),
        ] {
            let error = ApiError::from(error);
            assert_eq!(error.status_code().as_u16(), status, "{error}");
            assert_eq!(error.body().error.code, code, "{error}");
            let waits = error.error_response();
            let waits = waits.headers().get(header::RETRY_AFTER);
            assert_eq!(waits.is_some(), status != 409, "{error}");
        }
    }
}
