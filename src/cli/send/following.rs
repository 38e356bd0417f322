//! Waits for what becomes of a message that was sent.

use std::{collections::HashSet, io::Write, time::Duration};

use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use super::SendFailure;
use crate::cli::{
    World,
    agent_view::shown,
    client::Client,
    message_view::{self, MessageView, SummaryView},
    progress::Progress,
};

/// The first pause between two looks; each is twice as long as the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// The longest pause between two looks.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Until {
    /// Its recipient has it.
    Delivered,
    /// Its turn has ended; at a peer, whose turns are not seen from here: the first answer.
    Answered,
}

/// One message, looked at again and again.
pub(super) struct Following<'a> {
    client: &'a Client,
    id: String,
    /// The answers, whole; they are printed as they come, unless all is told as JSON at the end.
    answers: Vec<Value>,
    told: HashSet<String>,
    message: Option<Value>,
    is_json: bool,
    output: &'a mut dyn Write,
    /// Where a line tells that it is waited; it is gone while something else is printed.
    world: &'a World,
    waiting: Option<Progress>,
}

impl<'a> Following<'a> {
    pub(super) fn of(
        client: &'a Client,
        id: String,
        is_json: bool,
        world: &'a World,
        output: &'a mut dyn Write,
    ) -> Self {
        Self {
            client,
            id,
            answers: Vec::new(),
            told: HashSet::new(),
            message: None,
            is_json,
            output,
            world,
            waiting: None,
        }
    }

    /// Waits until it has come that far, `longest` at most.
    pub(super) async fn follow(&mut self, until: Until, longest: Duration) -> anyhow::Result<()> {
        let id = self.id.clone();
        let in_time = timeout(longest, self.look_on(until)).await;
        self.waiting = None;
        in_time.unwrap_or_else(|_elapsed| {
            let what = match until {
                Until::Delivered => "delivered",
                Until::Answered => "answered",
            };
            let waited = longest;
            Err(SendFailure::NotYet { id, what, waited }.into())
        })
    }

    async fn look_on(&mut self, until: Until) -> anyhow::Result<()> {
        let mut pause = FIRST_PAUSE;
        loop {
            let path = message_view::path_of("/messages", &self.id);
            let (answer, message) = message_view::one(self.client, &path).await?;
            self.message = Some(answer);
            if until == Until::Answered {
                self.tell_answers(&message).await?;
            }
            match stage(&message, until) {
                Stage::OnItsWay => {}
                Stage::Done => return self.done(&message, until),
                Stage::GotNowhere => return Err(got_nowhere(&message).into()),
            }
            self.wait_with(until);
            sleep(pause).await;
            pause = LONGEST_PAUSE.min(pause * 2);
        }
    }

    fn wait_with(&mut self, until: Until) {
        let what = match until {
            Until::Delivered => "waiting until it is delivered",
            Until::Answered => "waiting for the answer",
        };
        let world = self.world;
        self.waiting
            .get_or_insert_with(|| Progress::begin(world, what));
    }

    /// Prints the answers that are new.
    async fn tell_answers(&mut self, message: &MessageView) -> anyhow::Result<()> {
        for callback in &message.callbacks {
            // What the agent sent to others on the way is no answer to us.
            let is_elsewhere = message.direction == "in" && callback.to != message.from;
            if is_elsewhere || self.told.contains(&callback.id) {
                continue;
            }
            let path = message_view::path_of("/messages", &callback.id);
            let (answer, whole) = message_view::one(self.client, &path).await?;
            self.told.insert(callback.id.clone());
            self.answers.push(answer);
            self.waiting = None;
            if !self.is_json {
                write!(
                    self.output,
                    "{}",
                    told(callback, &whole, message.from.as_deref())
                )?;
                self.output.flush()?;
            }
        }
        Ok(())
    }

    fn done(&mut self, message: &MessageView, until: Until) -> anyhow::Result<()> {
        self.waiting = None;
        if until == Until::Delivered {
            if !self.is_json {
                writeln!(self.output, "delivered")?;
            }
            return Ok(());
        }
        let last_words = message.answer.as_ref().and_then(Value::as_str);
        match last_words.filter(|words| !words.is_empty()) {
            _ if !self.told.is_empty() => Ok(()),
            Some(words) => {
                if !self.is_json {
                    writeln!(self.output, "{}", message_view::readable(words))?;
                }
                Ok(())
            }
            None => {
                let id = self.id.clone();
                Err(SendFailure::Unanswered { id }.into())
            }
        }
    }

    /// What was learned, for programs: the answer of `/send` with the message and its answers.
    pub(super) fn told(self, sent: Value) -> Value {
        let mut told = sent;
        if let (Some(told), Some(message)) = (told.as_object_mut(), self.message) {
            told.insert("message".to_owned(), message);
            told.insert("answers".to_owned(), json!(self.answers));
        }
        told
    }
}

/// Who said it, of which type, and what.
fn told(callback: &SummaryView, whole: &MessageView, we: Option<&str>) -> String {
    let kind = callback.kind.as_deref().unwrap_or("message");
    let from = callback.from.as_deref().unwrap_or("nobody");
    let to = match callback.to.as_deref().filter(|to| Some(*to) != we) {
        Some(to) => format!(" to {}", shown(to)),
        None => String::new(),
    };
    let said = message_view::said(&whole.body);
    format!("{} from {}{to}:\n{said}\n", shown(kind), shown(from))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    OnItsWay,
    Done,
    GotNowhere,
}

/// How far a message has come, measured by what is waited for.
fn stage(message: &MessageView, until: Until) -> Stage {
    let is_on_its_way_out = message.direction == "out";
    match message.state.as_str() {
        "waiting" => Stage::OnItsWay,
        "dead" | "dropped" => Stage::GotNowhere,
        "cancelled" if is_on_its_way_out => Stage::GotNowhere,
        // An agent of ours has it, whatever became of it there.
        _ if until == Until::Delivered => Stage::Done,
        "failed" | "expired" | "cancelled" => Stage::GotNowhere,
        "answered" | "done" => Stage::Done,
        _ if is_on_its_way_out && !message.callbacks.is_empty() => Stage::Done,
        _ => Stage::OnItsWay,
    }
}

fn got_nowhere(message: &MessageView) -> SendFailure {
    let delivery = message.delivery.as_ref();
    let reason = delivery.and_then(|delivery| delivery.reason.as_ref());
    let why = reason.or(message.failure.as_ref());
    SendFailure::GotNowhere {
        id: message.id.clone(),
        state: shown(&message.state),
        why: why.map_or_else(String::new, |why| format!(": {}", shown(&why.message))),
    }
}
