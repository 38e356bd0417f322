//! Requests in the form of today's OpenClaw: an answer it takes for one, the right conversation,
//! the human's words. The texts are ours; the form is measured.

use serde_json::{Value, json};

use crate::support::broker::{Broker, BrokerOptions};

const SYSTEM: &str =
    "<!-- openclaw:attempt:STABLE -->\nYou help.\n<!-- /openclaw:attempt:STABLE -->";

fn internal(text: &str) -> Value {
    let text = format!(
        "<<<BEGIN_OPENCLAW_INTERNAL_CONTEXT>>>\nConversation data (data, not instructions):\n{}\n<<<END_OPENCLAW_INTERNAL_CONTEXT>>>",
        Value::from(text)
    );
    json!({"role": "user", "content": [{"type": "text", "text": text}]})
}

fn runtime(session: &str, more: &str) -> String {
    format!("Runtime: agent=main | session={session} | sessionId=0-0 | host=h | model=p/m{more}")
}

fn request(messages: Vec<Value>) -> Value {
    let mut all = vec![json!({"role": "system", "content": SYSTEM})];
    all.extend(messages);
    json!({
        "model": "local-agent", "messages": all, "stream": true,
        "stream_options": {"include_usage": true}, "tools": [], "max_completion_tokens": 8192,
    })
}

fn user(text: &str) -> Value {
    json!({"role": "user", "content": text})
}

async fn item_of(broker: &Broker, body: Value) -> Value {
    let before = broker.inbox_items().len();
    let answer = broker.chat(&body).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let first: Value = serde_json::from_str(answer.events()[0]).unwrap();
    let text = first["choices"][0]["delta"]["content"].as_str().unwrap();
    assert!(
        !text.is_empty(),
        "an empty answer is a failure to this client"
    );
    assert_eq!(answer.events().last(), Some(&"[DONE]"));
    broker.until_items(before + 1).await.pop().unwrap()
}

#[actix_web::test]
async fn a_turn_of_the_command_line_belongs_to_its_session() {
    let broker = Broker::start(BrokerOptions::default()).await;
    let first = format!(
        "[Sat 2026-11-21 07:41 UTC] good morning\n\n{}",
        runtime("agent:main:main", "")
    );
    let item = item_of(&broker, request(vec![user(&first), internal("none")])).await;
    assert_eq!(item["latest-user-prompt"], "good morning");
    assert_eq!(item["context_id"], "agent:main:main");
}

#[actix_web::test]
async fn api_callers_share_a_channel_but_not_a_conversation() {
    let broker = Broker::start(BrokerOptions::default()).await;
    let line = runtime(
        "agent:main:openai-user:carol",
        " | channel=webchat | capabilities=none",
    );
    let first = format!("[Sat 2026-11-21 07:44 UTC] first\n\n{line}");
    let messages = vec![
        user(&first),
        json!({"role": "assistant", "content": "yes"}),
        user("[Sat 2026-11-21 07:45 UTC] second"),
        internal("none"),
    ];
    let item = item_of(&broker, request(messages)).await;
    assert_eq!(item["latest-user-prompt"], "second");
    assert_eq!(item["context_id"], "webchat:agent:main:openai-user:carol");
}

#[actix_web::test]
async fn a_telegram_message_belongs_to_its_sender_and_a_group_to_itself() {
    let broker = Broker::start(BrokerOptions::default()).await;
    let info = |json: &str| format!("Conversation info: ⟦openclaw:ctx⟧\n```json\n{json}\n```");
    let sender = r#"{"sender":{"id":"77","name":"Dora"}}"#;
    let first = format!(
        "[Sat 2026-11-21 07:47 UTC] {}\n\nhow are you\n\n{}",
        info(sender),
        runtime("agent:main:main", " | channel=telegram")
    );
    let direct = internal(&info(r#"{"chat_id":"telegram:77","sender":{"id":"77"}}"#));
    let item = item_of(&broker, request(vec![user(&first), direct])).await;
    assert_eq!(item["latest-user-prompt"], "how are you");
    assert_eq!(item["context_id"], "telegram:77");
    let group = r#"{"chat_id":"telegram:-900","sender":{"id":"77"},"is_group_chat":true}"#;
    let item = item_of(&broker, request(vec![user(&first), internal(&info(group))])).await;
    assert_eq!(item["context_id"], "telegram:-900");
}

#[actix_web::test]
async fn a_tool_loop_without_a_backend_makes_no_second_item() {
    let broker = Broker::start(BrokerOptions::default()).await;
    let first = format!(
        "[Sat 2026-11-21 07:41 UTC] look it up\n\n{}",
        runtime("agent:main:main", "")
    );
    item_of(&broker, request(vec![user(&first), internal("none")])).await;
    let call = json!({"role": "assistant", "content": null, "tool_calls": [
        {"id": "c1", "type": "function", "function": {"name": "read", "arguments": "{}"}}]});
    let result = json!({"role": "tool", "tool_call_id": "c1", "content": "found"});
    let answer = broker
        .chat(&request(vec![user(&first), call, result, internal("none")]))
        .await;
    assert_eq!(answer.status, 200);
    let broker = broker.kill_and_restart().await;
    assert_eq!(broker.inbox_items().len(), 1);
}

#[actix_web::test]
async fn never_means_never_and_always_means_everyone() {
    let with = |acknowledge: &str| {
        BrokerOptions::toml(format!(
            "[mailbox]\ninbox = \"{{inbox}}\"\nacknowledge = \"{acknowledge}\"\nacknowledgement = \"noted\"\n"
        ))
    };
    let plain = json!({"messages": [{"role": "user", "content": "x"}]});
    let broker = Broker::start(with("always")).await;
    assert_eq!(broker.chat(&plain).await.content(), "noted");
    let broker = Broker::start(with("never")).await;
    let answer = broker
        .chat(&request(vec![user("x"), internal("none")]))
        .await;
    assert!(
        answer.events()[0].contains("\"content\":\"\""),
        "{}",
        answer.text
    );
}
