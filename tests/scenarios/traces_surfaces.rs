//! What comes in by the surfaces of OpenAI, as a real collector has it.

use serde_json::json;

use crate::support::{
    agents::{AGENT, Stage},
    backend::{Asked, ScriptedBackend, Step, completion, json_answer},
    broker::{Broker, BrokerOptions},
    client::{Answer, chat},
    collector::{CollectedSpan, Collector},
    messages::{Office, fixture, message, quick},
    peers::Peer,
    tools::ClientResult,
    wait::until,
};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "b7ad6b7169203331";
const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn with_backend(backend: &ScriptedBackend, collector: &Collector) -> BrokerOptions {
    BrokerOptions::toml(format!(
        "[mailbox]\ninbox = \"{{inbox}}\"\n[backend]\nurl = \"{}\"\nmodel = \"backend-model\"\n{}",
        backend.url(),
        collector.telemetry()
    ))
}

async fn ask(broker: &Broker, path: &str, body: String, key: &str) -> Answer {
    let key = format!("Bearer {key}");
    let headers = [
        ("authorization", key.as_str()),
        ("content-type", "application/json"),
        ("traceparent", TRACEPARENT),
    ];
    broker.send("POST", path, body, &headers).await
}

fn assert_told(asked: &Asked, call: &CollectedSpan) {
    let told = format!("traceparent: {}", call.traceparent());
    assert!(asked.head.to_lowercase().contains(&told), "{}", asked.head);
}

#[actix_web::test]
async fn a_relay_shows_each_call_and_the_backend_hangs_on_the_one_that_it_answers() -> ClientResult
{
    let collector = Collector::start().await?;
    let backend = ScriptedBackend::start_with(|number, _| match number {
        0 => json_answer("503 Service Unavailable", &json!({"error": "canary-error"})),
        _ => json_answer("200 OK", &completion("canary-reply")),
    })
    .await;
    let broker = Broker::start(with_backend(&backend, &collector)).await;
    let body = chat("canary-prompt", json!({"channel": "canary-channel"}));
    let path = "/v1/chat/completions";
    let answer = ask(&broker, path, body.to_string(), broker.key()).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    broker.until_items(1).await;
    let names = [
        "POST /v1/chat/completions",
        "mailbox accept",
        "inbox write",
        "chat main",
        "chat main",
    ];
    let spans = collector.until_trace(TRACE, &names).await;
    assert_eq!(spans[0].parent, CALLER);
    for child in &spans[1..] {
        assert_eq!(child.parent, spans[0].id, "{child:?}");
    }
    let mut calls = [&spans[3], &spans[4]];
    calls.sort_by_key(|call| call.started);
    assert_eq!(calls[0].attribute("http.response.status_code"), "Int(503)");
    assert_eq!(calls[0].status, "STATUS_CODE_ERROR");
    assert_ne!(calls[1].status, "STATUS_CODE_ERROR");
    assert_eq!(
        calls[1].attribute("gen_ai.request.model"),
        "Str(backend-model)"
    );
    for (asked, call) in backend.asked().iter().zip(calls) {
        assert_told(asked, call);
    }
    let text = collector.text();
    for canary in ["canary", broker.key()] {
        assert!(!text.contains(canary), "{canary} in {text}");
    }
    Ok(())
}

#[actix_web::test]
async fn an_inbox_file_that_is_written_after_a_kill_still_hangs_on_its_message() -> ClientResult {
    let collector = Collector::start().await?;
    let backend = ScriptedBackend::start(vec![Step::Hold]).await;
    let broker = Broker::start(with_backend(&backend, &collector)).await;
    let body = chat("hello", json!({"channel": "c"}));
    let url = broker.url().to_owned();
    let asking = tokio::task::spawn_local(async move {
        let headers = [
            ("authorization", "Bearer operator-key-for-tests"),
            ("traceparent", TRACEPARENT),
        ];
        let path = "/v1/chat/completions";
        crate::support::client::try_send(&url, "POST", path, body.to_string(), &headers).await
    });
    let accept = collector
        .until_trace(TRACE, &["mailbox accept"])
        .await
        .remove(0);
    assert!(broker.inbox_items().is_empty(), "it waits for its reply");
    let broker = broker.kill_and_restart().await;
    broker.until_items(1).await;
    let spans = collector
        .until_trace(TRACE, &["mailbox accept", "inbox write"])
        .await;
    assert_eq!(spans[1].parent, accept.parent);
    asking.abort();
    Ok(())
}

