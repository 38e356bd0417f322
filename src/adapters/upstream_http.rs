//! The way out to backends, over hyper.
//!
//! One exchange at a time over HTTP/1.1: no redirects, no proxy from the environment, no cookies,
//! no decompression. `docs/adr/0001-http-client.md` says why this client and not awc;
//! `tests/hostile_upstream.rs` holds what it must withstand.

mod body;
mod connector;
pub(super) mod errors;
mod tls;

use std::{rc::Rc, time::Duration};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Request, Response, Uri,
    body::Incoming,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER},
};
use hyper_rustls::HttpsConnector;
use hyper_util::{
    client::legacy::{
        Client, Error,
        connect::{CaptureConnection, Connect, HttpConnector, capture_connection},
    },
    rt::{TokioExecutor, TokioTimer},
};
use postroom_actors::ports::{
    Credential, LocalFuture, Upstream, UpstreamError, UpstreamRequest, UpstreamResponse,
};
use tokio::{sync::OnceCell, time::Instant};

use self::connector::{ConnectionFacts, WatchedConnector};
pub use self::tls::TlsSetup;

/// How long an idle connection is kept for reuse.
///
/// Below the 75 s that nginx keeps one, so that mostly we are the side that closes it.
const POOL_IDLE: Duration = Duration::from_mins(1);

/// The largest head of an answer, in bytes; also bounds what one read takes.
pub(super) const MAX_HEAD: usize = 128 * 1024;

type PlainClient = Client<WatchedConnector, Full<Bytes>>;
type TlsClient = Client<HttpsConnector<WatchedConnector>, Full<Bytes>>;

/// The port [`Upstream`] over hyper. One a thread: clones share their connections.
#[derive(Clone)]
pub struct UpstreamHttp {
    clients: Rc<Clients>,
}

struct Clients {
    plain: PlainClient,
    tls: OnceCell<TlsClient>,
    tls_setup: TlsSetup,
}

impl UpstreamHttp {
    /// Makes a client for the calling thread.
    ///
    /// `tls_setup` is shared by all threads: the system's root certificates are read once, and
    /// only when the first `https` URL is asked.
    pub fn new(tls_setup: TlsSetup) -> Self {
        Self {
            clients: Rc::new(Clients {
                plain: client(watched_connector()),
                tls: OnceCell::new(),
                tls_setup,
            }),
        }
    }
}

impl Upstream for UpstreamHttp {
    fn send(
        &self,
        request: UpstreamRequest,
    ) -> LocalFuture<Result<UpstreamResponse, UpstreamError>> {
        let clients = Rc::clone(&self.clients);
        Box::pin(async move {
            let started = Instant::now();
            let first_byte = request.timeouts.first_byte.min(request.timeouts.whole);
            let (response, facts) =
                tokio::time::timeout_at(started + first_byte, clients.exchange(&request))
                    .await
                    .map_err(|_elapsed| UpstreamError::TimedOut("the head of the answer"))??;
            let deadline = started + request.timeouts.whole;
            Ok(open(response, facts, request.timeouts.idle, deadline))
        })
    }
}

impl Clients {
    async fn exchange(
        &self,
        request: &UpstreamRequest,
    ) -> Result<(Response<Incoming>, Option<ConnectionFacts>), UpstreamError> {
        let call = Call::parse(request)?;
        match call.uri.scheme_str() {
            Some("http") => call.run(&self.plain).await,
            Some("https") => call.run(self.tls().await?).await,
            _ => Err(UpstreamError::Unaskable(
                "the URL begins neither with `http://` nor with `https://`".into(),
            )),
        }
    }

    async fn tls(&self) -> Result<&TlsClient, UpstreamError> {
        let made = self.tls.get_or_try_init(|| async {
            let config = self.tls_setup.config().await?;
            let connector = hyper_rustls::HttpsConnectorBuilder::new()
                .with_tls_config(config)
                .https_only()
                .enable_http1()
                .wrap_connector(watched_connector());
            Ok(client(connector))
        });
        made.await
    }
}

/// A request in hyper's terms, to be sent once or, after a dead connection, once more.
struct Call<'a> {
    uri: Uri,
    headers: HeaderMap,
    request: &'a UpstreamRequest,
}

impl<'a> Call<'a> {
    fn parse(request: &'a UpstreamRequest) -> Result<Self, UpstreamError> {
        let uri = request
            .url
            .parse::<Uri>()
            .map_err(|error| UpstreamError::Unaskable(error.to_string().into()))?;
        Ok(Self {
            uri,
            headers: headers(request)?,
            request,
        })
    }

