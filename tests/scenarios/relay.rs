//! The relay never costs the message, and a backend's faults are never the client's.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use tokio::time::Instant;

use crate::support::{
    backend::{ScriptedBackend, Step, completion, delta, json_answer, stream_end, stream_head},
    broker::{Broker, BrokerOptions},
    client::chat,
    raw,
};

/// A broker whose time limits are short enough for a test.
fn impatient(url: &str, more: &str) -> BrokerOptions {
    BrokerOptions::toml(format!(
        "[mailbox]\ninbox = \"{{inbox}}\"\n[backend]\nurl = \"{url}\"\nmodel = \"backend-model\"\n\
         connect_timeout = \"500ms\"\nfirst_byte_timeout = \"1s\"\nidle_timeout = \"1s\"\n\
         timeout = \"4s\"\n{more}"
    ))
}

#[actix_web::test]
async fn a_reply_goes_to_the_client_as_it_came_and_into_the_inbox() {
    let backend = ScriptedBackend::start(json_answer("200 OK", &completion("hi there"))).await;
    let broker = Broker::start(BrokerOptions::with_backend(backend.url())).await;
    let answer = broker.chat(&chat("hello", json!({"channel": "c"}))).await;
    assert_eq!(answer.json(), completion("hi there"));
    let item = broker.until_items(1).await.remove(0);
    assert_eq!(item["backend-llm-reply"], "hi there");
    assert!(
        item["backend-llm-instruction"]
            .as_str()
            .unwrap()
            .contains("backend-llm-reply")
    );
    let asked = backend.asked().remove(0);
    assert!(
        asked.head.starts_with("POST /v1/chat/completions HTTP/1.1"),
        "{}",
        asked.head
    );
    assert!(
        asked
            .head
            .to_lowercase()
            .contains("authorization: bearer backend-key")
    );
    assert!(
        !asked.head.contains(broker.key()),
        "our own key went upstream"
    );
    assert_eq!(asked.body["model"], "gpt-5.4-nano");
    assert_eq!(asked.body["messages"][0]["role"], "system");
    assert!(
        asked.body["messages"][0]["content"]
            .as_str()
            .unwrap()
            .contains("Context id: c")
    );
    assert_eq!(
        asked.body["messages"][1],
        json!({"role": "user", "content": "hello"})
    );
}

#[actix_web::test]
async fn a_stream_arrives_event_by_event_and_is_put_together_for_the_inbox() {
    let pause = Step::Wait(Duration::from_millis(300));
    let script = vec![
        stream_head(),
        delta("one "),
        pause.clone(),
        delta("two"),
        pause,
        stream_end(),
    ];
    let backend = ScriptedBackend::start(script).await;
    let broker = Broker::start(BrokerOptions::with_backend(backend.url())).await;
    let body = chat("hello", json!({"stream": true})).to_string();
    let mut stream = tokio::net::TcpStream::connect(broker.address())
        .await
        .unwrap();
    let mut request = raw::head(&broker, &format!("Content-Length: {}\r\n", body.len()));
    request.extend_from_slice(body.as_bytes());
    stream.write_all(&request).await.unwrap();
    let mut seen = String::new();
    let mut buffer = [0; 4096];
    while !seen.contains("one ") {
        let read = stream.read(&mut buffer).await.unwrap();
        assert!(read > 0, "{seen}");
        seen.push_str(&String::from_utf8_lossy(&buffer[..read]));
    }
    assert!(!seen.contains("two"), "the stream was held back: {seen}");
    let rest = raw::read(&mut stream, Duration::from_secs(2)).await.text;
    assert!(rest.contains("two") && rest.contains("[DONE]"), "{rest}");
    let item = broker.until_items(1).await.remove(0);
    assert_eq!(item["backend-llm-reply"], "one two");
}

