//! Asks the embeddings backend: one answer, nothing kept.
//!
//! Each HTTP worker judges the backend for itself. It has a circuit and a retry budget of its own,
//! apart from those of chats: a backend may chat well and know nothing of embeddings. There is no
//! stand-in: vectors of another model do not compare.

mod admission;
mod error;
mod vectors;

use std::{rc::Rc, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::StreamExt;
use postroom_actors::{
    backend_relay::BackendConfig,
    domain::{
        agent_request::embeddings::Encoding,
        backend_request::{ModelRule, build_backend_body},
        ids::MessageId,
        reply_text::MAX_JSON,
        retry::{AttemptFailure, next_retry, parse_retry_after},
        trace_context::TraceContext,
    },
    log_fields::trace_id,
    ports::{
        Clock, Upstream, UpstreamBody, UpstreamRequest, UpstreamResponse,
        traces::{Span, Traces, passed_on},
    },
    token_usage::{self, Operation},
};
use tokio::time::Instant;

pub use self::error::EmbeddingsError;
use self::{admission::Gate, error::Failed};
use super::{calls, metrics::EMBEDDINGS_FAILURES, urls::join_url};

const PATH: &str = "/v1/embeddings";

/// How much is read of an error's body, in bytes.
const MAX_ERROR: usize = 64 << 10;

/// Asks for embeddings. One for each HTTP worker.
pub struct Embedder {
    upstream: Rc<dyn Upstream>,
    clock: Arc<dyn Clock>,
    backend: Arc<BackendConfig>,
    gate: Gate,
    traces: Traces,
}

/// One request for embeddings.
#[derive(Debug)]
pub struct EmbeddingsJob<'a> {
    /// The request's own id.
    pub id: MessageId,
    /// The client's body.
    pub body: Bytes,
    /// What becomes of its `model`.
    pub model: ModelRule<'a>,
    /// How the client wants its vectors.
    pub encoding: Encoding,
    /// What calls of backends hang on; where none is recorded, it is passed on as it is.
    pub traceparent: Option<TraceContext>,
}

impl Embedder {
    /// Makes the embedder of the calling thread.
    pub fn new(
        upstream: Rc<dyn Upstream>,
        clock: Arc<dyn Clock>,
        backend: Arc<BackendConfig>,
        traces: Traces,
    ) -> Self {
        let gate = Gate::new(Arc::clone(&clock));
        Self {
            upstream,
            clock,
            backend,
            gate,
            traces,
        }
    }

    /// The model that is asked for whoever asks; `None`: the client's own.
    pub fn model(&self) -> Option<&str> {
        self.backend.model.as_deref()
    }

    /// Asks the backend, again where that makes sense and there is time.
    ///
    /// # Errors
    /// [`EmbeddingsError`], as the client is to be told.
    ///
    /// # Cancel safety
    /// Dropping the future stops asking.
    pub async fn embed(&self, job: EmbeddingsJob<'_>) -> Result<Bytes, EmbeddingsError> {
        let _place = self.gate.enter()?;
        let body = build_backend_body(&job.body, job.model, None, None);
        let begun = Instant::now();
        let mut retries_done = 0;
        loop {
            let call = self.begin_call(&job, retries_done);
            let answered = self.attempt(body.clone(), &job, begun, call.as_ref()).await;
            self.end_call(call, &answered);
            let failed = match answered {
                Ok(answer) => {
                    self.gate.answered();
                    return Ok(answer);
                }
                Err(failed) => failed,
            };
            self.note(&failed, job.traceparent);
            let left = self.first_byte_left(begun);
            let wait = next_retry(failed.failure, retries_done, left, fastrand::f64());
            match wait {
                Some(wait) if self.gate.may_retry() => tokio::time::sleep(wait).await,
                _ => return Err(failed.into()),
            }
            retries_done += 1;
        }
    }

