//! `[embeddings]`: an address of its own, or the main backend's.

use super::{Checker, backend::is_ourselves};
use crate::settings::{
    BackendAuth, BackendSettings, OnDisconnect, ServerSettings,
    layers::Layer,
    raw::{RawBackend, RawConfig},
};

impl Checker<'_> {
    /// Who makes embeddings. A key goes only to the address that it was given for.
    pub(super) fn embeddings(
        &mut self,
        raw: &RawConfig,
        server: &ServerSettings,
        main: Option<&BackendSettings>,
    ) -> Option<BackendSettings> {
        let written = raw.embeddings.url.as_deref().unwrap_or_default();
        let mut backend = if written.is_empty() {
            let Some(main) = main else {
                self.warn_of_embeddings_from_nowhere();
                return None;
            };
            main.clone()
        } else {
            let url = self.url("embeddings.url", written)?;
            if is_ourselves(&url, server) {
                self.refuse(
                    "embeddings.url",
                    "this is our own address; a request would go round for ever",
                );
            }
            at_its_own_address(url, &raw.backend)
        };
        if let Some(key) = &raw.embeddings.api_key {
            backend.api_key = Some(key.clone());
            backend.auth = BackendAuth::Bearer;
        }
        Some(BackendSettings {
            model: raw.embeddings.model.clone().unwrap_or_default(),
            instruction: String::new(),
            on_disconnect: OnDisconnect::Cancel,
            fallback: None,
            ..backend
        })
    }

    fn warn_of_embeddings_from_nowhere(&mut self) {
        let told = self.layers.iter().any(|(path, leaf)| {
            leaf.source.layer > Layer::Default
                && path.first().is_some_and(|first| first == "embeddings")
        });
        if told {
            self.warnings.push(
                "`[embeddings]` has no `url`, and there is no `[backend]`: `/v1/embeddings` answers 503"
                    .to_owned(),
            );
        }
    }
}

/// Without a key; with the main backend's bounds in time, which are checked there.
fn at_its_own_address(url: String, main: &RawBackend) -> BackendSettings {
    BackendSettings {
        url,
        api_key: None,
        auth: BackendAuth::Bearer,
        model: String::new(),
        instruction: String::new(),
        connect_timeout: super::span(main.connect_timeout),
        first_byte_timeout: super::span(main.first_byte_timeout),
        idle_timeout: super::span(main.idle_timeout),
        timeout: super::span(main.timeout),
        on_disconnect: OnDisconnect::Cancel,
        fallback: None,
    }
}
