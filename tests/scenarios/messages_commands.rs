//! The commands for messages, as an operator gives them.

use std::{path::PathBuf, sync::Arc};

use serde_json::{Value, json};

use crate::support::{
    agents::Stage,
    broker::{Broker, KEY, postroom},
    messages::{Office, SHORT, fixture, message},
    peers::{Peer, PeerPort, Reply},
    user_home::Ran,
};

const SECRET: &str = "secret-of-the-office";

/// Gives a command to the service of this home, and waits for its end without being in the way of
/// peers that this test plays.
async fn give(home: PathBuf, args: &[&str]) -> Ran {
    let args: Vec<String> = args.iter().map(ToString::to_string).collect();
    let run = move || {
        let mut command = postroom();
        command
            .args(args)
            .arg("--base-dir")
            .arg(&home)
            .env("HOME", &home)
            .current_dir(&home);
        command.output().unwrap()
    };
    let output = tokio::task::spawn_blocking(run).await.unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let ran = Ran {
        code: output.status.code(),
        out: text(output.stdout),
        err: text(output.stderr),
    };
    for secret in [SECRET, KEY] {
        assert!(
            !ran.out.contains(secret) && !ran.err.contains(secret),
            "{ran:?}"
        );
    }
    ran
}

/// A broker that commands are given to.
struct Desk(Broker);

impl Desk {
    async fn start(office: Office, stage: &Stage) -> Self {
        Self(Broker::start_in(Arc::clone(stage.folder()), office.options()).await)
    }

    async fn run(&self, args: &[&str]) -> Ran {
        give(self.0.folder().to_owned(), args).await
    }

    async fn json(&self, args: &[&str]) -> Value {
        let out = self.run(args).await.ok();
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}"))
    }
}

fn office(stage: &Stage, url: &str) -> Office {
    let command = fixture("send.sh", "STATUS - 'the ferries are counted'");
    Office::new()
        .agent(stage, "alice", &command, "")
        .key_of_agent("alice")
        .peer(
            "office",
            url,
            SECRET,
            &format!("schedule = {SHORT}\nto = \"alice\""),
        )
}

#[actix_web::test]
async fn an_agents_answer_is_waited_for_and_printed() {
    let stage = Stage::new();
    let desk = Desk::start(office(&stage, "http://192.0.2.1"), &stage).await;
    let said = desk
        .run(&["send", "alice", "count", "the", "ferries", "--answer"])
        .await
        .ok();
    assert!(said.contains("STATUS"), "{said}");
    assert!(said.contains("the ferries are counted"), "{said}");
    assert!(stage.prompts()[0].contains("count the ferries"));
    let told = desk
        .json(&[
            "send", "alice", "again", "--type", "RECOUNT", "--json", "--answer",
        ])
        .await;
    assert_eq!(told["status"], "sent", "{told}");
    assert_eq!(told["answers"].as_array().unwrap().len(), 1, "{told}");
    let listed = desk.json(&["messages", "list", "--json"]).await;
    assert_eq!(listed["messages"].as_array().unwrap().len(), 4, "{listed}");
    let table = desk
        .run(&["messages", "list", "--agent", "alice"])
        .await
        .ok();
    assert!(
        table.contains("RECOUNT") && table.contains("agent:alice"),
        "{table}"
    );
    let unknown = desk.run(&["send", "nobody", "hello"]).await;
    assert_ne!(unknown.code, Some(0), "{unknown:?}");
    assert!(unknown.err.contains("nobody"), "{unknown:?}");
}

#[actix_web::test]
async fn a_message_to_a_peer_is_delivered_or_its_trouble_is_told() {
    let stage = Stage::new();
    let port = PeerPort::reserve();
    let desk = Desk::start(office(&stage, &port.url()), &stage).await;
    let lost = desk
        .run(&["send", "office", "anyone there?", "--delivered"])
        .await;
    assert_ne!(lost.code, Some(0), "{lost:?}");
    assert!(lost.err.contains("dead"), "{lost:?}");
    let peer = port.open(|_, _| Reply::Received);
    let said = desk
        .run(&["send", "office", "and now?", "--delivered"])
        .await
        .ok();
    assert!(said.contains("delivered"), "{said}");
    assert_eq!(peer.texts(), ["and now?"]);
}

