//! A response as a stream of events that can be taken up again at any number.
//!
//! The numbers depend on the task and on the pieces of its answer alone: not on when its turn began,
//! and not on whether the events are told live or from the store.

use serde::Serialize;

use super::{
    ResponseStatus, Standing,
    object::{OutputItem, Response, TextPart, Wire},
    to_text,
};
use crate::domain::task::{Answer, NewTask, TaskOutcome, TaskRecord, TaskState};

/// Makes the events of one response: [`Self::begin`], [`Self::started`], [`Self::said`] any number
/// of times, [`Self::ended`]. Each answers server-sent events, or nothing where all of them were
/// asked to be left out. Steps that were skipped are made up for, repeated ones are nothing.
#[derive(Debug)]
pub struct ResponseEvents {
    response: Response,
    starting_after: Option<u64>,
    next: u64,
    stage: Stage,
    /// How much of the answer was told, in bytes.
    told: usize,
    out: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    New,
    Begun,
    Working,
    Speaking,
    Ended,
}

#[derive(Serialize)]
struct Event<'a, B> {
    #[serde(rename = "type")]
    kind: &'a str,
    sequence_number: u64,
    #[serde(flatten)]
    body: B,
}

#[derive(Serialize)]
struct OfResponse<'a> {
    response: Wire<'a>,
}

#[derive(Serialize)]
struct OfItem<'a> {
    output_index: u32,
    item: OutputItem<'a>,
}

#[derive(Serialize)]
struct OfPart<'a, B> {
    item_id: &'a str,
    output_index: u32,
    content_index: u32,
    #[serde(flatten)]
    body: B,
}

#[derive(Serialize)]
struct Part<'a> {
    part: TextPart<'a>,
}

#[derive(Serialize)]
struct Delta<'a> {
    delta: &'a str,
    logprobs: [(); 0],
}

#[derive(Serialize)]
struct Text<'a> {
    text: &'a str,
    logprobs: [(); 0],
}

impl ResponseEvents {
    /// The events of a task's response; those up to the number `starting_after` are left out.
    pub fn new(task: &NewTask, starting_after: Option<u64>) -> Self {
        Self {
            response: Response::of(task),
            starting_after,
            next: 0,
            stage: Stage::New,
            told: 0,
            out: String::new(),
        }
    }

    /// The events of a task out of the store, up to where it stands.
    ///
    /// What was said before a failure is not kept, and its deltas are missing here: the last event
    /// then gets a number that the client has not seen, so that it hears the end in any case.
    pub fn replay(record: &TaskRecord, starting_after: Option<u64>) -> String {
        let mut events = Self::new(&record.task, starting_after);
        let mut text = events.begin();
        match record.outcome() {
            Some(outcome) => {
                if let TaskOutcome::Answered(answer) = &outcome {
                    for piece in pieces(answer) {
                        text.push_str(&events.said(piece));
                    }
                }
                text.push_str(&events.ended(&outcome));
            }
            None if record.state == TaskState::Running => text.push_str(&events.started()),
            None => {}
        }
        text
    }

    /// The task is kept.
    pub fn begin(&mut self) -> String {
        self.reach(Stage::Begun);
        self.take()
    }

    /// A turn works on it.
    pub fn started(&mut self) -> String {
        self.reach(Stage::Working);
        self.take()
    }

    /// A piece of the answer.
    pub fn said(&mut self, piece: &str) -> String {
        if self.stage < Stage::Ended {
            self.say(piece);
        }
        self.take()
    }

    /// The end. What of the answer was not told yet comes before it.
    pub fn ended(&mut self, outcome: &TaskOutcome) -> String {
        if self.stage < Stage::Ended {
            self.reach(Stage::Working);
            match outcome {
                TaskOutcome::Answered(answer) => self.complete(answer),
                TaskOutcome::Done => self.complete(&Answer::default()),
                TaskOutcome::Failed(_) => self.give_up("response.failed", outcome),
                // OpenAI's stream has no event of its own for it; the object tells `cancelled`.
                TaskOutcome::Cancelled | TaskOutcome::Expired => {
                    self.give_up("response.incomplete", outcome);
                }
            }
            self.stage = Stage::Ended;
        }
        self.take()
    }

    fn take(&mut self) -> String {
        std::mem::take(&mut self.out)
    }

