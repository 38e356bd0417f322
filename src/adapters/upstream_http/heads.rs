//! Headers in the port's words and in hyper's.

use bytes::{Bytes, BytesMut};
use hyper::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use postroom_actors::ports::{
    Credential, UpstreamError, UpstreamRequest,
    passing::{PassedHeaders, PassedRequest},
};

/// The headers of a request of our own.
pub(super) fn of_request(request: &UpstreamRequest) -> Result<HeaderMap, UpstreamError> {
    let mut headers = HeaderMap::with_capacity(request.headers.len() + 1);
    for (name, value) in &request.headers {
        headers.append(header_name(name.as_bytes())?, header_value(value)?);
    }
    add_credential(&mut headers, &request.credential)?;
    Ok(headers)
}

/// The headers of a request that is passed on.
pub(super) fn of_passed(request: &PassedRequest) -> Result<HeaderMap, UpstreamError> {
    let mut headers = HeaderMap::with_capacity(request.headers.len() + 1);
    for (name, value) in &request.headers {
        let value =
            HeaderValue::from_maybe_shared(value.clone()).map_err(|_invalid| forbidden())?;
        headers.append(header_name(name)?, value);
    }
    add_credential(&mut headers, &request.credential)?;
    Ok(headers)
}

/// The headers of an answer. All of them share one piece of memory.
pub(super) fn passed(headers: &HeaderMap) -> PassedHeaders {
    let length = headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len());
    let mut text = BytesMut::with_capacity(length.sum());
    for (name, value) in headers {
        text.extend_from_slice(name.as_str().as_bytes());
        text.extend_from_slice(value.as_bytes());
    }
    let mut text: Bytes = text.freeze();
    let pairs = headers.iter().map(|(name, value)| {
        let name = text.split_to(name.as_str().len());
        (name, text.split_to(value.len()))
    });
    pairs.collect()
}

fn add_credential(headers: &mut HeaderMap, credential: &Credential) -> Result<(), UpstreamError> {
    let (name, mut value) = match credential {
        Credential::None => return Ok(()),
        Credential::Bearer(key) => (AUTHORIZATION, header_value(&format!("Bearer {key}"))?),
        Credential::ProxyToken(token) => (
            HeaderName::from_static("x-proxy-token"),
            header_value(token)?,
        ),
    };
    value.set_sensitive(true);
    headers.insert(name, value);
    Ok(())
}

fn header_name(name: &[u8]) -> Result<HeaderName, UpstreamError> {
    HeaderName::from_bytes(name)
        .map_err(|_invalid| UpstreamError::Unaskable("a header's name is not valid".into()))
}

fn header_value(text: &str) -> Result<HeaderValue, UpstreamError> {
    HeaderValue::from_str(text).map_err(|_invalid| forbidden())
}

fn forbidden() -> UpstreamError {
    UpstreamError::Unaskable("a header or the key holds a character that HTTP forbids".into())
}
