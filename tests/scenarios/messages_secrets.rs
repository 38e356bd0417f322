//! P11 for messages: no secret of a peer, no key and no token is told to anybody who need not know it.

use std::sync::Arc;

use serde_json::json;

use crate::support::{
    agents::{KEEP_PROMPT, Stage, id_of},
    broker::{Broker, KEY, postroom},
    messages::{Office, SHORT, key_of, message},
    peers::{Peer, Reply},
    processes::{until_runs, with_setting},
    user_home::files_below,
};

const SHOWN_TO_US: &str = "canary-that-they-show-to-us";
const SHOWN_TO_THEM: &str = "canary-that-we-show-to-them";
const OF_ANOTHER: &str = "canary-of-another-peer";
/// Base64 of `canary-of-the-signatures`.
const SIGNS: &str = "whsec_Y2FuYXJ5LW9mLXRoZS1zaWduYXR1cmVz";
const OF_A_CLIENT: &str = "canary-of-a-client";

/// Whatever must not be told; the base64 alone and what it stands for, too.
const SECRETS: [&str; 7] = [
    SHOWN_TO_US,
    SHOWN_TO_THEM,
    OF_ANOTHER,
    "Y2FuYXJ5LW9mLXRoZS1zaWduYXR1cmVz",
    "canary-of-the-signatures",
    OF_A_CLIENT,
    KEY,
];

