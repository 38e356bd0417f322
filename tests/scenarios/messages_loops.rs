//! P15: agents that answer each other without an end are stopped.

use serde_json::{Value, json};

use crate::support::{
    agents::Stage,
    broker::Broker,
    messages::{Office, complaint, fixture, key_of, message},
    peers::{Peer, Wire},
    wait::until_async,
};

const BOSS: &str = "secret-of-the-boss";
const BETWEEN: &str = "secret-between-two-postrooms";

/// Messages that may lead to one (`limits.hops`), and so the messages of a chain.
const HOPS: usize = 8;
const CHAIN: usize = HOPS + 1;

/// The reason why a message got nowhere.
fn reason(dead: &Value) -> &Value {
    &dead["delivery"]["reason"]["code"]
}

/// What the agents of these brokers printed in all their turns, once so many have ended.
async fn printed(turns_of: &[(&Broker, &str)], count: usize) -> String {
    let look = async || {
        let mut ended = Vec::new();
        for (broker, agent) in turns_of {
            let turns = broker.turns_of(agent).await;
            ended.extend(
                turns
                    .into_iter()
                    .filter(|turn| turn["ended_at"].is_string()),
            );
        }
        ended
    };
    let what = format!("{count} turns that have ended");
    let turns = until_async(&what, look, |turns| turns.len() == count).await;
    let transcript = |turn: &Value| {
        let path = turn["transcript"].as_str().unwrap().to_owned();
        std::fs::read_to_string(path).unwrap()
    };
    turns.iter().map(transcript).collect()
}

#[actix_web::test]
async fn two_agents_that_always_answer_each_other_stop_at_the_hop_limit() {
    let (ping, pong) = (Stage::new(), Stage::new());
    let broker = Office::new()
        .agent(&ping, "ping", &fixture("send.sh", "PING pong"), "")
        .agent(&pong, "pong", &fixture("send.sh", "PONG"), "")
        .peer_without_url("boss", BOSS, "to = \"ping\"")
        .start()
        .await;
    broker
        .receives(BOSS, &message("TASK", "begin", json!({})))
        .await;
    let dead = broker.until_dead_letters(1).await;
    let printed = printed(&[(&broker, "ping"), (&broker, "pong")], CHAIN).await;
    assert_eq!(printed.matches("loop_limit").count(), 1, "{printed}");
    assert!(printed.contains(" 409"), "{printed}");
    let dead = broker.message(dead[0]["id"].as_str().unwrap()).await;
    assert_eq!(reason(&dead), "hop_limit", "{dead}");
    assert_eq!(dead["hops"], CHAIN, "{dead}");
    assert_eq!(broker.dead_letters().await.len(), 1);
    assert!(broker.log_lines().iter().any(|line| line.contains("hop")));
}

#[actix_web::test]
async fn an_agent_that_writes_to_itself_stops_at_the_hop_limit() {
    let stage = Stage::new();
    let broker = Office::new()
        .agent(&stage, "echo", &fixture("send.sh", "ECHO echo"), "")
        .peer_without_url("boss", BOSS, "to = \"echo\"")
        .start()
        .await;
    broker
        .receives(BOSS, &message("TASK", "begin", json!({})))
        .await;
    let dead = broker.until_dead_letters(1).await;
    let dead = broker.message(dead[0]["id"].as_str().unwrap()).await;
    assert_eq!(reason(&dead), "hop_limit", "{dead}");
    assert_eq!(broker.until_turns("echo", CHAIN).await.len(), CHAIN);
}

#[actix_web::test]
async fn agents_of_two_postrooms_stop_at_the_hop_limit_too() {
    let (to_near, to_far) = (Wire::new().await, Wire::new().await);
    let (ping, pong) = (Stage::new(), Stage::new());
    let near = Office::new()
        .agent(&ping, "ping", &fixture("send.sh", "PING far"), "")
        .peer("far", to_far.url(), BETWEEN, "to = \"ping\"")
        .peer_without_url("boss", BOSS, "to = \"ping\"")
        .start()
        .await;
    let far = Office::new()
        .agent(&pong, "pong", &fixture("send.sh", "PONG"), "")
        .peer("near", to_near.url(), BETWEEN, "to = \"pong\"")
        .start()
        .await;
    to_near.lead_to(&near);
    to_far.lead_to(&far);
    near.receives(BOSS, &message("TASK", "begin", json!({})))
        .await;
    let printed = printed(&[(&near, "ping"), (&far, "pong")], CHAIN).await;
    assert_eq!(printed.matches("loop_limit").count(), 1, "{printed}");
    let dead = [near.dead_letters().await, far.dead_letters().await].concat();
    assert_eq!(dead.len(), 1, "{dead:?}");
    let counts = [ping.prompts().len(), pong.prompts().len()];
    assert_eq!(counts, [CHAIN.div_ceil(2), CHAIN / 2]);
}

#[actix_web::test]
async fn what_is_said_again_and_again_is_not_said_any_more() {
    let peer = Peer::that_takes_all();
    let stage = Stage::new();
    let broker = Office::new()
        .agent(&stage, "alice", &fixture("send.sh", "STATUS"), "")
        .key_of_agent("alice")
        .peer("office", peer.url(), BETWEEN, "")
        .with("[limits]\nrepeats = 3")
        .start()
        .await;
    let say = |text, conversation: &str| {
        let fields = json!({"to": "office", "context_id": conversation});
        message("STATUS", text, fields)
    };
    for _ in 0..3 {
        broker.sends("alice", &say("still waiting", "one")).await;
    }
    let refused = broker
        .send_with(&key_of("alice"), "", &say("still waiting", "one"))
        .await;
    assert_eq!(refused.status, 409, "{refused:?}");
    // Something else, and the same elsewhere.
    broker.sends("alice", &say("done waiting", "one")).await;
    broker.sends("alice", &say("still waiting", "two")).await;
    peer.until_received(5).await;
    let dead = broker.until_dead_letters(1).await;
    let id = dead[0]["id"].as_str().unwrap();
    assert!(complaint(&refused).contains(id), "{refused:?}");
    assert_eq!(reason(&broker.message(id).await), "repeated");
    // An operator may mean it.
    let retried = broker
        .post(&format!("/dead-letters/{id}/retry"), "{}", &[])
        .await;
    assert_eq!(retried.status, 200, "{retried:?}");
    broker.until_message(id, "delivered").await;
}

#[actix_web::test]
async fn more_than_so_many_a_minute_to_one_recipient_are_refused_and_not_kept() {
    let peer = Peer::that_takes_all();
    let stage = Stage::new();
    let broker = Office::new()
        .agent(&stage, "alice", &fixture("send.sh", "STATUS"), "")
        .key_of_agent("alice")
        .peer("office", peer.url(), BETWEEN, "")
        .peer("lab", peer.url(), BOSS, "")
        .with("[limits]\npair_rate = 5")
        .start()
        .await;
    let say =
        |number: usize, to: &str| message("STATUS", &format!("number {number}"), json!({"to": to}));
    for number in 0..5 {
        broker.sends("alice", &say(number, "office")).await;
    }
    let refused = broker
        .send_with(&key_of("alice"), "", &say(5, "office"))
        .await;
    assert_eq!(refused.status, 429, "{refused:?}");
    let seconds: u32 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&seconds), "{refused:?}");
    assert!(
        complaint(&refused).contains("limits.pair_rate"),
        "{refused:?}"
    );
    broker.sends("alice", &say(6, "lab")).await;
    peer.until_received(6).await;
    assert_eq!(broker.messages("?direction=out").await.len(), 6);
    assert!(broker.dead_letters().await.is_empty());
}