#[actix_web::test]
async fn embeddings_have_a_call_that_their_backend_hangs_on() -> ClientResult {
    let collector = Collector::start().await?;
    let item = json!({"object": "embedding", "index": 0, "embedding": [0.5]});
    let vectors = json!({"object": "list", "data": [item], "model": "vectors", "usage": {"prompt_tokens": 2, "total_tokens": 2}});
    let backend = ScriptedBackend::start(json_answer("200 OK", &vectors)).await;
    let broker = Broker::start(with_backend(&backend, &collector)).await;
    let body = json!({"model": "canary model", "input": "canary-input"});
    let answer = ask(&broker, "/v1/embeddings", body.to_string(), broker.key()).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let look = || collector.spans();
    let spans = until("both spans", look, |spans| spans.len() == 2).await;
    let call = spans.iter().find(|span| span.parent != CALLER).unwrap();
    let request = spans.iter().find(|span| span.parent == CALLER).unwrap();
    assert_eq!(request.name, "POST /v1/embeddings");
    assert_eq!(call.parent, request.id);
    assert_eq!(call.attribute("gen_ai.operation.name"), "Str(embeddings)");
    assert_told(&backend.asked()[0], call);
    assert!(!collector.text().contains("canary"), "{}", collector.text());
    Ok(())
}

#[actix_web::test]
async fn a_background_response_keeps_its_trace_up_to_the_webhook() -> ClientResult {
    const KEY: &str = "key-of-the-app-with-a-webhook";
    let collector = Collector::start().await?;
    let stage = Stage::new();
    let hook = Peer::that_takes_all();
    let command = stage.script("says.sh", "cat > /dev/null\necho canary-answer\n");
    let office = Office::new()
        .agent(&stage, AGENT, &command, "")
        .with(&format!("[courier]\nschedule = {}", quick()))
        .with(&format!(
            "[keys.app]\nkey = {KEY:?}\nwebhook_url = \"{}/events\"\nwebhook_allow_private = true\n\
             webhook_secret = \"whsec_dG9kYXlzIHNlY3JldCBvZiB0aGUgdGVzdHM=\"",
            hook.url()
        ))
        .with(&collector.telemetry());
    let broker = office.start().await;
    let body = json!({"model": AGENT, "input": "canary-input", "background": true});
    let answer = ask(&broker, "/v1/responses", body.to_string(), KEY).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let event = hook.until_received(1).await.remove(0);
    let names = [
        "POST /v1/responses",
        "task wait",
        "invoke_agent coder",
        "deliver url",
    ];
    let spans = collector.until_trace(TRACE, &names).await;
    assert_eq!(spans[0].parent, CALLER);
    for child in &spans[1..] {
        assert_eq!(child.parent, spans[0].id, "{child:?}");
    }
    assert_eq!(
        event.header("traceparent"),
        Some(spans[3].traceparent().as_str())
    );
    assert!(!collector.text().contains("canary"), "{}", collector.text());
    Ok(())
}

#[actix_web::test]
async fn a_message_from_agent_to_agent_stays_in_the_trace_that_led_to_it() -> ClientResult {
    let collector = Collector::start().await?;
    let stage = Stage::new();
    let office = Office::new()
        .agent(&stage, "alice", &fixture("send.sh", "TASK agent:bob"), "")
        .agent(
            &stage,
            "bob",
            &stage.script("silent.sh", "cat > /dev/null\n"),
            "",
        )
        .peer_without_url("office", "secret-of-the-office", "to = \"alice\"")
        .with(&collector.telemetry());
    let broker = Broker::start_in(std::sync::Arc::clone(stage.folder()), office.options()).await;
    let body = message("TASK", "hello", json!({}));
    let headers = [("traceparent", TRACEPARENT)];
    let answer = broker
        .message_with("secret-of-the-office", &body, &headers)
        .await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let names = [
        "POST /message",
        "invoke_agent alice",
        "POST /send",
        "invoke_agent bob",
        "task wait",
        "task wait",
    ];
    let spans = collector.until_trace(TRACE, &names).await;
    assert_eq!(spans[1].parent, spans[0].id);
    assert_eq!(spans[2].parent, spans[1].id);
    assert_eq!(spans[3].parent, spans[2].id);
    Ok(())
}
