//! The model lists of backends, kept for a while.

use std::{cell::RefCell, collections::HashMap, pin::Pin, rc::Rc, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, future::Shared};
use postroom_actors::{
    backend_relay::BackendConfig,
    ports::{Upstream, UpstreamError, UpstreamRequest, UpstreamTimeouts},
};
use serde::Deserialize;
use tokio::time::Instant;

use super::urls::join_url;

const PATH: &str = "/v1/models";

/// The largest list that is read, in bytes.
const MAX_LIST: usize = 1024 * 1024;

/// The longest time a list may take.
const LIST_TIME: Duration = Duration::from_secs(5);

/// How long a failure is remembered, so that a dead backend does not cost each caller its time.
const FAILURE_KEPT: Duration = Duration::from_secs(5);

/// A backend's model list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackendModels {
    /// The list as it came: JSON with an array `data`.
    pub body: Bytes,
    /// The ids in it, in its order.
    pub ids: Vec<String>,
}

#[derive(Deserialize)]
struct List {
    data: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    id: String,
}

/// What a fetch gave, and until when that counts.
#[derive(Clone)]
struct Fetched {
    models: Option<Arc<BackendModels>>,
    until: Instant,
}

type Fetch = Shared<Pin<Box<dyn Future<Output = Fetched>>>>;

/// Fetches lists; callers of the same moment share one fetch.
pub(super) struct ModelCatalog {
    upstream: Rc<dyn Upstream>,
    kept: Duration,
    fetches: RefCell<HashMap<Arc<str>, Fetch>>,
}

impl ModelCatalog {
    pub(super) fn new(upstream: Rc<dyn Upstream>, kept: Duration) -> Self {
        Self {
            upstream,
            kept,
            fetches: RefCell::default(),
        }
    }

    /// The backend's list: a kept one, or a fresh one. `None`: it gives none just now.
    pub(super) async fn of(&self, backend: &BackendConfig) -> Option<Arc<BackendModels>> {
        let fetch = self.current(backend);
        fetch.await.models
    }

    /// The first model that the backend lists.
    pub(super) async fn first(&self, backend: &BackendConfig) -> Option<String> {
        let models = self.of(backend).await?;
        models.ids.first().cloned()
    }

    fn current(&self, backend: &BackendConfig) -> Fetch {
        let mut fetches = self.fetches.borrow_mut();
        if let Some(fetch) = fetches.get(&backend.name) {
            let is_old = fetch
                .peek()
                .is_some_and(|fetched| fetched.until <= Instant::now());
            if !is_old {
                return fetch.clone();
            }
        }
        let fetch = self.start(backend);
        fetches.insert(Arc::clone(&backend.name), fetch.clone());
        fetch
    }

    fn start(&self, backend: &BackendConfig) -> Fetch {
        let sent = self.upstream.send(request(backend));
        let backend = Arc::clone(&backend.name);
        let kept = self.kept;
        let fetching = async move {
            let models = match read(sent).await {
                Ok(models) => Some(Arc::new(models)),
                Err(error) => {
                    tracing::warn!(%backend, %error, "backend gave no model list");
                    None
                }
            };
            let kept = if models.is_some() {
                kept
            } else {
                kept.min(FAILURE_KEPT)
            };
            Fetched {
                models,
                until: Instant::now() + kept,
            }
        };
        let fetching: Pin<Box<dyn Future<Output = Fetched>>> = Box::pin(fetching);
        fetching.shared()
    }
}

/// Where a backend tells its models.
pub fn models_url(base_url: &str) -> String {
    join_url(base_url, PATH)
}

fn request(backend: &BackendConfig) -> UpstreamRequest {
    let bounded = |limit: Duration| limit.min(LIST_TIME);
    UpstreamRequest {
        method: "GET",
        url: models_url(&backend.base_url).into(),
        credential: backend.credential.clone(),
        headers: vec![("accept", "application/json".to_owned())],
        body: Bytes::new(),
        timeouts: UpstreamTimeouts {
            connect: bounded(backend.timeouts.connect),
            first_byte: bounded(backend.timeouts.first_byte),
            idle: bounded(backend.timeouts.idle),
            whole: LIST_TIME,
        },
    }
}

async fn read(
    sent: impl Future<Output = Result<postroom_actors::ports::UpstreamResponse, UpstreamError>>,
) -> Result<BackendModels, UpstreamError> {
    let mut response = sent.await?;
    if response.status != 200 {
        return Err(broken(&format!("status {}", response.status)));
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.body.next().await {
        body.extend_from_slice(&chunk?);
        if body.len() > MAX_LIST {
            return Err(broken("the list is larger than 1 MiB"));
        }
    }
    let list: List =
        serde_json::from_slice(&body).map_err(|error| broken(&format!("no list: {error}")))?;
    Ok(BackendModels {
        body: body.into(),
        ids: list.data.into_iter().map(|entry| entry.id).collect(),
    })
}

fn broken(text: &str) -> UpstreamError {
    UpstreamError::Broken(text.into())
}
