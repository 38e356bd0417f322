//! Who is asking, and what they may do.
//!
//! A missing key is answered 401 and counts for nothing; a wrong one counts against its address;
//! a right one always passes. Without any configured key, credentials are ignored, except that the
//! token of a turn still tells whose turn it is, and the secret of a peer which peer it is.
//!
//! Where peers have secrets, nobody sends messages without a credential, and a wrong
//! `X-Shared-Secret` counts as a wrong key. A peer has no role: it sends and reads messages, and all
//! other surfaces are closed to it.
//!
//! Whoever is let in without showing anything could be a web page of others: its [`Visitors`] are
//! checked. Whoever shows something right is no such page, which knows no credential.

pub mod attempts;
mod key_ring;
mod keys;
mod peer_secrets;
mod signature;
mod turn_access;

use std::{
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use actix_web::{
    Error, HttpMessage, HttpRequest,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::{
        Method,
        header::{self, HeaderMap},
    },
    middleware::Next,
    web,
};
use postroom_actors::ports::Clock;

use self::attempts::{Attempts, Verdict, client_address};
pub use self::{
    key_ring::{KeyChangeError, KeyPrint, KeyView, Keys},
    keys::Caller,
    turn_access::{TurnAccess, TurnTokenCheck},
};
use super::{SharedState, body, dashboard, error::ApiError, visitors::Visitors};
use crate::settings::Role;

/// Paths that tell nothing worth a key: probes of whoever runs the machine.
const OPEN_PATHS: [&str; 2] = ["/healthz", "/readyz"];

/// The keys, and what is known of addresses that tried wrong ones.
pub struct Door {
    keys: Keys,
    turns: TurnAccess,
    visitors: Visitors,
    trusted_proxies: Vec<IpAddr>,
    attempts: Mutex<Attempts>,
    clock: Arc<dyn Clock>,
}

impl Door {
    /// A door that these keys and the tokens of turns open, and without any key these visitors.
    pub fn new(
        keys: Keys,
        turns: TurnAccess,
        visitors: Visitors,
        trusted_proxies: Vec<IpAddr>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            keys,
            turns,
            visitors,
            trusted_proxies,
            attempts: Mutex::default(),
            clock,
        }
    }

    /// The keys that open it.
    pub const fn keys(&self) -> &Keys {
        &self.keys
    }

    /// Who may come without a key, and whose pages may ask.
    pub const fn visitors(&self) -> &Visitors {
        &self.visitors
    }

    pub(super) async fn let_in(&self, request: &ServiceRequest) -> Result<Caller, ApiError> {
        let surface = Surface::of(request);
        let key = bearer(request);
        if let Some(caller) = key.and_then(|key| self.keys.find(key, self.clock.now())) {
            return Ok(caller);
        }
        if let Some(turn) = key.and_then(|key| self.turns.turn_of(key)) {
            // It was right once: nobody is guessing.
            let caller = self.turns.caller(turn, self.clock.now()).await?;
            return caller.map_or_else(|| self.stranger(surface, request), Ok);
        }
        let shown = self.shown(request, surface, key);
        let mut peers = shown.iter().filter_map(|shown| self.peer_of(shown));
        if let Some(caller) = peers.next() {
            return Ok(caller);
        }
        if !shown.is_empty() {
            return refuse(self.wrong_key(self.client_address(request))).await;
        }
        let is_signed = signature::is_there(request.headers());
        if surface == Surface::Message && is_signed && self.keys.peers().can_any_sign() {
            return Ok(Caller::unproven(self.client_address(request)));
        }
        self.stranger(surface, request)
    }

    /// What is shown that must be right.
    ///
    /// A secret could be guessed wherever a right one makes a difference, so a wrong one counts there.
    fn shown<'a>(
        &self,
        request: &'a ServiceRequest,
        surface: Surface,
        key: Option<&'a str>,
    ) -> Vec<&'a str> {
        let peers = self.keys.peers().are_any();
        let keys = !self.keys.is_empty() || (peers && surface.is_for_messages());
        let key = key.filter(|_| keys);
        let secret = shared_secret(request).filter(|_| peers);
        key.into_iter().chain(secret).collect()
    }

    /// Whoever shows nothing that we know.
    fn stranger(&self, surface: Surface, request: &ServiceRequest) -> Result<Caller, ApiError> {
        if self.is_closed(surface) {
            return Err(ApiError::unauthorized());
        }
        self.visitors.check(request.headers())?;
        Ok(Caller::anyone())
    }

    /// Whether a surface is closed to strangers.
    fn is_closed(&self, surface: Surface) -> bool {
        !self.keys.is_empty() || (surface.sends() && self.keys.peers().are_any())
    }

    /// Whose key this is, for whoever types it into a form. A wrong one counts as everywhere.
    pub(super) async fn log_in(
        &self,
        key: &str,
        request: &HttpRequest,
    ) -> Result<Caller, ApiError> {
        if let Some(caller) = self.keys.find(key, self.clock.now()) {
            return Ok(caller);
        }
        let address = self.address(request.peer_addr(), request.headers());
        refuse(self.wrong_key(address)).await
    }

    /// Whether a proxy that we trust says that it was asked by TLS.
    pub(super) fn came_by_tls(&self, request: &HttpRequest) -> bool {
        let peer = request.peer_addr().map(|peer| peer.ip().to_canonical());
        let scheme = request.headers().get("x-forwarded-proto");
        peer.is_some_and(|peer| self.trusted_proxies.contains(&peer))
            && scheme.is_some_and(|scheme| scheme.as_bytes().eq_ignore_ascii_case(b"https"))
    }

    fn peer_of(&self, secret: &str) -> Option<Caller> {
        let peer = self.keys.peers().find(secret)?;
        Some(Caller::of_peer(peer.clone()))
    }

    fn wrong_key(&self, address: Option<IpAddr>) -> Verdict {
        address.map_or(Verdict::Refuse, |address| {
            let mut attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
            attempts.wrong_key(address, self.clock.now())
        })
    }

    /// Whose request it is; `None` where the connection does not tell.
    fn client_address(&self, request: &ServiceRequest) -> Option<IpAddr> {
        self.address(request.peer_addr(), request.headers())
    }

    fn address(&self, peer: Option<SocketAddr>, headers: &HeaderMap) -> Option<IpAddr> {
        Some(client_address(peer?.ip(), headers, &self.trusted_proxies))
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

/// The part of our surface that a request is for, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Surface {
    /// `POST /message`
    Message,
    /// `POST /send`
    Send,
    /// What became of messages.
    Messages,
    Other,
}

