//! Embeddings: checked, passed on, told in `OpenAI`'s form, and not kept.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{
    backend::{Asked, ScriptedBackend, Step, json_answer},
    broker::{Broker, BrokerOptions},
    client::Answer,
};

const AGENTS: &str = "[agents.coder]\ndelivery = \"inbox\"\nembeddings_model = \"coder-vectors\"\n[agents.plain]\ndelivery = \"inbox\"\nmodels = [\"m\"]\n";

fn vectors(vector: &Value) -> Value {
    let item = json!({"object": "embedding", "index": 0, "embedding": vector});
    json!({"object": "list", "data": [item], "model": "vectors", "usage": {"prompt_tokens": 2, "total_tokens": 2}})
}

async fn numbers() -> ScriptedBackend {
    ScriptedBackend::start(json_answer("200 OK", &vectors(&json!([0.5, -2])))).await
}

impl Broker {
    async fn embed(&self, body: &Value, headers: &[(&str, &str)]) -> Answer {
        self.post("/v1/embeddings", body.to_string(), headers).await
    }
}

fn apart(backend: &ScriptedBackend, more: &str) -> BrokerOptions {
    let url = backend.url();
    BrokerOptions::toml(format!(
        "[mailbox]\ninbox = \"{{inbox}}\"\n[embeddings]\nurl = \"{url}/v1\"\n{more}\n"
    ))
}

fn header(asked: &Asked, name: &str) -> Option<String> {
    let mut lines = asked.head.lines().filter_map(|line| line.split_once(':'));
    let found = lines.find(|(known, _)| known.eq_ignore_ascii_case(name))?;
    Some(found.1.trim().to_owned())
}

#[actix_web::test]
async fn a_request_goes_to_the_main_backend_as_it_is_and_is_not_kept() {
    let backend = numbers().await;
    let broker = Broker::start(BrokerOptions::with_backend(backend.url())).await;
    let body = json!({"model": "vectors", "input": ["a", "b"], "dimensions": 2, "user": "u", "brand_new": [1]});
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let answer = broker.embed(&body, &[("traceparent", trace)]).await;
    assert_eq!(
        (answer.status, answer.json()),
        (200, vectors(&json!([0.5, -2])))
    );
    let asked = &backend.asked()[0];
    assert!(
        asked.head.starts_with("POST /v1/embeddings HTTP/1.1"),
        "{}",
        asked.head
    );
    assert_eq!(asked.body, body);
    assert_eq!(
        header(asked, "authorization").as_deref(),
        Some("Bearer backend-key")
    );
    assert_eq!(header(asked, "traceparent").as_deref(), Some(trace));
    assert!(broker.inbox_items().is_empty());
    assert_eq!(
        broker.fetch("/messages?all=true").await["messages"],
        json!([])
    );
}

#[actix_web::test]
async fn vectors_come_as_they_were_asked_for_whatever_the_backend_gives() {
    for given in [json!([0.5, -2.0]), json!("AAAAPwAAAMA=")] {
        let backend = ScriptedBackend::start(json_answer("200 OK", &vectors(&given))).await;
        let broker = Broker::start(apart(&backend, "")).await;
        for (format, expected) in [
            (json!("float"), json!([0.5, -2.0])),
            (json!("base64"), json!("AAAAPwAAAMA=")),
            (json!(null), json!([0.5, -2.0])),
        ] {
            let body = json!({"input": "a", "encoding_format": format});
            let answer = broker.embed(&body, &[]).await.json();
            assert_eq!(
                answer["data"][0]["embedding"], expected,
                "{given} as {format}"
            );
            assert_eq!(answer["usage"]["total_tokens"], 2);
        }
    }
}

