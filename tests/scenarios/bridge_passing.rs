//! Bridge and upstream proxy: what goes up, what comes down, and when.

use std::time::Duration;

use serde_json::json;

use crate::support::{
    backend::{ScriptedBackend, Step, completion, json_answer},
    client::{chat, send},
    sides::{API_KEY, Api, CLIENT_KEY, Side, TOKEN, Talk, request},
    wait::until,
};

/// Client, bridge, proxy and API in a row.
async fn chain(api: &str) -> (Side, Side) {
    let proxy = Side::proxy(api, "").await;
    let bridge = Side::bridge(proxy.url(), &[]).await;
    (bridge, proxy)
}

fn holds_no_secret(text: &str, but: &str) {
    for secret in [TOKEN, API_KEY, CLIENT_KEY] {
        assert!(secret == but || !text.contains(secret), "{secret}: {text}");
    }
}

#[actix_web::test]
async fn the_api_sees_its_own_key_and_everything_of_the_client_but_its_secrets() {
    let answer = [Step::Send(
        b"HTTP/1.1 429 Too Many Requests\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\
          Retry-After: 7\r\nX-Request-Id: req-1\r\nX-RateLimit-Remaining-Tokens: 3\r\n\
          OpenAI-Processing-Ms: 12\r\nX-Hop: 1\r\nConnection: close, X-Hop\r\nKeep-Alive: timeout=1\r\n\r\n{}"
            .to_vec(),
    )];
    let api = ScriptedBackend::start(answer.to_vec()).await;
    let (bridge, _proxy) = chain(api.url()).await;
    let mut client = Talk::with(&bridge).await;
    let headers = "Cookie: session=canary-of-the-client\r\nX-Proxy-Token: canary-of-the-client\r\n\
        Proxy-Authorization: Basic canary-of-the-client\r\nX-Mine: 1\r\nConnection: X-Mine\r\n\
        Accept: application/json\r\nAccept-Encoding: gzip, deflate\r\nUser-Agent: client/1\r\n\
        X-Stainless-Lang: js\r\nOpenAI-Organization: org-1\r\ntraceparent: 00-aa-bb-01\r\n\
        Content-Type: application/json\r\nContent-Length: 11\r\n";
    let line = "POST /v1/chat/completions?a=b%20c&d";
    client.say(&request(&bridge, line, headers)).await;
    client.say("{\"a\": true}").await;
    let answer = client.hear("\r\n\r\n{}").await.to_lowercase();
    let asked = api.asked().remove(0);
    assert_eq!(asked.body, json!({"a": true}));
    let lines: Vec<_> = asked.head.lines().collect();
    assert_eq!(lines[0], format!("{line} HTTP/1.1"));
    let head = asked.head.to_lowercase();
    let own_host = format!("host: {}", api.url().strip_prefix("http://").unwrap());
    for passed in [
        format!("authorization: bearer {API_KEY}").as_str(),
        &own_host,
        "accept: application/json",
        "accept-encoding: gzip, deflate",
        "user-agent: client/1",
        "x-stainless-lang: js",
        "openai-organization: org-1",
        "traceparent: 00-aa-bb-01",
        "content-type: application/json",
        "content-length: 11",
    ] {
        assert!(head.lines().any(|line| line == passed), "{passed}: {head}");
    }
    for dropped in ["cookie", "x-proxy-token", "proxy-", "x-mine", "connection"] {
        assert!(
            !head.lines().any(|line| line.starts_with(dropped)),
            "{dropped}: {head}"
        );
    }
    holds_no_secret(&asked.head, API_KEY);
    for passed in [
        "http/1.1 429 too many requests",
        "retry-after: 7",
        "x-request-id: req-1",
        "x-ratelimit-remaining-tokens: 3",
        "openai-processing-ms: 12",
        "content-length: 2",
    ] {
        assert!(
            answer.lines().any(|line| line == passed),
            "{passed}: {answer}"
        );
    }
    for dropped in ["x-hop", "keep-alive", "transfer-encoding"] {
        assert!(!answer.contains(dropped), "{dropped}: {answer}");
    }
    holds_no_secret(&answer, "");
}

