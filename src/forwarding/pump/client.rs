//! The client's side of a relay: not answered yet, streamed to, or gone.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use postroom_actors::domain::reply_text::StreamPosition;
use tokio::sync::{mpsc, oneshot};

use crate::forwarding::{RelayAnswer, body::RelayBody, event_text};

const EVENT_STREAM: &str = "text/event-stream";

/// How long a client may stop reading a promised stream before it counts as gone.
const STALL: Duration = Duration::from_mins(2);

type EmptyStream = Box<dyn FnOnce() -> Bytes>;

pub(super) struct Client<E> {
    state: State<E>,
    empty_stream: Option<EmptyStream>,
    stall: Duration,
}

enum State<E> {
    Waiting(oneshot::Sender<RelayAnswer<E>>),
    Streaming(mpsc::Sender<Bytes>),
    Gone,
}

impl<E> Client<E> {
    pub(super) fn new(
        answer: oneshot::Sender<RelayAnswer<E>>,
        empty_stream: Option<EmptyStream>,
    ) -> Self {
        Self {
            state: State::Waiting(answer),
            empty_stream,
            stall: STALL,
        }
    }

    pub(super) const fn is_gone(&self) -> bool {
        matches!(self.state, State::Gone)
    }

    /// Resolves when the client has gone, once; never where that is known already.
    pub(super) async fn gone(&mut self) {
        match &mut self.state {
            State::Waiting(answer) => answer.closed().await,
            State::Streaming(chunks) => chunks.closed().await,
            State::Gone => std::future::pending().await,
        }
        self.state = State::Gone;
    }

    /// The request was not accepted.
    pub(super) fn refuse(&mut self, error: E) {
        self.answer(RelayAnswer::NotAccepted(error));
    }

    /// No backend gave a usable answer.
    pub(super) async fn fail(&mut self) {
        if matches!(self.state, State::Streaming(_)) {
            if let Some(empty_stream) = self.empty_stream.take() {
                self.send(empty_stream()).await;
            }
        } else {
            self.answer(RelayAnswer::NoReply);
        }
    }

    /// Tells a client that has waited long that a stream is to come; later, that it still is.
    pub(super) fn promise_stream(&mut self) {
        self.start_stream(200, Some(EVENT_STREAM.to_owned()), STALL);
        if let (State::Streaming(chunks), Some(comment)) = (
            &self.state,
            event_text::keep_alive(StreamPosition::BetweenEvents),
        ) {
            // A full channel means that there is something to read already.
            drop(chunks.try_send(comment));
        }
    }

    /// Begins the answer, unless a stream was promised already.
    pub(super) fn start_stream(
        &mut self,
        status: u16,
        content_type: Option<String>,
        stall: Duration,
    ) {
        self.stall = stall;
        if matches!(self.state, State::Waiting(_)) {
            let (chunks, body) = RelayBody::stream();
            self.answer(RelayAnswer::Reply {
                status,
                content_type,
                body,
            });
            self.state = State::Streaming(chunks);
        }
    }

    /// Gives a whole answer; as events, where a stream was promised.
    pub(super) async fn give_whole(
        &mut self,
        status: u16,
        content_type: Option<String>,
        chunks: Vec<Bytes>,
    ) {
        if matches!(self.state, State::Streaming(_)) {
            match event_text::from_completion(&joined(chunks)) {
                Some(events) => self.send(events).await,
                None => self.fail().await,
            }
        } else {
            self.answer(RelayAnswer::Reply {
                status,
                content_type,
                body: RelayBody::whole(chunks),
            });
        }
    }

    /// Passes a chunk on. A client that does not read for too long counts as gone.
    pub(super) async fn send(&mut self, chunk: Bytes) {
        if let State::Streaming(chunks) = &self.state {
            let sent = tokio::time::timeout(self.stall, chunks.send(chunk)).await;
            if !matches!(sent, Ok(Ok(()))) {
                self.state = State::Gone;
            }
        }
    }

    fn answer(&mut self, answer: RelayAnswer<E>) {
        if let State::Waiting(waiting) = std::mem::replace(&mut self.state, State::Gone) {
            // A client that has gone needs no answer.
            drop(waiting.send(answer));
        }
    }
}

fn joined(chunks: Vec<Bytes>) -> Bytes {
    let mut whole = BytesMut::with_capacity(chunks.iter().map(Bytes::len).sum());
    for chunk in chunks {
        whole.extend_from_slice(&chunk);
    }
    whole.freeze()
}
