//! claude: `claude -p --output-format stream-json`.

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

const EXIT_CODES: ExitCodes = &[(143, "somebody ended it by SIGTERM")];

/// The dialect of claude.
#[derive(Debug, Clone, Copy)]
pub(super) struct Claude;

impl Dialect for Claude {
    fn name(&self) -> &'static str {
        "claude"
    }

    fn programs(&self) -> &'static [&'static str] {
        &["claude"]
    }

    fn arguments(&self, turn: &TurnShape<'_>) -> Vec<String> {
        let mut arguments = owned(&[
            "-p",
            "--output-format",
            "stream-json",
            "--verbose",
            "--include-partial-messages",
        ]);
        arguments.extend(match turn.session {
            CliSession::New(id) => owned(&["--session-id", id]),
            CliSession::Resume(id) => owned(&["--resume", id]),
        });
        if turn.permissions == Permissions::Bypass {
            arguments.extend(owned(&["--dangerously-skip-permissions"]));
        }
        arguments
    }

    fn variables(&self, turn: &TurnShape<'_>) -> Vec<(&'static str, String)> {
        let mut variables = vec![
            ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1".to_owned()),
            ("DISABLE_AUTOUPDATER", "1".to_owned()),
        ];
        // As root it refuses to skip permissions unless it is told that this is known.
        if turn.is_root && turn.permissions == Permissions::Bypass {
            variables.push(("IS_SANDBOX", "1".to_owned()));
        }
        variables
    }

    fn passed(&self) -> &'static [&'static str] {
        &[
            "ANTHROPIC_*",
            "CLAUDE_CODE_MAX_OUTPUT_TOKENS",
            "CLAUDE_CODE_MAX_RETRIES",
            "CLAUDE_CODE_OAUTH_TOKEN",
            "CLAUDE_CODE_USE_BEDROCK",
            "CLAUDE_CODE_USE_VERTEX",
            "CLAUDE_CONFIG_DIR",
            "NODE_EXTRA_CA_CERTS",
        ]
    }

    fn reader(&self, usage_before: Option<Usage>) -> Box<dyn OutputReader> {
        Box::new(StreamReader::new(
            Outcome::new("claude", EXIT_CODES),
            Counting::SessionCost { usage_before },
        ))
    }
}