#[actix_web::test]
async fn every_method_and_path_below_v1_is_passed_on_and_nothing_else() {
    let api = ScriptedBackend::start(json_answer("200 OK", &json!({"ok": 1}))).await;
    let (bridge, _proxy) = chain(api.url()).await;
    for (method, path) in [
        ("GET", "/v1/files"),
        ("PUT", "/v1/files/1"),
        ("PATCH", "/v1/x"),
        ("DELETE", "/v1/models/a%2Fb"),
        ("OPTIONS", "/v1/chat/completions"),
        ("GET", "/v1/models/a/b?limit=2"),
    ] {
        let answer = send(bridge.url(), method, path, String::new(), &[]).await;
        assert_eq!(answer.status, 200, "{method} {path}: {answer:?}");
        let asked = api.asked().pop().unwrap();
        assert!(
            asked
                .head
                .starts_with(&format!("{method} {path} HTTP/1.1\r\n")),
            "{}",
            asked.head
        );
    }
    let before = api.asked().len();
    for path in ["/", "/models", "/v1/../admin", "/v1/%2e%2e/admin", "/v10/x"] {
        let mut client = Talk::with(&bridge).await;
        client
            .say(&request(&bridge, &format!("GET {path}"), ""))
            .await;
        assert!(client.hear("\r\n\r\n").await.contains(" 404 "), "{path}");
    }
    assert_eq!(api.asked().len(), before);
}

#[actix_web::test]
async fn each_event_of_a_stream_reaches_the_client_before_the_next_is_sent() {
    let api = Api::listen().await;
    let (bridge, _proxy) = chain(&api.url()).await;
    let mut client = Talk::with(&bridge).await;
    let line = "POST /v1/chat/completions";
    client
        .say(&request(&bridge, line, "Content-Length: 2\r\n"))
        .await;
    client.say("{}").await;
    let mut talk = api.accept().await;
    talk.hear("{}").await;
    talk.say(
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n",
    )
    .await;
    assert!(client.hear("\r\n\r\n").await.contains("text/event-stream"));
    for number in 0..20 {
        let event = format!("data: {{\"number\": {number}}}\n\n");
        talk.say(&format!("{:x}\r\n{event}\r\n", event.len())).await;
        assert!(client.hear(&event).await.contains(&event));
    }
    talk.say("0\r\n\r\n").await;
    client.hear("0\r\n\r\n").await;
}

#[actix_web::test]
async fn a_body_goes_up_as_it_comes_in() {
    let api = Api::listen().await;
    let (bridge, _proxy) = chain(&api.url()).await;
    let mut client = Talk::with(&bridge).await;
    let chunked = "Transfer-Encoding: chunked\r\n";
    client
        .say(&request(&bridge, "POST /v1/files", chunked))
        .await;
    client.say("5\r\nfirst\r\n").await;
    let mut talk = api.accept().await;
    talk.hear("first").await;
    client.say("6\r\nsecond\r\n").await;
    talk.hear("second").await;
    client.say("0\r\n\r\n").await;
    talk.hear("0\r\n\r\n").await;
    talk.say("HTTP/1.1 204 No Content\r\n\r\n").await;
    assert!(client.hear("\r\n\r\n").await.contains(" 204 "));
}

#[actix_web::test]
async fn a_client_that_goes_away_takes_its_request_with_it() {
    let api = Api::listen().await;
    let (bridge, _proxy) = chain(&api.url()).await;
    for has_begun in [false, true] {
        let mut client = Talk::with(&bridge).await;
        let line = "POST /v1/chat/completions";
        client
            .say(&request(&bridge, line, "Content-Length: 2\r\n"))
            .await;
        client.say("{}").await;
        let mut talk = api.accept().await;
        talk.hear("{}").await;
        if has_begun {
            talk.say("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n")
                .await;
            client.hear("data: 1").await;
        }
        drop(client);
        let took = talk.closed().await;
        assert!(
            took < Duration::from_secs(1),
            "begun: {has_begun}, {took:?}"
        );
    }
}

#[actix_web::test]
async fn an_answer_that_breaks_off_breaks_off_for_the_client_too() {
    let api = Api::listen().await;
    let (bridge, _proxy) = chain(&api.url()).await;
    for head in [
        "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "Content-Length: 9\r\n\r\nhello",
    ] {
        let mut client = Talk::with(&bridge).await;
        client.say(&request(&bridge, "GET /v1/files", "")).await;
        let mut talk = api.accept().await;
        talk.hear("\r\n\r\n").await;
        talk.say(&format!("HTTP/1.1 200 OK\r\n{head}")).await;
        client.hear("hello").await;
        drop(talk);
        client.closed().await;
        assert!(!client.rest().contains("0\r\n\r\n"), "{}", client.rest());
    }
}

