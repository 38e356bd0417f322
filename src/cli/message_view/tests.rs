use chrono::TimeDelta;
use serde_json::json;

use super::*;

const PLAIN: Paint = Paint { colours: false };

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
}

fn view(message: &Value) -> MessageView {
    MessageView::deserialize(message).unwrap()
}

#[test]
fn a_list_tells_of_each_message_what_is_worth_knowing() {
    let answer = json!({"messages": [
        {"id": "03", "direction": "out", "origin": "message", "state": "waiting", "type": "STATUS",
            "from": "agent:alice", "to": "peer:office", "received_at": at(3), "ended_at": null,
            "due_at": at(400), "attempts": 2, "callbacks": 0, "failure": null},
        {"id": "02", "direction": "in", "origin": "message", "state": "done", "type": "TASK",
            "from": "peer:office", "to": "agent:alice", "received_at": at(2), "attempts": 1,
            "callbacks": 1},
        {"id": "01", "direction": "in", "origin": "chat", "state": "failed", "type": null,
            "from": null, "to": "agent:alice", "received_at": at(1), "attempts": 3,
            "failure": {"code": "turn_failed", "message": "out\nof luck"}},
    ]});
    assert_eq!(
        list(&summaries(&answer, "messages").unwrap(), at(100), PLAIN),
        "ID  RECEIVED              STATE    TYPE    FROM         TO           NOTE\n\
         03  1970-01-01 00:00:03Z  waiting  STATUS  agent:alice  peer:office  2 tries, next in 5m00s\n\
         02  1970-01-01 00:00:02Z  done     TASK    peer:office  agent:alice  1 callback\n\
         01  1970-01-01 00:00:01Z  failed   chat    -            agent:alice  3 tries, out of luck\n"
    );
}

#[test]
fn long_and_hostile_words_of_senders_do_not_break_a_table() {
    let kind = format!("{}\u{1b}[2J", "x".repeat(100));
    let answer =
        json!({"messages": [{"id": "1", "state": "queued", "type": kind, "received_at": at(0)}]});
    let table = list(&summaries(&answer, "messages").unwrap(), at(0), PLAIN);
    assert!(!table.contains('\u{1b}'), "{table}");
    assert!(table.contains(&format!("{}…", "x".repeat(39))), "{table}");
}

#[test]
fn the_steps_of_a_message_are_told_in_their_order() {
    let message = json!({
        "id": "018f", "direction": "in", "origin": "message", "state": "done", "type": "TASK",
        "from": "peer:office", "to": "agent:alice", "sender_id": "job-7", "context_id": "c-1",
        "hops": 2, "priority": 8, "received_at": at(0), "ended_at": at(40), "attempts": 1,
        "turns": [{"id": "0190", "agent": "alice", "state": "done", "started_at": at(1),
            "ended_at": at(40), "callbacks": 1}],
        "callbacks": [{"id": "0191", "state": "delivered", "type": "STATUS", "from": "agent:alice",
            "to": "peer:office", "received_at": at(30)}],
        "delivery": null, "failure": null, "answer": null,
        "body": {"type": "TASK", "payload": {"text": "water\nthe plants"}},
    });
    assert_eq!(
        steps(&view(&message), at(100), PLAIN),
        "018f done\n  \
           type         TASK\n  \
           from         peer:office\n  \
           to           agent:alice\n  \
           its own id   job-7\n  \
           conversation c-1\n  \
           hops         2\n  \
           priority     8\n\
         \n\
         1970-01-01 00:00:00Z  received, and kept\n\
         1970-01-01 00:00:01Z  turn 0190 of alice begins\n\
         1970-01-01 00:00:30Z  callback 0191: STATUS to peer:office, delivered\n\
         1970-01-01 00:00:40Z  turn 0190 ends after 39s: done, 1 callback\n\
         1970-01-01 00:00:40Z  done\n\
         \n\
         water\nthe plants\n"
    );
}