    /// Sends the request; once more where a reused connection turned out to be dead.
    ///
    /// A backend may close an idle connection at the very moment we reuse it. Where not one byte
    /// of an answer came, a fresh connection is tried, once.
    async fn run<C>(
        &self,
        client: &Client<C, Full<Bytes>>,
    ) -> Result<(Response<Incoming>, Option<ConnectionFacts>), UpstreamError>
    where
        C: Connect + Clone + Send + Sync + 'static,
    {
        match self.attempt(client).await {
            Err(Failed::DeadConnection) => self.attempt(client).await.map_err(Failed::into_error),
            other => other.map_err(Failed::into_error),
        }
    }

    async fn attempt<C>(
        &self,
        client: &Client<C, Full<Bytes>>,
    ) -> Result<(Response<Incoming>, Option<ConnectionFacts>), Failed>
    where
        C: Connect + Clone + Send + Sync + 'static,
    {
        let mut request = self.build().map_err(Failed::For)?;
        let captured = capture_connection(&mut request);
        let response = std::pin::pin!(client.request(request));
        let connected = connects_within(self.request.timeouts.connect, captured.clone());
        let answer = tokio::select! {
            biased;
            answer = response => answer,
            error = connected => return Err(Failed::For(error)),
        };
        let facts = ConnectionFacts::of(&captured);
        match answer {
            Ok(response) => Ok((response, facts)),
            Err(error) => Err(Failed::classify(&error, facts.as_ref())),
        }
    }

    fn build(&self) -> Result<Request<Full<Bytes>>, UpstreamError> {
        let mut request = Request::builder()
            .method(self.request.method)
            .uri(self.uri.clone())
            .body(Full::new(self.request.body.clone()))
            .map_err(|error| UpstreamError::Unaskable(error.to_string().into()))?;
        *request.headers_mut() = self.headers.clone();
        Ok(request)
    }
}

/// Why one attempt failed.
enum Failed {
    /// The connection had served before, and closed without a byte of this answer.
    DeadConnection,
    /// For good.
    For(UpstreamError),
}

impl Failed {
    fn classify(error: &Error, facts: Option<&ConnectionFacts>) -> Self {
        if facts.is_some_and(ConnectionFacts::died_idle) {
            Self::DeadConnection
        } else {
            Self::For(errors::of_exchange(error))
        }
    }

    fn into_error(self) -> UpstreamError {
        match self {
            Self::DeadConnection => {
                UpstreamError::Broken("the connection was closed before any answer".into())
            }
            Self::For(error) => error,
        }
    }
}

/// Resolves, with the error, only if no connection stands after `limit`.
pub(super) async fn connects_within(
    limit: Duration,
    mut captured: CaptureConnection,
) -> UpstreamError {
    let connected = async {
        // Nothing there after the wait: the attempt has failed, and its own error tells more.
        if captured.wait_for_connection_metadata().await.is_none() {
            std::future::pending::<()>().await;
        }
    };
    match tokio::time::timeout(limit, connected).await {
        Ok(()) => std::future::pending().await,
        Err(_elapsed) => UpstreamError::TimedOut("the connection"),
    }
}

fn open(
    response: Response<Incoming>,
    facts: Option<ConnectionFacts>,
    idle: Duration,
    deadline: Instant,
) -> UpstreamResponse {
    let text = |name: HeaderName| {
        let value = response.headers().get(name)?;
        Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    let content_type = text(CONTENT_TYPE);
    let retry_after = text(RETRY_AFTER);
    let status = response.status().as_u16();
    if let Some(facts) = &facts {
        facts.note_answered();
    }
    UpstreamResponse {
        status,
        content_type,
        retry_after,
        body: body::bounded(response.into_body(), facts, idle, deadline),
    }
}

fn headers(request: &UpstreamRequest) -> Result<HeaderMap, UpstreamError> {
    let mut headers = HeaderMap::with_capacity(request.headers.len() + 1);
    for (name, value) in &request.headers {
        let name = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_invalid| UpstreamError::Unaskable("a header's name is not valid".into()))?;
        headers.append(name, header_value(value)?);
    }
    match &request.credential {
        Credential::None => {}
        Credential::Bearer(key) => {
            let mut value = header_value(&format!("Bearer {key}"))?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        Credential::ProxyToken(token) => {
            let mut value = header_value(token)?;
            value.set_sensitive(true);
            headers.insert(HeaderName::from_static("x-proxy-token"), value);
        }
    }
    Ok(headers)
}

fn header_value(text: &str) -> Result<HeaderValue, UpstreamError> {
    HeaderValue::from_str(text).map_err(|_invalid| {
        UpstreamError::Unaskable("a header or the key holds a character that HTTP forbids".into())
    })
}

fn watched_connector() -> WatchedConnector {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    connector.enforce_http(false);
    WatchedConnector::new(connector)
}

fn client<C>(connector: C) -> Client<C, Full<Bytes>>
where
    C: Connect + Clone,
{
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(POOL_IDLE)
        .http1_max_buf_size(MAX_HEAD)
        .build(connector)
}