#[actix_web::test]
async fn a_message_is_shown_step_by_step_and_taken_back() {
    let stage = Stage::new();
    let office = Office::new()
        .agent(&stage, "alice", &stage.gated_script(), "")
        .peer_without_url("office", SECRET, "to = \"alice\"");
    let desk = Desk::start(office, &stage).await;
    let opener = desk
        .0
        .receives(SECRET, &message("TASK", "the opener", json!({})))
        .await;
    stage.until_prompts(1).await;
    let waits = desk
        .0
        .receives(SECRET, &message("TASK", "never mind", json!({"id": "w-1"})))
        .await;
    let shown = desk.run(&["messages", "show", &waits]).await.ok();
    for word in [
        "queued",
        "TASK",
        "peer:office",
        "agent:alice",
        "w-1",
        "never mind",
    ] {
        assert!(shown.contains(word), "{word}: {shown}");
    }
    let taken = desk.run(&["messages", "cancel", &waits]).await.ok();
    assert!(taken.contains("cancelled"), "{taken}");
    let again = desk.run(&["messages", "cancel", &waits]).await;
    assert_eq!(again.code, Some(1), "{again:?}");
    assert!(again.out.contains("already"), "{again:?}");
    stage.open();
    desk.0.until_message(&opener, "done").await;
    let shown = desk.json(&["messages", "show", &opener, "--json"]).await;
    assert_eq!(shown["turns"][0]["state"], "done", "{shown}");
    let unknown = desk.run(&["messages", "show", "no-such-message"]).await;
    assert_ne!(unknown.code, Some(0), "{unknown:?}");
}

#[actix_web::test]
async fn dead_letters_are_listed_shown_retried_and_dropped() {
    let stage = Stage::new();
    let peer = Peer::start(|number, _| {
        if number < 4 {
            Reply::Status(422, "", r#"{"error":"the tray is full"}"#)
        } else {
            Reply::Received
        }
    });
    let desk = Desk::start(office(&stage, peer.url()), &stage).await;
    let none = desk.run(&["dead-letters", "list"]).await.ok();
    assert!(none.contains("no dead letters"), "{none}");
    let mut ids = Vec::new();
    for number in 0..4 {
        let say = message(
            "STATUS",
            &format!("letter {number}"),
            json!({"to": "office"}),
        );
        let id = desk.0.sends("alice", &say).await;
        desk.0.until_message(&id, "dead").await;
        ids.push(id);
    }
    let listed = desk
        .run(&["dead-letters", "list", "--peer", "office"])
        .await
        .ok();
    assert!(ids.iter().all(|id| listed.contains(id)), "{listed}");
    assert!(listed.contains("422"), "{listed}");
    let shown = desk.run(&["dead-letters", "show", &ids[0]]).await.ok();
    for word in ["letter 0", "422", "the tray is full", "peer:office"] {
        assert!(shown.contains(word), "{word}: {shown}");
    }
    let retried = desk.run(&["dead-letters", "retry", &ids[0]]).await.ok();
    assert!(retried.contains("retried"), "{retried}");
    desk.0.until_message(&ids[0], "delivered").await;
    let dropped = desk.run(&["dead-letters", "drop", &ids[1]]).await.ok();
    assert!(dropped.contains("dropped"), "{dropped}");
    let again = desk.run(&["dead-letters", "drop", &ids[1]]).await;
    assert_ne!(again.code, Some(0), "{again:?}");
    let rest = desk
        .json(&["dead-letters", "retry", "--all", "--json"])
        .await;
    assert_eq!(rest["retried"].as_array().unwrap().len(), 2, "{rest}");
    for id in &ids[2..] {
        desk.0.until_message(id, "delivered").await;
    }
    assert!(desk.0.dead_letters().await.is_empty());
    assert_eq!(peer.received().len(), 7);
}
