//! The way to the collector, over hyper: HTTP/1.1, no redirects, no proxy.

use std::{fmt, future::Future, pin::Pin};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::HttpsConnector;
use hyper_util::{
    client::legacy::{
        Client,
        connect::{Connect, HttpConnector},
    },
    rt::{TokioExecutor, TokioTimer},
};
use opentelemetry_http::{HttpClient, HttpError, Request, Response};
use tokio::sync::OnceCell;

use crate::adapters::upstream_http::TlsSetup;

/// The longest answer that is read, in bytes. It says which spans were refused, at most.
const LONGEST_ANSWER: usize = 64 << 10;

type PlainClient = Client<HttpConnector, Full<Bytes>>;
type TlsClient = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// Sends to a collector. Bounds in time are the caller's.
pub(super) struct CollectorClient {
    plain: PlainClient,
    tls: OnceCell<TlsClient>,
    tls_setup: TlsSetup,
}

impl Default for CollectorClient {
    fn default() -> Self {
        Self {
            plain: client(HttpConnector::new()),
            tls: OnceCell::new(),
            tls_setup: TlsSetup::default(),
        }
    }
}

impl fmt::Debug for CollectorClient {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("CollectorClient")
    }
}

type Answering<'a> = Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'a>>;

impl HttpClient for CollectorClient {
    fn send_bytes<'a, 'answering>(&'a self, request: Request<Bytes>) -> Answering<'answering>
    where
        'a: 'answering,
        Self: 'answering,
    {
        Box::pin(self.exchange(request))
    }
}

impl CollectorClient {
    async fn exchange(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let request = request.map(Full::new);
        let response = if request.uri().scheme_str() == Some("https") {
            self.tls().await?.request(request).await?
        } else {
            self.plain.request(request).await?
        };
        let (head, body) = response.into_parts();
        let body = Limited::new(body, LONGEST_ANSWER).collect().await?;
        Ok(Response::from_parts(head, body.to_bytes()))
    }

    async fn tls(&self) -> Result<&TlsClient, HttpError> {
        let made = self.tls.get_or_try_init(|| async {
            let config = self.tls_setup.config().await?;
            let mut connector = HttpConnector::new();
            connector.enforce_http(false);
            let connector = hyper_rustls::HttpsConnectorBuilder::new()
                .with_tls_config(config)
                .https_only()
                .enable_http1()
                .wrap_connector(connector);
            Ok(client(connector))
        });
        made.await
    }
}

fn client<C: Connect + Clone>(connector: C) -> Client<C, Full<Bytes>> {
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .build(connector)
}