#[actix_web::test]
async fn a_backend_that_fails_costs_neither_the_message_nor_an_error() {
    let hold = vec![Step::Hold];
    let truncated = vec![Step::Send(
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{\"choices\"".to_vec(),
    )];
    let redirect = vec![Step::Send(
        b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_vec(),
    )];
    let garbage = vec![Step::Send(b"\x00\x01\x02 not http at all\r\n\r\n".to_vec())];
    let not_json = json_answer("200 OK", &Value::Null);
    let cases = [
        ("stalls", hold),
        ("truncated", truncated),
        ("redirects", redirect),
        ("garbage", garbage),
        ("not a completion", not_json),
        (
            "unauthorized",
            json_answer(
                "401 Unauthorized",
                &json!({"error": {"message": "bad key"}}),
            ),
        ),
        (
            "bad request",
            json_answer("400 Bad Request", &json!({"error": {"message": "no"}})),
        ),
        ("closes", vec![]),
    ];
    for (name, script) in cases {
        let backend = ScriptedBackend::start(script).await;
        let broker = Broker::start(impatient(backend.url(), "")).await;
        for (number, stream) in [false, true].into_iter().enumerate() {
            let began = Instant::now();
            let answer = broker.chat(&chat(name, json!({"stream": stream}))).await;
            if name != "not a completion" {
                assert_eq!(answer.status, 200, "{name}: {}", answer.text);
                assert!(
                    answer.text.contains("local-agent"),
                    "{name}: {}",
                    answer.text
                );
            }
            assert!(began.elapsed() < Duration::from_secs(8), "{name}");
            let items = broker.until_items(number + 1).await;
            assert_eq!(items[number]["latest-user-prompt"], name);
            assert!(items[number].get("backend-llm-reply").is_none(), "{name}");
        }
        if !matches!(name, "not a completion") {
            let logged = broker.log_lines().join("\n");
            assert!(
                logged.contains("backend_forward_failed"),
                "{name}: {logged}"
            );
        }
    }
}

#[actix_web::test]
async fn a_backend_that_is_down_is_found_out_at_once() {
    let broker = Broker::start(impatient("http://127.0.0.1:9", "")).await;
    for number in 1..=8 {
        let answer = broker.chat(&chat("hello", json!({}))).await;
        assert_eq!((answer.status, answer.content().as_str()), (200, ""));
        broker.until_items(number).await;
    }
    let metrics = broker.get("/metrics").await.text;
    assert!(
        metrics.contains("postroom_backend_circuit_state"),
        "{metrics}"
    );
}

#[actix_web::test]
async fn a_stream_that_breaks_off_ends_with_an_error_event_and_keeps_what_came() {
    let backend = ScriptedBackend::start(vec![stream_head(), delta("half an ans")]).await;
    let broker = Broker::start(impatient(backend.url(), "")).await;
    let answer = broker.chat(&chat("hello", json!({"stream": true}))).await;
    let events = answer.events();
    assert_eq!(events.last(), Some(&"[DONE]"), "{}", answer.text);
    assert!(
        events[events.len() - 2].contains("error"),
        "{}",
        answer.text
    );
    let item = broker.until_items(1).await.remove(0);
    assert_eq!(item["backend-llm-reply"], "half an ans");
}

#[actix_web::test]
async fn an_endless_answer_is_cut_within_bounded_memory() {
    let head =
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n".to_vec();
    let flood = Step::Forever(vec![b' '; 1 << 16]);
    let backend = ScriptedBackend::start(vec![Step::Send(head), flood]).await;
    let broker = Broker::start(impatient(backend.url(), "")).await;
    let answer = broker.chat(&chat("hello", json!({}))).await;
    assert_eq!((answer.status, answer.content().as_str()), (200, ""));
    broker.until_items(1).await;
    assert!(
        broker.peak_memory_bytes() < 128 << 20,
        "{}",
        broker.peak_memory_bytes()
    );
}

#[actix_web::test]
async fn a_busy_backend_is_asked_again_and_another_one_takes_over() {
    let busy = ScriptedBackend::start_with(|number, _| {
        if number == 0 {
            json_answer("503 Busy", &json!({}))
        } else {
            json_answer("200 OK", &completion("second try"))
        }
    })
    .await;
    let broker = Broker::start(impatient(busy.url(), "")).await;
    assert_eq!(
        broker.chat(&chat("x", json!({}))).await.content(),
        "second try"
    );
    let standby =
        ScriptedBackend::start(json_answer("200 OK", &completion("from the other"))).await;
    let more = format!(
        "fallback = \"other\"\n[backends.other]\nurl = \"{}\"\nmodel = \"m2\"\n",
        standby.url()
    );
    let broker = Broker::start(impatient("http://127.0.0.1:9", &more)).await;
    assert_eq!(
        broker.chat(&chat("x", json!({}))).await.content(),
        "from the other"
    );
    assert_eq!(standby.asked()[0].body["model"], "m2");
    assert_eq!(
        broker.until_items(1).await[0]["backend-llm-reply"],
        "from the other"
    );
}

#[actix_web::test]
async fn a_reply_reaches_the_inbox_although_the_client_has_gone() {
    let script = vec![
        stream_head(),
        delta("one "),
        Step::Wait(Duration::from_millis(500)),
        delta("two"),
        stream_end(),
    ];
    let backend = ScriptedBackend::start(script).await;
    let broker = Broker::start(impatient(backend.url(), "")).await;
    let body = chat("hello", json!({"stream": true})).to_string();
    let mut request = raw::head(&broker, &format!("Content-Length: {}\r\n", body.len()));
    request.extend_from_slice(body.as_bytes());
    let mut stream = tokio::net::TcpStream::connect(broker.address())
        .await
        .unwrap();
    stream.write_all(&request).await.unwrap();
    let mut first = [0; 64];
    assert!(stream.read(&mut first).await.unwrap() > 0);
    drop(stream);
    let item = broker.until_items(1).await.remove(0);
    assert_eq!(item["backend-llm-reply"], "one two");
}

#[actix_web::test]
async fn later_messages_of_a_context_wait_for_the_reply_and_others_do_not() {
    let backend = ScriptedBackend::start_with(|_, asked| {
        let slow = asked.body.to_string().contains("slow");
        let wait = Duration::from_millis(if slow { 1_500 } else { 0 });
        let mut script = vec![Step::Wait(wait)];
        script.extend(json_answer("200 OK", &completion("reply")));
        script
    })
    .await;
    let more = "first_byte_timeout = \"4s\"\n";
    let options = BrokerOptions::toml(format!(
        "[mailbox]\ninbox = \"{{inbox}}\"\n[backend]\nurl = \"{}\"\nmodel = \"m\"\n{more}",
        backend.url()
    ));
    let broker = Broker::start(options).await;
    let send = async |prompt: &str, channel: &str| {
        broker
            .chat(&chat(prompt, json!({"channel": channel})))
            .await
    };
    let first = send("slow", "a");
    let then = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        tokio::join!(send("quick", "a"), send("quick", "b"));
        let prompts: Vec<_> = broker
            .until_items(1)
            .await
            .iter()
            .map(|item| item["context_id"].clone())
            .collect();
        assert_eq!(prompts, ["b"]);
    };
    tokio::join!(first, then);
    let items = broker.until_items(3).await;
    let of_a: Vec<_> = items
        .iter()
        .filter(|item| item["context_id"] == "a")
        .map(|item| item["latest-user-prompt"].clone())
        .collect();
    assert_eq!(of_a, ["slow", "quick"]);
}

