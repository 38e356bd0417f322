//! A dialect for tests: each line is said, all lines together are the answer.

use std::sync::Arc;

use postroom::adapters::cli_dialects::{
    Dialect, OutputReader, ProcessEnd, StopSignal, TurnShape, Verdict,
};
use postroom_actors::domain::turn::{Failure, FailureCode, TurnEvent, Usage};

pub(crate) struct Plain {
    pub(crate) can_sandbox: bool,
}

impl Dialect for Plain {
    fn name(&self) -> &'static str {
        "plain"
    }

    fn programs(&self) -> &'static [&'static str] {
        &[]
    }

    fn arguments(&self, _turn: &TurnShape<'_>) -> Vec<String> {
        Vec::new()
    }

    fn variables(&self, turn: &TurnShape<'_>) -> Vec<(&'static str, String)> {
        vec![("PLAIN_WORKSPACE", turn.workspace.display().to_string())]
    }

    fn passed(&self) -> &'static [&'static str] {
        &["PLAIN_*"]
    }

    fn can_sandbox(&self) -> bool {
        self.can_sandbox
    }

    fn prompt_limit(&self) -> usize {
        2 * 1024 * 1024
    }

    fn stop_signal(&self) -> StopSignal {
        StopSignal::Terminate
    }

    fn reader(&self, _usage_before: Option<Usage>) -> Box<dyn OutputReader> {
        Box::new(Reader(String::new()))
    }
}

struct Reader(String);

impl OutputReader for Reader {
    fn line(&mut self, line: &str, events: &mut Vec<TurnEvent>) {
        let start: String = line.chars().take(100).collect();
        if self.0.len() < 10_000 {
            self.0.push_str(&start);
        }
        events.push(TurnEvent::Said(start.into()));
    }

    fn finish(self: Box<Self>, end: &ProcessEnd<'_>) -> Verdict {
        let code = if end.exit_code == Some(0) {
            FailureCode::NoAnswer
        } else {
            FailureCode::TurnFailed
        };
        let is_good = end.exit_code == Some(0) && !self.0.is_empty();
        let message = end.stderr_tail.to_owned();
        let result = if is_good {
            Ok(Arc::from(self.0))
        } else {
            Err(Failure { code, message })
        };
        Verdict {
            result,
            usage: None,
            usage_total: None,
        }
    }
}
