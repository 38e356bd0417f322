use serde_json::json;

use super::*;
use crate::cli::agent_view::Paint;

const PLAIN: Paint = Paint { colours: false };

fn shown_as(event: &Value) -> String {
    line::of(event["kind"].as_str().unwrap(), event, PLAIN)
}

#[test]
fn each_event_is_a_line_that_says_when_who_and_what() {
    let at = "2026-11-21T07:05:09.123Z";
    for (event, line) in [
        (
            json!({"kind": "service_started", "at": at, "version": "0.3.0"}),
            "07:05:09Z  postroom        started, version 0.3.0",
        ),
        (
            json!({"kind": "message_accepted", "at": at, "message": "m1", "context_id": "web:7"}),
            "07:05:09Z  mailbox         message m1 kept of web:7",
        ),
        (
            json!({"kind": "task_queued", "at": at, "agent": "alice", "message": "m1",
                "origin": "message", "from": "peer:bob"}),
            "07:05:09Z  alice           message m1 from peer:bob queued",
        ),
        (
            json!({"kind": "turn_began", "at": at, "agent": "alice", "turn": "t1",
                "messages": ["m1", "m2"]}),
            "07:05:09Z  alice           turn t1 begins with m1, m2",
        ),
        (
            json!({"kind": "turn_step", "at": at, "agent": "alice", "turn": "t1", "step": "said",
                "characters": 1, "skipped": 3}),
            "07:05:09Z  alice           turn t1 says 1 character (after 3 more steps)",
        ),
        (
            json!({"kind": "turn_ended", "at": at, "agent": "alice", "turn": "t1",
                "state": "failed", "took_ms": 61_000, "failure": {"message": "no such model"}}),
            "07:05:09Z  alice           turn t1 failed after 1m01s: no such model",
        ),
        (
            json!({"kind": "delivery_failed", "at": at, "message": "m1", "from": "agent:alice",
                "to": "peer:bob", "error": "status 500", "next_at": "2026-11-21T07:06:00Z"}),
            "07:05:09Z  courier         message m1 from agent:alice to peer:bob not delivered, again at 07:06:00Z: status 500",
        ),
        (
            json!({"kind": "missed", "count": 12}),
            "        -  postroom        12 events were missed here",
        ),
    ] {
        assert_eq!(shown_as(&event), line);
    }
}

#[test]
fn an_event_that_we_do_not_know_is_shown_as_it_came() {
    let event = json!({"kind": "later_thing", "agent": "a"});
    assert!(shown_as(&event).ends_with(r#"later_thing {"agent":"a","kind":"later_thing"}"#));
}

#[test]
fn nothing_that_others_wrote_commands_the_terminal_or_makes_a_line_of_its_own() {
    let hostile = "x\u{1b}]0;owned\u{7}\n07:00:00Z  boss  all is well\u{9b}2J";
    let kinds = [
        "message_accepted",
        "relay_ended",
        "task_queued",
        "turn_began",
        "turn_step",
        "callback",
        "turn_ended",
        "delivery_failed",
        "delivery_dead",
        "agent_parked",
        "whatever",
    ];
    for kind in kinds {
        let event = json!({"kind": kind, "at": hostile, "agent": hostile, "message": hostile,
            "turn": hostile, "from": hostile, "to": hostile, "context_id": hostile,
            "backend": hostile, "outcome": hostile, "type": hostile, "error": hostile,
            "state": hostile, "step": hostile, "name": hostile, "text": hostile, "why": hostile,
            "origin": hostile, "next_at": hostile, "messages": [hostile],
            "reason": {"message": hostile}, "failure": {"message": hostile}});
        let line = shown_as(&event);
        assert!(!line.chars().any(char::is_control), "{line:?}");
    }
    let line = line::below("|", hostile, PLAIN);
    assert!(!line.chars().any(char::is_control), "{line:?}");
}

#[test]
fn the_feed_is_asked_for_what_is_wanted() {
    let alice = AgentId::parse("alice").unwrap();
    assert_eq!(path(None, 10), "/events?lines=10");
    assert_eq!(path(Some(&alice), 0), "/events?lines=0&agent=alice");
}
