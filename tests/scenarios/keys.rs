//! Keys that are made and revoked while the service runs.

use serde_json::{Value, json};

use crate::support::{
    client::Answer,
    user_home::{Daemon, UserHome},
};

fn made(home: &UserHome, args: &[&str]) -> Value {
    let out = home
        .run(&[&["keys", "add"], args, &["--json"]].concat())
        .ok();
    serde_json::from_str(&out).unwrap()
}

fn text(made: &Value) -> String {
    made["key"].as_str().unwrap().to_owned()
}

async fn ask(daemon: &Daemon, method: &str, path: &str, key: &str) -> Answer {
    let bearer = format!("Bearer {key}");
    daemon
        .send(method, path, "", &[("authorization", &bearer)])
        .await
}

async fn status(daemon: &Daemon, path: &str, key: &str) -> u16 {
    ask(daemon, "GET", path, key).await.status
}

#[actix_web::test]
async fn a_key_holds_from_when_it_is_made_until_it_is_revoked_also_over_a_restart() {
    let home = UserHome::new();
    let daemon = home.daemon(&[]).await;
    assert_eq!(daemon.send("GET", "/v1/models", "", &[]).await.status, 200);
    let chat = made(&home, &["chat", "--role", "client"]);
    let key = text(&chat);
    assert_eq!((key.len(), &chat["first"]), (64, &json!(true)));
    assert_eq!(daemon.send("GET", "/v1/models", "", &[]).await.status, 401);
    assert_eq!(status(&daemon, "/v1/models", &key).await, 200);
    assert_eq!(status(&daemon, "/agents", &key).await, 403);
    assert_eq!(status(&daemon, "/keys", &key).await, 403);
    let twice = home.run(&["keys", "add", "chat", "--role", "operator"]);
    assert!(
        twice.code == Some(1) && twice.err.contains("`chat` already"),
        "{twice:?}"
    );
    let listed = home.run(&["keys", "list"]).ok();
    assert!(
        listed.contains("chat  client  command") && !listed.contains(&key),
        "{listed}"
    );
    let listed: Value = serde_json::from_str(&home.run(&["keys", "list", "--json"]).ok()).unwrap();
    assert!(listed["keys"][0]["last_used_at"].is_string(), "{listed}");

    assert!(daemon.stop().await.success());
    let boss = made(&home, &["boss", "--role", "operator"]);
    assert_eq!(boss["first"], json!(false));
    let daemon = home.daemon(&[]).await;
    assert_eq!(status(&daemon, "/v1/models", &key).await, 200);
    assert_eq!(status(&daemon, "/agents", &text(&boss)).await, 200);
    let revoked = ask(&daemon, "DELETE", "/keys/chat", &text(&boss)).await;
    assert_eq!(revoked.status, 200, "{revoked:?}");
    assert_eq!(status(&daemon, "/v1/models", &key).await, 401);
    let stored = std::fs::read_to_string(home.base().join("keys.json")).unwrap();
    assert!(
        stored.contains("boss") && !stored.contains("chat"),
        "{stored}"
    );
    assert!(!stored.contains(&text(&boss)) && !home.daemon_log().contains(&key));
    home.run(&["keys", "revoke", "boss"]).ok();
    assert_eq!(daemon.send("GET", "/v1/models", "", &[]).await.status, 200);
}

#[actix_web::test]
async fn a_service_that_others_reach_never_loses_its_last_key() {
    let home = UserHome::new();
    home.configure("[server]\nhost = \"0.0.0.0\"\n");
    let refused = home.run(&["serve", "--port", "0"]);
    assert_eq!(refused.code, Some(78), "{refused:?}");
    let first = text(&made(&home, &["first", "--role", "operator"]));
    let daemon = home.daemon(&[]).await;
    assert_eq!(status(&daemon, "/agents", &first).await, 200);
    let last = home.run(&["keys", "revoke", "first"]);
    assert!(last.err.contains("the last key"), "{last:?}");
    made(&home, &["second", "--role", "client"]);
    home.run(&["keys", "revoke", "first"]).ok();
    assert_eq!(status(&daemon, "/agents", &first).await, 401);
}

#[actix_web::test]
async fn keys_of_the_configuration_go_before_and_stay() {
    let home = UserHome::new();
    made(&home, &["ci", "--role", "operator"]);
    home.configure("[keys.ci]\nkey = \"the-key-of-the-file\"\n");
    let daemon = home.daemon(&[]).await;
    assert!(
        home.daemon_log().contains("goes before the key"),
        "{}",
        home.daemon_log()
    );
    assert_eq!(
        status(&daemon, "/v1/models", "the-key-of-the-file").await,
        200
    );
    assert_eq!(status(&daemon, "/agents", "the-key-of-the-file").await, 403);
    let revoked = home.run(&["keys", "revoke", "ci"]);
    assert!(revoked.err.contains("in the configuration"), "{revoked:?}");
    let added = home.run(&["keys", "add", "ci", "--role", "client"]);
    assert!(added.err.contains("`ci` already"), "{added:?}");
    let unknown = home.run(&["keys", "revoke", "nobody"]);
    assert!(unknown.err.contains("no key `nobody`"), "{unknown:?}");
}

#[actix_web::test]
async fn an_agents_key_speaks_for_that_agent_alone() {
    let home = UserHome::new();
    let daemon = home.daemon(&[]).await;
    let key = text(&made(
        &home,
        &["bot", "--role", "agent", "--agent", "alice"],
    ));
    assert_eq!(status(&daemon, "/v1/models", &key).await, 403);
    let bearer = format!("Bearer {key}");
    let body = json!({"to": "manager", "type": "TASK", "payload": {"text": "hello"}});
    let headers = [
        ("authorization", bearer.as_str()),
        ("content-type", "application/json"),
    ];
    let sent = daemon
        .send("POST", "/send", &body.to_string(), &headers)
        .await;
    assert_eq!(sent.status, 200, "{sent:?}");
    let boss = text(&made(&home, &["boss", "--role", "operator"]));
    let id = sent.json()["id"].as_str().unwrap().to_owned();
    let shown = ask(&daemon, "GET", &format!("/messages/{id}"), &boss).await;
    assert_eq!(shown.json()["from"], "agent:alice", "{shown:?}");
}
