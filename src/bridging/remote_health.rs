//! What the bridge says of itself and of the other side.

use std::time::Duration;

use postroom_actors::ports::UpstreamError;
use serde::Serialize;

use super::{probe::Answered, service};

/// The body of the bridge's `GET /health`.
#[derive(Serialize)]
pub(super) struct BridgeHealth {
    /// The bridge itself answers, so it is well.
    pub(super) ok: bool,
    pub(super) service: &'static str,
    pub(super) version: &'static str,
    pub(super) remote: RemoteHealth,
}

/// What is known of the other side.
#[derive(Serialize)]
pub(super) struct RemoteHealth {
    url: String,
    /// It answers, and not with an error of its own. Not every proxy has `/health`.
    ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    latency_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

impl BridgeHealth {
    pub(super) fn new(url: &str, asked: Result<Answered, UpstreamError>) -> Self {
        Self {
            ok: true,
            service: service::BRIDGE,
            version: env!("CARGO_PKG_VERSION"),
            remote: RemoteHealth::new(url, asked),
        }
    }
}

impl RemoteHealth {
    fn new(url: &str, asked: Result<Answered, UpstreamError>) -> Self {
        let url = url.to_owned();
        match asked {
            Ok(Answered { status, took, .. }) => Self {
                url,
                ok: status < 500,
                status: Some(status),
                latency_ms: Some(milliseconds(took)),
                problem: None,
            },
            Err(error) => Self {
                url,
                ok: false,
                status: None,
                latency_ms: None,
                problem: Some(error.to_string()),
            },
        }
    }
}

/// To a hundredth.
fn milliseconds(took: Duration) -> f64 {
    (took.as_secs_f64() * 1e5).round() / 100.0
}