#[actix_web::test]
async fn a_slow_reply_is_not_waited_for_longer_than_configured() {
    let mut script = vec![Step::Wait(Duration::from_secs(3))];
    script.extend(json_answer("200 OK", &completion("late")));
    let backend = ScriptedBackend::start(script).await;
    let options = BrokerOptions::toml(format!(
        "[mailbox]\ninbox = \"{{inbox}}\"\nreply_wait = \"300ms\"\n[backend]\nurl = \"{}\"\nmodel = \"m\"\n",
        backend.url()
    ));
    let broker = Broker::start(options).await;
    let chat = chat("hello", json!({}));
    let answer = broker.chat(&chat);
    let look = async { broker.until_items(1).await.remove(0) };
    let (answer, item) = tokio::join!(answer, look);
    assert_eq!(answer.content(), "late");
    assert!(item.get("backend-llm-reply").is_none());
}

#[actix_web::test]
async fn an_agents_tool_loop_is_one_message_with_its_last_reply() {
    let backend = ScriptedBackend::start_with(|number, _| {
        let mut answer = completion("the answer is 4");
        if number == 0 {
            answer["choices"][0]["message"] = json!({"role": "assistant", "content": null,
                "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "add", "arguments": "{}"}}]});
            answer["choices"][0]["finish_reason"] = "tool_calls".into();
        }
        json_answer("200 OK", &answer)
    })
    .await;
    let broker = Broker::start(BrokerOptions::with_backend(backend.url())).await;
    let system = json!({"role": "system", "content": "<!-- openclaw:attempt:STABLE --> x"});
    let first = json!({"role": "user", "content": "[Sat 2026-11-21 07:41 UTC] add 2 and 2\n\nRuntime: agent=main | session=s1 | host=h"});
    let call = json!({"role": "assistant", "content": null, "tool_calls": []});
    let result = json!({"role": "tool", "tool_call_id": "c1", "content": "4"});
    let one = json!({"messages": [system, first]});
    let two = json!({"messages": [system, first, call, result]});
    broker.chat(&one).await;
    assert_eq!(broker.inbox_items().len(), 0);
    assert_eq!(broker.chat(&two).await.content(), "the answer is 4");
    let items = broker.until_items(1).await;
    assert_eq!(items[0]["backend-llm-reply"], "the answer is 4");
    assert_eq!(items[0]["latest-user-prompt"], "add 2 and 2");
    assert_eq!(backend.asked().len(), 2);
}

#[actix_web::test]
async fn a_token_backend_is_shown_the_token_and_nothing_else() {
    let backend = ScriptedBackend::start(json_answer("200 OK", &completion("ok"))).await;
    let more = "auth = \"x-proxy-token\"\napi_key = \"the-token\"\n";
    let broker = Broker::start(impatient(&format!("{}/v1/", backend.url()), more)).await;
    assert_eq!(broker.chat(&chat("x", json!({}))).await.content(), "ok");
    let head = backend.asked()[0].head.to_lowercase();
    assert!(head.starts_with("post /v1/chat/completions "), "{head}");
    assert!(
        head.contains("x-proxy-token: the-token") && !head.contains("authorization"),
        "{head}"
    );
}
