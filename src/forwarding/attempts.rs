//! Finds a backend that answers: tries, retries, and the next backend.

use std::{rc::Rc, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::StreamExt;
use postroom_actors::{
    backend_relay::{AdmitRelay, AdmitRetry, BackendConfig, RelayPlan},
    domain::{
        backend_request::{ModelRule, build_backend_body, may_go_upstream},
        ids::{ContextId, MessageId},
        reply_text::{CollectedReply, MAX_JSON, ReplyCollector},
        retry::{AttemptFailure, next_retry, parse_retry_after},
        trace_context::TraceContext,
    },
    log_fields::trace_id,
    ports::{UpstreamBody, UpstreamError, UpstreamRequest, UpstreamResponse, traces::passed_on},
};
use tokio::time::Instant;

use super::{Inner, calls, report::Report, urls::join_url};

pub(super) const PATH: &str = "/v1/chat/completions";

/// How long the actor may take to answer.
const DEADLINE: Duration = Duration::from_secs(5);

/// The client's request, as far as the way upstream needs it.
pub(super) struct Asked {
    pub(super) message: MessageId,
    pub(super) body: Bytes,
    pub(super) model: Option<String>,
    pub(super) context_id: Option<ContextId>,
    pub(super) traceparent: Option<TraceContext>,
    pub(super) wants_stream: bool,
}

/// A usable answer: 2xx, with its first chunk at hand.
pub(super) struct Answer {
    pub(super) backend: Arc<BackendConfig>,
    pub(super) status: u16,
    pub(super) content_type: Option<String>,
    pub(super) content: Content,
}

pub(super) enum Content {
    /// An event stream that goes on.
    Stream {
        first: Bytes,
        rest: UpstreamBody,
        collector: ReplyCollector,
    },
    /// All of it, checked.
    Whole {
        chunks: Vec<Bytes>,
        reply: CollectedReply,
    },
}

/// Asks the backends in order until one gives a usable answer.
///
/// `None` when all have failed; each failure has been logged and told.
pub(super) async fn find_answer(
    inner: Rc<Inner>,
    asked: Rc<Asked>,
    report: Rc<Report>,
) -> Option<Answer> {
    let admit = AdmitRelay {
        message: asked.message,
    };
    let plan = match inner.relay.ask(admit, DEADLINE).await {
        Ok(Ok(plan)) => plan,
        Ok(Err(refused)) => return log_refusal(&refused, asked.traceparent),
        Err(unreachable) => return log_refusal(&unreachable, asked.traceparent),
    };
    report.admitted(plan.relay);
    let search = Search {
        inner,
        asked,
        report,
        started: Instant::now(),
    };
    for backend in &plan.backends {
        search.report.trying(backend);
        match search.ask(&plan, backend).await {
            Ok(answer) => return Some(answer),
            Err(failure) if !failure.may_fall_back() => return None,
            Err(_next_may_do_better) => {}
        }
    }
    None
}

fn log_refusal(error: &dyn std::fmt::Display, trace: Option<TraceContext>) -> Option<Answer> {
    let trace_id = trace_id(trace);
    tracing::warn!(path = PATH, status = "none", %error, trace_id, "backend_forward_failed");
    None
}

struct Search {
    inner: Rc<Inner>,
    asked: Rc<Asked>,
    report: Rc<Report>,
    started: Instant,
}

impl Search {
    /// Asks one backend, again where that makes sense and there is time.
    async fn ask(
        &self,
        plan: &RelayPlan,
        backend: &Arc<BackendConfig>,
    ) -> Result<Answer, AttemptFailure> {
        let body = self.body_for(backend).await;
        let begun = Instant::now();
        for retries_done in 0.. {
            let told = self.begin_call(backend);
            let failure = match self.attempt(backend, body.clone(), begun, told).await {
                Ok(answer) => return Ok(answer),
                Err(failed) => self.note(backend, failed).await,
            };
            let left = self.first_byte_left(backend, begun);
            let wait = next_retry(failure, retries_done, left, fastrand::f64());
            let Some(wait) = wait else {
                return Err(failure);
            };
            let retry = AdmitRetry {
                relay: plan.relay,
                backend: Arc::clone(&backend.name),
            };
            if !self.inner.relay.ask(retry, DEADLINE).await.unwrap_or(false) {
                return Err(failure);
            }
            tokio::time::sleep(wait).await;
        }
        Err(AttemptFailure::Broken)
    }

    /// Begins the span of a try. Answers what the backend is told as its place in the trace.
    fn begin_call(&self, backend: &BackendConfig) -> Option<TraceContext> {
        let kept = self.asked.traceparent;
        let id = (self.asked.message, self.report.next_call());
        let call = calls::begin(&self.inner.traces, kept, id, |span| {
            let model = backend.model.as_deref().or(self.asked.model.as_deref());
            let now = self.inner.clock.now();
            calls::described(span, "chat", &backend.name, model, now)
        });
        let told = passed_on(call.as_ref(), kept);
        self.report.calling(call);
        told
    }

    /// Logs and tells a failed try.
    async fn note(&self, backend: &BackendConfig, failed: Failed) -> AttemptFailure {
        let error = &failed.error;
        let backend = &backend.name;
        let status = match failed.failure {
            AttemptFailure::Status { status, .. } => Some(status),
            _ => None,
        };
        let trace_id = trace_id(self.asked.traceparent);
        tracing::warn!(path = PATH, status, %error, %backend, trace_id, "backend_forward_failed");
        self.report.call_failed(failed.failure);
        self.report.attempt_failed(failed.failure).await;
        failed.failure
    }

    async fn body_for(&self, backend: &Arc<BackendConfig>) -> Bytes {
        let listed;
        let client_model = self.asked.model.as_deref();
        let rule = match &backend.model {
            Some(model) => ModelRule::Use(model),
            None if client_model
                .is_some_and(|model| may_go_upstream(model, &self.inner.settings.agents)) =>
            {
                ModelRule::Keep
            }
            None => {
                listed = self.inner.models.first(backend).await;
                listed.as_deref().map_or(ModelRule::Remove, ModelRule::Use)
            }
        };
        build_backend_body(
            &self.asked.body,
            rule,
            backend.instruction.as_deref(),
            self.asked.context_id.as_ref(),
        )
    }

    async fn attempt(
        &self,
        backend: &Arc<BackendConfig>,
        body: Bytes,
        begun: Instant,
        told: Option<TraceContext>,
    ) -> Result<Answer, Failed> {
        let request = self.request(backend, body, begun, told);
        let response = self.inner.upstream.send(request).await?;
        if (200..300).contains(&response.status) {
            self.open(backend, response).await
        } else {
            Err(self.refused(&response))
        }
    }

    fn request(
        &self,
        backend: &BackendConfig,
        body: Bytes,
        begun: Instant,
        told: Option<TraceContext>,
    ) -> UpstreamRequest {
        let accept = if self.asked.wants_stream {
            "text/event-stream"
        } else {
            "application/json"
        };
        let mut headers = vec![
            ("content-type", "application/json".to_owned()),
            ("accept", accept.to_owned()),
            (
                "user-agent",
                concat!("postroom/", env!("CARGO_PKG_VERSION")).to_owned(),
            ),
        ];
        headers.extend(told.map(|context| ("traceparent", context.to_string())));
        let mut timeouts = backend.timeouts;
        timeouts.first_byte = self.first_byte_left(backend, begun);
        timeouts.whole = self.whole_left(backend);
        UpstreamRequest {
            method: "POST",
            url: join_url(&backend.base_url, PATH).into(),
            credential: backend.credential.clone(),
            headers,
            body,
            timeouts,
        }
    }

    /// What is left until this backend must have begun to answer.
    fn first_byte_left(&self, backend: &BackendConfig, begun: Instant) -> Duration {
        let left = backend.timeouts.first_byte.saturating_sub(begun.elapsed());
        left.min(self.whole_left(backend))
    }

    fn whole_left(&self, backend: &BackendConfig) -> Duration {
        let whole = backend.timeouts.whole;
        whole.saturating_sub(self.started.elapsed())
    }

    fn refused(&self, response: &UpstreamResponse) -> Failed {
        let now = self.inner.clock.now();
        let retry_after = response.retry_after.as_deref();
        Failed {
            failure: AttemptFailure::Status {
                status: response.status,
                retry_after: retry_after.and_then(|value| parse_retry_after(value, now)),
            },
            error: "the backend answered with an error status".into(),
        }
    }

    /// Waits for the first chunk of an event stream, or for the whole of anything else.
    async fn open(
        &self,
        backend: &Arc<BackendConfig>,
        response: UpstreamResponse,
    ) -> Result<Answer, Failed> {
        let mut body = response.body;
        let mut collector = ReplyCollector::new(response.content_type.as_deref());
        let first = body.next().await.ok_or_else(Failed::empty)??;
        collector.feed(&first);
        self.report.first_byte();
        let content = if self.asked.wants_stream && collector.is_event_stream() {
            Content::Stream {
                first,
                rest: body,
                collector,
            }
        } else {
            whole(first, body, collector).await?
        };
        Ok(Answer {
            backend: Arc::clone(backend),
            status: response.status,
            content_type: response.content_type,
            content,
        })
    }
}

async fn whole(
    first: Bytes,
    mut body: UpstreamBody,
    mut collector: ReplyCollector,
) -> Result<Content, Failed> {
    let mut size = first.len();
    let mut chunks = vec![first];
    while let Some(chunk) = body.next().await {
        let chunk = chunk?;
        size = size.saturating_add(chunk.len());
        if size > MAX_JSON {
            return Err(Failed::broken("the answer is larger than 20 MiB"));
        }
        collector.feed(&chunk);
        chunks.push(chunk);
    }
    let reply = collector.finish();
    if reply.is_complete && !reply.has_error {
        Ok(Content::Whole { chunks, reply })
    } else {
        Err(Failed::broken(
            "the answer is not whole, is no JSON, or is an error",
        ))
    }
}

/// A failed try, and how to put it.
struct Failed {
    failure: AttemptFailure,
    error: Arc<str>,
}

impl Failed {
    fn broken(error: &str) -> Self {
        Self {
            failure: AttemptFailure::Broken,
            error: error.into(),
        }
    }

    fn empty() -> Self {
        Self::broken("the answer has no body")
    }
}

impl From<UpstreamError> for Failed {
    fn from(error: UpstreamError) -> Self {
        let failure = match &error {
            UpstreamError::Connect(_) | UpstreamError::TimedOut("the connection") => {
                AttemptFailure::Connect
            }
            UpstreamError::TimedOut(_) => AttemptFailure::TimedOut,
            UpstreamError::Broken(_) => AttemptFailure::Broken,
            UpstreamError::Unaskable(_) => AttemptFailure::Unaskable,
        };
        Self {
            failure,
            error: error.to_string().into(),
        }
    }
}