    /// Tells what comes before and with a stage.
    fn reach(&mut self, stage: Stage) {
        if self.stage < Stage::Begun && stage >= Stage::Begun {
            self.stage = Stage::Begun;
            if self.response.is_background {
                self.tell_standing("response.created", ResponseStatus::Queued);
                self.tell_standing("response.queued", ResponseStatus::Queued);
            } else {
                self.tell_standing("response.created", ResponseStatus::InProgress);
            }
        }
        if self.stage < Stage::Working && stage >= Stage::Working {
            self.stage = Stage::Working;
            self.tell_standing("response.in_progress", ResponseStatus::InProgress);
        }
        if self.stage < Stage::Speaking && stage >= Stage::Speaking {
            self.stage = Stage::Speaking;
            self.open_item();
        }
    }

    fn open_item(&mut self) {
        self.tell("response.output_item.added", |response| OfItem {
            output_index: 0,
            item: response.empty_item(),
        });
        self.tell("response.content_part.added", |response| {
            of_part(
                response,
                Part {
                    part: TextPart::new(""),
                },
            )
        });
    }

    fn say(&mut self, piece: &str) {
        if piece.is_empty() {
            return;
        }
        self.reach(Stage::Speaking);
        self.told += piece.len();
        self.tell("response.output_text.delta", |response| {
            let delta = Delta {
                delta: piece,
                logprobs: [],
            };
            of_part(response, delta)
        });
    }

    fn complete(&mut self, answer: &Answer) {
        self.reach(Stage::Speaking);
        self.say(answer.text.get(self.told..).unwrap_or_default());
        let text = &answer.text;
        self.tell("response.output_text.done", |response| {
            let text = Text { text, logprobs: [] };
            of_part(response, text)
        });
        self.tell("response.content_part.done", |response| {
            of_part(
                response,
                Part {
                    part: TextPart::new(text),
                },
            )
        });
        self.tell("response.output_item.done", |response| OfItem {
            output_index: 0,
            item: response.said(answer),
        });
        // All numbers are known here: a client that has seen the last one has seen the end.
        if self.starting_after != Some(self.next) {
            self.never_skip_next();
        }
        let standing = Standing {
            answer: Some(answer),
            ..Standing::open(ResponseStatus::Completed)
        };
        self.tell("response.completed", |response| OfResponse {
            response: response.wire(standing),
        });
    }

    fn give_up(&mut self, kind: &str, outcome: &TaskOutcome) {
        self.never_skip_next();
        self.tell(kind, |response| OfResponse {
            response: response.wire(Standing::of_outcome(outcome)),
        });
    }

    /// Gives the next event a number that the client has not seen.
    fn never_skip_next(&mut self) {
        if let Some(seen) = self.starting_after {
            self.next = self.next.max(seen.saturating_add(1));
        }
    }

    fn tell_standing(&mut self, kind: &str, status: ResponseStatus) {
        self.tell(kind, |response| OfResponse {
            response: response.wire(Standing::open(status)),
        });
    }

    fn tell<'s, B: Serialize + 's>(&'s mut self, kind: &str, body: impl FnOnce(&'s Response) -> B) {
        let sequence_number = self.next;
        self.next = self.next.saturating_add(1);
        if self
            .starting_after
            .is_some_and(|seen| sequence_number <= seen)
        {
            return;
        }
        let event = Event {
            kind,
            sequence_number,
            body: body(&self.response),
        };
        let data = to_text(&event);
        for part in ["event: ", kind, "\ndata: ", &data, "\n\n"] {
            self.out.push_str(part);
        }
    }
}

fn of_part<B>(response: &Response, body: B) -> OfPart<'_, B> {
    OfPart {
        item_id: &response.item_id,
        output_index: 0,
        content_index: 0,
        body,
    }
}

/// The pieces that an answer was streamed in. Lengths that do not fit the text end the list; what
/// is left of the text is told at the end.
fn pieces(answer: &Answer) -> impl Iterator<Item = &str> {
    let mut at = 0_usize;
    answer.pieces.iter().map_while(move |length| {
        let end = at.checked_add(usize::try_from(*length).ok()?)?;
        let piece = answer.text.get(at..end)?;
        at = end;
        Some(piece)
    })
}
