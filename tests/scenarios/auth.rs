//! Who is let in.

use serde_json::json;

use crate::support::{
    broker::{Broker, BrokerOptions, KEY, postroom},
    client::chat,
};

#[actix_web::test]
async fn without_a_right_key_nothing_is_told_and_nothing_is_kept() {
    let broker = Broker::start(BrokerOptions::default()).await;
    let body = chat("hello", json!({})).to_string();
    for authorization in ["", "Bearer wrong", "Basic abc", "Bearer ", KEY] {
        for (method, path) in [
            ("POST", "/v1/chat/completions"),
            ("GET", "/v1/models"),
            ("GET", "/nowhere"),
            ("GET", "/metrics"),
        ] {
            let headers: &[_] = &[("authorization", authorization)];
            let headers = if authorization.is_empty() {
                &[]
            } else {
                headers
            };
            let answer = broker.send(method, path, body.clone(), headers).await;
            assert_eq!(answer.status, 401, "{authorization} {path}");
            assert_eq!(answer.json()["error"]["type"], "authentication_error");
            assert!(answer.header("www-authenticate").is_some());
        }
    }
    assert_eq!(broker.inbox_items().len(), 0);
}

#[actix_web::test]
async fn the_scheme_may_be_written_in_any_case() {
    let broker = Broker::start(BrokerOptions::default()).await;
    let key = format!("bEARER {KEY}");
    let answer = broker
        .send(
            "GET",
            "/v1/models",
            String::new(),
            &[("authorization", &key)],
        )
        .await;
    assert_eq!(answer.status, 200);
}

#[actix_web::test]
async fn an_unknown_path_or_verb_is_told_to_whoever_has_a_key() {
    let broker = Broker::start(BrokerOptions::default()).await;
    let answer = broker.get("/v1/nowhere").await;
    assert_eq!(
        (answer.status, answer.json()["status"].as_str()),
        (404, Some("error"))
    );
    let answer = broker.get("/v1/chat/completions").await;
    assert_eq!((answer.status, answer.header("allow")), (405, Some("POST")));
}

#[actix_web::test]
async fn probes_need_no_key() {
    let broker = Broker::start(BrokerOptions::default()).await;
    for path in ["/healthz", "/readyz"] {
        let answer = broker.send("GET", path, String::new(), &[]).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
    }
}

#[actix_web::test]
async fn a_client_key_may_chat_but_not_read_metrics() {
    let options = BrokerOptions::toml(
        "[mailbox]\ninbox = \"{inbox}\"\n[keys.ci]\nkey = \"client-key-for-tests\"\nrole = \"client\"\n",
    );
    let broker = Broker::start(options).await;
    let headers = [("authorization", "Bearer client-key-for-tests")];
    let answer = broker
        .send("GET", "/v1/models", String::new(), &headers)
        .await;
    assert_eq!(answer.status, 200);
    let answer = broker
        .send("GET", "/metrics", String::new(), &headers)
        .await;
    assert_eq!(answer.status, 403);
    assert!(answer.text.contains("operator"), "{}", answer.text);
}

#[actix_web::test]
async fn a_peer_is_kept_to_messages_and_strangers_send_none() {
    let options = BrokerOptions::toml(
        "[mailbox]\ninbox = \"{inbox}\"\n[peers.office]\nsecret = \"secret-of-the-office\"\n",
    );
    let broker = Broker::start(options).await;
    let ask = async |method: &str, path: &str, secret: Option<&str>| {
        let headers = secret.map(|secret| ("x-shared-secret", secret));
        let headers: Vec<_> = headers.into_iter().collect();
        let answer = broker.send(method, path, "{}".to_owned(), &headers).await;
        answer.status
    };
    let right = Some("secret-of-the-office");
    assert_eq!(ask("GET", "/v1/models", right).await, 403);
    assert_eq!(ask("GET", "/agents", right).await, 403);
    assert_eq!(ask("GET", "/v1/models", Some("wrong")).await, 401);
    for path in ["/message", "/send"] {
        assert_eq!(ask("POST", path, None).await, 401, "{path}");
        assert_eq!(ask("POST", path, Some("wrong")).await, 401, "{path}");
        assert_ne!(ask("POST", path, right).await, 401, "{path}");
    }
}

#[actix_web::test]
async fn ten_wrong_keys_from_one_address_lock_it_but_never_the_right_key() {
    let options =
        BrokerOptions::toml("trusted_proxies = [\"127.0.0.1\"]\n[mailbox]\ninbox = \"{inbox}\"\n");
    let broker = Broker::start(options).await;
    let ask = async |key: &str, client: &str| {
        let key = format!("Bearer {key}");
        let headers = [("authorization", key.as_str()), ("x-forwarded-for", client)];
        broker
            .send("GET", "/v1/models", String::new(), &headers)
            .await
    };
    for _ in 0..10 {
        assert_eq!(ask("wrong", "192.0.2.7").await.status, 401);
    }
    let locked = ask("wrong", "192.0.2.7").await;
    assert_eq!(locked.status, 429);
    assert_eq!(locked.json()["error"]["type"], "rate_limit_error");
    assert!(
        locked
            .header("retry-after")
            .unwrap()
            .parse::<u64>()
            .unwrap()
            > 200
    );
    assert_eq!(ask(KEY, "192.0.2.7").await.status, 200);
    assert_eq!(ask("wrong", "192.0.2.8").await.status, 401);
}

#[test]
fn listening_beyond_loopback_without_a_key_is_refused_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let output = postroom()
        .args([
            "serve", "--host", "0.0.0.0", "--port", "0", "--inbox", "inbox",
        ])
        .current_dir(folder.path())
        .env("HOME", folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(78), "{said}");
    assert!(said.contains("key") && said.contains("allow"), "{said}");
    assert!(!folder.path().join("inbox").exists());
}