#[actix_web::test]
async fn an_address_of_its_own_has_its_own_key_and_never_the_backends() {
    let (main, own) = (numbers().await, numbers().await);
    let toml = format!(
        "[backend]\nurl = \"{}\"\napi_key = \"key-of-the-backend\"\n[embeddings]\nurl = \"{}\"\n",
        main.url(),
        own.url()
    );
    for (more, expected) in [
        ("", None),
        (
            "api_key = \"key-for-vectors\"\n",
            Some("Bearer key-for-vectors"),
        ),
    ] {
        let broker = Broker::start(BrokerOptions::toml(toml.clone() + more)).await;
        assert_eq!(broker.embed(&json!({"input": "a"}), &[]).await.status, 200);
        let asked = own.asked().pop().unwrap();
        assert_eq!(header(&asked, "authorization").as_deref(), expected);
    }
    assert!(main.asked().is_empty());
}

#[actix_web::test]
async fn the_model_is_the_agents_else_the_configured_one_else_the_clients() {
    let backend = numbers().await;
    for (configured, agent, model, expected) in [
        ("", None, json!("vectors"), json!("vectors")),
        ("", None, json!("openclaw"), json!(null)),
        ("", None, json!(null), json!(null)),
        ("", Some("plain"), json!("m"), json!("m")),
        ("", Some("coder"), json!("vectors"), json!("coder-vectors")),
        ("", None, json!("openclaw/coder"), json!("coder-vectors")),
        ("", None, json!("coder"), json!("coder-vectors")),
        (
            "model = \"common\"",
            None,
            json!("vectors"),
            json!("common"),
        ),
        (
            "model = \"common\"",
            Some("plain"),
            json!("other"),
            json!("common"),
        ),
        (
            "model = \"common\"",
            Some("coder"),
            json!("vectors"),
            json!("coder-vectors"),
        ),
    ] {
        let broker = Broker::start(apart(&backend, &format!("{configured}\n{AGENTS}"))).await;
        let headers: Vec<_> = agent
            .map(|agent| ("x-openclaw-agent-id", agent))
            .into_iter()
            .collect();
        let answer = broker
            .embed(&json!({"model": model, "input": "a"}), &headers)
            .await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let asked = backend.asked().pop().unwrap();
        let seen = asked.body.get("model").cloned().unwrap_or_default();
        assert_eq!(seen, expected, "{configured} {agent:?} {model}");
    }
    let broker = Broker::start(apart(&backend, AGENTS)).await;
    for (agent, model) in [("nobody", "vectors"), ("plain", "other")] {
        let body = json!({"model": model, "input": "a"});
        let answer = broker.embed(&body, &[("x-openclaw-agent-id", agent)]).await;
        assert_eq!(answer.status, 404, "{agent}: {answer:?}");
        assert_eq!(answer.json()["error"]["code"], "model_not_found");
    }
}

#[actix_web::test]
async fn what_is_out_of_bounds_is_refused_before_the_backend_is_asked() {
    let backend = numbers().await;
    let broker = Broker::start(apart(&backend, "[limits]\nembeddings_body = \"1MiB\"")).await;
    for (body, param) in [
        (json!({}), json!("input")),
        (json!({"input": vec!["a"; 129]}), json!("input")),
        (json!({"input": ["a", "x".repeat(8193)]}), json!("input[1]")),
        (json!({"input": vec!["x".repeat(8192); 9]}), json!("input")),
        (
            json!({"input": "a", "encoding_format": "hex"}),
            json!("encoding_format"),
        ),
        (
            json!({"input": "a", "dimensions": 1.5}),
            json!("dimensions"),
        ),
        (json!([]), json!(null)),
    ] {
        let answer = broker.embed(&body, &[]).await;
        assert_eq!(answer.status, 400, "{answer:?}");
        let error = &answer.json()["error"];
        assert_eq!(
            (&error["type"], &error["param"]),
            (&json!("invalid_request_error"), &param)
        );
    }
    let large = json!({"input": "a", "extra": "x".repeat(1 << 20)});
    let answer = broker.embed(&large, &[]).await;
    assert_eq!(answer.status, 413);
    assert!(answer.text.contains("limits.embeddings_body"), "{answer:?}");
    assert_eq!(broker.chat(&large).await.status, 200);
    assert!(backend.asked().is_empty());
}

