use serde_json::{Value, json};

use crate::domain::request::{HeaderHints, RequestFacts, read_request};

fn read(body: &Value) -> RequestFacts {
    let hints = HeaderHints {
        channel: Some("ignored"),
        affinity: Some("ignored"),
    };
    read_request(body.to_string().as_bytes(), hints).unwrap()
}

fn id(body: &Value) -> Option<String> {
    read(body).context_id.map(|id| id.as_str().to_owned())
}

fn user(content: &str) -> Value {
    json!({"channel": "c", "messages": [{"role": "user", "content": content}]})
}

#[test]
fn each_field_names_a_channel_or_a_target_in_its_turn() {
    let channels = [
        "channel",
        "context_id",
        "thread_id",
        "thread",
        "conversation_id",
        "chat_id",
    ];
    for (place, key) in channels.iter().enumerate() {
        let mut body = json!({});
        for later in &channels[place..] {
            body[later] = json!(later);
        }
        assert_eq!(id(&body).as_deref(), Some(*key));
    }
    let targets = ["target", "user_id", "recipient", "to"];
    for (place, key) in targets.iter().enumerate() {
        let mut body = json!({"channel": "c"});
        for later in &targets[place..] {
            body[later] = json!(later);
        }
        assert_eq!(id(&body), Some(format!("c:{key}")));
    }
}

#[test]
fn blank_values_and_other_types_do_not_count_and_values_are_trimmed() {
    assert_eq!(
        id(&json!({"channel": " \u{1c}\u{3000}", "thread": "\u{1f} t \n"})).as_deref(),
        Some("t")
    );
    assert_eq!(
        id(&json!({"channel": 5, "thread": ["t"], "chat_id": null})),
        None
    );
    assert_eq!(id(&json!({"target": "t"})), None);
    assert_eq!(
        id(&json!({"channel": "\u{200b}"})).as_deref(),
        Some("\u{200b}")
    );
}

#[test]
fn the_system_message_names_a_channel() {
    let system = |content: Value| json!({"messages": [{"role": "system", "content": content}]});
    for (content, expected) in [
        ("a | channel=telegram | b", Some("telegram")),
        ("|channel=x", Some("x")),
        ("|\u{1c}\n channel=x|y", Some("x")),
        ("channel=x", None),
        ("| channel= y", None),
        ("| channel=| channel=z", Some("z")),
        ("| xchannel=z", None),
    ] {
        assert_eq!(
            id(&system(json!(content))).as_deref(),
            expected,
            "{content}"
        );
    }
    assert_eq!(
        id(&system(json!([{"type": "text", "text": "| channel=x"}]))),
        None
    );
}

#[test]
fn a_fenced_block_names_the_target() {
    for (content, expected) in [
        ("```json\n{\"sender_id\": \" 7 \"}\n```", "c:7"),
        ("```json{\"id\":\"7\"}```", "c:7"),
        ("```json\n{\"a\":{\"id\":\"1\"},\"to\":\"2\"}\n```", "c:2"),
        ("```json\n{\"id\":5,\"e164\":\"+1\"}\n```", "c:+1"),
        ("```json\n[{\"id\":\"5\"}]\n```", "c"),
        ("```json\nx {\"id\":\"5\"}\n```", "c"),
        ("```\n{\"id\":\"5\"}\n```", "c"),
        (
            "```json\n{broken}\n```\n```json\n{\"id\":\"5\"}\n```",
            "c:5",
        ),
        (
            "```json\n{\"x\":\"1\"}\n```\n```json\n{\"id\":\"5\"}\n```",
            "c:5",
        ),
        ("```json{\"x\":1}{\"y\":2}```json{\"id\":\"z\"}```", "c"),
        ("```json\n{\"id\":\"a```b\"}\n```", "c:a```b"),
        ("```json\n{\"x\":NaN,\"id\":\"5\"}\n```", "c:5"),
        ("```json\n{\"id\":\"5\"}", "c"),
        ("```json{```", "c"),
    ] {
        assert_eq!(id(&user(content)).as_deref(), Some(expected), "{content}");
    }
}

#[test]
fn the_newest_user_message_with_a_block_counts() {
    let block =
        |id: &str| json!({"role": "user", "content": format!("```json{{\"id\":\"{id}\"}}```")});
    let body = json!({"channel": "c", "messages": [
        block("old"), block("new"), {"role": "user", "content": "plain"},
        {"role": "assistant", "content": "```json{\"id\":\"no\"}```"},
    ]});
    assert_eq!(id(&body).as_deref(), Some("c:new"));
}

#[test]
fn the_prompt_is_the_newest_user_text() {
    let prompt = |messages: Value| read(&json!({"messages": messages})).prompt;
    let cases = [
        (
            json!([{"role":"user","content":"a"},{"role":"user","content":""}]),
            Some("a"),
        ),
        (json!([{"role":"user","content":"   "}]), Some("   ")),
        (
            json!([{"role":"user","content":"a"},{"role":"user","content":[{"type":"image_url"}]}]),
            Some("a"),
        ),
        (
            json!([{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":""},{"type":"x","text":"n"},{"type":"text","text":"b"}]}]),
            Some("a\nb"),
        ),
        (json!([{"role":"user","content":5}]), None),
        (json!([{"role":"assistant","content":"a"}, 5, null]), None),
        (json!({"role":"user"}), None),
    ];
    for (messages, expected) in cases {
        assert_eq!(prompt(messages.clone()).as_deref(), expected, "{messages}");
    }
}

#[test]
fn hostile_fences_take_linear_time() {
    for piece in ["```json{", "```json ", "} ", "```", "| channel= ", " "] {
        let facts = read(&user(&piece.repeat(500_000)));
        assert_eq!(
            facts.context_id.map(|id| id.as_str().to_owned()).as_deref(),
            Some("c")
        );
    }
}
