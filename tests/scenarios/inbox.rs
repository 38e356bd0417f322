//! What lands in the inbox.

use serde_json::{Value, json};

use crate::support::{
    broker::{Broker, BrokerOptions, inbox_files},
    client::chat,
    wait::until,
};

#[actix_web::test]
async fn a_request_is_answered_empty_and_lies_in_the_inbox() {
    let broker = Broker::start(BrokerOptions::default()).await;
    let body = chat("hello", json!({"temperature": 0.50, "umlaut": "ä"}));
    let answer = broker.chat(&body).await;
    assert_eq!((answer.status, answer.content().as_str()), (200, ""));
    let answered = answer.json();
    assert!(answered["id"].as_str().unwrap().starts_with("chatcmpl-"));
    assert_eq!(answered["model"], "local-agent");
    let items = broker.until_items(1).await;
    let mut expected = body;
    expected["latest-user-prompt"] = "hello".into();
    assert_eq!(items, [expected]);
    let path = inbox_files(&broker.inbox()).remove(0);
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(
        text.starts_with("{\n  \"latest-user-prompt\": \"hello\",\n  \"messages\""),
        "{text}"
    );
    assert!(
        text.contains("\"umlaut\": \"ä\"") && text.ends_with("}\n"),
        "{text}"
    );
    let name = path.file_stem().unwrap().to_string_lossy().into_owned();
    let (time, id) = name.split_once('-').unwrap();
    assert!(
        time.len() == 14 && time.bytes().all(|b| b.is_ascii_digit()),
        "{name}"
    );
    assert!(
        id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit()),
        "{name}"
    );
}

#[actix_web::test]
async fn a_streamed_answer_ends_as_openai_ends_it() {
    let broker = Broker::start(BrokerOptions::default()).await;
    let body = chat(
        "hi",
        json!({"stream": true, "stream_options": {"include_usage": true}}),
    );
    let answer = broker.chat(&body).await;
    assert_eq!(answer.header("content-type"), Some("text/event-stream"));
    assert_eq!(
        answer.header("cache-control"),
        Some("no-cache, no-transform")
    );
    let events = answer.events();
    let chunk = |index: usize| serde_json::from_str::<Value>(events[index]).unwrap();
    assert_eq!(chunk(0)["choices"][0]["delta"]["content"], "");
    assert_eq!(chunk(1)["choices"][0]["finish_reason"], "stop");
    assert_eq!(chunk(2)["choices"], json!([]));
    assert_eq!(events[3..], ["[DONE]"]);
}

#[actix_web::test]
async fn later_messages_of_a_context_are_short_and_keep_their_order() {
    let broker = Broker::start(BrokerOptions::default()).await;
    for number in 0..20 {
        let fields = json!({"channel": "telegram", "target": "7"});
        broker
            .chat(&chat(&format!("message {number}"), fields))
            .await;
    }
    let items = broker.until_items(20).await;
    assert!(items[0].get("messages").is_some(), "{}", items[0]);
    for (number, item) in items.iter().enumerate().skip(1) {
        let prompt = format!("message {number}");
        assert_eq!(
            item,
            &json!({"context_id": "telegram:7", "latest-user-prompt": prompt})
        );
    }
    let marks = broker.folder().join(".context_ids");
    let mark = std::fs::read_dir(marks)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    assert_eq!(std::fs::read_to_string(mark).unwrap(), "telegram:7\n");
}

#[actix_web::test]
async fn a_deleted_mark_makes_the_next_message_whole() {
    let broker = Broker::start(BrokerOptions::default()).await;
    let send = async || broker.chat(&chat("hello", json!({"channel": "c"}))).await;
    send().await;
    broker.until_items(1).await;
    let marks = broker.folder().join(".context_ids");
    let marked = || std::fs::read_dir(&marks).unwrap().count();
    until("the mark", marked, |count| *count == 1).await;
    send().await;
    assert!(broker.until_items(2).await[1].get("messages").is_none());
    std::fs::remove_dir_all(&marks).unwrap();
    send().await;
    assert!(
        broker
            .until_items(3)
            .await
            .iter()
            .filter(|item| item.get("messages").is_some())
            .count()
            == 2
    );
}

