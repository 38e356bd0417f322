//! A message as a request: where it goes, and what stands in its head.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Method, Request, Uri,
    header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, USER_AGENT},
};
use postroom_actors::{
    domain::party::{Party, PeerName},
    ports::courier::{PostError, PostOrder},
};

use super::{PeerAddress, UrlRules};
use crate::{
    post_address::{UrlProblem, read_reply_to, read_url},
    webhook_signature::{ID_HEADER, SIGNATURE_HEADER, SigningKey, TIMESTAMP_HEADER},
};

const AGENT: &str = concat!("postroom/", env!("CARGO_PKG_VERSION"));

/// Where one message goes.
pub(super) struct Target<'a> {
    uri: Uri,
    signing: &'a [SigningKey],
    pub(super) secret: Option<&'a Arc<str>>,
    pub(super) allow_private: bool,
    pub(super) timeout: Duration,
}

/// Finds the address of a recipient.
///
/// # Errors
/// [`PostError::UnknownRecipient`] where nothing is posted to it, [`PostError::Unaskable`] where its
/// URL may not be asked.
pub(super) fn target<'a>(
    to: &Party,
    peers: &'a BTreeMap<PeerName, PeerAddress>,
    urls: &'a UrlRules,
) -> Result<Target<'a>, PostError> {
    match to {
        Party::Peer(name) => {
            let unknown = || PostError::UnknownRecipient(to.clone());
            let peer = peers.get(name).ok_or_else(unknown)?;
            Ok(Target {
                uri: read_url(&format!("{}/message", peer.url)).map_err(unaskable)?,
                signing: &peer.signing,
                secret: peer.secret.as_ref(),
                allow_private: peer.allow_private,
                timeout: peer.timeout,
            })
        }
        Party::Url(url) if urls.webhooks.contains_key(url) => {
            let webhook = urls.webhooks.get(url);
            Ok(Target {
                uri: read_url(url).map_err(unaskable)?,
                signing: webhook.map_or(&[], |webhook| &webhook.signing),
                secret: None,
                allow_private: webhook.is_some_and(|webhook| webhook.allow_private),
                timeout: urls.timeout,
            })
        }
        Party::Url(url) => Ok(Target {
            // The configuration may have changed since the message was taken in.
            uri: read_reply_to(url, &urls.hosts).map_err(unaskable)?,
            signing: &[],
            secret: None,
            allow_private: urls.allow_private,
            timeout: urls.timeout,
        }),
        Party::Agent(_) | Party::Key(_) | Party::Anyone => {
            Err(PostError::UnknownRecipient(to.clone()))
        }
    }
}

fn unaskable(problem: UrlProblem) -> PostError {
    PostError::Unaskable(problem.to_string().into())
}

/// Makes the request.
///
/// # Errors
/// [`PostError::Unaskable`] where something in it cannot be said in HTTP.
pub(super) fn build(
    target: &Target<'_>,
    order: &PostOrder,
) -> Result<Request<Full<Bytes>>, PostError> {
    let mut request = Request::new(Full::new(order.body.clone()));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = target.uri.clone();
    *request.headers_mut() = headers(target, order)?;
    Ok(request)
}

fn headers(target: &Target<'_>, order: &PostOrder) -> Result<HeaderMap, PostError> {
    let mut headers = HeaderMap::new();
    let id = order.id.to_string();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
    headers.insert(HeaderName::from_static("idempotency-key"), value(&id)?);
    headers.insert(HeaderName::from_static(ID_HEADER), value(&id)?);
    if let Some(secret) = target.secret {
        let mut secret = value(secret)?;
        secret.set_sensitive(true);
        headers.insert(HeaderName::from_static("x-shared-secret"), secret);
    }
    if !target.signing.is_empty() {
        let time = order.at.timestamp();
        let signatures = target.signing.iter();
        let signatures: Vec<String> = signatures
            .map(|key| key.sign(&id, time, &order.body))
            .collect();
        headers.insert(HeaderName::from_static(TIMESTAMP_HEADER), time.into());
        headers.insert(
            HeaderName::from_static(SIGNATURE_HEADER),
            value(&signatures.join(" "))?,
        );
    }
    if let Some(context) = order.traceparent {
        let trace = value(&context.to_string())?;
        headers.insert(HeaderName::from_static("traceparent"), trace);
    }
    Ok(headers)
}

fn value(text: &str) -> Result<HeaderValue, PostError> {
    HeaderValue::from_str(text).map_err(|_invalid| {
        PostError::Unaskable("the secret holds a character that HTTP forbids".into())
    })
}