    fn begin_call(&self, job: &EmbeddingsJob<'_>, number: u32) -> Option<Span> {
        calls::begin(
            &self.traces,
            job.traceparent,
            (job.id, number.into()),
            |span| {
                let model = match job.model {
                    ModelRule::Use(model) => Some(model),
                    ModelRule::Keep | ModelRule::Remove => None,
                };
                calls::described(
                    span,
                    "embeddings",
                    &self.backend.name,
                    model,
                    self.clock.now(),
                )
            },
        )
    }

    fn end_call(&self, call: Option<Span>, answered: &Result<Bytes, Failed>) {
        let Some(mut call) = call else { return };
        if let Err(failed) = answered {
            calls::note_failure(&mut call, failed.failure);
        }
        self.traces.end(call, self.clock.now());
    }

    fn note(&self, failed: &Failed, trace: Option<TraceContext>) {
        let Failed { failure, error, .. } = failed;
        let status = match failure {
            AttemptFailure::Status { status, .. } => Some(*status),
            _ => None,
        };
        let trace_id = trace_id(trace);
        tracing::warn!(path = PATH, status, %error, trace_id, "embeddings_failed");
        metrics::counter!(EMBEDDINGS_FAILURES, "reason" => failure.reason()).increment(1);
        self.gate.failed(*failure);
    }

    async fn attempt(
        &self,
        body: Bytes,
        job: &EmbeddingsJob<'_>,
        begun: Instant,
        call: Option<&Span>,
    ) -> Result<Bytes, Failed> {
        let request = self.request(body, passed_on(call, job.traceparent), begun);
        let response = self.upstream.send(request).await?;
        if !(200..300).contains(&response.status) {
            return Err(self.refused(response).await);
        }
        let answer = read(response.body, MAX_JSON)
            .await?
            .ok_or_else(|| Failed::broken("the answer is larger than 20 MiB"))?;
        let embeddings = vectors::in_encoding(answer, job.encoding)
            .map_err(|bad| Failed::broken(&bad.to_string()))?;
        if let Some(tokens) = embeddings.input_tokens {
            token_usage::note(Operation::Embeddings(&self.backend.name), tokens, None);
        }
        Ok(embeddings.body)
    }

    fn request(
        &self,
        body: Bytes,
        traceparent: Option<TraceContext>,
        begun: Instant,
    ) -> UpstreamRequest {
        let agent = concat!("postroom/", env!("CARGO_PKG_VERSION"));
        let mut headers = vec![
            ("content-type", "application/json".to_owned()),
            ("accept", "application/json".to_owned()),
            ("user-agent", agent.to_owned()),
        ];
        headers.extend(traceparent.map(|context| ("traceparent", context.to_string())));
        let mut timeouts = self.backend.timeouts;
        timeouts.first_byte = self.first_byte_left(begun);
        timeouts.whole = timeouts.whole.saturating_sub(begun.elapsed());
        UpstreamRequest {
            method: "POST",
            url: join_url(&self.backend.base_url, PATH).into(),
            credential: self.backend.credential.clone(),
            headers,
            body,
            timeouts,
        }
    }

    /// What is left until the backend must have begun to answer.
    fn first_byte_left(&self, begun: Instant) -> Duration {
        let timeouts = &self.backend.timeouts;
        let bound = timeouts.first_byte.min(timeouts.whole);
        bound.saturating_sub(begun.elapsed())
    }

    async fn refused(&self, response: UpstreamResponse) -> Failed {
        let now = self.clock.now();
        let retry_after = response.retry_after.as_deref();
        let retry_after = retry_after.and_then(|value| parse_retry_after(value, now));
        let body = read(response.body, MAX_ERROR).await.ok().flatten();
        Failed::refused(response.status, retry_after, &body.unwrap_or_default())
    }
}

/// Reads a body to its end; `None` where it is longer than `most` bytes.
async fn read(mut body: UpstreamBody, most: usize) -> Result<Option<Bytes>, Failed> {
    let mut whole = Vec::new();
    while let Some(chunk) = body.next().await {
        whole.extend_from_slice(&chunk?);
        if whole.len() > most {
            return Ok(None);
        }
    }
    Ok(Some(whole.into()))
}
