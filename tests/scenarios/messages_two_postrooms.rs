//! Two Postrooms that are each other's peers: a task goes in at one, part of it is done at the other.

use serde_json::{Value, json};

use crate::support::{
    agents::{Stage, id_of},
    broker::Broker,
    messages::{Office, fixture, message},
    peers::Wire,
};

/// The secret between the two.
const BETWEEN: &str = "secret-between-two-postrooms";

/// The secret of the peer that only gives tasks.
const BOSS: &str = "secret-of-the-boss";

/// Passes a task on and works on what comes back.
const ASKS: &str = r#"cat > "$STAGE/prompt"
cp "$STAGE/prompt" "$STAGE/prompts/$POSTROOM_TURN_ID.txt"
grep -q 'type `TASK`' "$STAGE/prompt" || { echo "noted"; exit; }
exec curl -sS --fail-with-body -X POST "$POSTROOM_URL/send?wait=delivered" -H "Authorization: Bearer $POSTROOM_TURN_TOKEN" \
  -H 'Content-Type: application/json' -d '{"type":"BREAKDOWN","payload":{"text":"count the ferries"},"to":"far"}'
"#;

/// Two brokers, an agent each, and what their turns left behind.
struct Two {
    near: Broker,
    far: Broker,
    near_stage: Stage,
    far_stage: Stage,
    _wires: [Wire; 2],
}

impl Two {
    async fn start() -> Self {
        let (to_near, to_far) = (Wire::new().await, Wire::new().await);
        let (near_stage, far_stage) = (Stage::new(), Stage::new());
        let asks = near_stage.script("asks.sh", ASKS);
        let near = Office::new()
            .agent(&near_stage, "alice", &asks, "")
            .peer(
                "far",
                to_far.url(),
                BETWEEN,
                "types = [\"BREAKDOWN\"]\nto = \"alice\"",
            )
            .peer_without_url("boss", BOSS, "to = \"alice\"");
        let answers = fixture("send.sh", "STATUS - 'three ferries'");
        let far = Office::new().agent(&far_stage, "bob", &answers, "").peer(
            "near",
            to_near.url(),
            BETWEEN,
            "answer_types = [\"STATUS\", \"PR_READY\"]\nto = \"bob\"",
        );
        let (near, far) = (near.start().await, far.start().await);
        to_near.lead_to(&near);
        to_far.lead_to(&far);
        Self {
            near,
            far,
            near_stage,
            far_stage,
            _wires: [to_near, to_far],
        }
    }
}

#[actix_web::test]
async fn what_an_agent_asks_of_a_peer_comes_back_into_the_session_that_asked() {
    let two = Two::start().await;
    let task = message("TASK", "mind the harbour", json!({"id": "task-1"}));
    let id = two.near.receives(BOSS, &task).await;
    // Alice's turn asks Bob, Bob's answers, Alice's second one notes it.
    let asked = two.near.until_turns("alice", 2).await;
    let worked = two.far.until_turns("bob", 1).await;
    assert_eq!((asked.len(), worked.len()), (2, 1), "{asked:?} {worked:?}");
    assert_eq!(asked[0]["session"], asked[1]["session"], "{asked:?}");
    let prompts = two.far_stage.prompts();
    assert!(prompts[0].contains("count the ferries"), "{prompts:?}");
    for word in ["STATUS", "PR_READY", "$POSTROOM_TURN_TOKEN", "/send"] {
        assert!(prompts[0].contains(word), "{word}: {prompts:?}");
    }
    let prompts = two.near_stage.prompts();
    assert!(prompts[0].contains("mind the harbour"), "{prompts:?}");
    assert!(prompts[1].contains("three ferries"), "{prompts:?}");
    check_task(&two, &id).await;
    check_parts(&two).await;
}

