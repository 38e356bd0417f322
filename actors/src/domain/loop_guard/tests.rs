use chrono::TimeZone;

use super::*;
use crate::domain::{ids::AgentId, party::PeerName};

const LIMITS: GuardSettings = GuardSettings {
    hops: 8,
    pair_rate: 60,
    repeats: 5,
};

fn at(seconds: i64) -> DateTime<Utc> {
    Utc.timestamp_opt(1_800_000_000 + seconds, 0).unwrap()
}

fn agent(name: &str) -> Party {
    Party::Agent(AgentId::parse(name).unwrap())
}

fn envelope(sender: Party) -> Envelope {
    Envelope::new(
        sender,
        Party::Peer(PeerName::parse("bob").unwrap()),
        "STATUS",
    )
}

/// A guard and what it is asked.
struct Desk {
    guard: LoopGuard,
    envelope: Envelope,
    conversation: Arc<str>,
}

impl Desk {
    fn of(limits: GuardSettings, sender: Party) -> Self {
        Self {
            guard: LoopGuard::new(limits),
            envelope: envelope(sender),
            conversation: "c".into(),
        }
    }

    fn say(&mut self, said: u8, seconds: i64) -> Admitted {
        let Self {
            guard,
            envelope,
            conversation,
        } = self;
        let saying = Saying {
            envelope,
            conversation,
            said: [said; 32],
        };
        guard.admit(saying, at(seconds))
    }

    fn take_back(&mut self, said: u8) {
        let Self {
            guard,
            envelope,
            conversation,
        } = self;
        guard.take_back(Saying {
            envelope,
            conversation,
            said: [said; 32],
        });
    }
}

fn code(admitted: &Admitted) -> Option<DeadCode> {
    match admitted {
        Admitted::Dead(reason) => Some(reason.code),
        _ => None,
    }
}

#[test]
fn one_hop_more_than_the_limit_is_the_end_for_everyone() {
    for sender in [
        agent("alice"),
        Party::Key("ops".into()),
        Party::Anyone,
        Party::Peer(PeerName::parse("eve").unwrap()),
    ] {
        let mut desk = Desk::of(LIMITS, sender);
        desk.envelope.hops = 8;
        assert_eq!(desk.say(1, 0), Admitted::Yes);
        desk.envelope.hops = 9;
        assert_eq!(code(&desk.say(1, 0)), Some(DeadCode::HopLimit));
    }
}

#[test]
fn a_pair_has_its_rate_as_a_burst_and_then_over_time() {
    let mut desk = Desk::of(LIMITS, agent("alice"));
    for said in 0..60 {
        assert_eq!(desk.say(said, 0), Admitted::Yes, "{said}");
    }
    assert_eq!(desk.say(60, 0), Admitted::TooMany(Duration::from_secs(1)));
    desk.envelope.recipient = agent("carol");
    assert_eq!(desk.say(60, 0), Admitted::Yes);
    desk.envelope.recipient = envelope(agent("alice")).recipient;
    assert_eq!(desk.say(61, 1), Admitted::Yes);
    assert!(matches!(desk.say(62, 1), Admitted::TooMany(_)));
}

#[test]
fn what_it_says_of_the_wait_is_true() {
    for pair_rate in [1, 3, 7, 60, 600] {
        let limits = GuardSettings {
            pair_rate,
            repeats: 0,
            ..LIMITS
        };
        let mut desk = Desk::of(limits, agent("alice"));
        while desk.say(0, 0) == Admitted::Yes {}
        let Admitted::TooMany(wait) = desk.say(0, 0) else {
            panic!("the burst is over");
        };
        assert!(wait >= Duration::from_secs(1));
        let then = i64::try_from(wait.as_secs()).unwrap();
        assert_eq!(desk.say(0, then), Admitted::Yes, "{pair_rate}");
    }
}

#[test]
fn the_same_is_said_five_times_and_again_after_ten_quiet_minutes() {
    let mut desk = Desk::of(LIMITS, agent("alice"));
    for second in 0..5 {
        assert_eq!(desk.say(1, second), Admitted::Yes);
    }
    assert_eq!(code(&desk.say(1, 5)), Some(DeadCode::Repeated));
    assert_eq!(desk.say(2, 5), Admitted::Yes);
    desk.conversation = "d".into();
    assert_eq!(desk.say(1, 5), Admitted::Yes);
    desk.conversation = "c".into();
    assert_eq!(code(&desk.say(1, 599)), Some(DeadCode::Repeated));
    assert_eq!(desk.say(1, 599 + 600), Admitted::Yes);
}

#[test]
fn what_was_no_new_message_does_not_count() {
    let limits = GuardSettings {
        pair_rate: 3,
        repeats: 2,
        ..LIMITS
    };
    let mut desk = Desk::of(limits, agent("alice"));
    for _ in 0..20 {
        assert_eq!(desk.say(1, 0), Admitted::Yes);
        desk.take_back(1);
    }
    assert_eq!(desk.say(1, 0), Admitted::Yes);
    assert_eq!(desk.say(1, 0), Admitted::Yes);
    assert_eq!(code(&desk.say(1, 0)), Some(DeadCode::Repeated));
    assert!(matches!(desk.say(1, 0), Admitted::TooMany(_)));
}

#[test]
fn no_limit_is_none() {
    let limits = GuardSettings {
        pair_rate: 0,
        repeats: 0,
        ..LIMITS
    };
    let mut desk = Desk::of(limits, agent("alice"));
    assert!((0..10_000).all(|_| desk.say(1, 0) == Admitted::Yes));
}

#[test]
fn operators_and_peers_may_send_and_repeat_as_they_like() {
    let mut desk = Desk::of(LIMITS, Party::Key("ops".into()));
    assert!((0..1000).all(|_| desk.say(1, 0) == Admitted::Yes));
}

#[test]
fn what_is_remembered_is_bounded() {
    let mut desk = Desk::of(LIMITS, agent("alice"));
    for number in 0..(MOST_SAYINGS + 100) {
        desk.conversation = number.to_string().into();
        desk.envelope.recipient = Party::Url(number.to_string().into());
        assert_eq!(desk.say(1, 0), Admitted::Yes);
    }
    assert_eq!(desk.guard.sayings.len(), MOST_SAYINGS);
    assert_eq!(desk.guard.pairs.len(), MOST_PAIRS);
}
