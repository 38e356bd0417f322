use postroom_actors::domain::turn::{
    FailureCode::{NoAnswer, TurnFailed},
    TurnEvent::MessageEnded,
    Usage,
};

use super::super::{exited, failure, read, read_after, said, session, tokens, tool, trouble};

const INIT: &str = r#"{"type":"system","subtype":"init","session_id":"s-1","tools":["Bash"]}"#;
const START: &str =
    r#"{"type":"stream_event","event":{"type":"message_start"},"parent_tool_use_id":null}"#;
const CALL: &str = r#"{"type":"assistant","message":{"content":[{"type":"tool_use","name":"Bash","input":{"command":"date"}}]}}"#;
const TOOL_DONE: &str =
    r#"{"type":"user","message":{"content":[{"type":"tool_result","content":"noon"}]}}"#;

fn delta(text: &str) -> String {
    format!(
        r#"{{"type":"stream_event","event":{{"type":"content_block_delta","index":0,"delta":{{"type":"text_delta","text":"{text}"}}}},"parent_tool_use_id":null}}"#
    )
}

fn whole(text: &str) -> String {
    format!(
        r#"{{"type":"assistant","message":{{"content":[{{"type":"text","text":"{text}"}}],"usage":{{"input_tokens":7,"output_tokens":2}}}},"parent_tool_use_id":null}}"#
    )
}

#[test]
fn claude_says_tokens_once_and_tells_its_usage_and_what_the_turn_cost() {
    let result = r#"{"usage":{"input_tokens":10,"cache_creation_input_tokens":4,"cache_read_input_tokens":6,"output_tokens":5,"output_tokens_details":{"thinking_tokens":1}},"total_cost_usd":0.000884,"is_error":false,"subtype":"success","result":"it is noon","type":"result"}"#;
    let lines = [
        INIT,
        START,
        &delta("let me "),
        &delta("see"),
        &whole("let me see"),
        CALL,
        TOOL_DONE,
        START,
        &delta("it is "),
        &delta("noon"),
        &whole("it is noon"),
        result,
    ];
    let before = Usage {
        cost_microdollars: Some(500),
        ..Usage::default()
    };
    let (events, verdict) = read_after("claude", Some(before), &lines, &exited(0));
    assert_eq!(
        events,
        [
            session("s-1"),
            said("let me "),
            said("see"),
            MessageEnded,
            tool("date"),
            said("it is "),
            said("noon"),
            MessageEnded
        ]
    );
    assert_eq!(verdict.result.as_deref(), Ok("it is noon"));
    let usage = Usage {
        cached_input_tokens: 6,
        reasoning_tokens: 1,
        cost_microdollars: Some(384),
        ..tokens(20, 5)
    };
    assert_eq!(verdict.usage, Some(usage));
    let total = verdict.usage_total.unwrap();
    assert_eq!(total.cost_microdollars, Some(884));
}

#[test]
fn a_message_that_was_cut_and_came_whole_is_completed_or_said_anew() {
    let completed = [delta("one "), whole("one two")];
    let lines = completed.each_ref().map(String::as_str);
    let (events, _) = read("claude", &lines, &exited(0));
    assert_eq!(events, [said("one "), said("two"), MessageEnded]);

    let other = [delta("uno "), whole("one two")];
    let lines = other.each_ref().map(String::as_str);
    let (events, _) = read("claude", &lines, &exited(0));
    assert_eq!(
        events,
        [said("uno "), MessageEnded, said("one two"), MessageEnded]
    );
}

#[test]
fn a_subagent_of_claude_is_not_heard_but_its_tools_are_seen() {
    let line = r#"{"type":"assistant","parent_tool_use_id":"call-1","message":{"content":[{"type":"text","text":"psst"},{"type":"tool_use","name":"Read","input":{"file_path":"a"}}]}}"#;
    let (events, _) = read("claude", &[line], &exited(0));
    assert_eq!(events, [tool("Read")]);
}

#[test]
fn an_api_error_of_claude_is_a_failure_whatever_its_subtype_says() {
    let lines = [
        INIT,
        r#"{"type":"system","subtype":"api_retry","attempt":1,"max_retries":3,"error_status":401,"error":"authentication_failed"}"#,
        r#"{"type":"assistant","message":{"model":"<synthetic>","content":[{"type":"text","text":"API says 401"}]},"is_api_error_message":true}"#,
        r#"{"is_error":true,"subtype":"success","result":"API says 401","type":"result"}"#,
    ];
    for code in [0, 1] {
        let (events, verdict) = read("claude", &lines, &exited(code));
        let retry = trouble("asks its model again (1 of 3): 401 authentication_failed");
        assert_eq!(events, [session("s-1"), retry, trouble("API says 401")]);
        assert_eq!(failure(&verdict), (TurnFailed, "API says 401"));
    }
}

#[test]
fn claude_says_what_is_wrong_where_there_is_no_result_to_show() {
    let unknown = r#"{"type":"result","subtype":"error_during_execution","is_error":true,"errors":["no conversation s-9"]}"#;
    let (_, verdict) = read("claude", &[unknown], &exited(1));
    assert_eq!(failure(&verdict), (TurnFailed, "no conversation s-9"));

    let limited = r#"{"type":"result","subtype":"error_max_turns","is_error":false}"#;
    let (_, verdict) = read("claude", &[limited], &exited(0));
    assert_eq!(failure(&verdict), (TurnFailed, "error_max_turns"));
}

#[test]
fn an_interrupted_turn_has_no_answer_though_something_was_said() {
    for (name, code, expected) in [("claude", 143, TurnFailed), ("qwen", 0, NoAnswer)] {
        let (events, verdict) = read(name, &[INIT, &whole("half")], &exited(code));
        assert_eq!(events, [session("s-1"), said("half"), MessageEnded]);
        assert_eq!(failure(&verdict).0, expected);
    }
}

#[test]
fn qwen_counts_its_messages_not_its_session() {
    let state = r#"{"type":"stream_event","event":{"type":"goal_state","goal_state":{}}}"#;
    let result = r#"{"type":"result","subtype":"success","is_error":false,"result":"done","usage":{"input_tokens":900,"output_tokens":90}}"#;
    let lines = [
        INIT,
        state,
        &whole("wait"),
        CALL,
        TOOL_DONE,
        &whole("done"),
        result,
    ];
    let (events, verdict) = read("qwen", &lines, &exited(0));
    assert_eq!(
        events,
        [
            session("s-1"),
            said("wait"),
            MessageEnded,
            tool("date"),
            said("done"),
            MessageEnded
        ]
    );
    assert_eq!(verdict.result.as_deref(), Ok("done"));
    assert_eq!(verdict.usage, Some(tokens(14, 4)));
    assert_eq!(verdict.usage_total, None);
}

#[test]
fn an_error_of_qwen_is_told_in_its_words() {
    let result = r#"{"type":"result","subtype":"error_during_execution","is_error":true,"error":{"message":"401 from the model"}}"#;
    let (_, verdict) = read("qwen", &[INIT, result], &exited(1));
    assert_eq!(failure(&verdict), (TurnFailed, "401 from the model"));
}
