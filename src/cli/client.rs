//! The commands' way to the running service: its API, with the key of its run.

use std::{future::Future, io, path::Path, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{Method, Request, Response, body::Incoming, header};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use thiserror::Error;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};

use super::exit;
use crate::runtime_file::{RuntimeFile, RuntimeFileError};

pub(super) mod events;
#[cfg(test)]
pub(super) mod tests;
mod tls;

use events::Events;
use tls::Tls;

/// Until a connection stands.
const CONNECT: Duration = Duration::from_secs(5);

/// A whole exchange that is no stream; ending a turn takes its grace.
const WHOLE: Duration = Duration::from_mins(1);

/// The largest answer that is read, in bytes.
const LARGEST: usize = 32 * 1024 * 1024;

/// Why the service did not do what a command asked for.
#[derive(Debug, Error)]
pub(super) enum ClientError {
    /// Nothing runs, as far as the runtime file tells.
    #[error("postroom is not running{why}; start it with `postroom daemon`")]
    NotRunning {
        /// ` (stale …)`, or nothing.
        why: String,
    },
    /// The runtime file cannot be used.
    #[error(transparent)]
    RuntimeFile(#[from] RuntimeFileError),
    /// It runs but does not answer.
    #[error("no answer of postroom at {endpoint}: {problem}")]
    NoAnswer {
        /// Where it was asked.
        endpoint: String,
        /// What happened.
        problem: String,
    },
    /// It said no.
    #[error("{message}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// In its own words.
        message: String,
    },
}

impl ClientError {
    /// 69 where nothing answers, 77 where the key is not taken, 75 where it may work later, else 1.
    pub(super) fn exit_code(&self) -> u8 {
        match self {
            Self::NotRunning { .. } | Self::NoAnswer { .. } => exit::UNAVAILABLE,
            Self::Refused {
                status: 401 | 403, ..
            } => exit::NO_PERMISSION,
            Self::Refused {
                status: 429 | 503, ..
            } => exit::TEMPORARY,
            Self::RuntimeFile(_) | Self::Refused { .. } => exit::FAILURE,
        }
    }
}

/// What a request goes over.
trait Connection: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Connection for T {}

/// Talks to one service.
pub(super) struct Client {
    endpoint: String,
    /// `host:port` to connect to.
    address: String,
    key: String,
    /// With `https`.
    tls: Option<Tls>,
    /// Whose file told of it; for the words where it does not answer.
    runtime: Option<(RuntimeFile, String)>,
}

impl Client {
    /// The service that runs for a home folder.
    pub(super) fn of_home(home: &Path) -> Result<Self, ClientError> {
        let Some(runtime) = RuntimeFile::read(home)? else {
            return Err(ClientError::NotRunning { why: String::new() });
        };
        let certificate = runtime.certificate.as_deref();
        let mut client = Self::over(&runtime.endpoint, &runtime.key, certificate)?;
        client.runtime = Some((runtime, RuntimeFile::path(home).display().to_string()));
        Ok(client)
    }

    /// The service at an endpoint (`http://host:port`).
    pub(super) fn at(endpoint: &str, key: &str) -> Result<Self, ClientError> {
        Self::over(endpoint, key, None)
    }

    /// The same with `https`, where its certificate is known.
    fn over(endpoint: &str, key: &str, certificate: Option<&str>) -> Result<Self, ClientError> {
        let endpoint = endpoint.trim_end_matches('/');
        let unusable = |problem: &str| ClientError::NoAnswer {
            endpoint: endpoint.to_owned(),
            problem: problem.to_owned(),
        };
        let uri: hyper::Uri = endpoint
            .parse()
            .map_err(|_invalid| unusable("this is no URL"))?;
        let is_https = uri.scheme_str() == Some("https");
        if !is_https && uri.scheme_str() != Some("http") {
            return Err(unusable("only `http://` and `https://` are spoken here"));
        }
        let host = match uri.host() {
            // Everywhere is also here.
            Some("0.0.0.0") => "127.0.0.1",
            Some("[::]") => "[::1]",
            Some(host) => host,
            None => return Err(unusable("this names no host")),
        };
        let tls = match (is_https, certificate) {
            (false, _) => None,
            (true, Some(certificate)) => Some(Tls::pinned(host, certificate)),
            (true, None) => return Err(unusable("its certificate is not known")),
        };
        let tls = tls.transpose().map_err(|problem| unusable(&problem))?;
        let usual = if is_https { 443 } else { 80 };
        Ok(Self {
            tls,
            address: format!("{host}:{}", uri.port_u16().unwrap_or(usual)),
            endpoint: endpoint.to_owned(),
            key: key.to_owned(),
            runtime: None,
        })
    }

    /// Where the service listens.
    pub(super) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The runtime file that told of the service.
    pub(super) fn runtime(&self) -> Option<&RuntimeFile> {
        self.runtime.as_ref().map(|(runtime, _)| runtime)
    }

    /// `GET`
    pub(super) async fn get(&self, path: &str) -> Result<Value, ClientError> {
        self.exchange(Method::GET, path, None).await
    }

    /// `GET` whatever the status of the answer, which is told with it.
    pub(super) async fn look(&self, path: &str) -> Result<(u16, Value), ClientError> {
        let looking = async {
            let response = self.send(Method::GET, path, &[], None).await?;
            let status = response.status().as_u16();
            let text = self.text(response).await?;
            let answer = serde_json::from_slice(&text).map_err(|error| {
                self.no_answer(format!("its answer is not understood: {error}"))
            })?;
            Ok((status, answer))
        };
        timeout(WHOLE, looking)
            .await
            .unwrap_or_else(|_| Err(self.no_answer(format!("none within {} s", WHOLE.as_secs()))))
    }

