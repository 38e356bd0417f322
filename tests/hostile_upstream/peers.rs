//! What a peer may do to us, and what comes of it; and what it gets from us.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures_util::{StreamExt, stream};
use postroom::{
    adapters::{
        peer_http::{PeerAddress, PeerHttp, UrlRules},
        upstream_http::TlsSetup,
    },
    webhook_signature::{SignedHeaders, SigningKey},
};
use postroom_actors::{
    domain::{
        ids::{AgentId, MessageId},
        party::{Party, PeerName},
        trace_context::TraceContext,
    },
    ports::courier::{PeerTransport, PostAnswer, PostError, PostOrder},
};
use tokio::time::Instant;

use super::server::{FOREVER, HostileServer, Step, send};

const BODY: &str = r#"{"type":"STATUS","payload":{"done":true}}"#;
const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const CURRENT: &str = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
const PREVIOUS: &str = "whsec_BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB";

fn peer(url: &str) -> PeerAddress {
    PeerAddress {
        url: url.into(),
        secret: Some("canary-secret".into()),
        signing: Vec::new(),
        allow_private: true,
        timeout: Duration::from_millis(600),
    }
}

fn transport(peer: PeerAddress) -> PeerHttp {
    let urls = UrlRules {
        hosts: vec!["127.0.0.1".to_owned(), "localhost".to_owned()],
        allow_private: true,
        timeout: Duration::from_millis(600),
        webhooks: BTreeMap::new(),
    };
    let peers = BTreeMap::from([(office(), peer)]);
    PeerHttp::new(peers, urls, &TlsSetup::default())
}

fn office() -> PeerName {
    PeerName::parse("office").unwrap()
}

fn at() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap()
}

fn order(to: Party) -> PostOrder {
    PostOrder {
        to,
        id: MessageId::new(uuid::Uuid::from_u128(7)),
        at: at(),
        body: Bytes::from_static(BODY.as_bytes()),
        traceparent: TraceContext::parse(TRACEPARENT),
    }
}

fn base(server: &HostileServer) -> String {
    format!("http://{}", server.address)
}

async fn post(peer: PeerAddress) -> Result<PostAnswer, PostError> {
    let posting = transport(peer).post(order(Party::Peer(office())));
    let ended = tokio::time::timeout(Duration::from_secs(4), posting).await;
    ended.expect("posting hangs")
}

async fn post_to(script: Vec<Step>) -> (Result<PostAnswer, PostError>, HostileServer) {
    let server = HostileServer::start(vec![script]).await;
    (post(peer(&base(&server))).await, server)
}

/// What came of one try, as far as the table tells: the status, or the kind of error.
async fn seen(script: Vec<Step>) -> String {
    match post_to(script).await.0 {
        Ok(answer) => answer.status.to_string(),
        Err(PostError::TimedOut(limit)) => format!("timed out: {limit}"),
        Err(PostError::Broken(_)) => "broken".to_owned(),
        Err(other) => format!("{other:?}"),
    }
}

fn ok(rest: &str) -> Step {
    send(&format!("HTTP/1.1 200 OK\r\n{rest}"))
}

#[expect(clippy::too_many_lines, reason = "a table")]
fn cases() -> Vec<(&'static str, Vec<Step>, &'static str)> {
    let redirect = |status: &str| {
        vec![send(&format!(
            "HTTP/1.1 {status} Elsewhere\r\nLocation: http://169.254.169.254/\r\nContent-Length: 2\r\n\r\nto"
        ))]
    };
    let silence = "timed out: the head of the answer";
    let long = "x".repeat(200 * 1024);
    vec![
        (
            "a sound answer",
            vec![ok("Content-Length: 2\r\n\r\nok")],
            "200",
        ),
        (
            "no content",
            vec![send("HTTP/1.1 204 No Content\r\n\r\n")],
            "204",
        ),
        (
            "garbage in the body",
            vec![ok("Content-Length: 3\r\n\r\n\0\u{1}\u{2}")],
            "200",
        ),
        (
            "gzip that is none",
            vec![ok("Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\nzzz")],
            "200",
        ),
        (
            "a cookie",
            vec![ok("Set-Cookie: a=b\r\nContent-Length: 0\r\n\r\n")],
            "200",
        ),
        (
            "less than was promised",
            vec![ok("Content-Length: 99\r\n\r\nok")],
            "200",
        ),
        (
            "5 GB",
            vec![
                ok("Content-Length: 5368709120\r\n\r\n"),
                Step::Repeat(vec![b'x'; 64 * 1024], Duration::ZERO),
            ],
            "200",
        ),
        (
            "a body that drips",
            vec![
                ok("\r\n"),
                Step::Repeat(b"x".to_vec(), Duration::from_millis(20)),
            ],
            "200",
        ),
        (
            "a body that never comes",
            vec![ok("Content-Length: 9\r\n\r\n"), Step::Wait(FOREVER)],
            "200",
        ),
        ("301", redirect("301"), "301"),
        ("302", redirect("302"), "302"),
        ("303", redirect("303"), "303"),
        ("307", redirect("307"), "307"),
        ("308", redirect("308"), "308"),
        (
            "304",
            vec![send("HTTP/1.1 304 Not Modified\r\n\r\n")],
            "304",
        ),
        (
            "999",
            vec![send("HTTP/1.1 999 What\r\nContent-Length: 0\r\n\r\n")],
            "999",
        ),
        ("never answers", vec![Step::Wait(FOREVER)], silence),
        (
            "a head that drips",
            vec![
                ok("X: "),
                Step::Repeat(b"a".to_vec(), Duration::from_millis(20)),
            ],
            silence,
        ),
        (
            "100 continue without end",
            vec![Step::Repeat(
                b"HTTP/1.1 100 Continue\r\n\r\n".repeat(100),
                Duration::ZERO,
            )],
            silence,
        ),
        ("closes without a byte", vec![], "broken"),
        ("resets", vec![Step::Reset], "broken"),
        (
            "another protocol",
            vec![send("SSH-2.0-OpenSSH_9.2\r\n")],
            "broken",
        ),
        ("http/0.9", vec![send("<html>hello</html>")], "broken"),
        ("garbage", vec![send("\0\x01garbage\r\n\r\n")], "broken"),
        (
            "status 000",
            vec![send("HTTP/1.1 000 No\r\nContent-Length: 0\r\n\r\n")],
            "broken",
        ),
        (
            "a header of 200 kb",
            vec![ok(&format!("X: {long}\r\nContent-Length: 0\r\n\r\n"))],
            "broken",
        ),
        (
            "headers without end",
            vec![
                ok(""),
                Step::Repeat(b"X-More: and more\r\n".repeat(100), Duration::ZERO),
            ],
            "broken",
        ),
        (
            "two lengths",
            vec![ok("Content-Length: 3\r\nContent-Length: 5\r\n\r\nabcde")],
            "broken",
        ),
    ]
}

