use chrono::TimeZone;
use serde_json::{Value, json};
use uuid::Uuid;

use super::*;

fn agent() -> AgentId {
    AgentId::parse("engineer_alice").unwrap()
}

fn facts(agent: &AgentId) -> PromptFacts<'_> {
    PromptFacts {
        agent,
        manager_template: None,
        is_resumed: false,
        is_repeat: false,
        today: NaiveDate::from_ymd_opt(2026, 11, 21).unwrap(),
    }
}

fn task(number: u128, origin: TaskOrigin, body: &[u8]) -> TaskForPrompt<'_> {
    TaskForPrompt {
        id: MessageId::new(Uuid::from_u128(number)),
        origin,
        body,
        received_at: Utc.with_ymd_and_hms(2026, 11, 21, 7, 5, 9).unwrap(),
        sender: Some("bob"),
        reply_instructions: None,
    }
}

fn rendered(origin: TaskOrigin, body: &Value, is_resumed: bool) -> String {
    let body = body.to_string();
    let agent = agent();
    let facts = PromptFacts {
        is_resumed,
        ..facts(&agent)
    };
    let task = task(1, origin, body.as_bytes());
    render(&[task], &facts).unwrap().to_string()
}

fn chat(messages: &Value, is_resumed: bool) -> String {
    rendered(TaskOrigin::Chat, &json!({"messages": messages}), is_resumed)
}

#[test]
fn one_user_message_is_the_prompt_as_it_is() {
    let messages = json!([{"role": "user", "content": "fix the tests\n"}]);
    assert_eq!(chat(&messages, false), "fix the tests\n");
    assert_eq!(chat(&messages, true), "fix the tests\n");
    let prompt = rendered(TaskOrigin::Response, &json!({"input": "fix"}), false);
    assert_eq!(prompt, "fix");
}

#[test]
fn a_new_session_is_told_everything() {
    let messages = json!([
        {"role": "system", "content": "be kind"},
        {"role": "developer", "content": "be brief"},
        {"role": "user", "content": "first"},
        {"role": "assistant", "content": null, "tool_calls": [
            {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{\"at\":1}"}}]},
        {"role": "tool", "tool_call_id": "c1", "content": "seen"},
        {"role": "assistant", "content": "second"},
        {"role": "user", "content": "third"},
        {"role": "user", "content": "fourth"},
    ]);
    let expected = "# Instructions\n\nbe kind\n\nbe brief\n\n\
        # Conversation so far\n\nUser: first\n\nTool call `look`: {\"at\":1}\n\n\
        Tool result `c1`: seen\n\nAssistant: second\n\n\
        # Message\n\nthird\n\nfourth";
    assert_eq!(chat(&messages, false), expected);
}

#[test]
fn a_resumed_session_is_told_what_is_new() {
    let user = |text: &str| json!({"role": "user", "content": text});
    let assistant = |text: &str| json!({"role": "assistant", "content": text});
    let system = json!({"role": "system", "content": "be kind"});
    for (messages, expected) in [
        (json!([system, user("a"), assistant("b"), user("c")]), "c"),
        (
            json!([user("a"), assistant("b"), user("c"), user("d")]),
            "c\n\nd",
        ),
        (json!([user("a"), user("b")]), "a\n\nb"),
        (
            json!([system, user("a")]),
            "# Instructions\n\nbe kind\n\n# Message\n\na",
        ),
        (
            json!([user("a"), assistant("b")]),
            "User: a\n\nAssistant: b",
        ),
    ] {
        assert_eq!(chat(&messages, true), expected, "{messages}");
    }
}

#[test]
fn the_notes_of_a_client_are_no_words_of_a_user() {
    let notes = "<<<BEGIN_OPENCLAW_INTERNAL_CONTEXT>>>\nnone running";
    let words = json!({"role": "user", "content": "hello"});
    let synthetic = json!({"role": "user", "content": [{"type": "text", "text": notes}]});
    let prompt = chat(&json!([words, synthetic]), false);
    assert_eq!(
        prompt,
        format!("User: hello\n\nNotes of the client: {notes}")
    );
    let body = json!({"messages": [synthetic]}).to_string();
    assert!(!has_input(TaskOrigin::Chat, body.as_bytes()));
}

