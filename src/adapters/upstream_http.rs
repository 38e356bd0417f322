//! The way out to backends, over hyper.
//!
//! One exchange at a time over HTTP/1.1: no redirects, no proxy from the environment, no cookies,
//! no decompression. `docs/adr/0001-http-client.md` says why this client and not awc;
//! `tests/hostile_upstream.rs` holds what it must withstand.

mod body;
mod connector;
pub(super) mod errors;
mod heads;
mod outgoing;
mod tls;

use std::{rc::Rc, time::Duration};

use hyper::{
    Method, Request, Response, Uri,
    body::Incoming,
    header::{CONTENT_TYPE, HeaderMap, HeaderName, RETRY_AFTER},
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
    LocalFuture, Upstream, UpstreamBody, UpstreamError, UpstreamRequest, UpstreamResponse,
    UpstreamTimeouts,
    passing::{PassOn, PassedBody, PassedRequest, PassedResponse},
};
use tokio::{sync::OnceCell, time::Instant};

pub use self::tls::TlsSetup;
use self::{
    connector::{ConnectionFacts, WatchedConnector},
    outgoing::{Outgoing, OutgoingBody},
};

/// How long an idle connection is kept for reuse.
///
/// Below the 75 s that nginx keeps one, so that mostly we are the side that closes it.
const POOL_IDLE: Duration = Duration::from_mins(1);

/// The largest head of an answer, in bytes; also bounds what one read takes.
pub(super) const MAX_HEAD: usize = 128 * 1024;

type PlainClient = Client<WatchedConnector, OutgoingBody>;
type TlsClient = Client<HttpsConnector<WatchedConnector>, OutgoingBody>;

/// The ports [`Upstream`] and [`PassOn`] over hyper. One a thread: clones share their connections.
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
            let call = Call::of_request(&request)?;
            let (response, body) = clients.exchange(call).await?;
            let text = |name: HeaderName| {
                let value = response.headers().get(name)?;
                Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
            };
            Ok(UpstreamResponse {
                status: response.status().as_u16(),
                content_type: text(CONTENT_TYPE),
                retry_after: text(RETRY_AFTER),
                body,
            })
        })
    }
}

impl PassOn for UpstreamHttp {
    fn pass_on(
        &self,
        request: PassedRequest,
    ) -> LocalFuture<Result<PassedResponse, UpstreamError>> {
        let clients = Rc::clone(&self.clients);
        Box::pin(async move {
            let (response, body) = clients.exchange(Call::of_passed(request)?).await?;
            Ok(PassedResponse {
                status: response.status().as_u16(),
                headers: heads::passed(response.headers()),
                body,
            })
        })
    }
}

impl Clients {
    /// Sends a call and gives the head of its answer, with its body within the bounds of time.
    async fn exchange(&self, call: Call) -> Result<(Response<()>, UpstreamBody), UpstreamError> {
        let started = Instant::now();
        let UpstreamTimeouts {
            first_byte,
            idle,
            whole,
            ..
        } = call.timeouts;
        let (response, facts) =
            tokio::time::timeout_at(started + first_byte.min(whole), self.run(call))
                .await
                .map_err(|_elapsed| UpstreamError::TimedOut("the head of the answer"))??;
        if let Some(facts) = &facts {
            facts.note_answered();
        }
        let (head, incoming) = response.into_parts();
        let body = body::bounded(incoming, facts, idle, started + whole);
        Ok((Response::from_parts(head, ()), body))
    }

    async fn run(&self, call: Call) -> Result<Answered, UpstreamError> {
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

/// The head of an answer, and what is known of its connection.
type Answered = (Response<Incoming>, Option<ConnectionFacts>);

/// A request in hyper's terms, to be sent once or, after a dead connection, once more.
struct Call {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Outgoing,
    timeouts: UpstreamTimeouts,
}

impl Call {
    fn of_request(request: &UpstreamRequest) -> Result<Self, UpstreamError> {
        Ok(Self {
            method: method(request.method)?,
            uri: uri(&request.url)?,
            headers: heads::of_request(request)?,
            body: Outgoing::new(PassedBody::Whole(request.body.clone())),
            timeouts: request.timeouts,
        })
    }

    fn of_passed(request: PassedRequest) -> Result<Self, UpstreamError> {
        Ok(Self {
            method: method(&request.method)?,
            uri: uri(&request.url)?,
            headers: heads::of_passed(&request)?,
            body: Outgoing::new(request.body),
            timeouts: request.timeouts,
        })
    }

    /// Sends the request; once more where a reused connection turned out to be dead.
    ///
    /// A backend may close an idle connection at the very moment we reuse it. Where not one byte
    /// of an answer came, a fresh connection is tried, once.
    async fn run<C>(mut self, client: &Client<C, OutgoingBody>) -> Result<Answered, UpstreamError>
    where
        C: Connect + Clone + Send + Sync + 'static,
    {
        match self.attempt(client).await {
            Err(Failed::DeadConnection) => self.attempt(client).await.map_err(Failed::into_error),
            other => other.map_err(Failed::into_error),
        }
    }

    async fn attempt<C>(&mut self, client: &Client<C, OutgoingBody>) -> Result<Answered, Failed>
    where
        C: Connect + Clone + Send + Sync + 'static,
    {
        // What was sent piece by piece is gone.
        let body = self.body.take().ok_or(Failed::DeadConnection)?;
        let mut request = Request::new(body);
        request.method_mut().clone_from(&self.method);
        request.uri_mut().clone_from(&self.uri);
        request.headers_mut().clone_from(&self.headers);
        let captured = capture_connection(&mut request);
        let response = std::pin::pin!(client.request(request));
        let connected = connects_within(self.timeouts.connect, captured.clone());
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
}

fn method(text: &str) -> Result<Method, UpstreamError> {
    Method::from_bytes(text.as_bytes())
        .map_err(|_invalid| UpstreamError::Unaskable("the method is not valid".into()))
}

fn uri(text: &str) -> Result<Uri, UpstreamError> {
    text.parse::<Uri>()
        .map_err(|error| UpstreamError::Unaskable(error.to_string().into()))
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

fn watched_connector() -> WatchedConnector {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    connector.enforce_http(false);
    WatchedConnector::new(connector)
}

fn client<C>(connector: C) -> Client<C, OutgoingBody>
where
    C: Connect + Clone,
{
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(POOL_IDLE)
        .http1_max_buf_size(MAX_HEAD)
        .build(connector)
}
