//! Who is asking, and what they may do.
//!
//! A missing key is answered 401 and counts for nothing; a wrong one counts against its address;
//! a right one always passes. Without any configured key, credentials are ignored, except that the
//! token of a turn still tells whose turn it is.

pub mod attempts;
mod keys;
mod turn_access;

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use actix_web::{
    Error, HttpMessage,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::header,
    middleware::Next,
    web,
};
use postroom_actors::ports::Clock;

use self::attempts::{Attempts, Verdict};
pub use self::{
    keys::{Caller, Keys},
    turn_access::{TurnAccess, TurnTokenCheck},
};
use super::{SharedState, body, error::ApiError};
use crate::settings::Role;

/// Paths that tell nothing worth a key: probes of whoever runs the machine.
const OPEN_PATHS: [&str; 2] = ["/healthz", "/readyz"];

/// The keys, and what is known of addresses that tried wrong ones.
pub struct Door {
    keys: Keys,
    turns: TurnAccess,
    trusted_proxies: Vec<IpAddr>,
    attempts: Mutex<Attempts>,
    clock: Arc<dyn Clock>,
}

impl Door {
    /// A door that these keys and the tokens of turns open.
    pub fn new(
        keys: Keys,
        turns: TurnAccess,
        trusted_proxies: Vec<IpAddr>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            keys,
            turns,
            trusted_proxies,
            attempts: Mutex::default(),
            clock,
        }
    }

    /// Who sent a message, once its signature is checked against its body.
    ///
    /// # Errors
    /// 401 where the signature is wrong, too old, or missing although the peer must sign.
    pub fn prove(
        &self,
        caller: Caller,
        _headers: &header::HeaderMap,
        _body: &[u8],
    ) -> Result<Caller, ApiError> {
        Ok(caller)
    }

    async fn let_in(&self, request: &ServiceRequest) -> Result<Caller, ApiError> {
        let key = bearer(request);
        if let Some(key) = key {
            if let Some(caller) = self.keys.find(key) {
                return Ok(caller);
            }
            if let Some(turn) = self.turns.turn_of(key) {
                return match self.turns.caller(turn, self.clock.now()).await? {
                    Some(caller) => Ok(caller),
                    None if self.keys.is_empty() => Ok(Caller::anyone()),
                    // It was right once: nobody is guessing.
                    None => Err(ApiError::unauthorized()),
                };
            }
        }
        if self.keys.is_empty() {
            return Ok(Caller::anyone());
        }
        key.ok_or_else(ApiError::unauthorized)?;
        let verdict = self
            .client_address(request)
            .map_or(Verdict::Refuse, |address| {
                let mut attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
                attempts.wrong_key(address, self.clock.now())
            });
        refuse(verdict).await
    }

    /// The peer, or whom a trusted proxy names: the last of `X-Forwarded-For` that is not one too.
    fn client_address(&self, request: &ServiceRequest) -> Option<IpAddr> {
        let peer = request.peer_addr()?.ip();
        Some(attempts::client_address(
            peer,
            request.headers(),
            &self.trusted_proxies,
        ))
    }
}

async fn refuse(verdict: Verdict) -> Result<Caller, ApiError> {
    match verdict {
        Verdict::Refuse => Err(ApiError::unauthorized()),
        Verdict::RefuseAfter(delay) => {
            tokio::time::sleep(delay).await;
            Err(ApiError::unauthorized())
        }
        Verdict::Locked { retry_after_s } => Err(ApiError::too_many_wrong_keys(retry_after_s)),
    }
}

/// Lets a request pass, or answers in its place. The handler finds the [`Caller`] with it.
///
/// # Errors
/// 401 and 429 as [`ApiError`].
pub async fn check(
    mut request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    if !OPEN_PATHS.contains(&request.path())
        && let Some(state) = request.app_data::<web::Data<SharedState>>()
    {
        let state = web::Data::clone(state);
        match state.door.let_in(&request).await {
            Ok(caller) => request.extensions_mut().insert(caller),
            Err(refused) => {
                let payload = request.take_payload();
                body::cut_upload(request.headers(), payload);
                return Err(refused.into());
            }
        };
    }
    next.call(request).await
}

/// Who is asking; refuses callers whose role is below `role`.
///
/// # Errors
/// 403 naming the role.
pub fn require(request: &actix_web::HttpRequest, role: Role) -> Result<Caller, ApiError> {
    let extensions = request.extensions();
    extensions
        .get::<Caller>()
        .filter(|caller| caller.may(role))
        .cloned()
        .ok_or_else(|| ApiError::forbidden(keys::role_name(role)))
}

/// Who is asking, for messages between agents: a peer, a turn, or the holder of any key.
///
/// # Errors
/// 401 for a request without any of these.
pub fn correspondent(request: &actix_web::HttpRequest) -> Result<Caller, ApiError> {
    let extensions = request.extensions();
    let caller = extensions.get::<Caller>().cloned();
    caller.ok_or_else(ApiError::unauthorized)
}

fn bearer(request: &ServiceRequest) -> Option<&str> {
    let mut values = request.headers().get_all(header::AUTHORIZATION);
    let value = values.next()?.to_str().ok()?;
    if values.next().is_some() {
        return None;
    }
    let (scheme, key) = value.split_once(' ')?;
    let key = key.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !key.is_empty()).then_some(key)
}

/// The longest that a refusal is held back.
const LONGEST_DELAY: Duration = Duration::from_secs(1);