impl Surface {
    fn of(request: &ServiceRequest) -> Self {
        // As the routes read it: `/%6dessage` is the same.
        let path = request.match_info().as_str();
        match (request.method(), path) {
            (&Method::POST, "/message") => Self::Message,
            (&Method::POST, "/send") => Self::Send,
            (_, path) if path.starts_with("/messages") => Self::Messages,
            _ => Self::Other,
        }
    }

    const fn sends(self) -> bool {
        matches!(self, Self::Message | Self::Send)
    }

    const fn is_for_messages(self) -> bool {
        !matches!(self, Self::Other)
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
        if dashboard::is_served_here(&state, &request) {
            let visit = dashboard::visit(&state, &request).await;
            request.extensions_mut().insert(visit);
            return next.call(request).await;
        }
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
pub fn require(request: &HttpRequest, role: Role) -> Result<Caller, ApiError> {
    let extensions = request.extensions();
    extensions
        .get::<Caller>()
        .filter(|caller| caller.may(role))
        .cloned()
        .ok_or_else(|| ApiError::forbidden(role.name()))
}

/// Who is asking, for messages between agents: a peer, a turn, or the holder of any key. For
/// `POST /message` see [`Door::prove`] too.
///
/// # Errors
/// 401 for a request without any of these.
pub fn correspondent(request: &HttpRequest) -> Result<Caller, ApiError> {
    let extensions = request.extensions();
    let caller = extensions.get::<Caller>().cloned();
    caller.ok_or_else(ApiError::unauthorized)
}

/// What `X-Shared-Secret` says; empty, and so nobody's, where it is no text or there twice.
fn shared_secret(request: &ServiceRequest) -> Option<&str> {
    let mut values = request.headers().get_all("x-shared-secret");
    let first = values.next()?;
    let is_alone = values.next().is_none();
    let only = first.to_str().ok().filter(|_| is_alone);
    Some(only.unwrap_or_default())
}

pub(super) fn bearer(request: &ServiceRequest) -> Option<&str> {
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

#[cfg(test)]
mod tests;