    /// `POST` with a JSON body, or without one.
    pub(super) async fn post(
        &self,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, ClientError> {
        self.exchange(Method::POST, path, body).await
    }

    /// `DELETE`
    pub(super) async fn delete(&self, path: &str) -> Result<Value, ClientError> {
        self.exchange(Method::DELETE, path, None).await
    }

    /// `POST` whose answer is a stream of events.
    pub(super) async fn stream(
        &self,
        path: &str,
        headers: &[(&'static str, &str)],
        body: &Value,
    ) -> Result<Events, ClientError> {
        let response = self.send(Method::POST, path, headers, Some(body)).await?;
        self.events(response).await
    }

    /// `GET` whose answer is a stream of events.
    pub(super) async fn follow(&self, path: &str) -> Result<Events, ClientError> {
        self.follow_after(path, None).await
    }

    /// The same, after an event that was seen.
    pub(super) async fn follow_after(
        &self,
        path: &str,
        seen: Option<&str>,
    ) -> Result<Events, ClientError> {
        let seen = seen.map(|seen| ("last-event-id", seen));
        let response = self.send(Method::GET, path, seen.as_slice(), None).await?;
        self.events(response).await
    }

    async fn events(&self, response: Response<Incoming>) -> Result<Events, ClientError> {
        if response.status().is_success() {
            return Ok(Events::of(response.into_body(), &self.endpoint));
        }
        Err(self.refusal(response).await)
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, ClientError> {
        let exchange = async {
            let response = self.send(method, path, &[], body).await?;
            if !response.status().is_success() {
                return Err(self.refusal(response).await);
            }
            let text = self.text(response).await?;
            serde_json::from_slice(&text)
                .map_err(|error| self.no_answer(format!("its answer is not understood: {error}")))
        };
        timeout(WHOLE, exchange)
            .await
            .unwrap_or_else(|_| Err(self.no_answer(format!("none within {} s", WHOLE.as_secs()))))
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&'static str, &str)],
        body: Option<&Value>,
    ) -> Result<Response<Incoming>, ClientError> {
        let broken = |error: hyper::Error| self.no_answer(error.to_string());
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, &self.address)
            .header(header::AUTHORIZATION, format!("Bearer {}", self.key))
            .header(
                header::USER_AGENT,
                concat!("postroom/", env!("CARGO_PKG_VERSION")),
            );
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = Bytes::from(body.map(Value::to_string).unwrap_or_default());
        let request = request
            .body(Full::new(body))
            .map_err(|error| self.no_answer(error.to_string()))?;
        let stream = self.connect().await?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(broken)?;
        // It ends with the answer's body, or tells its error there.
        tokio::spawn(async move { drop(connection.await) });
        sender.send_request(request).await.map_err(broken)
    }

    async fn connect(&self) -> Result<Box<dyn Connection>, ClientError> {
        let late = |_elapsed| self.no_answer("no connection within 5 s".to_owned());
        let connecting = timeout(CONNECT, TcpStream::connect(&self.address));
        let stream = connecting.await.map_err(late)?;
        let stream = stream.map_err(|error| self.not_connected(&error))?;
        let Some(tls) = &self.tls else {
            return Ok(Box::new(stream));
        };
        let greeting = timeout(CONNECT, tls.over(stream)).await.map_err(late)?;
        let stream = greeting.map_err(|error| self.no_answer(error.to_string()))?;
        Ok(Box::new(stream))
    }

    /// A connection that is refused means that the file was left behind.
    fn not_connected(&self, error: &io::Error) -> ClientError {
        let Some((runtime, path)) = &self.runtime else {
            return self.no_answer(error.to_string());
        };
        let pid = runtime.pid;
        let why = if runtime.process_lives() {
            format!("process {pid} lives but {} says: {error}", self.endpoint)
        } else {
            format!("process {pid} is gone")
        };
        ClientError::NotRunning {
            why: format!(" (stale `{path}`: {why})"),
        }
    }

    fn no_answer(&self, problem: String) -> ClientError {
        ClientError::NoAnswer {
            endpoint: self.endpoint.clone(),
            problem,
        }
    }

    async fn refusal(&self, response: Response<Incoming>) -> ClientError {
        let status = response.status().as_u16();
        let text = match self.text(response).await {
            Ok(text) => text,
            Err(error) => return error,
        };
        let answer: Value = serde_json::from_slice(&text).unwrap_or_default();
        let message = match answer.pointer("/error/message").and_then(Value::as_str) {
            Some(message) => message.to_owned(),
            None => format!("{} answered with status {status}", self.endpoint),
        };
        ClientError::Refused { status, message }
    }

    async fn text(&self, response: Response<Incoming>) -> Result<Bytes, ClientError> {
        let body = Limited::new(response.into_body(), LARGEST).collect().await;
        body.map(http_body_util::Collected::to_bytes)
            .map_err(|error| self.no_answer(error.to_string()))
    }
}

/// Runs a command's future to its end on this thread.
pub(super) fn block_on<T>(command: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(command)
}

/// The same, without waiting for threads that hang.
pub(super) fn block_on_briefly<T>(
    command: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let done = runtime.block_on(command);
    runtime.shutdown_background();
    done
}

/// Whether a command failed because no service runs.
pub(super) fn is_not_running(error: &anyhow::Error) -> bool {
    matches!(
        error.downcast_ref::<ClientError>(),
        Some(ClientError::NotRunning { .. })
    )
}
