//! Short questions of our own: is the other side there, and does it take the token?

use std::{rc::Rc, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::StreamExt;
use postroom_actors::ports::{
    Credential, UpstreamError, UpstreamTimeouts,
    passing::{PassOn, PassedBody, PassedRequest},
};
use tokio::time::Instant;

use crate::{forwarding::join_url, settings::Secret};

/// The longest that a question may take.
const LIMIT: Duration = Duration::from_secs(10);

/// The most of an answer that is read, in bytes.
const READ: usize = 1 << 20;

/// An answer, and how long it took until its end.
#[derive(Debug, Clone)]
pub struct Answered {
    /// Its status.
    pub status: u16,
    /// The beginning of its body.
    pub body: Bytes,
    /// From the question to the end of what was read.
    pub took: Duration,
}

impl Answered {
    /// The body as JSON; null where it is none.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// Asks one side of the bridge. One a thread.
#[derive(Clone)]
pub struct Prober {
    upstream: Rc<dyn PassOn>,
}

impl Prober {
    /// Asks over this client.
    pub fn new(upstream: Rc<dyn PassOn>) -> Self {
        Self { upstream }
    }

    /// `GET /health`, which needs no token. `base_url` may end in `/v1`.
    ///
    /// # Errors
    /// Nobody answers there.
    pub async fn health(&self, base_url: &str) -> Result<Answered, UpstreamError> {
        let base = base_url.trim_end_matches('/');
        let base = base.strip_suffix("/v1").unwrap_or(base);
        self.get(format!("{base}/health"), Credential::None).await
    }

    /// `GET /v1/models` with the token of the remote side.
    ///
    /// # Errors
    /// Nobody answers there.
    pub async fn models(&self, base_url: &str, token: &Secret) -> Result<Answered, UpstreamError> {
        let token = Arc::clone(token.expose());
        self.get(
            join_url(base_url, "/v1/models"),
            Credential::ProxyToken(token),
        )
        .await
    }

    /// The same with a bearer token, or with none.
    ///
    /// # Errors
    /// Nobody answers there.
    pub async fn models_of_bridge(
        &self,
        base_url: &str,
        token: Option<&Secret>,
    ) -> Result<Answered, UpstreamError> {
        let token = token.map(|token| Credential::Bearer(Arc::clone(token.expose())));
        let credential = token.unwrap_or(Credential::None);
        self.get(join_url(base_url, "/v1/models"), credential).await
    }

    async fn get(&self, url: String, credential: Credential) -> Result<Answered, UpstreamError> {
        let started = Instant::now();
        let request = PassedRequest {
            method: "GET".to_owned(),
            url,
            credential,
            headers: vec![(
                Bytes::from_static(b"accept"),
                Bytes::from_static(b"application/json"),
            )],
            body: PassedBody::Whole(Bytes::new()),
            timeouts: UpstreamTimeouts {
                connect: LIMIT,
                first_byte: LIMIT,
                idle: LIMIT,
                whole: LIMIT,
            },
        };
        let mut response = self.upstream.pass_on(request).await?;
        let mut body = Vec::new();
        while let Some(piece) = response.body.next().await {
            body.extend_from_slice(&piece?);
            if body.len() > READ {
                break;
            }
        }
        Ok(Answered {
            status: response.status,
            body: body.into(),
            took: started.elapsed(),
        })
    }
}