#[actix_web::test]
async fn without_a_backend_the_answer_names_the_setting() {
    let broker = Broker::start(BrokerOptions::default()).await;
    let answer = broker
        .embed(&json!({"model": "m", "input": "a"}), &[])
        .await;
    assert_eq!(answer.status, 503);
    assert_eq!(answer.json()["error"]["code"], "no_embeddings_backend");
    assert!(answer.text.contains("[embeddings] url"), "{answer:?}");
    assert_eq!(answer.header("x-should-retry"), Some("false"));
    let method = broker.get("/v1/embeddings").await;
    assert_eq!((method.status, method.header("allow")), (405, Some("POST")));
}

#[actix_web::test]
async fn a_backend_that_is_busy_for_a_moment_is_asked_again() {
    let backend = ScriptedBackend::start_with(|number, _| match number {
        0 => json_answer("503 Busy", &json!({})),
        _ => json_answer("200 OK", &vectors(&json!([1]))),
    });
    let backend = backend.await;
    let broker = Broker::start(apart(&backend, "")).await;
    assert_eq!(broker.embed(&json!({"input": "a"}), &[]).await.status, 200);
    assert_eq!(backend.asked().len(), 2);
}

#[actix_web::test]
async fn a_backend_that_keeps_failing_is_left_alone_and_chats_go_on() {
    let backend = ScriptedBackend::start_with(|_, asked| {
        if asked.head.starts_with("POST /v1/embeddings") {
            json_answer(
                "500 Oops",
                &json!({"error": {"message": "trace of 10.0.0.7"}}),
            )
        } else {
            json_answer("200 OK", &crate::support::backend::completion("Yes."))
        }
    });
    let backend = backend.await;
    let toml = format!("[backend]\nurl = \"{}\"\n", backend.url());
    // Each worker judges for itself.
    let options = BrokerOptions::toml(toml).env("POSTROOM__SERVER__WORKERS", "1");
    let broker = Broker::start(options).await;
    let body = json!({"model": "m", "input": "a"});
    let mut last = broker.embed(&body, &[]).await;
    let error = &last.json()["error"];
    assert_eq!(
        (last.status, &error["type"]),
        (502, &json!("backend_error"))
    );
    assert!(!last.text.contains("10.0.0.7"), "{last:?}");
    for _ in 0..12 {
        last = broker.embed(&body, &[]).await;
        if last.status == 503 {
            break;
        }
    }
    assert_eq!(last.status, 503, "{last:?}");
    let wait: u64 = last.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=30).contains(&wait), "{wait}");
    let chat = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]});
    assert_eq!(broker.chat(&chat).await.content(), "Yes.");
}

#[actix_web::test]
async fn a_backend_that_says_nothing_or_nonsense_is_told_apart() {
    let slow = ScriptedBackend::start(vec![Step::Hold]).await;
    let toml = format!(
        "[backend]\nfirst_byte_timeout = \"300ms\"\n[embeddings]\nurl = \"{}\"\n",
        slow.url()
    );
    let broker = Broker::start(BrokerOptions::toml(toml)).await;
    let began = tokio::time::Instant::now();
    let answer = broker.embed(&json!({"input": "a"}), &[]).await;
    assert_eq!(
        (answer.status, answer.json()["error"]["code"].clone()),
        (504, json!("backend_timed_out"))
    );
    assert!(began.elapsed() < Duration::from_secs(10));
    for (given, status, code) in [
        (
            json_answer("200 OK", &json!({"ok": true})),
            502,
            json!("backend_failed"),
        ),
        (
            json_answer("200 OK", &vectors(&json!({}))),
            502,
            json!("backend_failed"),
        ),
        (
            json_answer("401 No", &json!({})),
            502,
            json!("backend_key_refused"),
        ),
        (
            json_answer("302 Found", &json!({})),
            502,
            json!("backend_failed"),
        ),
        (
            json_answer("404 Not Found", &json!({"error": "no model `m`"})),
            404,
            json!(404),
        ),
    ] {
        let backend = ScriptedBackend::start(given).await;
        let broker = Broker::start(apart(&backend, "")).await;
        let answer = broker.embed(&json!({"input": "a"}), &[]).await;
        assert_eq!(
            (answer.status, answer.json()["error"]["code"].clone()),
            (status, code)
        );
    }
}
