//! Asks for a token, compares it in constant time, and slows down whoever guesses.

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use actix_web::{HttpRequest, http::header};
use postroom_actors::ports::Clock;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::{
    http::{
        auth::attempts::{Attempts, Verdict, client_address},
        error::ApiError,
    },
    settings::Secret,
};

/// Where a token may stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// `Authorization: Bearer` alone.
    Bearer,
    /// `X-Proxy-Token` too.
    ProxyTokenOrBearer,
}

/// One door with one token, for all workers.
pub struct TokenDoor {
    digest: Option<sha2::digest::Output<Sha256>>,
    shown: Shown,
    trusted_proxies: Vec<IpAddr>,
    attempts: Mutex<Attempts>,
    clock: Arc<dyn Clock>,
}

impl TokenDoor {
    /// A door that this token opens; without one everybody is let in.
    pub fn new(
        token: Option<&Secret>,
        shown: Shown,
        trusted_proxies: Vec<IpAddr>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            digest: token.map(|token| Sha256::digest(token.expose().as_bytes())),
            shown,
            trusted_proxies,
            attempts: Mutex::default(),
            clock,
        }
    }

    /// Whether anybody is let in.
    pub const fn is_open(&self) -> bool {
        self.digest.is_none()
    }

    /// Lets a request pass.
    ///
    /// # Errors
    /// 401 for a wrong token or none; 429 after many wrong ones from one address.
    pub async fn check(&self, request: &HttpRequest) -> Result<(), ApiError> {
        let Some(digest) = &self.digest else {
            return Ok(());
        };
        let shown = self.tokens(request);
        // Every token is looked at, so that time does not tell which one was near.
        let matching = shown.iter().filter(|token| {
            let shown = Sha256::digest(token.as_bytes());
            bool::from(shown.as_slice().ct_eq(digest.as_slice()))
        });
        if matching.count() > 0 {
            return Ok(());
        }
        if shown.is_empty() {
            return Err(ApiError::no_proxy_token());
        }
        self.refuse(request).await
    }

    fn tokens<'a>(&self, request: &'a HttpRequest) -> Vec<&'a str> {
        let headers = request.headers();
        let bearer = headers
            .get_all(header::AUTHORIZATION)
            .filter_map(|value| value.to_str().ok()?.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, token)| token.trim());
        let own = headers
            .get_all("x-proxy-token")
            .filter_map(|value| value.to_str().ok())
            .filter(|_| self.shown == Shown::ProxyTokenOrBearer)
            .map(str::trim);
        bearer
            .chain(own)
            .filter(|token| !token.is_empty())
            .collect()
    }

    async fn refuse(&self, request: &HttpRequest) -> Result<(), ApiError> {
        match self.verdict(request) {
            Verdict::Refuse => {}
            Verdict::RefuseAfter(delay) => tokio::time::sleep(delay).await,
            Verdict::Locked { retry_after_s } => {
                return Err(ApiError::too_many_wrong_keys(retry_after_s));
            }
        }
        Err(ApiError::wrong_proxy_token())
    }

    fn verdict(&self, request: &HttpRequest) -> Verdict {
        let Some(peer) = request.peer_addr() else {
            return Verdict::Refuse;
        };
        let address = client_address(peer.ip(), request.headers(), &self.trusted_proxies);
        let mut attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        attempts.wrong_key(address, self.clock.now())
    }
}
