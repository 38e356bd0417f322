//! qwen: `qwen -o stream-json`, the events of claude.

use postroom_actors::domain::{
    agent::Permissions,
    turn::{CliSession, Usage},
};

use super::{
    Dialect, OutputReader, TurnShape,
    claude_stream::{Counting, StreamReader},
    outcome::{ExitCodes, Outcome},
    owned,
};

const EXIT_CODES: ExitCodes = &[(55, "it took longer than its own limit of time")];

/// The dialect of qwen.
#[derive(Debug, Clone, Copy)]
pub(super) struct Qwen;

impl Dialect for Qwen {
    fn name(&self) -> &'static str {
        "qwen"
    }

    fn programs(&self) -> &'static [&'static str] {
        &["qwen"]
    }

    fn arguments(&self, turn: &TurnShape<'_>) -> Vec<String> {
        let mut arguments = owned(&["-o", "stream-json"]);
        if turn.permissions == Permissions::Bypass {
            arguments.extend(owned(&["--yolo"]));
        }
        // It takes no id of our version, and tells the one that it finds itself.
        if let CliSession::Resume(id) = turn.session {
            arguments.extend(owned(&["--resume", id]));
        }
        arguments
    }

    fn variables(&self, _turn: &TurnShape<'_>) -> Vec<(&'static str, String)> {
        vec![("QWEN_CODE_SUPPRESS_YOLO_WARNING", "1".to_owned())]
    }

    fn passed(&self) -> &'static [&'static str] {
        &[
            "DASHSCOPE_*",
            "NODE_EXTRA_CA_CERTS",
            "OPENAI_*",
            "QWEN_HOME",
        ]
    }

    fn reader(&self, _usage_before: Option<Usage>) -> Box<dyn OutputReader> {
        // The result's usage was seen to grow over a session's turns; its messages count their own.
        Box::new(StreamReader::new(
            Outcome::new("qwen", EXIT_CODES),
            Counting::Messages,
        ))
    }
}
