//! The task of one relay: from the request to the recorded reply.

mod client;

use std::rc::Rc;

use bytes::Bytes;
use futures_util::StreamExt;
use postroom_actors::{
    domain::{
        envelope::RelayOutcome,
        reply_text::{CollectedReply, ReplyCollector, StreamPosition},
        trace_context::TraceContext,
    },
    log_fields::trace_id,
    ports::{LocalFuture, UpstreamBody, UpstreamError},
    router::Accepted,
};
use tokio::{
    sync::oneshot,
    time::{Instant, sleep, sleep_until},
};

use self::client::Client;
use super::{
    Inner, RelayAnswer, RelayJob,
    attempts::{Answer, Asked, Content, PATH, find_answer},
    event_text,
    metrics::Passing,
    report::Report,
};

/// The task of one relay.
pub(super) struct Pump<E> {
    inner: Rc<Inner>,
    asked: Rc<Asked>,
    accepted: LocalFuture<Result<Accepted, E>>,
    client: Client<E>,
    report: Rc<Report>,
    continues_in_tool_loop: bool,
}

/// How the wait for an answer ended.
enum Waited<E> {
    NotAccepted(E),
    Cancelled,
    Failed,
    Answered(Answer),
}

/// Why a stream ended.
enum StreamEnd {
    ByItself,
    Broken(UpstreamError),
    Cancelled,
}

impl StreamEnd {
    fn describe(&self) -> String {
        match self {
            Self::ByItself => "the stream ended without `[DONE]` or a finish reason".to_owned(),
            Self::Broken(error) => error.to_string(),
            Self::Cancelled => "the client has gone".to_owned(),
        }
    }
}

