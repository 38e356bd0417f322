use postroom_actors::domain::turn::{
    FailureCode::{NoAnswer, TurnFailed},
    TurnEvent::MessageEnded,
    Usage,
};

use super::super::{exited, failure, read, said, session, tokens, tool};
use crate::adapters::cli_dialects::ProcessEnd;

const GEMINI_INIT: &str = r#"{"type":"init","session_id":"g-1","model":"m"}"#;

#[test]
fn the_answer_of_gemini_is_what_it_says_after_its_last_tool() {
    let lines = [
        GEMINI_INIT,
        r#"{"type":"message","role":"user","content":"what time is it"}"#,
        r#"{"type":"message","role":"assistant","content":"I ask","delta":true}"#,
        r#"{"type":"tool_use","tool_name":"run_shell_command","parameters":{"command":"date"}}"#,
        r#"{"type":"tool_result","status":"success","output":"noon"}"#,
        r#"{"type":"message","role":"assistant","content":"it is ","delta":true}"#,
        r#"{"type":"message","role":"assistant","content":"noon","delta":true}"#,
        r#"{"type":"result","status":"success","stats":{"input_tokens":20,"output_tokens":4,"cached":5}}"#,
    ];
    let (events, verdict) = read("gemini", &lines, &exited(0));
    assert_eq!(
        events,
        [
            session("g-1"),
            said("I ask"),
            MessageEnded,
            tool("date"),
            said("it is "),
            said("noon"),
            MessageEnded
        ]
    );
    assert_eq!(verdict.result.as_deref(), Ok("it is noon"));
    let usage = Usage {
        cached_input_tokens: 5,
        ..tokens(20, 4)
    };
    assert_eq!(verdict.usage, Some(usage));
}

#[test]
fn gemini_fails_with_its_apis_words_and_gives_no_answer_when_interrupted() {
    let error =
        r#"{"type":"result","status":"error","error":{"type":"unknown","message":"API: 401"}}"#;
    let (_, verdict) = read("gemini", &[GEMINI_INIT, error], &exited(145));
    assert_eq!(failure(&verdict), (TurnFailed, "API: 401"));

    let half = r#"{"type":"message","role":"assistant","content":"half","delta":true}"#;
    let (_, verdict) = read("gemini", &[GEMINI_INIT, half], &exited(0));
    assert_eq!(failure(&verdict).0, NoAnswer);
}

#[test]
fn opencode_sums_its_steps_and_answers_with_what_follows_the_last_tool() {
    let lines = [
        r#"{"type":"step_start","sessionID":"ses_1","part":{}}"#,
        r#"{"type":"text","sessionID":"ses_1","part":{"text":"I ask"}}"#,
        r#"{"type":"tool_use","sessionID":"ses_1","part":{"tool":"bash","state":{"status":"completed","input":{"command":"date"}}}}"#,
        r#"{"type":"step_finish","sessionID":"ses_1","part":{"reason":"tool-calls","tokens":{"input":10,"output":2,"reasoning":1,"cache":{"read":3,"write":4}},"cost":0.001}}"#,
        r#"{"type":"text","sessionID":"ses_1","part":{"text":"it is noon"}}"#,
        r#"{"type":"step_finish","sessionID":"ses_1","part":{"reason":"stop","tokens":{"input":20,"output":5},"cost":0.000002}}"#,
    ];
    let (events, verdict) = read("opencode", &lines, &exited(0));
    assert_eq!(
        events,
        [
            session("ses_1"),
            said("I ask"),
            MessageEnded,
            tool("date"),
            said("it is noon"),
            MessageEnded
        ]
    );
    assert_eq!(verdict.result.as_deref(), Ok("it is noon"));
    let usage = Usage {
        cached_input_tokens: 3,
        reasoning_tokens: 1,
        cost_microdollars: Some(1002),
        ..tokens(37, 8)
    };
    assert_eq!(verdict.usage, Some(usage));
}

