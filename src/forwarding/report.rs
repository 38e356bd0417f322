//! Tells the actor how a relay goes. The end is told whatever happens.

use std::{
    cell::{Cell, RefCell},
    sync::Arc,
    time::Duration,
};

use postroom_actors::{
    backend_relay::{BackendConfig, BackendRelay, OnDisconnect, RelayId, RelayProgress},
    delivery::{DeliveryError, Mailbox},
    domain::{
        envelope::{RecordedReply, RelayOutcome},
        ids::MessageId,
        retry::AttemptFailure,
    },
    ports::{
        Clock,
        traces::{Span, Traces},
    },
    router::Accepted,
};
use tokio::time::Instant;

use super::calls;

/// How long the actor may take to hear of something.
const DEADLINE: Duration = Duration::from_secs(30);

/// One relay, as the actor hears of it. Dropped without an end, it reports a failure.
pub(super) struct Report {
    actor: Mailbox<BackendRelay>,
    clock: Arc<dyn Clock>,
    message: MessageId,
    started: Instant,
    relay: Cell<Option<RelayId>>,
    backend: RefCell<Option<Arc<BackendConfig>>>,
    accepted: Cell<Option<Accepted>>,
    has_ended: Cell<bool>,
    traces: Traces,
    calls: Cell<u64>,
    /// The span of the try under way.
    call: RefCell<Option<Span>>,
}

impl Report {
    pub(super) fn new(
        actor: Mailbox<BackendRelay>,
        clock: Arc<dyn Clock>,
        message: MessageId,
        main: Option<Arc<BackendConfig>>,
        traces: Traces,
    ) -> Self {
        Self {
            actor,
            clock,
            message,
            started: Instant::now(),
            relay: Cell::new(None),
            backend: RefCell::new(main),
            accepted: Cell::new(None),
            has_ended: Cell::new(false),
            traces,
            calls: Cell::new(0),
            call: RefCell::new(None),
        }
    }

    /// The number of the next try, over all backends.
    pub(super) fn next_call(&self) -> u64 {
        self.calls.replace(self.calls.get().saturating_add(1))
    }

    /// A try has begun, with its span where it is recorded.
    pub(super) fn calling(&self, call: Option<Span>) {
        self.call.replace(call);
    }

    /// The try under way has failed.
    pub(super) fn call_failed(&self, failure: AttemptFailure) {
        if let Some(mut call) = self.call.take() {
            calls::note_failure(&mut call, failure);
            self.traces.end(call, self.clock.now());
        }
    }

    fn end_call(&self, outcome: RelayOutcome) {
        if let Some(mut call) = self.call.take() {
            calls::note_outcome(&mut call, outcome);
            self.traces.end(call, self.clock.now());
        }
    }

    /// The actor has admitted the relay and waits for its end.
    pub(super) fn admitted(&self, relay: RelayId) {
        self.relay.set(Some(relay));
    }

    /// From here on, what is told is told of this backend.
    pub(super) fn trying(&self, backend: &Arc<BackendConfig>) {
        self.backend.replace(Some(Arc::clone(backend)));
    }

    /// The request is durable: from here on there is something to keep a reply with.
    pub(super) fn accepted(&self, accepted: Accepted) {
        self.accepted.set(Some(accepted));
    }

    pub(super) fn is_accepted(&self) -> bool {
        self.accepted.get().is_some()
    }

    /// The backend that is being asked wants to be left alone once the client has gone.
    pub(super) fn stops_on_disconnect(&self) -> bool {
        let backend = self.backend.borrow();
        backend
            .as_ref()
            .is_some_and(|backend| backend.on_disconnect == OnDisconnect::Cancel)
    }

    pub(super) async fn attempt_failed(&self, failure: AttemptFailure) {
        let Some(relay) = self.relay.get() else {
            return;
        };
        let backend = self.backend_name();
        let failed = RelayProgress::AttemptFailed {
            relay,
            backend,
            failure,
        };
        if self.actor.ask(failed, DEADLINE).await.is_err() {
            tracing::warn!("backend relay not told of a failed try");
        }
    }

    /// Not worth waiting for: where the actor is swamped, the end tells enough.
    pub(super) fn first_byte(&self) {
        let Some(relay) = self.relay.get() else {
            return;
        };
        let backend = self.backend_name();
        let elapsed = self.started.elapsed();
        let begun = RelayProgress::FirstByte {
            relay,
            backend,
            elapsed,
        };
        if let Err(error) = self.actor.try_deliver(begun) {
            tracing::debug!(%error, "backend relay not told of a first byte");
        }
    }

    /// Tells the end, and waits until the actor has heard.
    pub(super) async fn end(&self, outcome: RelayOutcome, text: Option<String>) {
        let ended = self.ended(outcome, text.map(Into::into));
        self.has_ended.set(true);
        self.end_call(outcome);
        if self.actor.ask(ended, DEADLINE).await.is_err() {
            let message_id = self.message;
            tracing::error!(%message_id, "backend relay not told of an end");
        }
    }

    fn backend_name(&self) -> Arc<str> {
        let backend = self.backend.borrow();
        backend
            .as_ref()
            .map_or_else(|| "".into(), |backend| Arc::clone(&backend.name))
    }

    fn ended(&self, outcome: RelayOutcome, text: Option<Arc<str>>) -> RelayProgress {
        let reply = self.accepted.get().map(|accepted| RecordedReply {
            message: accepted.message,
            exchange: accepted.exchange,
            backend: self.backend_name().to_string(),
            text,
            outcome,
            ended_at: self.clock.now(),
        });
        RelayProgress::Ended {
            relay: self.relay.get(),
            reply,
            elapsed: self.started.elapsed(),
        }
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        if self.has_ended.get() {
            return;
        }
        self.end_call(RelayOutcome::Failed);
        let ended = self.ended(RelayOutcome::Failed, None);
        match self.actor.try_deliver_or_return(ended) {
            Ok(()) => {}
            Err((DeliveryError::Full(_), ended)) => {
                let actor = self.actor.clone();
                actix_rt::spawn(async move { actor.ask(ended, DEADLINE).await });
            }
            Err((error, _)) => {
                let message_id = self.message;
                tracing::error!(%message_id, %error, "backend relay not told of an end");
            }
        }
    }
}