#[actix_web::test]
async fn a_window_makes_one_file_of_what_a_context_says_at_once() {
    let options = BrokerOptions::toml("[mailbox]\ninbox = \"{inbox}\"\nbatch_window = \"400ms\"\n");
    let broker = Broker::start(options).await;
    for number in 0..5 {
        let answer = broker
            .chat(&chat(&number.to_string(), json!({"channel": "c"})))
            .await;
        assert_eq!(answer.status, 200);
    }
    let item = broker.until_items(1).await.remove(0);
    assert_eq!(item["latest-user-prompt"], "4");
    let batch = item["batch"].as_array().unwrap();
    let prompts: Vec<_> = batch
        .iter()
        .map(|part| part["latest-user-prompt"].clone())
        .collect();
    assert_eq!(prompts, ["0", "1", "2", "3", "4"]);
    assert!(batch[0].get("messages").is_some() && batch[1].get("messages").is_none());
}

#[actix_web::test]
async fn keep_message_instruction_and_skill_path_are_written_where_configured() {
    let options = BrokerOptions::toml(
        "[mailbox]\ninbox = \"{inbox}\"\ncompact = \"keep-message\"\ninstruction = \"read me\"\n\
         openclaw_message_cli_skill_path = \"/skills/outbound\"\n",
    );
    let broker = Broker::start(options).await;
    for prompt in ["one", "two"] {
        broker.chat(&chat(prompt, json!({"channel": "c"}))).await;
    }
    let items = broker.until_items(2).await;
    for item in &items {
        assert_eq!(item["instruction"], "read me");
        assert_eq!(item["openclaw_message_cli_skill_path"], "/skills/outbound");
    }
    assert_eq!(items[1]["message"], chat("two", json!({"channel": "c"})));
}

#[actix_web::test]
async fn a_file_that_the_agent_took_never_comes_back() {
    let broker = Broker::start(BrokerOptions::default()).await;
    broker.chat(&chat("hello", json!({}))).await;
    broker.until_items(1).await;
    let projected = async || {
        let metrics = broker.get("/metrics").await.text;
        metrics
            .lines()
            .any(|line| line == "postroom_store_pending_inbox 0")
            && metrics
                .lines()
                .any(|line| line == "postroom_store_messages 1")
    };
    while !projected().await {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    std::fs::remove_file(inbox_files(&broker.inbox()).remove(0)).unwrap();
    let broker = broker.kill_and_restart().await;
    broker.chat(&chat("another", json!({}))).await;
    let items = broker.until_items(1).await;
    assert_eq!(items[0]["latest-user-prompt"], "another");
}

#[actix_web::test]
async fn an_inbox_that_was_deleted_is_made_again() {
    let broker = Broker::start(BrokerOptions::default()).await;
    std::fs::remove_dir_all(broker.inbox()).unwrap();
    assert_eq!(broker.chat(&chat("hello", json!({}))).await.status, 200);
    broker.until_items(1).await;
}

#[actix_web::test]
async fn files_are_logged_in_the_words_that_users_grep_for() {
    let broker = Broker::start(BrokerOptions::default()).await;
    broker.chat(&chat("hello", json!({}))).await;
    let logged = || -> Option<Value> {
        let lines = broker.log_lines();
        let lines = lines
            .iter()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines
            .into_iter()
            .find(|line| line["message"] == "chat_completion request inbox")
    };
    let line = until("the log line", logged, Option::is_some)
        .await
        .unwrap();
    let path = inbox_files(&broker.inbox()).remove(0);
    assert_eq!(line["inbox_path"], path.display().to_string());
    assert_eq!(line["file_size"], std::fs::metadata(&path).unwrap().len());
    assert!(!broker.log_lines().iter().any(|line| line.contains("hello")));
}
