//! What a turn is told and what it is not, and what its token is good for.

use serde_json::{Value, json};

use crate::support::{
    agents::{AGENT, KEEP_PROMPT, Stage, id_of},
    broker::{Broker, BrokerOptions, KEY},
    client::chat,
};

/// Prints its environment, and keeps it.
const PRINTS_ITS_ENVIRONMENT: &str = "cat > /dev/null\nenv | sort | tee \"$STAGE/environment\"\n";

#[actix_web::test]
async fn a_turn_sees_what_is_listed_and_never_a_key_of_ours() {
    let stage = Stage::new();
    let command = stage.script("prints.sh", PRINTS_ITS_ENVIRONMENT);
    let settings = "[backend]\nurl = \"http://127.0.0.1:9/v1\"\napi_key = \"canary-of-the-backend\"\n\
                    [keys.ci]\nkey = \"canary-of-a-client\"\nrole = \"client\"\n";
    let options = BrokerOptions::toml(stage.agent_toml(&command, settings))
        .env("FOO", "not-listed")
        .env("DB_PASSWORD", "not-listed-either")
        .env("LC_CANARY", "listed")
        // Listed by name, but one of our keys.
        .env("LC_KEY", KEY)
        .env("XDG_KEY", "canary-of-the-backend")
        .env("LC_CLIENT", "canary-of-a-client")
        .env("POSTROOM_TURN_TOKEN", "of-the-turn-that-we-run-in");
    let broker = Broker::start(options).await;
    let answer = broker.ask("Hello.", "alice").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let environment = std::fs::read_to_string(stage.path("environment")).unwrap();
    let value = |name: &str| {
        let found = environment
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        found.unwrap_or_else(|| panic!("no {name}: {environment}"))
    };
    assert_eq!(value("LC_CANARY"), "listed");
    assert_eq!(format!("STAGE={}", value("STAGE")), stage.setting());
    assert_eq!(value("POSTROOM_AGENT"), AGENT);
    assert_eq!(value("POSTROOM_URL"), broker.url());
    assert_eq!(value("HOME"), broker.folder().display().to_string());
    let turn = &broker.turns().await[0];
    assert_eq!(value("POSTROOM_TURN_ID"), id_of(turn));
    assert!(value("POSTROOM_TURN_TOKEN").starts_with("turn_"));
    let id = answer.header("x-postroom-message-id").unwrap();
    assert_eq!(value("POSTROOM_MESSAGE_ID"), id);
    let never = [
        KEY,
        "canary-of",
        "not-listed",
        "of-the-turn-that-we-run-in",
        "POSTROOM_FAILPOINTS",
    ];
    let transcript = turn["transcript"].as_str().unwrap();
    let transcript = std::fs::read_to_string(transcript).unwrap();
    assert!(transcript.contains("LC_CANARY=listed"), "{transcript}");
    let log = broker.log_lines().concat();
    for secret in never {
        for text in [&environment, &transcript, &log, &answer.text] {
            assert!(!text.contains(secret), "{secret}: {text}");
        }
    }
}

#[actix_web::test]
async fn the_token_of_a_turn_speaks_for_its_agent_and_opens_nothing_else() {
    let stage = Stage::new();
    let script = format!(
        "echo \"$POSTROOM_TURN_TOKEN\" > \"$STAGE/token\"\n{KEEP_PROMPT}while [ ! -e \"$STAGE/open\" ]; do sleep 0.02; done\necho ok\n"
    );
    let command = stage.script("keeps-token.sh", &script);
    let broker = Broker::start(stage.agent(&command, "")).await;
    let id = broker.ask_later("Hello.", "alice").await;
    stage.until_prompts(1).await;
    let token = std::fs::read_to_string(stage.path("token")).unwrap();
    let token = token.trim();
    let send = async |token: &str, method: &str, path: &str, body: Value| {
        let key = format!("Bearer {token}");
        let headers = [
            ("authorization", key.as_str()),
            ("content-type", "application/json"),
        ];
        broker.send(method, path, body.to_string(), &headers).await
    };
    for (method, path) in [
        ("GET", "/agents"),
        ("POST", "/agents"),
        ("DELETE", "/agents/coder"),
        ("GET", "/agents/coder/turns"),
        ("GET", "/metrics"),
        ("GET", "/v1/models"),
        ("POST", "/v1/responses"),
        ("POST", "/v1/chat/completions"),
        ("GET", &format!("/v1/responses/{id}")),
    ] {
        let refused = send(token, method, path, chat("x", json!({}))).await;
        assert_eq!(refused.status, 403, "{method} {path}: {refused:?}");
    }
    let mut forged = token.to_owned();
    let last = if forged.pop() == Some('0') { '1' } else { '0' };
    forged.push(last);
    for forged in [forged.as_str(), "turn_", "turn_x"] {
        let refused = send(forged, "POST", "/agent-reply", json!({"data": "x"})).await;
        assert_eq!(refused.status, 401, "{refused:?}");
    }
    let manager = json!({"agent": "manager", "data": "x"});
    assert_eq!(
        send(token, "POST", "/agent-reply", manager).await.status,
        403
    );
    let reply = json!({"task_id": id, "agent": AGENT, "data": "by its token"});
    let kept = send(token, "POST", "/agent-reply", reply).await;
    assert_eq!((kept.status, &kept.json()["answered"]), (200, &json!(true)));
    let response = broker.until_ended(&id).await;
    assert_eq!(
        crate::support::agents::output_text(&response),
        "by its token"
    );
    stage.open();
    broker.until_turn_states(&["done"]).await;
    assert_eq!(broker.turns().await[0]["callbacks"], 1);
    assert_eq!(
        broker.response(&id).await,
        response,
        "its end changes nothing"
    );
    // What it started may outlast it a little.
    let late = send(token, "POST", "/agent-reply", json!({"data": "late"})).await;
    assert_eq!(late.status, 200, "{late:?}");
}