/// What the sender of the task can read of it.
async fn check_task(two: &Two, id: &str) {
    let seen = two.near.until_message(id, "done").await;
    let as_boss = [("x-shared-secret", BOSS)];
    let path = format!("/messages/{id}");
    let read = two.near.send("GET", &path, String::new(), &as_boss).await;
    assert_eq!(read.status, 200, "{read:?}");
    assert_eq!(read.json()["state"], "done", "{read:?}");
    assert_eq!(seen["type"], "TASK", "{seen}");
    assert_eq!(seen["from"], "peer:boss", "{seen}");
    assert_eq!(seen["to"], "agent:alice", "{seen}");
    let turns = seen["turns"].as_array().unwrap();
    assert_eq!(turns.len(), 1, "{seen}");
    assert_eq!(turns[0]["state"], "done", "{seen}");
    assert_eq!(turns[0]["callbacks"], 1, "{seen}");
    assert_in_order(&[
        &seen["received_at"],
        &turns[0]["started_at"],
        &turns[0]["ended_at"],
    ]);
}

/// The question on its way to the peer, the peer's view of it, and the answer on its way back.
async fn check_parts(two: &Two) {
    let asked = two.near.messages("?direction=out").await;
    assert_eq!(asked.len(), 1, "{asked:?}");
    let asked = two.near.message(&id_of(&asked[0])).await;
    assert_eq!(asked["state"], "delivered", "{asked}");
    assert_eq!(asked["type"], "BREAKDOWN", "{asked}");
    assert_eq!(asked["from"], "agent:alice", "{asked}");
    assert_eq!(asked["to"], "peer:far", "{asked}");
    // The peer does not know the task, only that something led to the question.
    assert_eq!(asked["hops"], 1, "{asked}");
    let tries = asked["delivery"]["history"].as_array().unwrap();
    assert_eq!(tries.len(), 1, "{asked}");
    assert_eq!(tries[0]["number"], 1, "{asked}");
    assert_eq!(tries[0]["status"], 200, "{asked}");
    assert_in_order(&[
        &asked["received_at"],
        &tries[0]["started_at"],
        &tries[0]["ended_at"],
    ]);
    let taken = two.far.messages("?direction=in").await;
    assert_eq!(taken.len(), 1, "{taken:?}");
    let taken = two.far.message(&id_of(&taken[0])).await;
    assert_eq!(same_id(&taken["sender_id"]), same_id(&asked["id"]));
    assert_eq!(taken["from"], "peer:near", "{taken}");
    let answers = taken["callbacks"].as_array().unwrap();
    assert_eq!(answers.len(), 1, "{taken}");
    assert_eq!(answers[0]["type"], "STATUS", "{taken}");
    assert_eq!(answers[0]["to"], "peer:near", "{taken}");
    let back = two
        .far
        .until_message(&id_of(&answers[0]), "delivered")
        .await;
    // By the id that the one who asked knows it by.
    assert_eq!(
        same_id(&back["in_reply_to"]),
        same_id(&asked["id"]),
        "{back}"
    );
}

/// `?wait=delivered` holds the answer until the peer has it; Alice's turn printed it.
#[actix_web::test]
async fn a_turn_can_wait_until_the_peer_has_its_message() {
    let two = Two::start().await;
    let task = message("TASK", "mind the harbour", json!({}));
    let id = two.near.receives(BOSS, &task).await;
    two.near.until_message(&id, "done").await;
    let turn = &two.near.until_turns("alice", 1).await[0];
    let transcript = std::fs::read_to_string(turn["transcript"].as_str().unwrap()).unwrap();
    assert!(transcript.contains("delivered"), "{transcript}");
    two.far.until_turns("bob", 1).await;
}

/// An id without dashes: both forms name the same message.
fn same_id(id: &Value) -> String {
    let text = id.as_str();
    text.unwrap_or_else(|| panic!("no id: {id}"))
        .replace('-', "")
}

/// Times are text that sorts.
fn assert_in_order(times: &[&Value]) {
    let texts: Vec<&str> = times
        .iter()
        .map(|time| time.as_str().unwrap_or_else(|| panic!("no time: {time}")))
        .collect();
    assert!(texts.is_sorted(), "{texts:?}");
}
