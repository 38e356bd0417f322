//! A table of messages that are refused: each gets the answer that is pinned here, and nothing of
//! them is kept.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{
    agents::{Stage, id_of},
    broker::Broker,
    messages::{Office, complaint, fixture, key_of, message},
    peers::Peer,
    processes::until_runs,
    raw,
};

const OFFICE: &str = "secret-of-the-office";
const LAB: &str = "secret-of-the-lab";
const CLIENT: &str = "key-of-a-client";

/// Who asks.
#[derive(Debug, Clone, Copy)]
enum By {
    /// The header `X-Shared-Secret`.
    Secret(&'static str),
    /// A secret as a bearer's key.
    Bearer(&'static str),
    /// The key that speaks for the agent `alice`.
    Alice,
    /// The operator.
    Operator,
    /// Nobody.
    Nobody,
}

/// A request that is refused.
struct Row {
    name: &'static str,
    by: By,
    target: &'static str,
    body: Vec<u8>,
    status: u16,
    says: &'static str,
}

fn row(
    name: &'static str,
    by: By,
    target: &'static str,
    body: impl Into<Vec<u8>>,
    status: u16,
    says: &'static str,
) -> Row {
    Row {
        name,
        by,
        target,
        body: body.into(),
        status,
        says,
    }
}

const MESSAGE: &str = "POST /message";
const SEND: &str = "POST /send";
const PLAIN: &str = r#"{"type":"TASK","payload":{"text":"refused"}}"#;

fn with(fields: &Value) -> String {
    message("TASK", "refused", fields.clone()).to_string()
}

fn who_may() -> Vec<Row> {
    use By::{Alice, Bearer, Nobody, Operator, Secret};
    let to_office = with(&json!({"to": "office"}));
    let to_lab = with(&json!({"to": "lab"}));
    vec![
        row("no secret", Nobody, MESSAGE, PLAIN, 401, "unauthorized"),
        row(
            "a wrong secret",
            Secret("wrong"),
            MESSAGE,
            PLAIN,
            401,
            "unauthorized",
        ),
        row(
            "an empty secret",
            Secret(""),
            MESSAGE,
            PLAIN,
            401,
            "unauthorized",
        ),
        row(
            "a wrong bearer",
            Bearer("wrong"),
            MESSAGE,
            PLAIN,
            401,
            "unauthorized",
        ),
        row(
            "nothing on send",
            Nobody,
            SEND,
            to_office.clone(),
            401,
            "unauthorized",
        ),
        row(
            "a wrong token",
            Bearer("turn_x"),
            SEND,
            to_office.clone(),
            401,
            "unauthorized",
        ),
        row(
            "a client's key on send",
            Bearer(CLIENT),
            SEND,
            to_office.clone(),
            403,
            "role",
        ),
        row(
            "a peer's secret on send",
            Secret(OFFICE),
            SEND,
            to_office,
            403,
            "secret_send",
        ),
        row(
            "to another peer with a secret that may send",
            Secret(LAB),
            SEND,
            with(&json!({"to": "office"})),
            403,
            "lab",
        ),
        row(
            "to an agent with a secret that may send",
            Secret(LAB),
            SEND,
            with(&json!({"to": "alice"})),
            403,
            "lab",
        ),
        row(
            "a peer's secret on chats",
            Secret(OFFICE),
            "POST /v1/chat/completions",
            "{}",
            403,
            "",
        ),
        row(
            "a peer's secret on responses",
            Secret(OFFICE),
            "POST /v1/responses",
            r#"{"input":"x"}"#,
            403,
            "",
        ),
        row(
            "a peer's secret on agents",
            Secret(OFFICE),
            "GET /agents",
            "",
            403,
            "",
        ),
        row(
            "a peer's secret on models",
            Secret(OFFICE),
            "GET /v1/models",
            "",
            403,
            "",
        ),
        row(
            "a peer's secret on metrics",
            Secret(OFFICE),
            "GET /metrics",
            "",
            403,
            "",
        ),
        row(
            "a peer's secret on dead letters",
            Secret(OFFICE),
            "GET /dead-letters",
            "",
            403,
            "",
        ),
        row(
            "a client's key on dead letters",
            Bearer(CLIENT),
            "GET /dead-letters",
            "",
            403,
            "",
        ),
        row(
            "an agent's key on dead letters",
            Alice,
            "GET /dead-letters",
            "",
            403,
            "",
        ),
        row(
            "a message that nobody sent",
            Operator,
            "GET /messages/0190a5dac96774bbcceb302099a80570",
            "",
            404,
            "no message",
        ),
        row(
            "what is no id",
            Operator,
            "GET /messages/..%2f..%2fetc",
            "",
            404,
            "no message",
        ),
        row(
            "a dead letter that is none",
            Operator,
            "POST /dead-letters/0190a5dac96774bbcceb302099a80570/retry",
            "{}",
            404,
            "no dead letter",
        ),
        row(
            "to a peer that is not there, as alice",
            Alice,
            SEND,
            with(&json!({"to": "nobody"})),
            404,
            "nobody",
        ),
        row(
            "to a lab's agent that types do not reach",
            Alice,
            SEND,
            to_lab,
            422,
            "REPORT",
        ),
    ]
}

fn what_is_said() -> Vec<Row> {
    use By::{Alice, Secret};
    let to_office = |fields: Value| {
        let mut body = message("TASK", "refused", fields);
        body["to"] = "office".into();
        body.to_string()
    };
    let mut rows = Vec::new();
    for (by, target) in [(Secret(OFFICE), MESSAGE), (Alice, SEND)] {
        rows.extend([
            row(
                "no type",
                by,
                target,
                r#"{"payload":{}}"#,
                400,
                "missing type",
            ),
            row(
                "a type that is null",
                by,
                target,
                r#"{"type":null}"#,
                400,
                "missing type",
            ),
            row(
                "an empty type",
                by,
                target,
                r#"{"type":" "}"#,
                400,
                "missing type",
            ),
            row(
                "a type that is no text",
                by,
                target,
                r#"{"type":["TASK"]}"#,
                400,
                "missing type",
            ),
            row("an empty object", by, target, "{}", 400, "missing type"),
            row("nothing", by, target, "", 400, ""),
            row("no JSON", by, target, "type=TASK", 400, ""),
            row("cut off", by, target, r#"{"type":"TASK""#, 400, ""),
            row("a list", by, target, "[]", 400, "object"),
            row("a text", by, target, r#""TASK""#, 400, "object"),
            row(
                "no UTF-8",
                by,
                target,
                b"{\"type\":\"T\xff\"}".to_vec(),
                400,
                "",
            ),
            row(
                "a type twice",
                by,
                target,
                r#"{"type":"A","type":"B"}"#,
                400,
                "type",
            ),
            row(
                "a deep payload",
                by,
                target,
                format!(
                    "{{\"type\":\"T\",\"payload\":{}{}}}",
                    "[".repeat(300),
                    "]".repeat(300)
                ),
                400,
                "",
            ),
        ]);
    }
    for (name, fields, says) in [
        (
            "an unknown priority",
            json!({"priority": "urgent"}),
            "priority",
        ),
        ("a priority over 9", json!({"priority": 10}), "priority"),
        ("no time", json!({"expires_at": "tomorrow"}), "expires_at"),
        ("an empty id", json!({"id": ""}), "id"),
        ("a long id", json!({"id": "x".repeat(256)}), "id"),
        (
            "an id with a line break",
            json!({"id": "a\r\nX-Evil: 1"}),
            "id",
        ),
        ("a type with a line break", json!({"type": "A\nB"}), "type"),
    ] {
        rows.push(row(name, Secret(OFFICE), MESSAGE, with(&fields), 400, says));
        rows.push(row(name, Alice, SEND, to_office(fields), 400, says));
    }
    rows.extend([
        row(
            "to an agent that is not there",
            Secret(OFFICE),
            MESSAGE,
            with(&json!({"to": "nobody"})),
            404,
            "nobody",
        ),
        row(
            "to a path",
            Secret(OFFICE),
            MESSAGE,
            with(&json!({"to": "../../etc"})),
            404,
            "",
        ),
        row(
            "answers to a host that is not allowed",
            Secret(OFFICE),
            MESSAGE,
            with(&json!({"reply_to": "http://169.254.169.254/latest"})),
            422,
            "reply_to",
        ),
        row(
            "answers to what is no URL",
            Secret(OFFICE),
            MESSAGE,
            with(&json!({"reply_to": "file:///etc/passwd"})),
            422,
            "reply_to",
        ),
        row("nobody to answer", Alice, SEND, PLAIN, 400, "to"),
        row(
            "a type that is not taken",
            Alice,
            SEND,
            r#"{"type":"SECRET_PLAN","payload":{},"to":"lab"}"#,
            422,
            "REPORT",
        ),
        row(
            "too many hops",
            Secret(OFFICE),
            MESSAGE,
            with(&json!({"hops": 9})),
            409,
            "hops",
        ),
        row(
            "more hops than a number holds",
            Secret(OFFICE),
            MESSAGE,
            r#"{"type":"TASK","hops":99999999999999999999999}"#,
            409,
            "hops",
        ),
    ]);
    rows
}

async fn run(broker: &Broker, row: &Row) -> Option<String> {
    let bearer = |key: &str| format!("Authorization: Bearer {key}\r\n");
    let by = match row.by {
        By::Secret(secret) => format!("X-Shared-Secret: {secret}\r\n"),
        By::Bearer(key) => bearer(key),
        By::Alice => bearer(&key_of("alice")),
        By::Operator => bearer(broker.key()),
        By::Nobody => String::new(),
    };
    let head = format!(
        "{} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: {}\r\n{by}\r\n",
        row.target,
        broker.address(),
        row.body.len()
    );
    let bytes = [head.as_bytes(), &row.body].concat();
    let answer = raw::exchange(broker, &bytes, Duration::from_secs(10)).await;
    let said = answer
        .text
        .split_once("\r\n\r\n")
        .map_or("", |(_, body)| body);
    let is_ours = serde_json::from_str::<Value>(said)
        .is_ok_and(|body| body["status"] == "error" && body["error"]["message"].is_string());
    let is_good = answer.status() == row.status && said.contains(row.says) && is_ours;
    let told = [OFFICE, LAB, CLIENT]
        .iter()
        .any(|secret| said.contains(secret));
    (!is_good || told).then(|| {
        let seen: String = answer.text.chars().take(600).collect();
        format!(
            "{} ({:?}, {}): wanted {} with {:?}, saw {seen:?}",
            row.name, row.by, row.target, row.status, row.says
        )
    })
}

#[actix_web::test]
async fn each_message_that_is_refused_gets_its_answer_and_leaves_nothing() {
    let stage = Stage::new();
    let peer = Peer::that_takes_all();
    let broker = Office::new()
        .agent(&stage, "alice", &fixture("send.sh", "STATUS"), "")
        .key_of_agent("alice")
        .peer("office", peer.url(), OFFICE, "to = \"alice\"")
        .peer(
            "lab",
            peer.url(),
            LAB,
            "types = [\"REPORT\", \"PING\"]\nsecret_send = true\nto = \"alice\"",
        )
        .with(&format!(
            "[keys.reader]\nkey = {CLIENT:?}\nrole = \"client\""
        ))
        .start()
        .await;
    let mut problems = Vec::new();
    for row in who_may().iter().chain(&what_is_said()) {
        problems.extend(run(&broker, row).await);
    }
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
    assert_eq!(broker.messages("").await, Vec::<Value>::new());
    assert_eq!(broker.dead_letters().await, Vec::<Value>::new());
    assert!(peer.received().is_empty());
    assert!(stage.prompts().is_empty());
    let id = broker
        .receives(OFFICE, &message("TASK", "healthy", json!({})))
        .await;
    broker.until_message(&id, "answered").await;
    assert!(!broker.log_lines().concat().contains("panicked"));
}

#[actix_web::test]
async fn a_full_queue_refuses_and_says_when_to_come_again() {
    let stage = Stage::new();
    let broker = Office::new()
        .agent(&stage, "alice", &stage.gated_script(), "queue = 2")
        .peer_without_url("office", OFFICE, "to = \"alice\"")
        .start()
        .await;
    let task = |number: usize| {
        message(
            "TASK",
            &format!("task {number}"),
            json!({"id": number.to_string()}),
        )
    };
    broker.receives(OFFICE, &task(0)).await;
    stage.until_prompts(1).await;
    for number in 1..=2 {
        broker.receives(OFFICE, &task(number)).await;
    }
    let refused = broker.message_with(OFFICE, &task(3), &[]).await;
    assert_eq!(refused.status, 503, "{refused:?}");
    let seconds: u32 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!(seconds >= 1, "{refused:?}");
    assert!(complaint(&refused).contains("alice"), "{refused:?}");
    stage.open();
    stage.until_prompts(2).await;
    // What was taken is still known.
    let repeated = broker.message_with(OFFICE, &task(1), &[]).await;
    assert_eq!(repeated.json()["duplicate"], true, "{repeated:?}");
    let later = broker.receives(OFFICE, &task(3)).await;
    broker.until_message(&later, "done").await;
}

#[actix_web::test]
async fn a_stopped_agent_takes_no_message_from_outside() {
    let stage = Stage::new();
    let broker = Office::new()
        .agent(&stage, "alice", &fixture("send.sh", "STATUS"), "")
        .peer_without_url("office", OFFICE, "to = \"alice\"")
        .start()
        .await;
    let stopped = broker.post("/agents/alice/stop", "{}", &[]).await;
    assert!((200..300).contains(&stopped.status), "{stopped:?}");
    let task = message("TASK", "later", json!({}));
    let refused = broker.message_with(OFFICE, &task, &[]).await;
    assert_eq!(refused.status, 503, "{refused:?}");
    let started = broker.post("/agents/alice/start", "{}", &[]).await;
    assert!((200..300).contains(&started.status), "{started:?}");
    let id = broker.receives(OFFICE, &task).await;
    broker.until_message(&id, "done").await;
}

/// A peer at a private address that is not allowed: refused at the start, or its message becomes a
/// dead letter; it is never posted to.
#[actix_web::test]
async fn a_private_address_is_posted_to_only_where_it_is_allowed() {
    let peer = Peer::that_takes_all();
    let stage = Stage::new();
    // A name, so that only the address that it leads to can tell.
    let url = peer.url().replace("127.0.0.1", "localhost");
    let toml = format!("[peers.office]\nurl = {url:?}\nsecret = {OFFICE:?}\n");
    let office = Office::new()
        .agent(&stage, "alice", &fixture("send.sh", "STATUS"), "")
        .key_of_agent("alice")
        .with(&toml);
    let folder = std::sync::Arc::new(tempfile::tempdir().unwrap());
    match Broker::start_or_die_in(folder, office.options()).await {
        Ok(broker) => {
            let say = message("STATUS", "inwards", json!({"to": "office"}));
            let sent = broker.sends("alice", &say).await;
            let seen = broker.until_message(&sent, "dead").await;
            assert_eq!(
                seen["delivery"]["reason"]["code"], "address_refused",
                "{seen}"
            );
        }
        Err((status, log)) => {
            assert_eq!(status.code(), Some(78), "{log:?}");
            assert!(log.concat().contains("allow_private"), "{log:?}");
        }
    }
    assert!(peer.received().is_empty());
}

/// Rows K001 to K028 that a table of bodies cannot hold: tokens, races, repetitions, broken bodies.
#[actix_web::test]
async fn callbacks_are_kept_however_their_turn_behaves() {
    let (stage, peer) = (Stage::new(), Peer::that_takes_all());
    // A grandchild of its own session that calls back while and after its parent ends; a body that
    // is cut off; a body with a NUL; a process that calls back and exits at once.
    let script = r#"cat > /dev/null
say() { curl -sS -X POST "$POSTROOM_URL/send" -H "Authorization: Bearer $POSTROOM_TURN_TOKEN" -d "$1"; }
say '{"type":"STATUS","payload":{"text":"at once"}}'
say '{"type":"STATUS","payload":{"text":"a\u0000b"}}'
setsid sh -c "curl -sS -X POST \"\$POSTROOM_URL/send\" -H \"Authorization: Bearer \$POSTROOM_TURN_TOKEN\" -d '{\"type\":\"STATUS\",\"payload\":{\"text\":\"grandchild\"}}'" &
say '{"type":"STATUS","payload":{"text":"cut o'
say '{"type":"STATUS","payload":{"text":"last words"},"id":"w-1"}'
say '{"type":"STATUS","payload":{"text":"last words"},"id":"w-1"}'
wait
"#;
    let broker = Office::new()
        .agent(&stage, "alice", &stage.script("talks.sh", script), "")
        .peer("office", peer.url(), OFFICE, "to = \"alice\"")
        .start()
        .await;
    let id = broker
        .receives(OFFICE, &message("TASK", "talk", json!({})))
        .await;
    let seen = broker.until_message(&id, "answered").await;
    assert_eq!(seen["turns"][0]["callbacks"], 4, "{seen}");
    for callback in seen["callbacks"].as_array().unwrap() {
        broker.until_message(&id_of(callback), "delivered").await;
    }
    let mut texts = peer.texts();
    texts.sort();
    assert_eq!(texts, ["a\0b", "at once", "grandchild", "last words"]);
}

#[actix_web::test]
async fn the_token_of_a_turn_ends_with_the_broker_and_the_turn_that_follows_has_its_own() {
    let (stage, peer) = (Stage::new(), Peer::that_takes_all());
    let script = "echo \"$POSTROOM_TURN_TOKEN\" >> \"$STAGE/tokens\"\ncat > /dev/null\n\
                  [ -e \"$STAGE/open\" ] || tail -f /dev/null\n";
    let command = stage.script("keeps-token.sh", script);
    let broker = Office::new()
        .agent(&stage, "alice", &command, "")
        .peer("office", peer.url(), OFFICE, "to = \"alice\"")
        .start()
        .await;
    let id = broker
        .receives(OFFICE, &message("TASK", "talk", json!({})))
        .await;
    until_runs(&stage.setting(), "tail -f /dev/null").await;
    stage.open();
    let broker = broker.kill_and_restart().await;
    broker.until_message(&id, "done").await;
    let tokens = std::fs::read_to_string(stage.path("tokens")).unwrap();
    let tokens: Vec<&str> = tokens.lines().collect();
    assert_eq!(tokens.len(), 2, "{tokens:?}");
    let say = message("STATUS", "by its token", json!({}));
    let gone = broker.send_with(tokens[0], "", &say).await;
    assert_eq!(gone.status, 401, "{gone:?}");
    let sent = broker.send_with(tokens[1], "", &say).await;
    assert_eq!(sent.status, 200, "{sent:?}");
    broker
        .until_message(&id_of(&sent.json()), "delivered")
        .await;
    assert_eq!(peer.texts(), ["by its token"]);
}

#[actix_web::test]
async fn bodies_that_are_too_large_or_too_slow_are_refused() {
    let stage = Stage::new();
    let broker = Office::new()
        .agent(&stage, "alice", &fixture("send.sh", "STATUS"), "")
        .peer_without_url("office", OFFICE, "to = \"alice\"")
        .with("[limits]\nbody = \"64KiB\"\nbody_idle = \"500ms\"")
        .start()
        .await;
    for path in ["/message", "/send"] {
        let head = |length: usize| {
            format!(
                "POST {path} HTTP/1.1\r\nHost: x\r\nX-Shared-Secret: {OFFICE}\r\nContent-Length: {length}\r\n\r\n"
            )
        };
        let large =
            raw::exchange(&broker, head(100 << 20).as_bytes(), Duration::from_secs(5)).await;
        assert_eq!(
            large.status(),
            if path == "/send" { 403 } else { 413 },
            "{large:?}"
        );
        if path == "/message" {
            let slow = format!("{}{{\"type\":", head(100));
            let slow = raw::exchange(&broker, slow.as_bytes(), Duration::from_secs(5)).await;
            assert_eq!(slow.status(), 408, "{slow:?}");
        }
    }
    assert_eq!(broker.messages("").await, Vec::<Value>::new());
}
