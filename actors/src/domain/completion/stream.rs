//! A completion that is told piece by piece.

use serde::Serialize;
use uuid::Uuid;

use super::{
    chunk::{Chunk, event, to_text},
    completion_id,
    usage::UsageCounts,
};
use crate::domain::{
    task::{Answer, TaskOutcome},
    turn::{Failure, FailureCode, Usage},
};

/// Makes the events of a streamed completion: [`Self::begin`], then pieces, then one end.
#[derive(Debug)]
pub struct CompletionStream {
    chunk: Chunk<'static>,
    include_usage: bool,
    /// How much of the answer was told, in bytes.
    told: usize,
}

#[derive(Serialize)]
struct ErrorEvent<'a> {
    status: &'static str,
    error: ErrorDetail<'a>,
}

#[derive(Serialize)]
struct ErrorDetail<'a> {
    message: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    code: FailureCode,
}

impl CompletionStream {
    /// A stream of the completion with this id. `created_s` is in seconds since 1970.
    pub fn new(id: Uuid, created_s: i64, model: String, include_usage: bool) -> Self {
        Self {
            chunk: Chunk::new(completion_id(id), created_s, model),
            include_usage,
            told: 0,
        }
    }

    /// The first chunk: it tells the role.
    pub fn begin(&self) -> String {
        self.chunk.said(true, "")
    }

    /// A piece of the answer; nothing where the piece is empty.
    pub fn said(&mut self, piece: &str) -> String {
        if piece.is_empty() {
            return String::new();
        }
        self.told += piece.len();
        self.chunk.said(false, piece)
    }

    /// A chunk without content, for clients that count chunks and not comments.
    pub fn keep_alive(&self) -> String {
        self.chunk.silent()
    }

    /// The end, `[DONE]` included. What of the answer was not told yet comes before it.
    pub fn ended(&mut self, outcome: &TaskOutcome) -> String {
        match outcome {
            TaskOutcome::Answered(answer) => self.answered(answer),
            TaskOutcome::Done => self.finish(None),
            TaskOutcome::Failed(failure) => failed(failure),
            TaskOutcome::Cancelled | TaskOutcome::Expired => failed(&Failure {
                code: FailureCode::Cancelled,
                message: "the request was cancelled".to_owned(),
            }),
        }
    }

    fn answered(&mut self, answer: &Answer) -> String {
        let rest = answer.text.get(self.told..).unwrap_or_default();
        self.said(rest) + &self.finish(answer.usage)
    }

    fn finish(&self, usage: Option<Usage>) -> String {
        let mut events = self.chunk.stopped();
        if self.include_usage {
            events.push_str(&self.chunk.used(UsageCounts::of(usage)));
        }
        events + &event("[DONE]")
    }
}

/// The status code has been sent already, so the failure is an event.
fn failed(failure: &Failure) -> String {
    let error = ErrorEvent {
        status: "error",
        error: ErrorDetail {
            message: &failure.message,
            kind: "internal_error",
            code: failure.code,
        },
    };
    event(&to_text(&error)) + &event("[DONE]")
}
