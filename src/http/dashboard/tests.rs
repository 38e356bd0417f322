//! What pages say, made from hostile values.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use postroom_actors::{
    agent_supervisor::{AgentState, AgentStatus, RunningTurnStatus},
    domain::{
        agent::{Delivery, Permissions},
        agent_message::Envelope,
        envelope::{InboxForm, RecordedReply, RelayOutcome},
        ids::{AgentId, ContextId, MessageId, SessionKey, TurnId},
        party::Party,
        post::{Attempt, Direction, MessageSummary, Trouble},
        task::TaskOrigin,
        turn::{Failure, FailureCode, TurnEvent, TurnRecord, TurnState, Usage},
    },
    ports::recent::{CutText, MailboxLine, MailboxMessage, RecentLine},
};
use tempfile::TempDir;
use uuid::Uuid;

use super::{message, messages, page::Page, people, sections::Pen, troubles, turn};
use crate::{
    http::auth::Keys,
    settings::{Flags, Sources, load},
};

/// The keys of a configuration.
pub(in crate::http) fn keys(text: &str) -> Keys {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("postroom.toml"), text).unwrap();
    let sources = Sources {
        flags: Flags::default(),
        environment: Vec::new(),
        working_dir: folder.path().to_owned(),
        home_dir: Some(folder.path().to_owned()),
        program_name: "postroom".to_owned(),
    };
    let settings = load(sources).unwrap_or_else(|error| panic!("{error}"));
    Keys::new(&settings, Some("the-key-of-this-run"))
}

/// What would be markup, or turn a line around.
const HOSTILE: &str = "\"'></td><script>alert(1)</script>\u{202e}\u{0}\u{2066}&lt;";

const LONGEST_WORD: usize = 4000;

fn at(second: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_900_000_000 + second, 0).unwrap()
}

fn id(number: u128) -> MessageId {
    MessageId::new(Uuid::from_u128(number))
}

fn agent() -> AgentId {
    AgentId::parse("alice").unwrap()
}

fn failure() -> Failure {
    Failure {
        code: FailureCode::TurnFailed,
        message: HOSTILE.to_owned(),
    }
}

fn pen(page: &Page) -> Pen<'_> {
    Pen {
        page,
        now: at(90),
        token_place: "the-place-of-the-token",
    }
}

/// A rendering in which the hostile text is nothing but a text.
fn assert_harmless(place: &str, html: &str) {
    assert!(
        html.contains("&lt;script&gt;alert(1)"),
        "{place} does not show it: {html}"
    );
    for harm in [
        "<script", "</script", "\u{202e}", "\u{2066}", "\u{0}", "\"'>",
    ] {
        assert!(!html.contains(harm), "`{harm:?}` in {place}: {html}");
    }
}

fn envelope() -> Envelope {
    Envelope {
        sender_id: Some(HOSTILE.into()),
        context_id: Some(ContextId::new(HOSTILE)),
        in_reply_to: Some(HOSTILE.into()),
        reply_to: Some(HOSTILE.into()),
        ..Envelope::new(
            Party::Key(HOSTILE.into()),
            Party::Url(HOSTILE.into()),
            HOSTILE,
        )
    }
}

fn summary() -> MessageSummary {
    MessageSummary {
        id: id(1),
        direction: Direction::Out,
        state: "dead",
        envelope: Some(Arc::new(envelope())),
        agent: None,
        origin: TaskOrigin::Message,
        received_at: at(0),
        ended_at: Some(at(60)),
        due: Some(at(120)),
        attempts: 3,
        callbacks: 2,
        trouble: Some(Trouble::Turn(failure())),
    }
}

fn mailbox_message() -> MailboxMessage {
    MailboxMessage {
        line: MailboxLine {
            id: id(2),
            received_at: at(0),
            context_id: Some(ContextId::new(HOSTILE)),
            is_pending: true,
            reply_due: Some(at(100)),
            reply: None,
            words: Some(HOSTILE.to_owned()),
        },
        form: InboxForm::Whole,
        prompt: Some(HOSTILE.into()),
        body: Some(CutText {
            text: HOSTILE.to_owned(),
            whole_bytes: 1 << 20,
        }),
        exchanges: 1,
        replies: vec![RecordedReply {
            message: id(2),
            exchange: 0,
            backend: HOSTILE.to_owned(),
            text: Some(HOSTILE.into()),
            outcome: RelayOutcome::Partial,
            ended_at: at(30),
        }],
    }
}

fn turn() -> TurnRecord {
    TurnRecord {
        id: TurnId::new(Uuid::from_u128(3)),
        agent: agent(),
        session: SessionKey::new(HOSTILE),
        state: TurnState::Failed,
        tasks: vec![id(1)],
        cli_session: Some(HOSTILE.to_owned()),
        started_at: at(0),
        ended_at: Some(at(5)),
        exit_code: Some(1),
        signal: None,
        usage: Some(Usage::default()),
        failure: Some(failure()),
        callbacks: 0,
        transcript: None,
    }
}

