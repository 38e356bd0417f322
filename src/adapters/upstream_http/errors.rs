//! hyper's errors in the words of the port. They hold causes, never headers or keys.

use std::error::Error;

use postroom_actors::ports::UpstreamError;

/// An exchange failed before its head came.
pub(in crate::adapters) fn of_exchange(error: &hyper_util::client::legacy::Error) -> UpstreamError {
    let text = causes(error);
    if error.is_connect() {
        UpstreamError::Connect(text.into())
    } else {
        UpstreamError::Broken(text.into())
    }
}

/// A body broke off.
pub(super) fn of_body(error: &hyper::Error) -> UpstreamError {
    UpstreamError::Broken(causes(error).into())
}

/// What went wrong and why, outermost first; what only repeats its cause is left out.
pub(super) fn causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text
}
