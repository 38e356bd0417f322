//! Sends requests upstream and streams the answers back: one component for relay and bridge.
//!
//! A relay runs as a task of the HTTP worker that took the request, with that worker's client.
//! The task outlives the request: a client that goes away does not cost the message its reply.
//! [`pump`] is the task, [`attempts`] finds a backend that answers, [`body`] is what the HTTP
//! handler passes on. The actor [`BackendRelay`] decides who may be tried and keeps the reply.

mod attempts;
mod body;
mod embeddings;
mod event_text;
mod metrics;
mod models;
mod pump;
mod report;
mod urls;

use std::{rc::Rc, sync::Arc, time::Duration};

use bytes::Bytes;
use postroom_actors::{
    backend_relay::{BackendConfig, BackendRelay},
    delivery::Mailbox,
    domain::ids::{AgentId, ContextId, MessageId},
    ports::{Clock, LocalFuture, Upstream},
    router::Accepted,
};
use tokio::sync::oneshot;

pub use self::{
    body::RelayBody,
    embeddings::{Embedder, EmbeddingsError, EmbeddingsJob},
    metrics::METRICS,
    models::BackendModels,
    urls::join_url,
};
use self::{models::ModelCatalog, pump::Pump};

/// What does not change from relay to relay.
#[derive(Debug, Clone)]
pub struct ForwardingSettings {
    /// The main backend, for the model list.
    pub main: Option<Arc<BackendConfig>>,
    /// Names that never go upstream as a model.
    pub agents: Vec<AgentId>,
    /// How long a model list is kept. 0: not at all.
    pub models_cache: Duration,
    /// Silence after which a stream's client gets a comment line. Default: 15 s.
    pub keep_alive: Duration,
}

/// Forwards requests. One for each HTTP worker; clones share their client and its connections.
#[derive(Clone)]
pub struct Forwarder {
    inner: Rc<Inner>,
}

struct Inner {
    upstream: Rc<dyn Upstream>,
    relay: Mailbox<BackendRelay>,
    clock: Arc<dyn Clock>,
    settings: ForwardingSettings,
    models: ModelCatalog,
}

/// One request to be relayed.
pub struct RelayJob<E> {
    /// The request's own id.
    pub message: MessageId,
    /// The client's body.
    pub body: Bytes,
    /// Its `model`.
    pub model: Option<String>,
    /// Its conversation.
    pub context_id: Option<ContextId>,
    /// Further requests of a tool loop belong to the same message: a reply that ends in tool calls
    /// is not its last.
    pub continues_in_tool_loop: bool,
    /// Its `traceparent` header, passed on.
    pub traceparent: Option<String>,
    /// Makes the answer to a request with `stream: true` whose relay fails after its client was
    /// already promised a stream: event-stream text, `[DONE]` included. `None`: the client did
    /// not ask for a stream.
    pub empty_stream: Option<Box<dyn FnOnce() -> Bytes>>,
    /// Resolves once the request is durable, with what a reply is to be kept with. It runs beside
    /// the call upstream; nothing goes to the client before it.
    pub accepted: LocalFuture<Result<Accepted, E>>,
}

/// What the client is to be told.
#[derive(Debug)]
pub enum RelayAnswer<E> {
    /// The request was not accepted; the call upstream was dropped.
    NotAccepted(E),
    /// The backend's answer.
    Reply {
        /// Its status, always 2xx.
        status: u16,
        /// Its content type.
        content_type: Option<String>,
        /// Its body.
        body: RelayBody,
    },
    /// Accepted, but no backend gave a usable answer: the client gets the empty completion.
    NoReply,
}

impl Forwarder {
    /// Makes the forwarder of the calling thread.
    pub fn new(
        upstream: Rc<dyn Upstream>,
        relay: Mailbox<BackendRelay>,
        clock: Arc<dyn Clock>,
        settings: ForwardingSettings,
    ) -> Self {
        let models = ModelCatalog::new(Rc::clone(&upstream), settings.models_cache);
        Self {
            inner: Rc::new(Inner {
                upstream,
                relay,
                clock,
                settings,
                models,
            }),
        }
    }

    /// Relays a request and resolves when it is known what the client gets.
    ///
    /// For a request with `stream: true` that is the first chunk, or the end of the first
    /// [`ForwardingSettings::keep_alive`] without one: then the answer is a 200 event stream that
    /// begins with a comment, and whatever comes later is told inside it.
    ///
    /// # Cancel safety
    /// Dropping the future, or the body of the answer, means that the client has gone: the relay
    /// goes on or stops as its backend's `on_disconnect` says. Its end is recorded either way.
    pub async fn relay<E: 'static>(&self, job: RelayJob<E>) -> RelayAnswer<E> {
        let (answer, answered) = oneshot::channel();
        let pump = Pump::new(Rc::clone(&self.inner), job, answer);
        actix_rt::spawn(pump.run());
        // Without an answer the task has panicked; its report has been made by its guard.
        answered.await.unwrap_or(RelayAnswer::NoReply)
    }

    /// The main backend's model list; `None` where there is no backend or it gives none.
    pub async fn backend_models(&self) -> Option<Arc<BackendModels>> {
        let main = self.inner.settings.main.as_ref()?;
        self.inner.models.of(main).await
    }
}
