use bytes::Bytes;
use proptest::prelude::*;

use super::*;

const SSE: Option<&str> = Some("text/event-stream; charset=utf-8");
const JSON: Option<&str> = Some("application/json");

fn collect(content_type: Option<&str>, chunks: &[&[u8]]) -> CollectedReply {
    let mut collector = ReplyCollector::new(content_type);
    for chunk in chunks {
        collector.feed(&Bytes::copy_from_slice(chunk));
    }
    collector.finish()
}

fn complete(text: &str) -> CollectedReply {
    CollectedReply {
        text: (!text.is_empty()).then(|| text.to_owned()),
        is_complete: true,
        ..CollectedReply::default()
    }
}

fn partial(text: &str) -> CollectedReply {
    CollectedReply {
        is_complete: false,
        ..complete(text)
    }
}

fn delta(text: &str) -> String {
    format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":{text:?}}}}}]}}\n\n")
}

#[test]
fn json_answers_give_the_first_choices_text() {
    for (body, expected) in [
        (
            r#"{"choices":[{"message":{"content":"hi"}}]}"#,
            complete("hi"),
        ),
        (
            r#"{"choices":[{"index":1,"message":{"content":"b"}},{"index":0,"message":{"content":"a"}}]}"#,
            complete("a"),
        ),
        (
            r#"{"choices":[{"message":{"content":"\u00e9\ud83d\ude00"}}]}"#,
            complete("é😀"),
        ),
        (
            r#"{"choices":[{"message":{"content":null}}]}"#,
            complete(""),
        ),
        (r#"{"choices":[{"message":{"content":[1]}}]}"#, complete("")),
        (r#"{"choices":"none"}"#, complete("")),
        (r#"{"choices":[]}"#, complete("")),
        ("[]", complete("")),
        (r#"{"choices":[{"message":{"content":"hi"}}]"#, partial("")),
        ("", partial("")),
        ("<html>", partial("")),
    ] {
        assert_eq!(collect(JSON, &[body.as_bytes()]), expected, "{body}");
    }
}

#[test]
fn tool_calls_and_errors_are_noticed() {
    for body in [
        r#"{"choices":[{"message":{"content":null,"tool_calls":[{"id":"c"}]},"finish_reason":"tool_calls"}]}"#,
        r#"{"choices":[{"message":{"tool_calls":[{"id":"c"}]},"finish_reason":"stop"}]}"#,
    ] {
        assert!(collect(JSON, &[body.as_bytes()]).has_tool_calls, "{body}");
    }
    let stream = "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0}]}}]}\n\n\
                  data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"tool_calls\"}]}\n\n";
    let seen = collect(SSE, &[stream.as_bytes()]);
    assert!(seen.has_tool_calls && seen.is_complete);
    let failed = collect(
        SSE,
        &[b"data: {\"error\":{\"message\":\"x\"}}\n\ndata: [DONE]\n\n"],
    );
    assert!(failed.has_error && !failed.is_complete);
}

#[test]
fn events_are_read_in_every_form_that_the_standard_allows() {
    for (stream, expected) in [
        (delta("a") + &delta("b") + "data: [DONE]\n\n", complete("ab")),
        (delta("a").replace('\n', "\r\n") + "data: [DONE]\r\n\r\n", complete("a")),
        (delta("a").replace('\n', "\r") + "data: [DONE]\r\r", complete("a")),
        (delta("a").replace("data: ", "data:") + "data:[DONE]\n\n", complete("a")),
        (format!("\u{feff}: hello\n\nevent: x\nid: 1\n{}data: [DONE]\n\n", delta("a")), complete("a")),
        ("data: {\"choices\":[{\"delta\":\ndata: {\"content\":\"a\"},\"finish_reason\":\"stop\"}]}\n\n".to_owned(), complete("a")),
        ("data: {\"choices\":[{\"message\":{\"content\":\"a\"},\"finish_reason\":\"stop\"}]}\n\n".to_owned(), complete("a")),
        (delta("a") + "data: [DONE]", complete("a")),
        (delta("a") + "data: {\"choi", partial("a")),
        (delta("a") + "data: nonsense\n\n" + &delta("b"), partial("ab")),
        ("data: {\"choices\":[],\"usage\":{}}\n\ndata: [DONE]\n\n".to_owned(), complete("")),
        (String::new(), partial("")),
    ] {
        assert_eq!(collect(SSE, &[stream.as_bytes()]), expected, "{stream}");
    }
}

#[test]
fn without_a_content_type_the_first_byte_decides() {
    let json = br#" {"choices":[{"message":{"content":"hi"}}]}"#;
    assert_eq!(collect(None, &[b"\n", json]), complete("hi"));
    let stream = delta("a") + "data: [DONE]\n\n";
    assert_eq!(
        collect(Some("text/plain"), &[stream.as_bytes()]),
        complete("a")
    );
}

#[test]
fn the_position_tells_where_a_comment_may_stand() {
    use StreamPosition::{BetweenEvents, BetweenLines, InsideLine};
    for (stream, expected) in [
        ("", BetweenEvents),
        ("data: 1\n\n", BetweenEvents),
        ("data: 1\n", BetweenLines),
        ("data: 1", InsideLine),
        ("data: 1\r", InsideLine),
        ("data: 1\r\n", BetweenLines),
        ("data: 1\r\n\r\n", BetweenEvents),
    ] {
        let mut collector = ReplyCollector::new(SSE);
        collector.feed(&Bytes::from_static(stream.as_bytes()));
        assert_eq!(collector.position(), expected, "{stream:?}");
    }
}

#[test]
fn what_is_kept_is_bounded() {
    let long = "é".repeat(600 * 1024);
    let mut collector = ReplyCollector::new(SSE);
    for _ in 0..5 {
        collector.feed(&Bytes::from(delta(&long)));
    }
    collector.feed(&Bytes::from(vec![b'x'; 3 * MAX_TEXT]));
    collector.feed(&Bytes::from_static(b"\n\ndata: [DONE]\n\n"));
    let reply = collector.finish();
    assert!(reply.is_complete);
    let text = reply.text.unwrap();
    assert!(text.len() <= MAX_TEXT && text.len() > MAX_TEXT - 4);
    let mut collector = ReplyCollector::new(JSON);
    collector.feed(&Bytes::from_static(b"{}"));
    collector.feed(&Bytes::from(vec![b' '; MAX_JSON]));
    assert!(!collector.finish().is_complete);
}

fn splits(body: &[u8], mut cuts: Vec<usize>) -> Vec<&[u8]> {
    for cut in &mut cuts {
        *cut %= body.len() + 1;
    }
    cuts.extend([0, body.len()]);
    cuts.sort_unstable();
    cuts.windows(2)
        .map(|pair| &body[pair[0]..pair[1]])
        .collect()
}

/// One event whose text is this JSON string.
fn event_of(text: &str) -> String {
    format!("data: {{\"choices\":[{{\"delta\":{{\"content\":{text}}}}}]}}\n\n")
}

proptest! {
    #[test]
    fn any_chunking_gives_the_same_text(
        parts in prop::collection::vec("[a-zé😀\"\\\\\n]{0,6}", 0..6),
        ending in prop::sample::select(vec!["\n", "\r\n", "\r"]),
        cuts in prop::collection::vec(any::<usize>(), 0..12),
    ) {
        let mut stream = String::from(": comment\n\n");
        for part in &parts {
            let text = serde_json::to_string(part).unwrap();
            stream.push_str(&event_of(&text));
        }
        stream += "data: [DONE]\n\n";
        let stream = stream.replace('\n', ending);
        let chunks = splits(stream.as_bytes(), cuts);
        prop_assert_eq!(collect(SSE, &chunks), complete(&parts.concat()));
    }

    #[test]
    fn no_bytes_at_all_upset_it(
        body in prop::collection::vec(any::<u8>(), 0..200),
        cuts in prop::collection::vec(any::<usize>(), 0..5),
    ) {
        for content_type in [SSE, JSON, None] {
            collect(content_type, &splits(&body, cuts.clone()));
        }
    }
}

#[test]
fn tokens_are_known_where_the_backend_tells_them_in_whole_answers_and_in_streams() {
    let told = |usage: &str| {
        let whole = format!(r#"{{"choices":[{{"message":{{"content":"hi"}}}}],"usage":{usage}}}"#);
        let whole = collect(JSON, &[whole.as_bytes()]);
        let last = format!("data: {{\"choices\":[],\"usage\":{usage}}}\n\ndata: [DONE]\n\n");
        let early = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1}}\n\n";
        let null = "data: {\"choices\":[],\"usage\":null}\n\n";
        let stream = collect(SSE, &[early.as_bytes(), last.as_bytes(), null.as_bytes()]);
        assert_eq!(
            (&whole.text, whole.is_complete),
            (&Some("hi".to_owned()), true)
        );
        (whole.usage, stream.usage)
    };
    let usage = |input, output| Some(TokenUsage { input, output });
    let full = r#"{"prompt_tokens":7,"completion_tokens":3,"total_tokens":10,"details":{}}"#;
    assert_eq!(told(full), (usage(7, 3), usage(7, 3)));
    let half = r#"{"prompt_tokens":7}"#;
    assert_eq!(told(half), (usage(7, 0), usage(7, 0)));
    for none in ["null", "{}", "7", r#"{"prompt_tokens":-1}"#, r#""many""#] {
        assert_eq!(told(none), (None, usage(1, 0)), "{none}");
    }
}
