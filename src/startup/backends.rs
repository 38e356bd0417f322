//! Backends, from the configuration to the forwarding component.

use std::{rc::Rc, sync::Arc};

use actix_web::web;
use postroom_actors::{
    backend_relay::{BackendConfig, OnDisconnect},
    ports::{Credential, UpstreamTimeouts},
};

use crate::{
    adapters::upstream_http::UpstreamHttp,
    forwarding::{Forwarder, ForwarderParts},
    http::SharedState,
    settings::{self, BackendAuth, BackendSettings, Settings},
};

/// The main backend's name in metrics and logs.
const MAIN: &str = "main";

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

fn credential(backend: &BackendSettings) -> Credential {
    match (&backend.api_key, backend.auth) {
        (None, _) => Credential::None,
        (Some(key), BackendAuth::Bearer) => Credential::Bearer(Arc::clone(key.expose())),
        (Some(key), BackendAuth::ProxyToken) => Credential::ProxyToken(Arc::clone(key.expose())),
    }
}
