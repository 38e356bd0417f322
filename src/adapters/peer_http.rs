//! The way out to peers, over hyper.
//!
//! Each message has a connection of its own: the address is resolved once, every address that the
//! name has is checked, and the connection goes to one of these. HTTP/1.1, no redirects, no proxy,
//! no cookies, no decompression, no second try. `tests/hostile_upstream/peers.rs` holds what it
//! must withstand.

mod answer;
mod connector;
mod request;

use std::{collections::BTreeMap, error::Error, rc::Rc, sync::Arc, time::Duration};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, Response, body::Incoming, http::uri::Scheme};
use hyper_rustls::HttpsConnector;
use hyper_util::{
    client::legacy::{
        self, Client,
        connect::{Connect, capture_connection},
    },
    rt::{TokioExecutor, TokioTimer},
};
use postroom_actors::{
    domain::party::PeerName,
    ports::{
        LocalFuture, UpstreamError,
        courier::{PeerTransport, PostAnswer, PostError, PostOrder},
    },
};
use tokio::{sync::OnceCell, time::Instant};

use self::connector::{CheckedConnector, Reach, RefusedAddress};
use super::upstream_http::{MAX_HEAD, TlsSetup, connects_within, errors};
use crate::webhook_signature::SigningKey;

/// The longest time until a connection stands: name, TCP and TLS together.
const CONNECT: Duration = Duration::from_secs(5);

/// The whole try where nothing else is said.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(15);

/// How one peer is reached. Holds secrets, and has no `Debug` for that.
#[derive(Clone)]
pub struct PeerAddress {
    /// Its base URL, without a slash at its end; messages go to `<url>/message`.
    pub url: Arc<str>,
    /// What it is shown as `X-Shared-Secret`; `None`: nothing.
    pub secret: Option<Arc<str>>,
    /// What messages to it are signed with, the current secret first; empty: they are not signed.
    pub signing: Vec<SigningKey>,
    /// Whether it may have an address that is not of the open internet.
    pub allow_private: bool,
    /// The whole try; see [`DEFAULT_TIMEOUT`].
    pub timeout: Duration,
}

/// What holds for addresses that messages name as their `reply_to`.
#[derive(Debug, Clone)]
pub struct UrlRules {
    /// The hosts that they may name, in lower case; none by default.
    pub hosts: Vec<String>,
    /// Whether these may have addresses that are not of the open internet.
    pub allow_private: bool,
    /// The whole try; see [`DEFAULT_TIMEOUT`].
    pub timeout: Duration,
    /// URLs of the configuration, by their text: always allowed.
    pub webhooks: BTreeMap<Arc<str>, Webhook>,
}

/// A URL of the configuration that events are posted to.
#[derive(Debug, Clone)]
pub struct Webhook {
    /// What events are signed with.
    pub signing: Vec<SigningKey>,
    /// Whether it may have an address that is not of the open internet.
    pub allow_private: bool,
}

/// The port [`PeerTransport`] over hyper. One a thread: clones share their clients.
#[derive(Clone)]
pub struct PeerHttp {
    parts: Rc<Parts>,
}

struct Parts {
    peers: BTreeMap<PeerName, PeerAddress>,
    urls: UrlRules,
    public: Clients,
    anywhere: Clients,
}

impl PeerHttp {
    /// Makes a client for the calling thread. `peers`: those that have a URL. `tls_setup` is best
    /// shared with the client for backends, so that root certificates are read once.
    pub fn new(
        peers: BTreeMap<PeerName, PeerAddress>,
        urls: UrlRules,
        tls_setup: &TlsSetup,
    ) -> Self {
        let parts = Parts {
            peers,
            urls,
            public: Clients::new(Reach::Public, tls_setup.clone()),
            anywhere: Clients::new(Reach::Anywhere, tls_setup.clone()),
        };
        Self {
            parts: Rc::new(parts),
        }
    }
}