#[test]
fn items_of_a_response_are_read_like_messages() {
    let body = json!({
        "instructions": "be kind",
        "metadata": {"ticket": "7"},
        "input": [
            {"role": "user", "content": "first"},
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "second"}]},
            {"type": "reasoning", "summary": []},
            {"type": "function_call", "call_id": "c1", "name": "look", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c1", "output": "seen"},
            {"type": "mystery"},
        ],
    });
    let expected = "# Instructions\n\nbe kind\n\n# Metadata\n\n{\"ticket\":\"7\"}\n\n\
        # Message\n\nTool result `c1`: seen\n\nNote: [an item of type `mystery`, not shown]";
    assert_eq!(rendered(TaskOrigin::Response, &body, true), expected);
    let whole = rendered(TaskOrigin::Response, &body, false);
    assert!(
        whole.contains("User: first\n\nAssistant: second\n\nTool call `look`: {}\n\n# Message"),
        "{whole}"
    );
}

#[test]
fn what_is_not_text_is_named() {
    let prompt = chat(
        &json!([{"role": "user", "content": [
            {"type": "text", "text": "look"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
            {"type": "input_audio"},
            {"type": "file", "file": {"filename": "a\nb.pdf"}},
            {"type": "hologram"},
        ]}]),
        false,
    );
    let expected = "look\n[an image, not shown]\n[a sound recording, not shown]\n\
        [the file `a\\nb.pdf`, not shown]\n[a part of type `hologram`, not shown]";
    assert_eq!(prompt, expected);
}

#[test]
fn a_peers_message_is_given_as_it_was_sent() {
    let body = br#"{"type":"TASK","payload":{"z":1.50, "a":[]},"in_reply_to":"m1"}"#;
    let agent = agent();
    let task = TaskForPrompt {
        reply_instructions: Some("Answer with `STATUS`."),
        ..task(1, TaskOrigin::Message, body)
    };
    let prompt = render(&[task], &facts(&agent)).unwrap();
    let expected = "A message of type `TASK`.\n\nPayload:\n{\"z\":1.50, \"a\":[]}\n\n\
        Further fields:\n\"in_reply_to\": \"m1\"\n\nAnswer with `STATUS`.";
    assert_eq!(&*prompt, expected);
}

#[test]
fn several_tasks_are_numbered_in_order_and_one_is_not() {
    let (one, two) = (
        br#"{"messages":[{"role":"user","content":"first"}]}"#,
        br#"{"type":"TASK","payload":2}"#,
    );
    let agent = agent();
    let tasks = [
        task(1, TaskOrigin::Chat, one),
        TaskForPrompt {
            sender: None,
            ..task(2, TaskOrigin::Message, two)
        },
    ];
    let prompt = render(&tasks, &facts(&agent)).unwrap();
    let expected = "2 messages have come in. Work on all of them, in this order, and answer them \
        together.\n\n\
        === Message 1 of 2 | id 00000000-0000-0000-0000-000000000001 | received \
        2026-11-21T07:05:09Z | from bob ===\n\nfirst\n\n\
        === Message 2 of 2 | id 00000000-0000-0000-0000-000000000002 | received \
        2026-11-21T07:05:09Z | from unknown ===\n\nA message of type `TASK`.\n\nPayload:\n2";
    assert_eq!(&*prompt, expected);
}

#[test]
fn a_repeat_says_so_first() {
    let agent = agent();
    let facts = PromptFacts {
        is_repeat: true,
        ..facts(&agent)
    };
    let body = br#"{"input":"go"}"#;
    let prompt = render(&[task(1, TaskOrigin::Response, body)], &facts).unwrap();
    assert!(prompt.starts_with("Note: this is a repeat."), "{prompt}");
    assert!(prompt.contains("tools may have run"), "{prompt}");
    assert!(prompt.ends_with("\n\ngo"), "{prompt}");
}

fn by_manager(template: &str, body: &Value) -> String {
    let agent = AgentId::parse("manager").unwrap();
    let facts = PromptFacts {
        manager_template: Some(template),
        ..facts(&agent)
    };
    let body = body.to_string();
    let task = task(1, TaskOrigin::Chat, body.as_bytes());
    render(&[task], &facts).unwrap().to_string()
}

#[test]
fn the_manager_is_told_who_it_is_and_what_was_asked_for() {
    let prompt = by_manager(
        DEFAULT_MANAGER_TEMPLATE,
        &json!({
            "model": "gpt-x",
            "metadata": {"ticket": "7"},
            "messages": [
                {"role": "system", "content": "be kind"},
                {"role": "user", "content": "plan it"},
            ],
        }),
    );
    for part in [
        "You are `manager`",
        "2026-11-21",
        "Requested target: gpt-x\n",
        "Metadata: {\"ticket\":\"7\"}\n",
        "# System instructions\n\nbe kind\n",
    ] {
        assert!(prompt.contains(part), "{part}: {prompt}");
    }
    assert!(prompt.ends_with("# User input\n\nplan it"), "{prompt}");
    assert!(!prompt.contains("{{"), "{prompt}");
}

#[test]
fn what_is_put_into_a_template_is_not_looked_through() {
    let body = |text: &str| json!({"messages": [{"role": "user", "content": text}]});
    for (template, text, expected) in [
        ("{{ input }}|{{target}}", "{{target}}", "{{target}}|none"),
        ("{{unknown}} {{input}}", "x", "{{unknown}} x"),
        ("{{ {{input}}", "x", "{{ x"),
        ("no place for it\n", "x", "no place for it\n\nx"),
    ] {
        assert_eq!(by_manager(template, &body(text)), expected, "{template}");
    }
}

#[test]
fn a_batch_for_the_manager_is_one_prompt() {
    let agent = AgentId::parse("manager").unwrap();
    let facts = PromptFacts {
        manager_template: Some("to {{target}}: {{instructions}}: {{input}}"),
        ..facts(&agent)
    };
    let one = br#"{"model":"a","instructions":"be kind","input":"first"}"#;
    let two = br#"{"model":"b","input":"second"}"#;
    let tasks = [
        task(1, TaskOrigin::Response, one),
        task(2, TaskOrigin::Response, two),
    ];
    let prompt = render(&tasks, &facts).unwrap();
    assert!(
        prompt.starts_with("to a, b: given with each message: 2 messages have come in."),
        "{prompt}"
    );
    assert!(
        prompt.contains("# Instructions\n\nbe kind\n\n# Message\n\nfirst\n"),
        "{prompt}"
    );
    assert!(prompt.ends_with("===\n\nsecond"), "{prompt}");
}

#[test]
fn nothing_to_work_on_is_an_error() {
    let agent = agent();
    for (origin, body) in [
        (TaskOrigin::Chat, r#"{"messages":[]}"#),
        (
            TaskOrigin::Chat,
            r#"{"messages":[{"role":"user","content":" \n"}]}"#,
        ),
        (
            TaskOrigin::Chat,
            r#"{"messages":[{"role":"system","content":"x"}]}"#,
        ),
        (
            TaskOrigin::Chat,
            r#"{"messages":[{"role":"assistant","content":"x"}]}"#,
        ),
        (
            TaskOrigin::Chat,
            r#"{"messages":[{"role":"tool","content":"x"}]}"#,
        ),
        (
            TaskOrigin::Chat,
            r#"{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"},{"role":"user","content":""}]}"#,
        ),
        (TaskOrigin::Chat, "[]"),
        (TaskOrigin::Response, r#"{"input":""}"#),
        (TaskOrigin::Response, r#"{"input":[]}"#),
        (TaskOrigin::Response, r#"{"instructions":"x"}"#),
        (TaskOrigin::Message, r#"{"to":"x"}"#),
    ] {
        assert!(!has_input(origin, body.as_bytes()), "{body}");
        for is_resumed in [false, true] {
            let facts = PromptFacts {
                is_resumed,
                ..facts(&agent)
            };
            let rendered = render(&[task(1, origin, body.as_bytes())], &facts);
            assert_eq!(rendered, Err(PromptError::Empty), "{body}");
        }
    }
}

#[test]
fn a_body_that_cannot_be_read_is_named() {
    let agent = agent();
    let rendered = render(&[task(1, TaskOrigin::Chat, b"{")], &facts(&agent));
    assert!(
        matches!(rendered, Err(PromptError::Unreadable { .. })),
        "{rendered:?}"
    );
    assert!(!has_input(TaskOrigin::Chat, b"{"));
}
