use chrono::DateTime;
use proptest::prelude::*;
use serde_json::{Value, json};
use uuid::Uuid;

use super::*;
use crate::domain::ids::{ContextId, MessageId};

fn message(form: InboxForm, body: &str) -> StoredMessage {
    StoredMessage {
        traceparent: None,
        id: MessageId::new(Uuid::nil()),
        received_at: DateTime::UNIX_EPOCH,
        context_id: Some(ContextId::new("tg:1")),
        prompt: Some("hé \"you\"".into()),
        form,
        body: Some(Bytes::copy_from_slice(body.as_bytes())),
        reply_due: None,
    }
}

fn text(form: InboxForm, body: &str) -> String {
    render(&message(form, body), None, &ItemExtras::default()).to_file_text()
}

#[test]
fn a_whole_message_is_its_json_sorted_with_added_keys() {
    let body = r#"{"z":[],"b":{},"a":[1.50,-0,1E5,{"y":null,"é":"⟦\u0041\/\u0001\u007f\ud83d\ude00"}],"Z":"\ta\\b","context_id":"theirs","a\"b":true}"#;
    let expected = "{\n  \"Z\": \"\\ta\\\\b\",\n  \"a\": [\n    1.50,\n    -0,\n    1E5,\n    {\n      \"y\": null,\n      \"é\": \"⟦A/\\u0001\u{7f}😀\"\n    }\n  ],\n  \"a\\\"b\": true,\n  \"b\": {},\n  \"context_id\": \"tg:1\",\n  \"latest-user-prompt\": \"hé \\\"you\\\"\",\n  \"z\": []\n}\n";
    assert_eq!(text(InboxForm::Whole, body), expected);
}

#[test]
fn a_repeat_holds_its_context_and_prompt() {
    let expected =
        "{\n  \"context_id\": \"tg:1\",\n  \"latest-user-prompt\": \"hé \\\"you\\\"\"\n}\n";
    assert_eq!(text(InboxForm::Repeat, "{\"a\":1}"), expected);
}

#[test]
fn a_repeat_may_keep_the_request_under_a_key() {
    let kept: Value =
        serde_json::from_str(&text(InboxForm::RepeatWithMessage, "{\"a\":[1]}")).unwrap();
    assert_eq!(
        kept,
        json!({"context_id": "tg:1", "latest-user-prompt": "hé \"you\"", "message": {"a": [1]}})
    );
}

#[test]
fn what_is_no_object_is_written_as_it_is() {
    for (body, expected) in [
        ("null", "null\n"),
        (" [1, \"x\"]", "[\n  1,\n  \"x\"\n]\n"),
        ("\"a\\/b\"", "\"a/b\"\n"),
    ] {
        let item = render(
            &message(InboxForm::Whole, body),
            Some("reply"),
            &ItemExtras::default(),
        );
        assert_eq!(item.to_file_text(), expected);
    }
}

#[test]
fn reply_and_extras_are_added_in_every_form() {
    let extras = ItemExtras {
        instruction: Some("do".into()),
        skill_path: Some("/s".into()),
    };
    for form in [
        InboxForm::Whole,
        InboxForm::Repeat,
        InboxForm::RepeatWithMessage,
    ] {
        let item = render(
            &message(form, "{\"instruction\":1}"),
            Some("hello"),
            &extras,
        );
        let read: Value = serde_json::from_str(&item.to_file_text()).unwrap();
        assert_eq!(read["backend-llm-reply"], "hello");
        assert!(
            read["backend-llm-instruction"]
                .as_str()
                .is_some_and(|text| !text.is_empty())
        );
        assert_eq!(read["instruction"], "do");
        assert_eq!(read["openclaw_message_cli_skill_path"], "/s");
    }
    let plain: Value = serde_json::from_str(&text(InboxForm::Repeat, "{}")).unwrap();
    assert_eq!(plain.as_object().unwrap().len(), 2);
}

#[test]
fn keys_without_a_value_of_ours_stay_the_clients() {
    let mut message = message(
        InboxForm::Whole,
        r#"{"context_id":"c","latest-user-prompt":"p","backend-llm-reply":"r"}"#,
    );
    message.context_id = None;
    message.prompt = None;
    let read: Value =
        serde_json::from_str(&render(&message, None, &ItemExtras::default()).to_file_text())
            .unwrap();
    assert_eq!(
        read,
        json!({"context_id": "c", "latest-user-prompt": "p", "backend-llm-reply": "r"})
    );
}

#[test]
fn a_batch_is_the_newest_form_and_all_in_order() {
    let first = render(
        &message(InboxForm::Whole, "{\"n\":1}"),
        None,
        &ItemExtras::default(),
    );
    let second = render(
        &message(InboxForm::Repeat, "{}"),
        Some("r"),
        &ItemExtras::default(),
    );
    let batch: Value =
        serde_json::from_str(&render_batch(vec![first.clone(), second.clone()]).to_file_text())
            .unwrap();
    let alone = |item: &InboxItem| serde_json::from_str::<Value>(&item.to_file_text()).unwrap();
    let mut expected = alone(&second);
    expected["batch"] = json!([alone(&first), alone(&second)]);
    assert_eq!(batch, expected);
    assert_eq!(render_batch(vec![first.clone()]), first);
}

#[test]
fn repeated_and_magic_keys_are_written_as_python_reads_them() {
    let body =
        r#"{"a":1,"a":{"$serde_json::private::Number":"1"},"$serde_json::private::RawValue":"{"}"#;
    let written = text(InboxForm::Whole, body);
    assert!(
        written.contains("\"a\": {\n    \"$serde_json::private::Number\": \"1\"\n  },\n"),
        "{written}"
    );
    assert!(
        written.contains("\"$serde_json::private::RawValue\": \"{\",\n"),
        "{written}"
    );
    assert!(!written.contains("\"a\": 1"), "{written}");
}

#[test]
fn the_deepest_document_is_written() {
    let body = format!("{}{}", "[".repeat(127), "]".repeat(127));
    assert!(text(InboxForm::RepeatWithMessage, &body).len() > 127 * 127);
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(any::<String>(), inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_written_reads_back_the_same(value in json_value()) {
        let body = json!({"v": value, "w": [value]});
        let written = text(InboxForm::Whole, &body.to_string());
        let mut expected = body;
        expected["context_id"] = json!("tg:1");
        expected["latest-user-prompt"] = json!("hé \"you\"");
        prop_assert_eq!(serde_json::from_str::<Value>(&written).unwrap(), expected.clone());
        prop_assert_eq!(written, format!("{expected:#}\n"));
    }
}