#[actix_rt::test]
async fn whatever_a_peer_does_a_try_ends_in_its_time_and_as_the_table_says() {
    let wrong: Vec<String> = stream::iter(cases())
        .map(async |(name, script, expected)| {
            let seen = seen(script).await;
            (seen != expected).then(|| format!("{name}: expected {expected}, saw {seen}"))
        })
        .buffer_unordered(8)
        .filter_map(std::future::ready)
        .collect()
        .await;
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[actix_rt::test]
async fn a_try_is_one_connection_and_one_request_whatever_comes_of_it() {
    for (script, name) in [
        (vec![ok("Content-Length: 2\r\n\r\nok")], "sound"),
        (vec![], "closed"),
        (
            vec![send(
                "HTTP/1.1 302 No\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n",
            )],
            "302",
        ),
        (
            vec![send(
                "HTTP/1.1 503 No\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n",
            )],
            "503",
        ),
    ] {
        let (_, server) = post_to(script).await;
        assert_eq!(
            (server.connections(), server.requests().len()),
            (1, 1),
            "{name}"
        );
    }
    let script = vec![ok("Content-Length: 2\r\n\r\nok"), Step::NextRequest];
    let server = HostileServer::start(vec![script]).await;
    let transport = transport(peer(&base(&server)));
    for _ in 0..2 {
        transport.post(order(Party::Peer(office()))).await.unwrap();
    }
    assert_eq!(server.connections(), 2, "a connection was kept");
}

#[actix_rt::test]
async fn a_refusal_is_told_in_a_few_characters_with_the_time_to_wait() {
    let body = format!(
        "no \u{1b}[31m canary-secret \"why\" {}",
        "x".repeat(100_000)
    );
    let head = format!(
        "HTTP/1.1 429 No\r\nRetry-After: 99999\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let (answer, _server) = post_to(vec![send(&head), send(&body)]).await;
    let answer = answer.unwrap();
    assert_eq!(answer.status, 429);
    assert_eq!(answer.retry_after, Some(Duration::from_hours(1)));
    assert_eq!(answer.excerpt.chars().count(), 300);
    let start = "no \\u{1b}[31m *** \"why\" xxx";
    assert!(answer.excerpt.starts_with(start), "{}", answer.excerpt);
}

#[actix_rt::test]
async fn a_peer_is_told_the_message_its_id_its_secret_and_nothing_else() {
    let (_, server) = post_to(vec![ok("Content-Length: 0\r\n\r\n")]).await;
    let request = server.requests().remove(0);
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    assert_eq!(body, BODY);
    let mut lines: Vec<&str> = head.lines().collect();
    assert_eq!(lines.remove(0), "POST /message HTTP/1.1");
    lines.sort_unstable();
    let host = format!("host: {}", server.address);
    let length = format!("content-length: {}", BODY.len());
    assert_eq!(
        lines,
        [
            length.as_str(),
            "content-type: application/json",
            host.as_str(),
            "idempotency-key: 00000000-0000-0000-0000-000000000007",
            &format!("traceparent: {TRACEPARENT}"),
            concat!("user-agent: postroom/", env!("CARGO_PKG_VERSION")),
            "webhook-id: 00000000-0000-0000-0000-000000000007",
            "x-shared-secret: canary-secret",
        ]
    );
}

#[actix_rt::test]
async fn a_signed_message_holds_under_both_secrets_of_a_rotation() {
    let server = HostileServer::start(vec![vec![ok("Content-Length: 0\r\n\r\n")]]).await;
    let keys = [CURRENT, PREVIOUS].map(|secret| SigningKey::parse(secret).unwrap());
    let peer = PeerAddress {
        signing: keys.to_vec(),
        ..peer(&base(&server))
    };
    post(peer).await.unwrap();
    let request = server.requests().remove(0);
    let header = |name: &str| {
        let line = request.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap().trim().to_owned()
    };
    let (id, time) = (header("webhook-id:"), header("webhook-timestamp:"));
    let signatures = header("webhook-signature:");
    assert_eq!(time, at().timestamp().to_string());
    assert_eq!(signatures.split(' ').count(), 2);
    let signed = SignedHeaders::read(&id, &time, &signatures).unwrap();
    for key in &keys {
        assert!(signed.are_by(std::slice::from_ref(key), BODY.as_bytes()));
    }
}

#[actix_rt::test]
async fn a_reply_to_address_is_asked_as_it_stands_and_without_secrets() {
    let server = HostileServer::start(vec![vec![ok("Content-Length: 0\r\n\r\n")]]).await;
    let transport = transport(peer("http://127.0.0.1:9999"));
    let to = |url: String| Party::Url(url.into());
    let url = format!("{}/hook?a=b", base(&server));
    transport.post(order(to(url))).await.unwrap();
    let request = server.requests().remove(0);
    assert!(
        request.starts_with("POST /hook?a=b HTTP/1.1\r\n"),
        "{request}"
    );
    assert!(!request.contains("canary"), "{request}");
    for url in [
        "http://office.example/",
        "http://127.0.0.1.office.example/",
        "http://u:p@127.0.0.1/",
        "http://127.0.0.1:25/",
        "ftp://127.0.0.1/",
    ] {
        let error = transport.post(order(to(url.to_owned()))).await.unwrap_err();
        assert!(matches!(error, PostError::Unaskable(_)), "{url}: {error:?}");
    }
    assert_eq!(server.connections(), 1);
}

#[actix_rt::test]
async fn an_address_inside_is_refused_however_it_is_written_before_a_byte_is_sent() {
    let server = HostileServer::start(vec![vec![ok("Content-Length: 0\r\n\r\n")]]).await;
    let port = server.address.port();
    for (scheme, host) in [
        ("http", "127.0.0.1"),
        ("https", "127.0.0.1"),
        ("http", "127.1"),
        ("http", "0x7f000001"),
        ("http", "2130706433"),
        ("http", "017700000001"),
        ("http", "0.0.0.0"),
        ("http", "0"),
        ("http", "[::1]"),
        ("http", "[::ffff:127.0.0.1]"),
        ("http", "[64:ff9b::7f00:1]"),
        ("http", "localhost"),
        ("https", "localhost"),
        ("http", "LOCALHOST"),
    ] {
        let url = format!("{scheme}://{host}:{port}");
        let peer = PeerAddress {
            allow_private: false,
            ..peer(&url)
        };
        let error = post(peer).await.unwrap_err();
        assert!(
            matches!(error, PostError::AddressRefused(_)),
            "{url}: {error:?}"
        );
    }
    assert_eq!(server.connections(), 0);
}

#[actix_rt::test]
async fn what_is_allowed_inside_is_reached_by_its_name_too() {
    let server = HostileServer::start(vec![vec![ok("Content-Length: 0\r\n\r\n")]]).await;
    let url = format!("http://localhost:{}", server.address.port());
    assert_eq!(post(peer(&url)).await.unwrap().status, 200);
}

#[actix_rt::test]
async fn nobody_there_and_unknown_recipients_are_said_as_such() {
    // Bound and not listening: nobody else can take the port meanwhile.
    let silent = tokio::net::TcpSocket::new_v4().unwrap();
    silent.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let error = post(peer(&url)).await.unwrap_err();
    assert!(matches!(error, PostError::Connect(_)), "{error:?}");
    let error = post(peer(&url.replace("http:", "https:")))
        .await
        .unwrap_err();
    assert!(matches!(error, PostError::Connect(_)), "{error:?}");
    for to in [
        Party::Peer(PeerName::parse("nobody").unwrap()),
        Party::Agent(AgentId::parse("alice").unwrap()),
        Party::Anyone,
    ] {
        let error = transport(peer(&url)).post(order(to.clone())).await;
        assert_eq!(error, Err(PostError::UnknownRecipient(to)));
    }
}

#[actix_rt::test]
async fn a_tls_handshake_that_hangs_ends_with_the_try() {
    let server = HostileServer::start(vec![vec![Step::Wait(FOREVER)]]).await;
    let started = Instant::now();
    let url = base(&server).replace("http:", "https:");
    let error = post(peer(&url)).await.unwrap_err();
    assert!(matches!(error, PostError::TimedOut(_)), "{error:?}");
    assert!(started.elapsed() < Duration::from_secs(3));
}
