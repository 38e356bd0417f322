//! Backends, from the configuration to the forwarding component.

use std::{rc::Rc, sync::Arc, time::Duration};

use actix_web::web;
use postroom_actors::{
    backend_relay::{BackendConfig, OnDisconnect},
    ports::{Credential, Upstream, UpstreamTimeouts},
};

use crate::{
    adapters::upstream_http::{TlsSetup, UpstreamHttp},
    forwarding::{Embedder, Forwarder, ForwardingSettings},
    http::{AppState, SharedState},
    settings::{self, BackendAuth, BackendSettings, Settings},
};

/// The main backend's name in metrics and logs.
const MAIN: &str = "main";

/// The name of the backend that makes embeddings.
const EMBEDDINGS: &str = "embeddings";

/// Silence after which a stream's client gets a comment line.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// What the workers' forwarders are made of.
#[derive(Clone)]
pub(super) struct Backends {
    forwarding: ForwardingSettings,
    embeddings: Option<Arc<BackendConfig>>,
    tls: TlsSetup,
}

impl Backends {
    /// The backends of a configuration.
    pub(super) fn new(settings: &Settings) -> Self {
        let forwarding = ForwardingSettings {
            main: configs(settings).into_iter().next().map(Arc::new),
            agents: Vec::new(),
            models_cache: settings.models.cache,
            keep_alive: KEEP_ALIVE,
        };
        Self {
            forwarding,
            embeddings: settings
                .embeddings
                .as_ref()
                .map(|backend| Arc::new(config(EMBEDDINGS, backend))),
            tls: TlsSetup::default(),
        }
    }

    /// What the calling thread has of its own.
    pub(super) fn worker(&self, shared: &web::Data<SharedState>) -> AppState {
        let upstream: Rc<dyn Upstream> = Rc::new(UpstreamHttp::new(self.tls.clone()));
        AppState {
            shared: shared.clone(),
            forwarder: self.forwarder(shared, &upstream),
            embedder: self.embedder(shared, upstream),
        }
    }

    fn forwarder(
        &self,
        shared: &SharedState,
        upstream: &Rc<dyn Upstream>,
    ) -> Option<Rc<Forwarder>> {
        self.forwarding.main.as_ref()?;
        Some(Rc::new(Forwarder::new(
            Rc::clone(upstream),
            shared.backend_relay.clone(),
            Arc::clone(&shared.clock),
            self.forwarding.clone(),
            shared.traces.clone(),
        )))
    }

    fn embedder(&self, shared: &SharedState, upstream: Rc<dyn Upstream>) -> Option<Rc<Embedder>> {
        let backend = Arc::clone(self.embeddings.as_ref()?);
        let clock = Arc::clone(&shared.clock);
        let traces = shared.traces.clone();
        Some(Rc::new(Embedder::new(upstream, clock, backend, traces)))
    }
}

/// Every configured backend, the main one first; none without a main one.
pub(super) fn configs(settings: &Settings) -> Vec<BackendConfig> {
    let Some(main) = &settings.backend else {
        return Vec::new();
    };
    let others = settings
        .backends
        .iter()
        .map(|(name, backend)| config(name, backend));
    std::iter::once(config(MAIN, main)).chain(others).collect()
}

fn config(name: &str, backend: &BackendSettings) -> BackendConfig {
    let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    BackendConfig {
        name: name.into(),
        base_url: backend.url.as_str().into(),
        credential: credential(backend),
        model: given(&backend.model),
        instruction: given(&backend.instruction),
        timeouts: UpstreamTimeouts {
            connect: backend.connect_timeout,
            first_byte: backend.first_byte_timeout,
            idle: backend.idle_timeout,
            whole: backend.timeout,
        },
        on_disconnect: match backend.on_disconnect {
            settings::OnDisconnect::Finish => OnDisconnect::Finish,
            settings::OnDisconnect::Cancel => OnDisconnect::Cancel,
        },
        fallback: backend.fallback.as_deref().map(Into::into),
    }
}

pub(super) fn credential(backend: &BackendSettings) -> Credential {
    match (&backend.api_key, backend.auth) {
        (None, _) => Credential::None,
        (Some(key), BackendAuth::Bearer) => Credential::Bearer(Arc::clone(key.expose())),
        (Some(key), BackendAuth::ProxyToken) => Credential::ProxyToken(Arc::clone(key.expose())),
    }
}