impl<E: 'static> Pump<E> {
    pub(super) fn new(
        inner: Rc<Inner>,
        job: RelayJob<E>,
        answer: oneshot::Sender<RelayAnswer<E>>,
    ) -> Self {
        let asked = Asked {
            message: job.message,
            body: job.body,
            model: job.model,
            context_id: job.context_id,
            traceparent: job.traceparent,
            wants_stream: job.empty_stream.is_some(),
        };
        let report = Report::new(
            inner.relay.clone(),
            std::sync::Arc::clone(&inner.clock),
            job.message,
            inner.settings.main.clone(),
            inner.traces.clone(),
        );
        Self {
            inner,
            asked: Rc::new(asked),
            accepted: job.accepted,
            client: Client::new(answer, job.empty_stream),
            report: Rc::new(report),
            continues_in_tool_loop: job.continues_in_tool_loop,
        }
    }

    /// Runs the relay to its end. The end is reported even if this panics or is dropped.
    pub(super) async fn run(mut self) {
        match Box::pin(self.wait()).await {
            Waited::NotAccepted(error) => {
                self.client.refuse(error);
                self.report.end(RelayOutcome::Failed, None).await;
            }
            Waited::Cancelled => self.report.end(RelayOutcome::Cancelled, None).await,
            Waited::Failed => {
                self.client.fail().await;
                self.report.end(RelayOutcome::Failed, None).await;
            }
            Waited::Answered(answer) => Box::pin(self.deliver(answer)).await,
        }
    }

    /// Waits until the request is accepted and an answer is there, whichever comes last.
    async fn wait(&mut self) -> Waited<E> {
        let keep_alive = self.inner.settings.keep_alive;
        let mut finding = std::pin::pin!(find_answer(
            Rc::clone(&self.inner),
            Rc::clone(&self.asked),
            Rc::clone(&self.report),
        ));
        let mut found = None;
        let mut next_beat = Instant::now() + keep_alive;
        loop {
            let is_accepted = self.report.is_accepted();
            tokio::select! {
                biased;
                accepted = &mut self.accepted, if !is_accepted => match accepted {
                    Ok(accepted) => self.report.accepted(accepted),
                    Err(error) => return Waited::NotAccepted(error),
                },
                answer = &mut finding, if found.is_none() => found = Some(answer),
                () = self.client.gone() => {}
                () = sleep_until(next_beat), if is_accepted && self.asked.wants_stream => {
                    next_beat = Instant::now() + keep_alive;
                    self.client.promise_stream();
                }
            }
            if self.report.is_accepted() {
                if self.client.is_gone() && self.report.stops_on_disconnect() {
                    return Waited::Cancelled;
                }
                if let Some(found) = found.take() {
                    return found.map_or(Waited::Failed, Waited::Answered);
                }
            }
        }
    }

    async fn deliver(mut self, answer: Answer) {
        let stall = answer.backend.timeouts.idle;
        let passing = Passing::of(&answer.backend);
        match answer.content {
            Content::Whole { chunks, reply } => {
                for chunk in &chunks {
                    passing.chunk(chunk);
                }
                passing.used(reply.usage);
                self.client
                    .give_whole(answer.status, answer.content_type, chunks)
                    .await;
                self.end(&reply, reply.text.clone()).await;
            }
            Content::Stream {
                first,
                rest,
                collector,
            } => {
                self.client
                    .start_stream(answer.status, answer.content_type, stall);
                self.stream(first, rest, collector, passing).await;
            }
        }
    }

    async fn stream(
        mut self,
        first: Bytes,
        rest: UpstreamBody,
        mut collector: ReplyCollector,
        mut passing: Passing,
    ) {
        passing.chunk(&first);
        self.client.send(first).await;
        let end = self.pass_on(rest, &mut collector, &mut passing).await;
        let position = collector.position();
        let is_done = collector.is_done();
        let reply = collector.finish();
        passing.used(reply.usage);
        if matches!(end, StreamEnd::Cancelled) {
            return self.report.end(RelayOutcome::Cancelled, reply.text).await;
        }
        let trace = self.asked.traceparent;
        if let Some(closing) = closing(&end, &reply, is_done, position, trace) {
            self.client.send(closing).await;
        }
        let text = reply.text.clone();
        self.end(&reply, text).await;
    }

    /// Passes chunks on as they come, and comments while none come.
    async fn pass_on(
        &mut self,
        mut rest: UpstreamBody,
        collector: &mut ReplyCollector,
        passing: &mut Passing,
    ) -> StreamEnd {
        let keep_alive = self.inner.settings.keep_alive;
        passing.waits();
        loop {
            tokio::select! {
                biased;
                chunk = rest.next() => match chunk {
                    None => return StreamEnd::ByItself,
                    Some(Err(error)) => return StreamEnd::Broken(error),
                    Some(Ok(chunk)) => {
                        passing.next(&chunk);
                        collector.feed(&chunk);
                        self.client.send(chunk).await;
                        passing.waits();
                    }
                },
                () = self.client.gone() => {}
                () = sleep(keep_alive), if !self.client.is_gone() => {
                    if let Some(comment) = event_text::keep_alive(collector.position()) {
                        self.client.send(comment).await;
                    }
                }
            }
            if self.client.is_gone() && self.report.stops_on_disconnect() {
                return StreamEnd::Cancelled;
            }
        }
    }

    /// Lets the client go, then reports.
    async fn end(self, reply: &CollectedReply, text: Option<String>) {
        drop(self.client);
        let outcome = match reply {
            CollectedReply {
                is_complete: true,
                has_tool_calls: true,
                ..
            } if self.continues_in_tool_loop => RelayOutcome::ToolCalls,
            CollectedReply {
                is_complete: true, ..
            } => RelayOutcome::Complete,
            CollectedReply { text: Some(_), .. } => RelayOutcome::Partial,
            CollectedReply { .. } => RelayOutcome::Failed,
        };
        self.report.end(outcome, text).await;
    }
}

/// What the client's stream still needs: nothing, its end, or word that it broke off.
fn closing(
    end: &StreamEnd,
    reply: &CollectedReply,
    is_done: bool,
    position: StreamPosition,
    trace: Option<TraceContext>,
) -> Option<Bytes> {
    let was_broken = matches!(end, StreamEnd::Broken(_));
    if reply.is_complete || (reply.has_error && !was_broken) {
        let lacks_end = !is_done && (was_broken || reply.has_error);
        return lacks_end.then(|| event_text::missing_end(position));
    }
    let error = end.describe();
    let status = None::<u16>;
    let trace_id = trace_id(trace);
    tracing::warn!(
        path = PATH,
        status,
        error,
        trace_id,
        "backend_forward_failed"
    );
    Some(event_text::broken(position))
}
