//! Chat requests that an agent answers: how it is named, what it is asked in, what comes back.

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use crate::support::{
    agents::{AGENT, Stage},
    broker::Broker,
    client::{Answer, chat},
    events::parse_events,
    processes::expect_none,
    raw,
    wait::until_async,
};

/// Two callers that are no operators.
const CALLERS: &str = "[keys.alice]\nkey = \"the-key-of-alice\"\nrole = \"client\"\n\
                       [keys.bob]\nkey = \"the-key-of-bob\"\nrole = \"client\"\n";

async fn with_headers(broker: &Broker, model: &str, headers: &[(&str, &str)]) -> Answer {
    let body = chat("Hello.", json!({"model": model}));
    broker
        .post("/v1/chat/completions", body.to_string(), headers)
        .await
}

#[actix_web::test]
async fn a_chat_tells_usage_and_the_model_that_was_asked_for() {
    let stage = Stage::new();
    let broker = Broker::start(stage.agent_with_sessions("")).await;
    let answer = with_headers(&broker, "OpenClaw/Coder", &[]).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let completion = answer.json();
    assert_eq!(completion["object"], "chat.completion");
    assert_eq!(completion["model"], "OpenClaw/Coder");
    assert_eq!(answer.content(), "the answer");
    assert_eq!(completion["choices"][0]["finish_reason"], "stop");
    assert_eq!(completion["usage"]["prompt_tokens"], 11);
    assert_eq!(completion["usage"]["completion_tokens"], 5);
    assert_eq!(completion["usage"]["total_tokens"], 16);
    assert!(completion["created"].is_u64(), "{completion}");
    assert!(answer.header("x-postroom-message-id").is_some());
}

#[actix_web::test]
async fn a_streamed_chat_tells_usage_where_it_is_asked_for() {
    let stage = Stage::new();
    let broker = Broker::start(stage.agent_with_sessions("")).await;
    for include_usage in [true, false] {
        let options = json!({"include_usage": include_usage});
        let fields = json!({"model": AGENT, "stream": true, "stream_options": options});
        let answer = broker.chat(&chat("Hello.", fields)).await;
        assert_eq!(answer.header("content-type"), Some("text/event-stream"));
        let data = answer.events();
        assert_eq!(data.last(), Some(&"[DONE]"));
        let chunks: Vec<Value> = data[..data.len() - 1]
            .iter()
            .map(|chunk| serde_json::from_str(chunk).unwrap())
            .collect();
        assert_eq!(chunks[0]["choices"][0]["delta"]["role"], "assistant");
        assert!(
            chunks
                .iter()
                .all(|chunk| chunk["model"] == AGENT && chunk["id"] == chunks[0]["id"])
        );
        let contents = chunks
            .iter()
            .filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str());
        assert_eq!(contents.collect::<String>(), "the answer");
        let usage = &chunks.last().unwrap()["usage"];
        if include_usage {
            assert_eq!(usage["total_tokens"], 16, "{chunks:?}");
            assert_eq!(chunks.last().unwrap()["choices"], json!([]));
        } else {
            assert!(usage.is_null(), "{chunks:?}");
        }
    }
}

#[actix_web::test]
async fn a_failure_after_the_first_words_is_an_event_and_the_stream_ends_well() {
    let stage = Stage::new();
    let script = "cat > /dev/null\necho 'half of it'\necho 'out of ink' >&2\nexit 3\n";
    let broker = Broker::start(stage.agent(&stage.script("fails.sh", script), "")).await;
    let fields = json!({"model": AGENT, "stream": true});
    let answer = broker.chat(&chat("Hello.", fields)).await;
    assert_eq!(answer.status, 200);
    let data: Vec<String> = parse_events(&answer.text)
        .into_iter()
        .map(|event| event.data)
        .collect();
    assert_eq!(data.len(), 4, "{data:?}");
    assert!(data[1].contains("half of it"), "{data:?}");
    let error: Value = serde_json::from_str(&data[2]).unwrap();
    assert_eq!(error["error"]["code"], "turn_failed", "{error}");
    let message = error["error"]["message"].as_str().unwrap();
    assert!(message.contains("out of ink"), "{error}");
    assert_eq!(data[3], "[DONE]");
}

#[actix_web::test]
async fn an_agent_is_named_by_header_or_model_in_any_case() {
    let stage = Stage::new();
    let broker = Broker::start(stage.agent_with_sessions("[mailbox]\ninbox = \"{inbox}\"\n")).await;
    for model in [
        "coder",
        "CODER",
        "openclaw:coder",
        "openclaw/coder",
        "OpenClaw/Coder",
        "agent:coder",
        "AGENT:CODER",
    ] {
        let answer = with_headers(&broker, model, &[]).await;
        assert_eq!(
            (answer.status, answer.content().as_str()),
            (200, "the answer"),
            "{model}"
        );
    }
    for header in ["x-openclaw-agent-id", "X-OpenClaw-Agent"] {
        let answer = with_headers(&broker, "local-agent", &[(header, "Coder")]).await;
        assert_eq!(answer.content(), "the answer", "{header}");
    }
    for (model, headers) in [
        ("openclaw/nobody", &[][..]),
        ("openclaw:nobody", &[]),
        ("agent:nobody", &[]),
        ("coder", &[("x-openclaw-agent-id", "nobody")]),
        ("coder", &[("x-openclaw-agent", "../etc")]),
    ] {
        let refused = with_headers(&broker, model, headers).await;
        assert_eq!(refused.status, 404, "{model} {headers:?}: {refused:?}");
        let error = refused.json()["error"].clone();
        assert_eq!(error["code"], "model_not_found", "{error}");
    }
    assert!(broker.inbox_items().is_empty());
    // A model that names nobody is the mailbox's own.
    assert_eq!(with_headers(&broker, "gpt-x", &[]).await.content(), "");
    broker.until_items(1).await;
}