#[actix_web::test]
async fn a_remote_side_that_gives_no_usable_answer_is_named_and_secrets_are_not() {
    let free = Api::listen().await.url();
    let bridge = Side::bridge(&free, &[]).await;
    let answer = send(bridge.url(), "GET", "/v1/files", String::new(), &[]).await;
    assert_eq!(answer.status, 502);
    assert_eq!(answer.json()["error"]["code"], "upstream_unreachable");
    assert!(answer.text.contains(&free), "{answer:?}");
    let scripts = [
        (
            vec![Step::Send(b"\x16\x03\x01 no HTTP\r\n\r\n".to_vec())],
            502,
            "upstream_broken",
        ),
        (
            vec![Step::Send(b"HTTP/1.1 200 OK\r\nContent-".to_vec())],
            502,
            "upstream_broken",
        ),
        (
            vec![Step::Send(
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"
                    .to_vec(),
            )],
            502,
            "upstream_broken",
        ),
        (vec![Step::Hold], 504, "upstream_timeout"),
    ];
    for (script, status, code) in scripts {
        let shown = format!("{script:?}");
        let remote = ScriptedBackend::start(script).await;
        let keys = "first_byte_timeout = \"300ms\"";
        let bridge = Side::bridge_with(remote.url(), TOKEN, &[], keys).await;
        let headers = [("authorization", "Bearer canary-of-the-client")];
        let answer = send(
            bridge.url(),
            "POST",
            "/v1/chat/completions",
            "{}".to_owned(),
            &headers,
        )
        .await;
        assert_eq!(
            (answer.status, answer.json()["error"]["code"].as_str()),
            (status, Some(code)),
            "{shown}"
        );
        assert!(answer.text.contains(remote.url()), "{answer:?}");
        holds_no_secret(&answer.text, "");
        let log = || bridge.log().join("\n");
        let told = until("the failure in the log", log, |log| {
            log.contains("not passed on")
        })
        .await;
        holds_no_secret(&told, "");
    }
}

#[actix_web::test]
async fn a_stream_that_falls_silent_ends() {
    let api = Api::listen().await;
    let bridge = Side::bridge_with(&api.url(), TOKEN, &[], "idle_timeout = \"300ms\"").await;
    let mut client = Talk::with(&bridge).await;
    client.say(&request(&bridge, "GET /v1/stream", "")).await;
    let mut talk = api.accept().await;
    talk.hear("\r\n\r\n").await;
    talk.say("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n")
        .await;
    client.hear("data: 1").await;
    client.closed().await;
    talk.closed().await;
}

#[actix_web::test]
async fn other_protocols_than_http_are_refused() {
    let api = ScriptedBackend::start(json_answer("200 OK", &json!({}))).await;
    let bridge = Side::bridge(api.url(), &[]).await;
    for (line, headers) in [
        (
            "GET /v1/realtime",
            "Connection: Upgrade\r\nUpgrade: websocket\r\n",
        ),
        ("GET /v1/realtime", "Upgrade: h2c\r\n"),
        ("TRACE /v1/models", ""),
    ] {
        let mut client = Talk::with(&bridge).await;
        client.say(&request(&bridge, line, headers)).await;
        let answer = client.hear("\r\n\r\n").await;
        assert!(answer.contains(" 501 "), "{line} {headers}: {answer}");
    }
    assert_eq!(api.asked().len(), 0);
}

