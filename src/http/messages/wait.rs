//! `?wait=delivered`: holding an answer until a message has arrived.

use std::{collections::HashMap, time::Duration};

use postroom_actors::{
    courier::{DeliveryEnd, WatchDelivery},
    domain::{
        ids::MessageId,
        post::{DeadReason, DeliveryState, MessageRecord},
    },
};
use serde::Serialize;
use tokio::sync::oneshot;
use utoipa::ToSchema;

use crate::http::{SharedState, error::ApiError};

/// How long is waited where nothing is said, in seconds.
const DEFAULT_S: u64 = 30;

/// How long is waited at most, in seconds.
const LONGEST_S: u64 = 120;

/// Whether a message has arrived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct Delivered {
    /// Whether its recipient has it.
    #[serde(rename = "delivered")]
    has_arrived: bool,
    /// Where its delivery stands.
    #[schema(value_type = String)]
    state: DeliveryState,
    /// Why it was given up, where it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    reason: Option<DeadReason>,
}

impl Delivered {
    const fn in_state(state: DeliveryState) -> Self {
        Self {
            has_arrived: matches!(state, DeliveryState::Delivered),
            state,
            reason: None,
        }
    }
}

impl From<DeliveryEnd> for Delivered {
    fn from(end: DeliveryEnd) -> Self {
        match end {
            DeliveryEnd::Delivered => Self::in_state(DeliveryState::Delivered),
            DeliveryEnd::Cancelled => Self::in_state(DeliveryState::Cancelled),
            DeliveryEnd::Dead(reason) => Self {
                reason: Some(reason),
                ..Self::in_state(DeliveryState::Dead)
            },
        }
    }
}

impl From<MessageRecord> for Delivered {
    fn from(record: MessageRecord) -> Self {
        match record {
            // An agent of ours has it.
            MessageRecord::Task(_) => Self::in_state(DeliveryState::Delivered),
            MessageRecord::Delivery(record) => Self {
                reason: record.reason,
                ..Self::in_state(record.state)
            },
        }
    }
}

/// How long the sender waits; `None`: not at all.
///
/// # Errors
/// 400 for what cannot be understood.
pub(super) fn wanted(query: &HashMap<String, String>) -> Result<Option<Duration>, ApiError> {
    let timeout = query
        .get("timeout")
        .map_or(Some(DEFAULT_S), |text| text.parse().ok())
        .filter(|seconds| (1..=LONGEST_S).contains(seconds))
        .ok_or_else(|| {
            let message = format!("`timeout` is a number of seconds from 1 to {LONGEST_S}");
            ApiError::bad_request(message, Some("timeout"))
        })?;
    match query.get("wait").map(String::as_str) {
        None => Ok(None),
        Some("delivered") => Ok(Some(Duration::from_secs(timeout))),
        Some(_) => Err(ApiError::bad_request(
            "`wait` is `delivered` or left out",
            Some("wait"),
        )),
    }
}

/// Waits for the end of a delivery. The message is sent by now, so nothing here is an error: what
/// cannot be seen is still waiting, as far as the sender needs to know.
pub(super) async fn delivered(shared: &SharedState, id: MessageId, longest: Duration) -> Delivered {
    let (reply, end) = oneshot::channel();
    let watched = shared.courier.try_deliver(WatchDelivery { id, reply });
    if watched.is_ok() {
        match tokio::time::timeout(longest, end).await {
            Ok(Ok(end)) => return end.into(),
            Ok(Err(_not_waiting)) => {}
            Err(_elapsed) => return Delivered::in_state(DeliveryState::Waiting),
        }
    }
    let found = shared.book.message(id).await.ok().flatten();
    found.map_or(Delivered::in_state(DeliveryState::Waiting), Delivered::from)
}

#[cfg(test)]
mod tests {
    use postroom_actors::domain::post::DeadCode;
    use serde_json::json;

    use super::*;

    fn read(query: &[(&str, &str)]) -> Result<Option<u64>, ApiError> {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let wanted = wanted(&query.iter().map(owned).collect())?;
        Ok(wanted.map(|wanted| wanted.as_secs()))
    }

    #[test]
    fn nobody_waits_who_does_not_ask_for_it() {
        assert_eq!(read(&[]), Ok(None));
        assert_eq!(read(&[("wait", "delivered")]), Ok(Some(30)));
        let longest = [("wait", "delivered"), ("timeout", "120")];
        assert_eq!(read(&longest), Ok(Some(120)));
        for (name, value) in [
            ("wait", "answered"),
            ("wait", ""),
            ("timeout", "0"),
            ("timeout", "121"),
            ("timeout", "30s"),
        ] {
            let error = read(&[(name, value)]).unwrap_err();
            assert_eq!(error.body().error.param.as_deref(), Some(name));
        }
    }

    #[test]
    fn each_end_is_told_with_its_reason() {
        let told = |end: DeliveryEnd| serde_json::to_value(Delivered::from(end)).unwrap();
        assert_eq!(
            told(DeliveryEnd::Delivered),
            json!({"delivered": true, "state": "delivered"})
        );
        assert_eq!(
            told(DeliveryEnd::Cancelled),
            json!({"delivered": false, "state": "cancelled"})
        );
        let dead = DeliveryEnd::Dead(DeadReason {
            code: DeadCode::Refused,
            message: "it answered 404".to_owned(),
        });
        assert_eq!(
            told(dead),
            json!({
                "delivered": false,
                "state": "dead",
                "reason": {"code": "refused", "message": "it answered 404"},
            })
        );
    }
}