#[actix_web::test]
async fn agents_are_listed_as_models_where_that_is_wanted() {
    for is_wanted in [true, false] {
        let stage = Stage::new();
        let settings = format!("[models]\nlist_agents = {is_wanted}\n");
        let broker = Broker::start(stage.agent_with_sessions(&settings)).await;
        let list = broker.fetch("/v1/models").await;
        let has = |id: &str| {
            let models = list["data"].as_array().unwrap();
            models.iter().any(|model| model["id"] == id)
        };
        assert_eq!(has("openclaw/coder"), is_wanted, "{list}");
        assert!(has("local-agent"), "{list}");
        let one = broker.get("/v1/models/openclaw/coder").await;
        assert_eq!(one.status == 200, is_wanted, "{one:?}");
        let warns = |line: &String| line.contains("list_agents");
        assert!(!broker.log_lines().iter().any(warns));
    }
}

#[actix_web::test]
async fn a_session_is_one_callers_and_named_by_header_or_user() {
    let stage = Stage::new();
    let broker = Broker::start(stage.agent_with_sessions(CALLERS)).await;
    let mut resumes = Vec::new();
    for (caller, session, user) in [
        ("alice", None, None),
        ("alice", None, None),
        ("alice", Some("s"), None),
        ("alice", Some("s"), None),
        ("alice", Some("other"), None),
        ("bob", Some("s"), None),
        ("alice", None, Some("s")),
        ("alice", None, Some("s")),
        ("bob", None, Some("s")),
        ("alice", Some("s"), Some("x")),
    ] {
        let key = format!("Bearer the-key-of-{caller}");
        let mut headers = vec![
            ("authorization", key.as_str()),
            ("content-type", "application/json"),
        ];
        headers.extend(session.map(|session| ("x-openclaw-session-key", session)));
        let body = chat("Hello.", json!({"model": AGENT, "user": user}));
        let answer = broker
            .send("POST", "/v1/chat/completions", body.to_string(), &headers)
            .await;
        assert_eq!(answer.status, 200, "{answer:?}");
        resumes.push(stage.prompts().last().unwrap().contains("--resume"));
    }
    let wanted = [
        false, false, false, true, false, false, false, true, false, true,
    ];
    assert_eq!(resumes, wanted);
}

#[actix_web::test]
async fn a_client_that_goes_takes_its_turn_along_only_where_the_agent_says_so() {
    for (settings, state) in [
        ("on_disconnect = \"cancel\"", "cancelled"),
        ("on_disconnect = \"finish\"", "done"),
    ] {
        for is_streamed in [false, true] {
            let stage = Stage::new();
            let broker = Broker::start(stage.agent(&stage.gated_script(), settings)).await;
            let body = chat("Hello.", json!({"model": AGENT, "stream": is_streamed})).to_string();
            let length = format!("Content-Length: {}\r\n", body.len());
            let mut client = tokio::net::TcpStream::connect(broker.address())
                .await
                .unwrap();
            client
                .write_all(&raw::head(&broker, &length))
                .await
                .unwrap();
            client.write_all(body.as_bytes()).await.unwrap();
            stage.until_prompts(1).await;
            drop(client);
            if state == "done" {
                let seen = broker.until_turn_runs().await;
                broker.fetch(&format!("/turns/{seen}")).await;
                stage.open();
            }
            broker.until_turn_states(&[state]).await;
            expect_none(&stage.setting());
        }
    }
}

#[actix_web::test]
async fn a_client_that_goes_takes_what_waits_along_too() {
    let stage = Stage::new();
    let options = stage.agent(&stage.gated_script(), "on_disconnect = \"cancel\"");
    let broker = Broker::start(options).await;
    let opener = broker.ask_later("the opener", "alice").await;
    stage.until_prompts(1).await;
    let body = chat("this one goes", json!({"model": AGENT, "user": "alice"})).to_string();
    let length = format!("Content-Length: {}\r\n", body.len());
    let mut client = tokio::net::TcpStream::connect(broker.address())
        .await
        .unwrap();
    client
        .write_all(&raw::head(&broker, &length))
        .await
        .unwrap();
    client.write_all(body.as_bytes()).await.unwrap();
    let waiting = async |count: u64| {
        let look = async || broker.agent().await["waiting"].clone();
        until_async("what waits", look, |seen| *seen == count).await;
    };
    waiting(1).await;
    drop(client);
    waiting(0).await;
    stage.open();
    assert_eq!(broker.until_ended(&opener).await["status"], "completed");
    assert_eq!(stage.prompts().len(), 1);
}