#[actix_web::test]
async fn pages_and_names_of_others_are_kept_out() {
    let api = ScriptedBackend::start(json_answer("200 OK", &json!({}))).await;
    let keys = "allowed_hosts = [\"bridge.example\"]\nallowed_origins = [\"https://chat.example\"]";
    let bridge = Side::bridge_with(api.url(), TOKEN, &[], keys).await;
    for (host, origin, status) in [
        ("localhost:1", "", 200),
        ("bridge.example", "", 200),
        ("evil.example", "", 403),
        ("192.0.2.7", "", 403),
        ("localhost", "Origin: https://chat.example\r\n", 200),
        ("localhost", "Origin: http://localhost:3000\r\n", 200),
        ("localhost", "Origin: https://evil.example\r\n", 403),
        ("localhost", "Origin: null\r\n", 403),
    ] {
        for path in ["/v1/files", "/health"] {
            let mut client = Talk::with(&bridge).await;
            let text = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{origin}\r\n");
            client.say(&text).await;
            let answer = client.hear("\r\n\r\n").await;
            assert!(
                answer.contains(&format!(" {status} ")),
                "{path} {host} {origin}: {answer}"
            );
        }
    }
}

#[actix_web::test]
async fn models_are_the_remotes_or_the_configured_ones_where_it_has_none() {
    let listed = json!({"object": "list", "data": [{"id": "theirs", "object": "model"}]});
    let answer = listed.clone();
    let remote = ScriptedBackend::start_with(move |_, asked| {
        if asked.head.starts_with("GET /none/") {
            json_answer("404 Not Found", &json!({"error": {"message": "unknown"}}))
        } else {
            json_answer("200 OK", &answer)
        }
    })
    .await;
    let bridge = Side::bridge(remote.url(), &[]).await;
    let answer = send(bridge.url(), "GET", "/v1/models", String::new(), &[]).await;
    assert_eq!(answer.json(), listed);
    let none = format!("{}/none", remote.url());
    let keys = "models = [{ id = \"a/b\", name = \"A\" }]";
    let bridge = Side::bridge_with(&none, TOKEN, &[], keys).await;
    let answer = send(bridge.url(), "GET", "/v1/models", String::new(), &[]).await;
    assert_eq!(
        (answer.status, &answer.json()["data"][0]["id"]),
        (200, &"a/b".into())
    );
    for (path, status) in [
        ("/v1/models/a%2Fb", 200),
        ("/v1/models/a/b", 200),
        ("/v1/models/c", 404),
    ] {
        let answer = send(bridge.url(), "GET", path, String::new(), &[]).await;
        assert_eq!(answer.status, status, "{path}");
    }
}

#[actix_web::test]
async fn health_tells_of_both_sides_and_needs_no_token() {
    let api = ScriptedBackend::start(json_answer("200 OK", &json!({}))).await;
    let (bridge, proxy) = chain(api.url()).await;
    let health = send(proxy.url(), "GET", "/health", String::new(), &[]).await;
    assert_eq!((health.status, &health.json()["ok"]), (200, &true.into()));
    let health = send(bridge.url(), "GET", "/health", String::new(), &[])
        .await
        .json();
    assert_eq!(
        (&health["ok"], &health["remote"]["ok"]),
        (&true.into(), &true.into())
    );
    assert!(health["remote"]["latency_ms"].is_number(), "{health}");
    assert_eq!(
        api.asked().len(),
        0,
        "health is of the proxy, not of the API"
    );
    assert_eq!(proxy.stop().await, Some(0));
    let health = send(bridge.url(), "GET", "/health", String::new(), &[])
        .await
        .json();
    assert_eq!(
        (&health["ok"], &health["remote"]["ok"]),
        (&true.into(), &false.into())
    );
    // Not every proxy has that path.
    let remote = ScriptedBackend::start(json_answer("404 Not Found", &json!({}))).await;
    let bridge = Side::bridge(remote.url(), &[]).await;
    let health = send(bridge.url(), "GET", "/health", String::new(), &[])
        .await
        .json();
    assert_eq!(health["remote"]["ok"], true, "{health}");
    assert_eq!(bridge.stop().await, Some(0));
}

#[actix_web::test]
async fn a_chat_through_both_sides_is_the_apis_answer() {
    let api = ScriptedBackend::start(json_answer("200 OK", &completion("hello there"))).await;
    let (bridge, proxy) = chain(api.url()).await;
    for _ in 0..3 {
        let body = chat("hi", json!({})).to_string();
        let answer = send(bridge.url(), "POST", "/v1/chat/completions", body, &[]).await;
        assert_eq!(
            (answer.status, answer.content()),
            (200, "hello there".to_owned())
        );
    }
    let logs = [bridge.log(), proxy.log()].concat().join("\n");
    holds_no_secret(&logs, "");
}