#[test]
fn a_turn_that_told_nobody_anything_is_said_to() {
    let ended = |origin: &str| {
        let message = json!({"id": "1", "origin": origin, "state": "done", "received_at": at(0),
            "ended_at": at(9), "turns": [{"id": "t", "agent": "alice", "state": "failed",
                "started_at": at(1), "ended_at": at(9), "callbacks": 0}],
            "failure": {"code": "turn_failed", "message": "no credit"}});
        steps(&view(&message), at(10), PLAIN)
    };
    let message = ended("message");
    assert!(
        message.contains("failed, without a callback: nobody was told anything\n"),
        "{message}"
    );
    assert!(message.contains("done: no credit\n"), "{message}");
    let chat = ended("chat");
    assert!(chat.contains("failed, no callbacks\n"), "{chat}");
}

#[test]
fn each_try_to_deliver_tells_how_it_went() {
    let message = |delivery: &Value, ended_at: Option<DateTime<Utc>>| {
        let message = json!({"id": "1", "direction": "out", "origin": "message", "state":
            delivery["state"], "received_at": at(0), "ended_at": ended_at, "delivery": delivery});
        steps(&view(&message), at(10), PLAIN)
    };
    let tried = json!({"number": 1, "started_at": at(0), "ended_at": at(2), "status": 503,
        "error": "busy \u{1b}[31m"});
    let waiting = json!({"state": "waiting", "attempts": 1, "due_at": at(25), "history": [tried]});
    let text = message(&waiting, None);
    assert!(
        text.contains("00:00:02Z  try 1 took 2000 ms, status 503: busy \u{fffd}[31m\n"),
        "{text}"
    );
    assert!(
        text.contains("next try in 15s (1970-01-01 00:00:25Z)\n"),
        "{text}"
    );
    let again = json!({"number": 2, "started_at": at(5), "ended_at": at(6), "status": 200,
        "error": null});
    let arrived = json!({"state": "delivered", "history": [tried, again]});
    let text = message(&arrived, Some(at(6)));
    assert!(
        text.contains("try 2 took 1000 ms, status 200: delivered\n"),
        "{text}"
    );
    let dead = json!({"state": "dead", "reason": {"code": "refused", "message": "status 403"},
        "history": []});
    let text = message(&dead, Some(at(6)));
    assert!(text.contains("00:00:06Z  dead: status 403\n"), "{text}");
}

#[test]
fn parameters_and_ids_cannot_lead_elsewhere() {
    assert_eq!(path_of("/messages", "../a?b"), "/messages/%2E%2E%2Fa%3Fb");
    let parameters = [
        ("peer", Some("a&b=c".to_owned())),
        ("agent", None),
        ("limit", Some("3".to_owned())),
    ];
    assert_eq!(with_query("/m", &parameters), "/m?peer=a%26b%3Dc&limit=3");
    assert_eq!(with_query("/m", &[("a", None)]), "/m");
}

#[test]
fn what_a_message_says_is_its_text_or_its_payload() {
    for (body, text) in [
        (json!({"type": "A", "payload": {"text": "hello"}}), "hello"),
        (json!({"payload": "plain"}), "plain"),
        (
            json!({"payload": {"n": 1, "text": "x"}}),
            "{\n  \"n\": 1,\n  \"text\": \"x\"\n}",
        ),
        (json!({"payload": {"text": "a\u{1b}[2J\nb"}}), "a[2J\nb"),
        (json!({"payload": 7}), "7"),
    ] {
        assert_eq!(said(&body), text);
    }
}

#[test]
fn a_message_told_in_another_way_is_an_error_and_no_panic() {
    let error = summaries(&json!({"messages": [{"id": 7}]}), "messages").unwrap_err();
    assert!(error.to_string().contains("in another way"), "{error}");
    assert!(summaries(&json!({}), "messages").unwrap().is_empty());
}