#[test]
fn opencode_fails_by_its_error_and_is_not_done_before_it_stops() {
    let error = r#"{"type":"error","sessionID":"ses_1","error":{"name":"APIError","data":{"message":"401","statusCode":401}}}"#;
    let (_, verdict) = read("opencode", &[error], &exited(1));
    assert_eq!(failure(&verdict), (TurnFailed, "401"));

    let cut = r#"{"type":"step_finish","part":{"reason":"length"}}"#;
    let (_, verdict) = read("opencode", &[cut], &exited(0));
    let message = "`opencode` ended well, but without an answer: its last step ended by `length`";
    assert_eq!(failure(&verdict), (NoAnswer, message));
}

const COPILOT_DELTA: &str =
    r#"{"type":"assistant.message_delta","data":{"messageId":"m","deltaContent":"it is "}}"#;
const COPILOT_DONE: &str = r#"{"type":"result","sessionId":"c-1","exitCode":0,"usage":{}}"#;

#[test]
fn the_answer_of_copilot_is_its_last_message_that_calls_no_tool() {
    let lines = [
        r#"{"type":"user.message","data":{"content":"what time is it"}}"#,
        r#"{"type":"assistant.message","data":{"content":"","toolRequests":[{"name":"bash"}]}}"#,
        r#"{"type":"tool.execution_start","data":{"toolName":"bash","arguments":{"command":"date"}}}"#,
        COPILOT_DELTA,
        r#"{"type":"assistant.message_delta","data":{"deltaContent":"psst","parentToolCallId":"x"}}"#,
        r#"{"type":"assistant.message","data":{"content":"it is noon","toolRequests":[]}}"#,
        COPILOT_DONE,
    ];
    let (events, verdict) = read("copilot", &lines, &exited(0));
    assert_eq!(
        events,
        [
            tool("date"),
            said("it is "),
            said("noon"),
            MessageEnded,
            session("c-1")
        ]
    );
    assert_eq!(verdict.result.as_deref(), Ok("it is noon"));
}

#[test]
fn copilot_fails_with_its_last_trouble_and_when_it_was_aborted() {
    let lines = [
        r#"{"type":"session.error","data":{"errorType":"authentication","message":"HTTP 401"}}"#,
        r#"{"type":"result","sessionId":"c-1","exitCode":1}"#,
    ];
    let (_, verdict) = read("copilot", &lines, &exited(1));
    let message = "`copilot` ended with exit code 1: HTTP 401";
    assert_eq!(failure(&verdict), (TurnFailed, message));

    let abort = r#"{"type":"abort","data":{"reason":"user_initiated"}}"#;
    let (_, verdict) = read("copilot", &[COPILOT_DELTA, abort, COPILOT_DONE], &exited(0));
    assert_eq!(
        failure(&verdict),
        (TurnFailed, "`copilot` aborted the turn")
    );
}

#[test]
fn a_commands_output_is_its_answer_line_by_line() {
    let (events, verdict) = read("command", &["one", "", "two"], &exited(0));
    assert_eq!(events, [said("one"), said("\n"), said("\ntwo")]);
    assert_eq!(verdict.result.as_deref(), Ok("one\n\ntwo"));

    let (_, verdict) = read("command", &["", "  "], &exited(0));
    assert_eq!(verdict.result.as_deref(), Ok(""));

    let end = ProcessEnd {
        stderr_tail: "out of paper\n",
        ..exited(3)
    };
    let (_, verdict) = read("command", &["half"], &end);
    let message = "`command` ended with exit code 3: out of paper";
    assert_eq!(failure(&verdict), (TurnFailed, message));
}

#[test]
fn a_commands_answer_is_cut_after_512_kib_and_says_so() {
    let line = "é".repeat(200 << 10);
    let (events, verdict) = read("command", &[&line, &line, &line], &exited(0));
    let answer = verdict.result.unwrap();
    assert!(answer.ends_with("é\n[the answer was longer than 512 KiB and is cut here]"));
    assert!(answer.len() < (512 << 10) + 100);
    assert_eq!(events.len(), 2);
}
