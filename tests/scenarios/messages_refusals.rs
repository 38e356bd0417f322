//! A table of messages that are refused: each gets the answer that is pinned here, and nothing of
//! them is kept.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{
    agents::{Stage, id_of},
    broker::{Broker, postroom},
    messages::{Office, complaint, fixture, key_of, message},
    peers::Peer,
    processes::until_runs,
    raw,
};

const OFFICE: &str = "secret-of-the-office";
const LAB: &str = "secret-of-the-lab";
const CLIENT: &str = "key-of-a-client";

use By::{Alice, Bearer, Nobody, Operator, Secret};

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

/// A request that is refused: what is wrong with it, by whom, what it says, the status that it gets,
/// and a word of the answer.
type Refused = (&'static str, By, Vec<u8>, u16, &'static str);

struct Row {
    name: &'static str,
    by: By,
    target: &'static str,
    body: Vec<u8>,
    status: u16,
    says: &'static str,
}

fn rows(target: &'static str, table: Vec<Refused>) -> Vec<Row> {
    let row = |(name, by, body, status, says)| Row {
        name,
        by,
        target,
        body,
        status,
        says,
    };
    table.into_iter().map(row).collect()
}

const MESSAGE: &str = "POST /message";
const SEND: &str = "POST /send";
const UNAUTHORIZED: &str = "unauthorized";

fn with(fields: &Value) -> Vec<u8> {
    let body = message("TASK", "refused", fields.clone());
    body.to_string().into()
}

fn plain() -> Vec<u8> {
    with(&json!({}))
}

fn to(name: &str) -> Vec<u8> {
    with(&json!({"to": name}))
}

fn strangers() -> Vec<Row> {
    let mut table = rows(
        MESSAGE,
        vec![
            ("no secret", Nobody, plain(), 401, UNAUTHORIZED),
            ("wrong", Secret("wrong"), plain(), 401, UNAUTHORIZED),
            ("empty", Secret(""), plain(), 401, UNAUTHORIZED),
            ("a bearer", Bearer("wrong"), plain(), 401, UNAUTHORIZED),
        ],
    );
    table.extend(rows(
        SEND,
        vec![
            ("nothing", Nobody, to("office"), 401, UNAUTHORIZED),
            (
                "no token",
                Bearer("turn_x"),
                to("office"),
                401,
                UNAUTHORIZED,
            ),
            ("a client", Bearer(CLIENT), to("office"), 403, "role"),
            ("a peer", Secret(OFFICE), to("office"), 403, "secret_send"),
            ("another's", Secret(LAB), to("office"), 403, "lab"),
            ("an agent's", Secret(LAB), to("alice"), 403, "lab"),
            ("nobody's", Alice, to("nobody"), 404, "nobody"),
            ("of a type", Alice, to("lab"), 422, "REPORT"),
            ("no answer", Alice, plain(), 400, "to"),
        ],
    ));
    table
}

/// A peer's secret, a client's and an agent's key open nothing else.
fn closed_doors() -> Vec<Row> {
    let peers = [
        "POST /v1/chat/completions",
        "POST /v1/responses",
        "GET /v1/models",
        "GET /agents",
        "POST /agents/alice/stop",
        "GET /agents/alice/turns",
        "GET /metrics",
        "GET /dead-letters",
    ];
    let closed = |by: By| move |target| rows(target, vec![("closed", by, plain(), 403, "")]);
    let mut table: Vec<Row> = peers.into_iter().flat_map(closed(Secret(OFFICE))).collect();
    table.extend(closed(Bearer(CLIENT))("GET /dead-letters"));
    table.extend(closed(Alice)("GET /dead-letters"));
    for target in [
        "GET /messages/0190a5dac96774bbcceb302099a80570",
        "GET /messages/..%2f..%2fetc",
        "DELETE /messages/x",
        "POST /dead-letters/0190a5dac96774bbcceb302099a80570/retry",
        "DELETE /dead-letters/x",
    ] {
        let unknown = ("unknown", Operator, Vec::new(), 404, "no ");
        table.extend(rows(target, vec![unknown]));
    }
    table
}

