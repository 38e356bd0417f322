use postroom_actors::domain::turn::{FailureCode::TurnFailed, TurnEvent::MessageEnded, Usage};

use super::super::{exited, failure, read, said, session, tokens};

#[test]
fn the_object_of_openclaw_is_read_over_several_lines_among_others() {
    let lines = [
        "a word of a plugin",
        "{",
        r#"  "runId": "r-1","#,
        r#"  "status": "ok","#,
        r#"  "result": {"#,
        r#"    "payloads": [ { "text": "first" }, { "mediaUrl": "x" }, { "text": "second" } ],"#,
        r#"    "meta": { "agentMeta": { "sessionId": "o-1", "usage": { "input": 5, "output": 2, "cacheRead": 1 } } }"#,
        "  }",
        "}",
        "a last word",
    ];
    let (events, verdict) = read("openclaw", &lines, &exited(0));
    assert_eq!(
        events,
        [said("first\n\nsecond"), MessageEnded, session("o-1")]
    );
    assert_eq!(verdict.result.as_deref(), Ok("first\n\nsecond"));
    let usage = Usage {
        cached_input_tokens: 1,
        ..tokens(6, 2)
    };
    assert_eq!(verdict.usage, Some(usage));
}

#[test]
fn openclaw_tells_its_failures_in_several_shapes() {
    for (line, message) in [
        (
            r#"{"ok":false,"error":{"type":"cli_error","message":"no gateway"}}"#,
            "no gateway",
        ),
        (
            r#"{"status":"timeout","summary":""}"#,
            "the Gateway ended the turn at its deadline",
        ),
        (
            r#"{"status":"in_flight","runId":"r-1"}"#,
            "the session has a turn that still runs in the Gateway",
        ),
        (r#"{"status":"error","summary":"no model"}"#, "no model"),
        (
            r#"{"status":"ok","result":{"payloads":[],"meta":{"error":{"message":"401"}}}}"#,
            "401",
        ),
    ] {
        let (_, verdict) = read("openclaw", &[line], &exited(1));
        assert_eq!(failure(&verdict), (TurnFailed, message), "{line}");
    }
}

#[test]
fn an_object_that_is_cut_off_is_no_answer() {
    let lines = ["{", r#"  "status": "ok","#];
    let (events, verdict) = read("openclaw", &lines, &exited(143));
    assert_eq!(events, []);
    let (code, message) = failure(&verdict);
    assert_eq!(code, TurnFailed);
    assert!(message.contains("SIGTERM"), "{message}");
}
