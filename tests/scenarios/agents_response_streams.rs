//! A response as events: live, taken up again, and out of the store.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::support::{
    agents::{AGENT, KEEP_PROMPT, Stage, output_text},
    broker::Broker,
    events::{Event, names, parse_events, told},
};

const DELTA: &str = "response.output_text.delta";

/// Says a line, waits until it may go on, and says another one.
const TWO_LINES: &str =
    "echo 'first words'\nwhile [ ! -e \"$STAGE/open\" ]; do sleep 0.02; done\necho 'last words'\n";

fn numbers(events: &[Event]) -> Vec<u64> {
    events.iter().map(Event::number).collect()
}

fn two_lines(stage: &Stage) -> String {
    stage.script("two-lines.sh", &format!("{KEEP_PROMPT}{TWO_LINES}"))
}

/// The response that the last event of a stream holds.
fn last_response(events: &[Event]) -> Value {
    events.last().unwrap().json()["response"].clone()
}

#[actix_web::test]
async fn a_streamed_response_tells_its_events_in_order_and_numbers_them() {
    let stage = Stage::new();
    stage.open();
    let broker = Broker::start(stage.agent(&two_lines(&stage), "")).await;
    let body = json!({"model": AGENT, "input": "Hello.", "stream": true});
    let answer = broker.post("/v1/responses", body.to_string(), &[]).await;
    assert_eq!(answer.header("content-type"), Some("text/event-stream"));
    let events = parse_events(&answer.text);
    let wanted = [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        DELTA,
        DELTA,
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ];
    assert_eq!(names(&events), wanted);
    assert_eq!(numbers(&events), (0..10).collect::<Vec<u64>>());
    assert_eq!(told(&events), "first words\nlast words");
    for event in &events {
        assert_eq!(event.json()["type"], event.name.as_deref().unwrap());
    }
    let response = last_response(&events);
    assert_eq!(output_text(&response), "first words\nlast words");
    let id = response["id"].as_str().unwrap();
    assert_eq!(broker.response(id).await, response);
}

#[actix_web::test]
async fn a_background_stream_is_taken_up_at_any_number_also_after_a_kill() {
    let stage = Stage::new();
    let options = stage.agent(&two_lines(&stage), "");
    let broker = Broker::start_in(Arc::clone(stage.folder()), options).await;
    let body = json!({"model": AGENT, "input": "Hello.", "stream": true, "background": true});
    let mut live = broker
        .follow("POST", "/v1/responses", body.to_string(), &[])
        .await;
    let begun = live.until(DELTA).await;
    drop(live);
    assert_eq!(
        names(&begun)[..3],
        [
            "response.created",
            "response.queued",
            "response.in_progress"
        ]
    );
    let id = begun[0].json()["response"]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let seen = begun.last().unwrap().number();

    let mut again = broker.follow_response(&id, Some(1)).await;
    let caught_up = again.until(DELTA).await;
    assert_eq!(
        caught_up,
        begun[2..],
        "what runs is told again from any number on"
    );
    let after = broker.follow_response(&id, Some(seen)).await;
    stage.open();
    let rest = after.rest().await;
    assert_eq!(again.rest().await, rest);
    assert_eq!(names(&rest).last(), Some(&"response.completed"));

    let whole = [begun, rest.clone()].concat();
    assert_eq!(
        numbers(&whole),
        (0..).take(whole.len()).collect::<Vec<u64>>()
    );
    let read_all = async |broker: &Broker| {
        let all = broker.follow_response(&id, None).await.rest().await;
        assert_eq!(all, whole);
        let late = broker.follow_response(&id, Some(seen)).await.rest().await;
        assert_eq!(late, rest);
        let last = whole.last().unwrap().number();
        let nothing = broker.follow_response(&id, Some(last)).await.rest().await;
        assert_eq!(nothing, []);
    };
    read_all(&broker).await;
    let broker = broker.kill_and_restart().await;
    read_all(&broker).await;
}

#[actix_web::test]
async fn a_stream_whose_broker_is_killed_goes_on_at_the_next_one() {
    let stage = Stage::new();
    let options = stage.agent(&two_lines(&stage), "");
    let broker = Broker::start_in(Arc::clone(stage.folder()), options).await;
    let body = json!({"model": AGENT, "input": "Hello.", "stream": true, "background": true});
    let mut live = broker
        .follow("POST", "/v1/responses", body.to_string(), &[])
        .await;
    let begun = live.until(DELTA).await;
    let id = begun[0].json()["response"]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let seen = begun.last().unwrap().number();
    let broker = broker.kill_and_restart().await;
    drop(live);
    let after = broker.follow_response(&id, Some(seen)).await;
    stage.until_prompts(2).await;
    stage.open();
    let rest = after.rest().await;
    assert_eq!(told(&rest), "\nlast words", "{rest:?}");
    assert_eq!(rest[0].number(), seen + 1);
    assert_eq!(
        output_text(&last_response(&rest)),
        "first words\nlast words"
    );
}

#[actix_web::test]
async fn an_attempt_that_goes_on_after_one_that_spoke_tells_one_story_to_everyone() {
    let stage = Stage::new();
    let script = format!(
        "{KEEP_PROMPT}[ -e \"$STAGE/again\" ] && echo 'second try' && exit\n\
         touch \"$STAGE/again\"\necho 'first try'\nkill -9 $$\n"
    );
    let broker = Broker::start(stage.agent(&stage.script("crashes.sh", &script), "")).await;
    let body = json!({"model": AGENT, "input": "Hello.", "stream": true, "background": true});
    let live = broker
        .follow("POST", "/v1/responses", body.to_string(), &[])
        .await;
    let events = live.rest().await;
    let response = last_response(&events);
    assert_eq!(response["status"], "completed", "{events:?}");
    assert_eq!(told(&events), "first try\n\nsecond try");
    assert_eq!(output_text(&response), told(&events));
    let id = response["id"].as_str().unwrap();
    let kept = broker.follow_response(id, None).await.rest().await;
    assert_eq!(kept, events);
}

#[actix_web::test]
async fn a_response_that_fails_or_is_cancelled_ends_its_stream() {
    let stage = Stage::new();
    let fails = stage.script("fails.sh", "cat > /dev/null\necho 'half of it'\nexit 3\n");
    let broker = Broker::start(stage.agent(&fails, "")).await;
    let body = json!({"model": AGENT, "input": "Hello.", "stream": true});
    let failed = broker.post("/v1/responses", body.to_string(), &[]).await;
    let events = parse_events(&failed.text);
    assert_eq!(told(&events), "half of it");
    assert_eq!(names(&events).last(), Some(&"response.failed"));
    let response = last_response(&events);
    assert_eq!(response["status"], "failed");
    assert!(response["error"]["message"].is_string(), "{response}");
    let id = response["id"].as_str().unwrap();
    let kept = broker.follow_response(id, None).await.rest().await;
    assert_eq!(names(&kept).last(), Some(&"response.failed"));

    let stage = Stage::new();
    let broker = Broker::start(stage.agent(&stage.gated_script(), "")).await;
    let body = json!({"model": AGENT, "input": "Hello.", "stream": true});
    let mut live = broker
        .follow("POST", "/v1/responses", body.to_string(), &[])
        .await;
    let begun = live.until("response.in_progress").await;
    let id = begun[0].json()["response"]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let path = format!("/v1/responses/{id}/cancel");
    assert_eq!(broker.post(&path, "{}", &[]).await.status, 200);
    let rest = live.rest().await;
    assert_eq!(last_response(&rest)["status"], "cancelled", "{rest:?}");
}