impl PeerTransport for PeerHttp {
    fn post(&self, order: PostOrder) -> LocalFuture<Result<PostAnswer, PostError>> {
        let parts = Rc::clone(&self.parts);
        Box::pin(async move { parts.post(&order).await })
    }
}

impl Parts {
    async fn post(&self, order: &PostOrder) -> Result<PostAnswer, PostError> {
        let target = request::target(&order.to, &self.peers, &self.urls)?;
        let request = request::build(&target, order)?;
        let clients = if target.allow_private {
            &self.anywhere
        } else {
            &self.public
        };
        let deadline = Instant::now() + target.timeout;
        let response = tokio::time::timeout_at(deadline, clients.exchange(request))
            .await
            .map_err(|_elapsed| PostError::TimedOut("the head of the answer"))??;
        Ok(answer::read(response, deadline, order.at, target.secret).await)
    }
}

type PlainClient = Client<CheckedConnector, Full<Bytes>>;
type TlsClient = Client<HttpsConnector<CheckedConnector>, Full<Bytes>>;

/// The clients for one choice of addresses that may be reached.
struct Clients {
    reach: Reach,
    plain: PlainClient,
    tls: OnceCell<TlsClient>,
    tls_setup: TlsSetup,
}

impl Clients {
    fn new(reach: Reach, tls_setup: TlsSetup) -> Self {
        Self {
            reach,
            plain: client(CheckedConnector::new(reach, CONNECT)),
            tls: OnceCell::new(),
            tls_setup,
        }
    }

    async fn exchange(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, PostError> {
        if request.uri().scheme() == Some(&Scheme::HTTPS) {
            exchange(self.tls().await?, request).await
        } else {
            exchange(&self.plain, request).await
        }
    }

    async fn tls(&self) -> Result<&TlsClient, PostError> {
        let made = self.tls.get_or_try_init(|| async {
            let config = self.tls_setup.config().await.map_err(in_our_words)?;
            let connector = hyper_rustls::HttpsConnectorBuilder::new()
                .with_tls_config(config)
                .https_only()
                .enable_http1()
                .wrap_connector(CheckedConnector::new(self.reach, CONNECT));
            Ok(client(connector))
        });
        made.await
    }
}

/// A client that keeps no connection: messages are rare, and an address that was checked once says
/// nothing of the next time.
fn client<C>(connector: C) -> Client<C, Full<Bytes>>
where
    C: Connect + Clone,
{
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_max_idle_per_host(0)
        .retry_canceled_requests(false)
        .http1_max_buf_size(MAX_HEAD)
        .build(connector)
}

async fn exchange<C>(
    client: &Client<C, Full<Bytes>>,
    mut request: Request<Full<Bytes>>,
) -> Result<Response<Incoming>, PostError>
where
    C: Connect + Clone + Send + Sync + 'static,
{
    let captured = capture_connection(&mut request);
    let response = std::pin::pin!(client.request(request));
    tokio::select! {
        biased;
        answer = response => answer.map_err(|error| failed(&error)),
        error = connects_within(CONNECT, captured) => Err(in_our_words(error)),
    }
}

fn failed(error: &legacy::Error) -> PostError {
    let causes = std::iter::successors(error.source(), |&cause| cause.source());
    let mut refused = causes.filter_map(|cause| cause.downcast_ref::<RefusedAddress>());
    match refused.next() {
        Some(RefusedAddress(address)) => PostError::AddressRefused(address.as_str().into()),
        None => in_our_words(errors::of_exchange(error)),
    }
}

fn in_our_words(error: UpstreamError) -> PostError {
    match error {
        UpstreamError::Connect(cause) => PostError::Connect(cause),
        UpstreamError::TimedOut(limit) => PostError::TimedOut(limit),
        UpstreamError::Broken(cause) => PostError::Broken(cause),
        UpstreamError::Unaskable(cause) => PostError::Unaskable(cause),
    }
}
