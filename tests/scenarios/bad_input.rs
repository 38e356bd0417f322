//! Bad input gets a clear answer, and leaves nothing behind.

use std::time::Duration;

use serde_json::json;

use crate::support::{
    broker::{Broker, BrokerOptions, KEY},
    client::chat,
    raw,
    wait::until,
};

const SILENCE: Duration = Duration::from_secs(3);

#[actix_web::test]
async fn what_is_not_json_is_refused_with_a_place_and_without_an_echo() {
    let broker = Broker::start(BrokerOptions::default()).await;
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    for body in [
        "",
        "{",
        "{\"secret-word\": }",
        "\u{feff}{}",
        "{\"a\": \"\\ud800\"}",
        "NaN",
        "{\"a\": Infinity}",
        "{} x",
        "{}{}",
        "{\"a\": 01}",
        deep.as_str(),
    ] {
        let answer = broker.post("/v1/chat/completions", body, &[]).await;
        let shown: String = body.chars().take(30).collect();
        assert_eq!(answer.status, 400, "{shown}");
        let error = &answer.json()["error"];
        assert_eq!(error["type"], "invalid_request_error", "{shown}");
        assert!(
            error["message"].as_str().unwrap().contains("line"),
            "{shown}: {error}"
        );
        assert!(!answer.text.contains("secret-word"));
    }
    assert_eq!(broker.inbox_items().len(), 0);
    let logged = || {
        let lines = broker.log_lines();
        lines
            .iter()
            .filter(|line| line.contains("invalid_json"))
            .count()
    };
    until("a log line for each", logged, |count| *count == 11).await;
}

#[actix_web::test]
async fn bytes_that_are_not_utf8_are_refused() {
    let broker = Broker::start(BrokerOptions::default()).await;
    let mut request = raw::head(&broker, "Content-Length: 9\r\n");
    request.extend_from_slice(b"{\"a\":\"\xff\"}");
    assert_eq!(
        raw::exchange(&broker, &request, SILENCE).await.status(),
        400
    );
}

#[actix_web::test]
async fn any_json_is_kept_whatever_it_is_called() {
    let broker = Broker::start(BrokerOptions::default()).await;
    let bodies = [
        "null",
        "\"text\"",
        "[1, 2]",
        "7",
        "{\"a\": \"\\u0000\"}",
        "{\"n\": 1e400}",
    ];
    for (number, body) in bodies.into_iter().enumerate() {
        let headers = [("content-type", "text/plain")];
        let answer = broker.post("/v1/chat/completions", body, &headers).await;
        assert_eq!(answer.status, 200, "{body}");
        broker.until_items(number + 1).await;
    }
}

#[actix_web::test]
async fn a_body_over_the_limit_is_cut_at_once() {
    let broker = Broker::start(BrokerOptions::default()).await;
    let request = raw::head(&broker, "Content-Length: 104857600\r\n");
    let answer = raw::exchange(&broker, &request, SILENCE).await;
    assert_eq!((answer.status(), answer.closed), (413, true), "{answer:?}");
    let mut chunked = raw::head(&broker, "Transfer-Encoding: chunked\r\n");
    for _ in 0..22 {
        chunked.extend_from_slice(b"100000\r\n");
        chunked.extend_from_slice(&vec![b' '; 1 << 20]);
        chunked.extend_from_slice(b"\r\n");
    }
    let answer = raw::exchange(&broker, &chunked, SILENCE).await;
    assert!(
        answer.closed && matches!(answer.status(), 413 | 0),
        "{answer:?}"
    );
    assert_eq!(broker.inbox_items().len(), 0);
    assert!(broker.peak_memory_bytes() < 150 << 20);
}

#[actix_web::test]
async fn an_upload_without_a_key_or_a_place_to_go_is_cut() {
    let broker = Broker::start(BrokerOptions::default()).await;
    let chunk = [b"100000\r\n", vec![b' '; 1 << 20].as_slice(), b"\r\n"].concat();
    for (path, key) in [
        ("/v1/chat/completions", "wrong"),
        ("/nowhere", KEY),
        ("/health", KEY),
    ] {
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nTransfer-Encoding: chunked\r\n\r\n"
        );
        let answer = raw::exchange(&broker, &[head.as_bytes(), &chunk].concat(), SILENCE).await;
        assert!(
            answer.closed && matches!(answer.status(), 401 | 404 | 405),
            "{path}: {answer:?}"
        );
    }
}

