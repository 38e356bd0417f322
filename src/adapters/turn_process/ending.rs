//! What came of a turn, from all that is known of its end.

use std::{path::PathBuf, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use postroom_actors::domain::turn::{Failure, FailureCode, TurnExit, TurnResult};

use super::protocol::Left;
use crate::adapters::cli_dialects::Verdict;

/// Why we ended a turn that had not ended by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// Somebody asked for it, or nobody listens any more.
    Stopped,
    /// It took too long.
    WholeLimit(Duration),
    /// It was silent for too long.
    IdleLimit(Duration),
    /// It printed too much; the limit in bytes.
    OutputLimit(u64),
}

/// How the processes of a turn ended.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Ending {
    /// Why we ended it, if we did.
    pub(super) cause: Option<Cause>,
    /// How the CLI's own process ended; `None` where its runner could not tell.
    pub(super) left: Option<Left>,
    /// Processes that outlived the CLI's own and were killed.
    pub(super) killed: u32,
    /// Whether processes could not be ended.
    pub(super) is_stuck: bool,
}

impl Ending {
    /// Puts it together with what the CLI says.
    pub(super) fn exit(self, verdict: Verdict, transcript: Option<PathBuf>) -> TurnExit {
        let left = self.left.unwrap_or_default();
        TurnExit {
            result: self.result(verdict.result),
            exit_code: left.exit_code,
            signal: left.signal,
            usage: verdict.usage,
            usage_total: verdict.usage_total,
            killed: self.killed,
            transcript,
        }
    }

    /// The last lines of a transcript.
    pub(super) fn footer(self, now: DateTime<Utc>) -> String {
        let left = self.left.unwrap_or_default();
        let told = |number: Option<i32>| number.map_or("none".to_owned(), |it| it.to_string());
        let why = self
            .cause
            .map_or(String::new(), |cause| format!("ended by us: {cause:?}\n"));
        let stuck = if self.is_stuck {
            "some of its processes could not be ended\n"
        } else {
            ""
        };
        format!(
            "\n--- end ---\n{why}{stuck}exit code: {}\nsignal: {}\nkilled after it: {}\nended: {}\n",
            told(left.exit_code),
            told(left.signal),
            self.killed,
            now.to_rfc3339(),
        )
    }

    /// Our own reason goes before whatever the CLI makes of it: an exit code of 0 after a signal of
    /// ours is no success.
    fn result(self, told: Result<Arc<str>, Failure>) -> TurnResult {
        match self.cause {
            Some(Cause::Stopped) => TurnResult::Stopped,
            Some(Cause::WholeLimit(limit)) => TurnResult::TimedOut(failure(
                FailureCode::TimedOut,
                format!("the turn was ended after {} s, its limit", seconds(limit)),
            )),
            Some(Cause::IdleLimit(limit)) => TurnResult::TimedOut(failure(
                FailureCode::TimedOut,
                format!("the turn was ended: no output for {} s", seconds(limit)),
            )),
            Some(Cause::OutputLimit(limit)) => TurnResult::Failed(failure(
                FailureCode::TurnFailed,
                format!("the turn was ended: it printed more than {limit} bytes"),
            )),
            None if self.left.is_none() => TurnResult::Failed(failure(
                FailureCode::TurnFailed,
                "the process that watched the turn was killed from outside".to_owned(),
            )),
            None => told.map_or_else(TurnResult::Failed, TurnResult::Done),
        }
    }
}

fn failure(code: FailureCode, message: String) -> Failure {
    Failure { code, message }
}

fn seconds(limit: Duration) -> f64 {
    // Milliseconds are enough for a message.
    f64::from(u32::try_from(limit.as_millis()).unwrap_or(u32::MAX)) / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exit(cause: Option<Cause>, left: Option<Left>) -> TurnResult {
        let verdict = Verdict {
            result: Ok("answer".into()),
            usage: None,
            usage_total: None,
        };
        let ending = Ending {
            cause,
            left,
            ..Ending::default()
        };
        ending.exit(verdict, None).result
    }

    #[test]
    fn our_reason_goes_before_the_answer() {
        let left = Some(Left::default());
        let second = Duration::from_millis(1500);
        assert_eq!(exit(None, left), TurnResult::Done("answer".into()));
        assert_eq!(exit(Some(Cause::Stopped), left), TurnResult::Stopped);
        let TurnResult::TimedOut(failure) = exit(Some(Cause::WholeLimit(second)), left) else {
            panic!("not timed out");
        };
        assert_eq!(failure.message, "the turn was ended after 1.5 s, its limit");
        let idle = exit(Some(Cause::IdleLimit(second)), left);
        assert!(matches!(idle, TurnResult::TimedOut(_)));
        let flood = exit(Some(Cause::OutputLimit(7)), left);
        assert!(matches!(flood, TurnResult::Failed(_)));
    }

    #[test]
    fn an_end_that_nobody_saw_is_no_success() {
        assert!(matches!(exit(None, None), TurnResult::Failed(_)));
        assert_eq!(exit(Some(Cause::Stopped), None), TurnResult::Stopped);
    }
}
