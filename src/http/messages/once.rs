//! Takes a message once, however often it is sent.

use std::sync::Arc;

use actix_web::http::header::HeaderMap;
use postroom_actors::{
    courier::Sent,
    domain::{
        agent_message::{IdempotencyKey, MAX_NAME, is_name},
        party::Party,
    },
};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::http::{SharedState, error::ApiError};

/// The headers that give a message its id, besides its body.
const KEY: &str = "idempotency-key";
const WEBHOOK_ID: &str = "webhook-id";

/// The key of a message whose sender gave it an id: in its body, or in a header.
///
/// # Errors
/// 400 where a header is no id, or says another one than the body.
pub(super) fn key(
    sender: &Party,
    id: Option<&Arc<str>>,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Option<IdempotencyKey>, ApiError> {
    let given = header(headers, KEY)?;
    if let (Some(id), Some(given)) = (id, &given)
        && id != given
    {
        return Err(ApiError::bad_request(
            "`id` and the header `Idempotency-Key` differ; send one of them, or the same",
            Some("id"),
        ));
    }
    // A signature covers `webhook-id` and the body, so what is signed goes before what is not.
    let signed = header(headers, WEBHOOK_ID)?;
    let key = id.cloned().or(signed).or(given);
    Ok(key.map(|key| IdempotencyKey {
        sender: sender.clone(),
        key,
        digest: digest(body),
    }))
}

/// The message that is repeated, where it is kept with the same body.
///
/// # Errors
/// 503 where the store cannot be read.
pub(super) async fn repeated(
    shared: &SharedState,
    once: &IdempotencyKey,
) -> Result<Option<Sent>, ApiError> {
    let first = shared
        .book
        .by_sender_id(once.sender.clone(), Arc::clone(&once.key));
    let Some(id) = first.await? else {
        return Ok(None);
    };
    let kept = shared.tasks.tasks(vec![id]).await?;
    let is_same = kept
        .first()
        .is_some_and(|kept| digest(&kept.task.body) == once.digest);
    Ok(is_same.then_some(Sent {
        id,
        is_duplicate: true,
    }))
}

fn header(headers: &HeaderMap, name: &'static str) -> Result<Option<Arc<str>>, ApiError> {
    let Some(value) = headers.get(name) else {
        return Ok(None);
    };
    let text = value.to_str().ok().filter(|text| is_name(text));
    match text {
        Some(text) => Ok(Some(text.into())),
        None => Err(ApiError::bad_request(
            format!("the header `{name}` must be 1 to {MAX_NAME} printable characters"),
            None,
        )),
    }
}

/// The same for two bodies that differ in their whitespace alone. What serde does not write again
/// stands for itself.
fn digest(body: &[u8]) -> [u8; 32] {
    let read = serde_json::from_slice::<Value>(body);
    let again = read.and_then(|value| serde_json::to_vec(&value));
    match again {
        Ok(text) => Sha256::digest(text).into(),
        Err(_) => Sha256::digest(body).into(),
    }
}

/// What stands for a message that says the same again: its type and payload.
pub(super) fn said(kind: &str, payload: Option<&str>) -> [u8; 32] {
    let mut digest = Sha256::new();
    digest.update(kind.as_bytes());
    // No type holds a control character, so types and payloads never run into each other.
    digest.update([0]);
    digest.update(payload.unwrap_or_default().as_bytes());
    digest.finalize().into()
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::*;

    fn read(id: Option<&str>, headers: &[(&str, &[u8])]) -> Result<Option<String>, ApiError> {
        let map: HeaderMap = headers
            .iter()
            .map(|(name, value)| {
                let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
                (name, HeaderValue::from_bytes(value).unwrap())
            })
            .collect();
        let id: Option<Arc<str>> = id.map(Arc::from);
        let key = key(&Party::Anyone, id.as_ref(), &map, b"{}")?;
        Ok(key.map(|key| key.key.to_string()))
    }

    #[test]
    fn the_body_goes_before_the_headers() {
        let key: (&str, &[u8]) = ("idempotency-key", b"k");
        let webhook: (&str, &[u8]) = ("webhook-id", b"w");
        assert_eq!(read(None, &[]), Ok(None));
        assert_eq!(read(Some("i"), &[webhook]), Ok(Some("i".to_owned())));
        assert_eq!(read(Some("k"), &[key, webhook]), Ok(Some("k".to_owned())));
        assert_eq!(read(None, &[webhook, key]), Ok(Some("w".to_owned())));
        assert_eq!(read(None, &[webhook]), Ok(Some("w".to_owned())));
        let differ = read(Some("i"), &[key]).unwrap_err();
        assert_eq!(differ.body().error.param.as_deref(), Some("id"));
    }

    #[test]
    fn a_header_that_is_no_id_is_refused() {
        for value in [&b""[..], b"  ", b"\xff", "x".repeat(256).as_bytes()] {
            assert!(read(None, &[("idempotency-key", value)]).is_err());
            assert!(read(None, &[("webhook-id", value)]).is_err());
        }
    }

    #[test]
    fn whitespace_does_not_make_another_message() {
        let one = digest(br#"{"type":"T","payload":{"n":1.50,"s":"a b"}}"#);
        let same = digest(b"{ \"type\" : \"T\",\n\"payload\":{\"n\":1.50,\"s\":\"a b\"} }");
        assert_eq!(one, same);
        for other in [
            &br#"{"type":"T","payload":{"n":1.5,"s":"a b"}}"#[..],
            br#"{"type":"T","payload":{"n":1.50,"s":"ab"}}"#,
            br#"{"type":"T"}"#,
            br#"{"type":"T","payload":{"$serde_json::private::Number":5}}"#,
        ] {
            assert_ne!(one, digest(other));
        }
    }

    #[test]
    fn what_is_said_is_type_and_payload() {
        assert_eq!(said("T", Some("{}")), said("T", Some("{}")));
        assert_ne!(said("T", Some("{}")), said("U", Some("{}")));
        assert_ne!(said("TX", None), said("T", Some("X")));
    }
}