/// Keeps prompt and environment, answers with the command in the prompt, says all it knows, waits.
const TELLS_ALL: &str = r#"env | sort > "$STAGE/environment"
curl -sS -X POST "$POSTROOM_URL/send" -H "Authorization: Bearer $POSTROOM_TURN_TOKEN" -d '{"type":"STATUS","payload":{}}'
cat "$STAGE"/prompts/*.txt
env
while [ ! -e "$STAGE/open" ]; do sleep 0.02; done
"#;

/// Answers with what it was shown, as a careless service would.
fn echoes_its_head(status: u16) -> Reply {
    // The head is not known here; what is shown is always the same.
    let body: &'static str = Box::leak(
        format!("{{\"error\":\"bad header X-Shared-Secret: {SHOWN_TO_THEM}\"}}").into_boxed_str(),
    );
    Reply::Status(status, "", body)
}

fn office(stage: &Stage, peer: &Peer) -> Office {
    let command = stage.script("tells.sh", &format!("{KEEP_PROMPT}{TELLS_ALL}"));
    let settings = format!(
        "schedule = {SHORT}\nto = \"alice\"\nsigning_secret = {SIGNS:?}\nsecret_in = {SHOWN_TO_US:?}"
    );
    Office::new()
        .agent(stage, "alice", &command, "")
        .key_of_agent("alice")
        .peer("office", peer.url(), SHOWN_TO_THEM, &settings)
        .peer_without_url("lab", OF_ANOTHER, "")
        .with(&format!(
            "[keys.ci]\nkey = {OF_A_CLIENT:?}\nrole = \"client\""
        ))
}

#[track_caller]
fn assert_untold(what: &str, text: &str) {
    for secret in SECRETS.iter().chain([&key_of("alice").as_str()]) {
        assert!(!text.contains(secret), "{secret} in {what}: {text}");
    }
}

#[actix_web::test]
async fn no_secret_is_told_anywhere() {
    let stage = Stage::new();
    let peer = Peer::start(|number, _| match number {
        0 => Reply::Received,
        1 => echoes_its_head(503),
        _ => echoes_its_head(400),
    });
    let office = office(&stage, &peer);
    let broker = Broker::start_in(Arc::clone(stage.folder()), office.options()).await;
    let task = message("TASK", "tell all", json!({"id": "t-1"}));
    let id = broker.receives(SHOWN_TO_US, &task).await;
    until_runs(&stage.setting(), "sleep 0.02").await;
    assert_untold("command lines", &command_lines(&broker));
    let token = std::fs::read_to_string(stage.path("environment")).unwrap();
    let token = token
        .lines()
        .find_map(|line| line.strip_prefix("POSTROOM_TURN_TOKEN="))
        .unwrap()
        .to_owned();
    assert!(!command_lines(&broker).contains(&token));
    stage.open();
    broker.until_message(&id, "answered").await;
    peer.until_received(1).await;
    assert_eq!(
        peer.received()[0].header("x-shared-secret"),
        Some(SHOWN_TO_THEM)
    );
    let dead = broker
        .sends(
            "alice",
            &message("STATUS", "refused", json!({"to": "office"})),
        )
        .await;
    broker.until_message(&dead, "dead").await;
    for path in [
        format!("/messages/{id}"),
        format!("/messages/{dead}"),
        format!("/dead-letters/{dead}"),
        "/messages".into(),
        "/dead-letters".into(),
        "/agents/alice/turns".into(),
        "/metrics".into(),
        "/health".into(),
        "/openapi.json".into(),
    ] {
        assert_untold(&path, &broker.get(&path).await.text);
    }
    for secret in [SHOWN_TO_US, OF_ANOTHER, OF_A_CLIENT, "canary-of-nobody"] {
        let answer = broker.send_with(secret, "", &task).await;
        assert!((400..500).contains(&answer.status), "{answer:?}");
        assert_untold("a refusal", &answer.text);
    }
    let log = broker.log_lines().concat();
    assert_untold("the log", &log);
    assert!(!log.contains(&token), "{log}");
    let (_, folder) = broker.stop().await;
    for (path, bytes) in files_below(folder.path()) {
        let name = path
            .strip_prefix(folder.path())
            .unwrap()
            .display()
            .to_string();
        let text = String::from_utf8_lossy(&bytes);
        // Its configuration alone holds them; the agent printed its own token itself.
        if name != "postroom.toml" {
            assert_untold(&name, &text);
        }
        if !["environment", "log"].iter().any(|own| name.contains(own)) {
            assert!(!text.contains(&token), "the token in {name}");
        }
    }
    let shown = postroom()
        .args(["config", "show", "--config"])
        .arg(folder.path().join("postroom.toml"))
        .output()
        .unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.contains("office"), "{shown}");
    assert_untold("config show", &shown);
}

/// The command lines of a broker and of all that it runs.
fn command_lines(broker: &Broker) -> String {
    let home = format!("HOME={}", broker.folder().display());
    let lines = with_setting(&home);
    assert!(lines.len() > 1, "{lines:?}");
    lines.join("\n")
}

/// The seed's way: the operator's own template holds the secret, and the agent sends with it.
const WITH_THE_SECRET: &str = "Answer {{sender}} by this:\n\
    curl -X POST {{url}}/send -H 'X-Shared-Secret: {{secret}}' -d '{\"type\":\"STATUS\",\"payload\":{}}'\n";

#[actix_web::test]
async fn a_secret_in_an_operators_template_is_good_for_that_peer_alone() {
    let stage = Stage::new();
    let (peer, other) = (Peer::that_takes_all(), Peer::that_takes_all());
    let command = stage.script("keeps.sh", &format!("{KEEP_PROMPT}echo done\n"));
    let template = stage.path("templates/reply-to-peer.md");
    std::fs::create_dir_all(template.parent().unwrap()).unwrap();
    std::fs::write(&template, WITH_THE_SECRET).unwrap();
    let office = Office::new()
        .agent(&stage, "alice", &command, "")
        .peer(
            "office",
            peer.url(),
            SHOWN_TO_THEM,
            "to = \"alice\"\nsecret_send = true",
        )
        .peer("lab", other.url(), OF_ANOTHER, "to = \"alice\"");
    let broker = Broker::start_in(Arc::clone(stage.folder()), office.options()).await;
    for secret in [SHOWN_TO_THEM, OF_ANOTHER] {
        // What a sender writes is never looked through for placeholders.
        let task = message("TASK", "answer me {{secret}}", json!({}));
        let id = broker.receives(secret, &task).await;
        broker.until_message(&id, "done").await;
    }
    let prompts = stage.until_prompts(2).await;
    assert!(prompts[0].contains(SHOWN_TO_THEM), "{prompts:?}");
    assert!(prompts[0].contains("X-Shared-Secret"), "{prompts:?}");
    assert_eq!(prompts[0].matches(SHOWN_TO_THEM).count(), 1, "{prompts:?}");
    assert!(prompts[0].contains("answer me {{secret}}"), "{prompts:?}");
    assert!(!prompts[1].contains(OF_ANOTHER), "{prompts:?}");
    assert!(!prompts[1].contains(SHOWN_TO_THEM), "{prompts:?}");
    let secret = [("x-shared-secret", SHOWN_TO_THEM)];
    let send = async |to: &str| {
        let body = message("STATUS", "with the secret", json!({"to": to}));
        broker
            .send("POST", "/send", body.to_string(), &secret)
            .await
    };
    let sent = send("office").await;
    assert_eq!(sent.status, 200, "{sent:?}");
    broker
        .until_message(&id_of(&sent.json()), "delivered")
        .await;
    for to in ["lab", "alice", "nobody"] {
        let refused = send(to).await;
        assert_eq!(refused.status, 403, "{refused:?}");
    }
    let lab = [("x-shared-secret", OF_ANOTHER)];
    let body = message("STATUS", "not allowed", json!({"to": "lab"})).to_string();
    let refused = broker.send("POST", "/send", body, &lab).await;
    assert_eq!(refused.status, 403, "{refused:?}");
    assert_eq!((peer.received().len(), other.received().len()), (1, 0));
}