/// Bodies that say nothing, on both routes.
fn bodies() -> Vec<Row> {
    let deep = format!(
        r#"{{"type":"T","payload":{}{}}}"#,
        "[".repeat(300),
        "]".repeat(300)
    );
    let table: Vec<(&str, &[u8], &str)> = vec![
        ("no type", br#"{"payload":{}}"#, "missing type"),
        ("null", br#"{"type":null}"#, "missing type"),
        ("blank", br#"{"type":" "}"#, "missing type"),
        ("no text", br#"{"type":["TASK"]}"#, "missing type"),
        ("empty object", b"{}", "missing type"),
        ("nothing", b"", ""),
        ("no JSON", b"type=TASK", ""),
        ("cut off", br#"{"type":"TASK""#, ""),
        ("a list", b"[]", "object"),
        ("a text", br#""TASK""#, "object"),
        ("no UTF-8", b"{\"type\":\"T\xff\"}", ""),
        ("twice", br#"{"type":"A","type":"B"}"#, "type"),
        ("deep", deep.as_bytes(), ""),
    ];
    let by = |by: By| {
        let refused = |(name, body, says): &(&'static str, &[u8], &'static str)| {
            (*name, by, body.to_vec(), 400, *says)
        };
        table.iter().map(refused).collect()
    };
    let mut all = rows(MESSAGE, by(Secret(OFFICE)));
    all.extend(rows(SEND, by(Alice)));
    all
}

/// Fields that cannot be meant, on both routes.
fn fields() -> Vec<Row> {
    let table = [
        ("priority", json!("urgent")),
        ("priority", json!(10)),
        ("expires_at", json!("tomorrow")),
        ("id", json!("")),
        ("id", json!("x".repeat(256))),
        ("id", json!("a\r\nX-Evil: 1")),
        ("type", json!("A\nB")),
        ("context_id", json!({})),
        ("in_reply_to", json!([])),
    ];
    let mut all = Vec::new();
    for (field, value) in table {
        let mut body = message("TASK", "refused", json!({}));
        body[field] = value;
        let row = |by, body: &Value| vec![(field, by, body.to_string().into(), 400, field)];
        all.extend(rows(MESSAGE, row(Secret(OFFICE), &body)));
        body["to"] = "office".into();
        all.extend(rows(SEND, row(Alice, &body)));
    }
    all
}

fn recipients_answers_and_hops() -> Vec<Row> {
    let by = Secret(OFFICE);
    let reply_to = |url: &str| with(&json!({"reply_to": url}));
    let hops = |hops: &str| format!(r#"{{"type":"TASK","hops":{hops}}}"#).into_bytes();
    let many = "99999999999999999999999";
    rows(
        MESSAGE,
        vec![
            ("to nobody", by, to("nobody"), 404, "nobody"),
            ("to a path", by, to("../../etc"), 404, ""),
            ("to a peer", by, to("peer:lab"), 404, ""),
            (
                "inside",
                by,
                reply_to("http://169.254.169.254/"),
                422,
                "reply_to",
            ),
            (
                "a file",
                by,
                reply_to("file:///etc/passwd"),
                422,
                "reply_to",
            ),
            (
                "ours",
                by,
                reply_to("http://127.0.0.1:7011/"),
                422,
                "reply_to",
            ),
            ("too many hops", by, hops("9"), 409, "hops"),
            ("far too many", by, hops(many), 409, "hops"),
            ("negative", by, hops("-1"), 400, "hops"),
        ],
    )
}

async fn run(broker: &Broker, row: &Row) -> Option<String> {
    let bearer = |key: &str| format!("Authorization: Bearer {key}\r\n");
    let by = match row.by {
        Secret(secret) => format!("X-Shared-Secret: {secret}\r\n"),
        Bearer(key) => bearer(key),
        Alice => bearer(&key_of("alice")),
        Operator => bearer(broker.key()),
        Nobody => String::new(),
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
    let tables = [
        strangers(),
        closed_doors(),
        bodies(),
        fields(),
        recipients_answers_and_hops(),
    ];
    for row in tables.iter().flatten() {
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
    // What was taken is known all the while.
    let repeated = broker.message_with(OFFICE, &task(1), &[]).await;
    assert_eq!(repeated.json()["duplicate"], true, "{repeated:?}");
    stage.open();
    stage.until_prompts(2).await;
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

#[test]
fn a_private_address_is_a_peers_only_where_it_is_allowed() {
    let check = |toml: &str| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("postroom.toml");
        std::fs::write(&path, toml).unwrap();
        let mut command = postroom();
        command.args(["config", "check", "--config"]).arg(&path);
        let output = command.env("HOME", folder.path()).output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(said).unwrap())
    };
    for host in [
        "127.0.0.1",
        "localhost",
        "[::1]",
        "10.0.0.7",
        "169.254.169.254",
    ] {
        let toml = format!("[peers.office]\nurl = \"http://{host}:7012\"\nsecret = {OFFICE:?}\n");
        let (code, said) = check(&toml);
        assert_eq!(code, Some(78), "{said}");
        assert!(said.contains("allow_private"), "{said}");
        assert!(!said.contains(OFFICE), "{said}");
        let (code, said) = check(&format!("{toml}allow_private = true\n"));
        assert_eq!(code, Some(0), "{said}");
    }
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
