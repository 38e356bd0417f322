mod claude_like;
mod openclaw;
mod others;

use postroom_actors::domain::turn::{FailureCode, TurnEvent::MessageEnded, Usage};

use super::{exited, failure, read, read_after, said, session, tokens, tool, trouble};

const THREAD: &str = r#"{"type":"thread.started","thread_id":"t-1"}"#;
const BEGUN: &str = r#"{"type":"turn.started"}"#;

#[test]
fn codex_tells_its_session_says_whole_messages_and_counts_its_thread() {
    let lines = [
        THREAD,
        r#"{"type":"item.completed","item":{"id":"i0","type":"error","message":"an odd model"}}"#,
        BEGUN,
        r#"{"type":"item.completed","item":{"id":"i1","type":"agent_message","text":"I look"}}"#,
        r#"{"type":"item.started","item":{"id":"i2","type":"command_execution","command":"ls -l","status":"in_progress"}}"#,
        r#"{"item":{"type":"command_execution","command":"ls -l","exit_code":1},"type":"item.completed"}"#,
        r#"{"type":"item.completed","item":{"id":"i3","type":"agent_message","text":"two files"}}"#,
        r#"{"type":"turn.completed","usage":{"input_tokens":300,"cached_input_tokens":40,"output_tokens":50,"reasoning_output_tokens":6}}"#,
    ];
    let before = Usage {
        cached_input_tokens: 40,
        ..tokens(100, 20)
    };
    let (events, verdict) = read_after("codex", Some(before), &lines, &exited(0));
    assert_eq!(
        events,
        [
            session("t-1"),
            trouble("an odd model"),
            said("I look"),
            MessageEnded,
            tool("ls -l"),
            said("two files"),
            MessageEnded
        ]
    );
    assert_eq!(verdict.result.as_deref(), Ok("two files"));
    let reasoned = |usage| Usage {
        reasoning_tokens: 6,
        ..usage
    };
    assert_eq!(verdict.usage, Some(reasoned(tokens(200, 30))));
    let total = Usage {
        cached_input_tokens: 40,
        ..reasoned(tokens(300, 50))
    };
    assert_eq!(verdict.usage_total, Some(total));
}

#[test]
fn a_thread_of_codex_that_counts_anew_told_the_turns_own_usage() {
    let done = r#"{"type":"turn.completed","usage":{"input_tokens":12,"output_tokens":3}}"#;
    let before = Some(tokens(500, 90));
    let (_, verdict) = read_after("codex", before, &[THREAD, done], &exited(0));
    assert_eq!(verdict.usage, Some(tokens(12, 3)));
    assert_eq!(verdict.usage_total, Some(tokens(12, 3)));
}

#[test]
fn codex_has_trouble_until_its_turn_fails() {
    let wait = r#"{"type":"error","message":"Reconnecting... 1/5"}"#;
    let lines = [THREAD, BEGUN, wait];
    let (events, verdict) = read("codex", &lines, &exited(1));
    assert_eq!(events.last(), Some(&trouble("Reconnecting... 1/5")));
    let message =
        "`codex` ended with exit code 1 before its turn was complete: Reconnecting... 1/5";
    assert_eq!(failure(&verdict), (FailureCode::TurnFailed, message));

    let failed = r#"{"type":"turn.failed","error":{"message":"status 401: who are you"}}"#;
    let (_, verdict) = read("codex", &[THREAD, BEGUN, wait, failed], &exited(1));
    let message = "status 401: who are you";
    assert_eq!(failure(&verdict), (FailureCode::TurnFailed, message));
}