#[test]
fn lists_of_messages_show_hostile_texts_as_texts() {
    let page = Page::Overview;
    let pen = pen(&page);
    let mut chat = summary();
    chat.envelope = None;
    chat.agent = Some(agent());
    let lines = [
        RecentLine::Mailbox(mailbox_message().line),
        RecentLine::Message {
            summary: Box::new(summary()),
            words: Some(HOSTILE.to_owned()),
        },
        RecentLine::Message {
            summary: Box::new(chat),
            words: Some(HOSTILE.to_owned()),
        },
    ];
    for line in lines {
        let html = messages::table(&pen, std::slice::from_ref(&line)).into_string();
        assert_harmless(&format!("{line:?}"), &html);
    }
    let letters = [(summary(), Some(HOSTILE.to_owned()))];
    assert_harmless("letters", &troubles::list(&pen, &letters, 5).into_string());
}

#[test]
fn pages_of_messages_and_turns_show_hostile_texts_as_texts() {
    let page = Page::Message(id(2));
    let pen = pen(&page);
    let html = message::of_mailbox(&pen, &mailbox_message())
        .content()
        .into_string();
    assert_harmless("mailbox", &html);
    assert_eq!(html.matches("&lt;script&gt;").count(), 5, "{html}");
    let html = message::facts(&pen, &envelope()).into_string();
    assert_eq!(html.matches("&lt;script&gt;").count(), 5, "{html}");
    assert_harmless("envelope", &html);
    let attempt = Attempt {
        number: 1,
        started_at: at(0),
        ended_at: at(1),
        status: Some(500),
        error: Some(HOSTILE.to_owned()),
    };
    assert_harmless("try", &message::one_try(&pen, &attempt).into_string());
    assert_harmless("turns", &turn::table(&pen, &[turn()]).into_string());
    let html = turn::state(&pen, &turn());
    assert_eq!(html.html().matches("&lt;script&gt;").count(), 3);
    assert_harmless("turn", html.html());
    let told = turn::told(&[
        TurnEvent::Said(HOSTILE.into()),
        TurnEvent::Tool(HOSTILE.into()),
        TurnEvent::Trouble(HOSTILE.into()),
    ]);
    assert_harmless("output", &message::text(&told).into_string());
}

#[test]
fn agents_show_hostile_texts_as_texts() {
    let page = Page::Overview;
    let pen = pen(&page);
    let agent = AgentStatus {
        id: agent(),
        state: AgentState::Parked,
        problem: Some(HOSTILE.to_owned()),
        delivery: Delivery::Turn,
        permissions: Permissions::Bypass,
        cli: HOSTILE.to_owned(),
        workspace: HOSTILE.into(),
        turns: vec![RunningTurnStatus {
            turn: turn().id,
            pid: Some(7),
            session: SessionKey::new(HOSTILE),
            since: at(0),
            tasks: vec![id(1), id(2)],
        }],
        waiting: 2,
        oldest_waiting_since: Some(at(0)),
        waits_for: Some(HOSTILE.to_owned()),
        last_failure: Some(failure()),
    };
    let work = people::Work(vec![RecentLine::Message {
        summary: Box::new(summary()),
        words: Some(HOSTILE.to_owned()),
    }]);
    let html = people::row(&pen, &agent, &work).into_string();
    assert_harmless("agent", &html);
    assert_eq!(html.matches("&lt;script&gt;").count(), 6, "{html}");
    assert_harmless("settings", people::settings(&agent).html());
}

#[test]
fn a_long_word_is_cut_where_it_stands_in_a_list() {
    let page = Page::Overview;
    let word = "W".repeat(LONGEST_WORD);
    let line = RecentLine::Message {
        summary: Box::new(summary()),
        words: Some(word.clone()),
    };
    let html = messages::table(&pen(&page), &[line]).into_string();
    assert!(!html.contains(&"W".repeat(200)), "{html}");
}

#[test]
fn every_form_holds_the_place_of_the_token_and_the_way_back() {
    let page = Page::parse("/web/messages?agent=alice&state=failed&done=x").unwrap();
    let html = pen(&page).action("/web/x", "retry", "Retry").into_string();
    assert!(
        html.contains("name=\"csrf\" value=\"the-place-of-the-token\""),
        "{html}"
    );
    let back = "value=\"/web/messages?agent=alice&amp;state=failed\"";
    assert!(html.contains(back), "{html}");
}

#[test]
fn addresses_of_pages_are_read_and_others_are_none() {
    for address in [
        "/",
        "/web/messages",
        "/web/messages?kind=chat&agent=alice&state=failed",
        "/web/messages/00000000-0000-0000-0000-000000000001",
        "/web/agents/alice",
        "/web/turns/00000000-0000-0000-0000-000000000001",
        "/web/dead-letters?before=00000000-0000-0000-0000-000000000001",
        "/web/connect",
    ] {
        assert_eq!(Page::parse(address).unwrap().path(), address);
    }
    for (address, path) in [
        ("/web", "/"),
        (
            "/web/messages?state=none&kind=&agent=..&before=x",
            "/web/messages",
        ),
    ] {
        assert_eq!(Page::parse(address).unwrap().path(), path);
    }
    for address in [
        "",
        "//evil.example",
        "https://evil.example/",
        "/agents",
        "/web/login",
        "/web/live",
        "/web/agents/../x",
        "/web/turns/none",
        "/web/messages/",
    ] {
        assert_eq!(Page::parse(address), None, "{address}");
    }
}