#[actix_web::test]
async fn a_large_limit_is_honoured_up_to_its_last_byte() {
    let options = BrokerOptions::toml("[mailbox]\ninbox = \"{inbox}\"\n[limits]\nbody = 2000\n");
    let broker = Broker::start(options).await;
    let of_size = |size: usize| format!("\"{}\"", "x".repeat(size - 2));
    assert_eq!(
        broker
            .post("/v1/chat/completions", of_size(2000), &[])
            .await
            .status,
        200
    );
    assert_eq!(
        broker
            .post("/v1/chat/completions", of_size(2001), &[])
            .await
            .status,
        413
    );
}

#[actix_web::test]
async fn compressed_bodies_are_refused() {
    let broker = Broker::start(BrokerOptions::default()).await;
    let answer = broker
        .post(
            "/v1/chat/completions",
            "{}",
            &[("content-encoding", "gzip")],
        )
        .await;
    assert_eq!(answer.status, 415);
}

#[actix_web::test]
async fn requests_that_are_framed_badly_are_refused_and_hung_up_on() {
    let broker = Broker::start(BrokerOptions::default()).await;
    for headers in [
        "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n",
        "Content-Length: +2\r\n",
        "Content-Length: 2\r\nContent-Length: 3\r\n",
        "Transfer-Encoding : chunked\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Host: another\r\nContent-Length: 2\r\n",
        "X-Folded: a\r\n b\r\nContent-Length: 2\r\n",
    ] {
        let mut request = raw::head(&broker, headers);
        request.extend_from_slice(b"{}");
        let answer = raw::exchange(&broker, &request, SILENCE).await;
        assert!(
            answer.closed && matches!(answer.status(), 400 | 0),
            "{headers}: {answer:?}"
        );
    }
    for line in [
        "\x16\x03\x01\x02\x00\x01\x00",
        "GET / HTTP/9.9\r\n\r\n",
        "GARBAGE\r\n\r\n",
    ] {
        let answer = raw::exchange(&broker, line.as_bytes(), SILENCE).await;
        assert!(
            answer.status() == 400 || answer.closed,
            "{line:?}: {answer:?}"
        );
    }
    assert_eq!(
        broker.chat(&chat("still there", json!({}))).await.status,
        200
    );
    assert_eq!(broker.until_items(1).await.len(), 1);
}

#[actix_web::test]
async fn an_unknown_agent_is_named_in_a_404_and_nothing_is_kept() {
    let broker = Broker::start(BrokerOptions::default()).await;
    let body = chat("hello", json!({})).to_string();
    for name in ["bob", "../../etc/passwd", "a/b"] {
        let answer = broker
            .post(
                "/v1/chat/completions",
                body.clone(),
                &[("x-openclaw-agent-id", name)],
            )
            .await;
        assert_eq!(answer.status, 404);
        assert_eq!(answer.json()["error"]["code"], "model_not_found");
        assert!(answer.text.contains(name), "{}", answer.text);
    }
    assert_eq!(broker.inbox_items().len(), 0);
}

#[actix_web::test]
async fn a_context_id_is_text_and_never_a_path() {
    let broker = Broker::start(BrokerOptions::default()).await;
    for (number, channel) in ["../../x", "a\nb", "\u{0}", &"y".repeat(10_000)]
        .iter()
        .enumerate()
    {
        let answer = broker
            .chat(&chat("hello", json!({ "channel": channel })))
            .await;
        assert_eq!(answer.status, 200);
        let items = broker.until_items(number + 1).await;
        assert!(
            items
                .iter()
                .any(|item| item["context_id"] == channel.trim()),
            "{channel:?}"
        );
    }
    // A mark is made after its file is there.
    let marks = broker.folder().join(".context_ids");
    let count = || std::fs::read_dir(&marks).unwrap().count();
    until("four marks", count, |marks| *marks == 4).await;
}
