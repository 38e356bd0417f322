use std::time::Duration;

use chrono::TimeZone;
use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::domain::party::PeerName;

fn at(seconds: i64) -> DateTime<Utc> {
    Utc.timestamp_opt(1_800_000_000 + seconds, 0).unwrap()
}

fn ms(milliseconds: i64) -> DateTime<Utc> {
    at(0) + TimeDelta::milliseconds(milliseconds)
}

fn peer(name: &str) -> Party {
    Party::Peer(PeerName::parse(name).unwrap())
}

const TERMS: Terms = Terms {
    concurrency: 4,
    span: Duration::from_hours(30),
    longest_pause: Duration::from_hours(10),
};

fn id(number: i64) -> MessageId {
    MessageId::new(Uuid::from_u128(number.unsigned_abs().into()))
}

fn delivery(number: i64, to: &str, conversation: &str) -> WaitingDelivery {
    WaitingDelivery {
        sequence: Sequence(number),
        id: id(number),
        to: peer(to),
        conversation: conversation.into(),
        since: at(0),
        attempts: 0,
        due: at(0),
        expires_at: None,
    }
}

fn open_queue() -> DeliveryQueue {
    let mut queue = DeliveryQueue::new(CircuitSettings::default());
    queue.open();
    queue
}

/// The numbers of what is begun now.
fn begun(queue: &mut DeliveryQueue, now: DateTime<Utc>) -> Vec<i64> {
    let steps = std::iter::from_fn(|| queue.next(now));
    steps.map(|step| number(&step)).collect()
}

fn number(step: &Step) -> i64 {
    let (Step::Try { delivery, .. } | Step::Expire(delivery) | Step::GiveUp { delivery, .. }) =
        step;
    i64::try_from(delivery.id.as_uuid().as_u128()).unwrap()
}

fn well() -> StepEnd {
    StepEnd {
        again: None,
        health: Health::Well,
        error: None,
    }
}

fn ill(due: DateTime<Utc>) -> StepEnd {
    StepEnd {
        again: Some(Again {
            due,
            is_held_back: false,
        }),
        health: Health::Ill,
        error: Some("down".to_owned()),
    }
}

fn push(queue: &mut DeliveryQueue, number: i64, to: &str, conversation: &str) {
    queue.push(delivery(number, to, conversation), TERMS, at(0));
}

#[test]
fn nothing_begins_before_all_is_known() {
    let mut queue = DeliveryQueue::new(CircuitSettings::default());
    push(&mut queue, 2, "bob", "c");
    assert_eq!((queue.next(at(1)), queue.wake_at()), (None, None));
    push(&mut queue, 1, "bob", "c");
    queue.open();
    assert_eq!(begun(&mut queue, at(1)), [1]);
}

#[test]
fn a_lane_goes_one_by_one_and_lanes_side_by_side_up_to_the_limit() {
    let mut queue = open_queue();
    for number in 1..=6 {
        push(&mut queue, number, "bob", &number.to_string());
        push(&mut queue, number + 10, "bob", &number.to_string());
    }
    push(&mut queue, 30, "carol", "1");
    assert_eq!(begun(&mut queue, at(0)), [1, 2, 3, 4, 30]);
    queue.ended(id(2), well(), at(0));
    assert_eq!(begun(&mut queue, at(0)).len(), 1);
    assert_eq!(queue.under_way(), 5);
    assert_eq!(queue.len(), 12);
}

#[test]
fn a_head_that_waits_holds_its_lane_alone() {
    let mut queue = open_queue();
    push(&mut queue, 1, "bob", "a");
    push(&mut queue, 2, "bob", "a");
    push(&mut queue, 3, "bob", "b");
    assert_eq!(begun(&mut queue, at(0)), [1, 3]);
    let refused = StepEnd {
        health: Health::Unknown,
        ..ill(at(300))
    };
    queue.ended(id(1), refused, at(0));
    queue.ended(id(3), well(), at(0));
    assert_eq!(begun(&mut queue, at(299)), [0_i64; 0]);
    assert_eq!(queue.wake_at(), Some(at(300)));
    assert_eq!(begun(&mut queue, at(300)), [1]);
    queue.ended(id(1), well(), at(300));
    assert_eq!(begun(&mut queue, at(300)), [2]);
    queue.ended(id(2), well(), at(300));
    assert!(queue.is_empty() && queue.wake_at().is_none());
    assert!(queue.recipients.is_empty() && queue.agenda.is_empty());
}

#[test]
fn what_is_taken_out_lets_the_next_go() {
    let mut queue = open_queue();
    let late = WaitingDelivery {
        due: at(1000),
        ..delivery(1, "bob", "a")
    };
    queue.push(late, TERMS, at(0));
    push(&mut queue, 2, "bob", "a");
    assert_eq!(queue.next(at(0)), None);
    queue.remove(id(1), at(0));
    assert_eq!(begun(&mut queue, at(0)), [2]);
    // One that is under way stays until its end is told.
    queue.remove(id(2), at(0));
    assert!(queue.contains(id(2)));
    queue.ended(id(2), ill(at(5)), at(1));
    assert!(queue.is_empty());
}

#[test]
fn after_five_failures_one_probe_at_a_time_and_all_go_when_it_goes_well() {
    let mut queue = open_queue();
    for number in 1..=20 {
        push(&mut queue, number, "bob", &number.to_string());
    }
    let mut failed = 0;
    while let Some(step) = queue.next(at(0)) {
        let change = queue.ended(id(number(&step)), ill(at(10_000)), at(0));
        failed += 1;
        assert_eq!(change.is_some(), failed == 5, "{failed}");
    }
    assert_eq!(failed, 5);
    assert_eq!(queue.down().collect::<Vec<_>>(), [&peer("bob")]);
    assert_eq!(queue.wake_at(), Some(at(30)));
    assert_eq!(begun(&mut queue, at(30)), [6]);
    queue.ended(id(6), ill(at(10_000)), at(31));
    assert_eq!(queue.wake_at(), Some(at(61)));
    assert_eq!(begun(&mut queue, at(61)), [7]);
    let change = queue.ended(id(7), well(), at(62));
    assert_eq!(change, Some(CircuitChange::Closed));
    assert_eq!(queue.down().count(), 0);
    // Those that had a later time go too, one each ten milliseconds.
    let mut tried = Vec::new();
    for step in 0..200 {
        let now = at(62) + TimeDelta::milliseconds(step * 5);
        for number in begun(&mut queue, now) {
            tried.push(number);
            queue.ended(id(number), well(), now);
        }
        let paced = usize::try_from(step / 2 + 1).unwrap();
        assert!(tried.len() <= paced, "{} at {step}", tried.len());
    }
    tried.sort_unstable();
    assert_eq!(tried.len(), 19);
    assert!(queue.is_empty());
}

#[test]
fn a_recipient_is_left_alone_no_longer_than_its_schedule_pauses() {
    let mut queue = open_queue();
    let terms = Terms {
        longest_pause: Duration::from_secs(2),
        ..TERMS
    };
    for number in 1..=6 {
        let delivery = delivery(number, "bob", &number.to_string());
        queue.push(delivery, terms, at(0));
    }
    while let Some(step) = queue.next(at(0)) {
        queue.ended(id(number(&step)), ill(at(10_000)), at(0));
    }
    assert_eq!(queue.wake_at(), Some(at(2)));
    assert_eq!(begun(&mut queue, at(2)), [6]);
}

#[test]
fn what_asked_to_be_left_alone_is_when_its_recipient_is_back() {
    let mut queue = open_queue();
    push(&mut queue, 1, "bob", "a");
    push(&mut queue, 2, "bob", "b");
    assert_eq!(begun(&mut queue, at(0)), [1, 2]);
    let held = StepEnd {
        again: Some(Again {
            due: at(600),
            is_held_back: true,
        }),
        ..ill(at(0))
    };
    queue.ended(id(1), held, at(0));
    queue.ended(id(2), well(), at(0));
    assert_eq!(begun(&mut queue, at(599)), [0_i64; 0]);
    assert_eq!(begun(&mut queue, at(600)), [1]);
}

#[test]
fn a_try_that_comes_early_says_so_and_counts_nothing() {
    let mut queue = open_queue();
    push(&mut queue, 1, "bob", "a");
    push(&mut queue, 2, "bob", "b");
    assert_eq!(begun(&mut queue, at(0)), [1, 2]);
    queue.ended(id(1), ill(at(300)), at(0));
    queue.ended(id(2), well(), at(0));
    let Some(Step::Try { delivery, ahead_of }) = queue.next(at(1)) else {
        panic!("it was not tried");
    };
    assert_eq!((delivery.attempts, ahead_of), (1, Some(at(300))));
    queue.ended(id(1), ill(at(300)), at(1));
    let Some(Step::Try { delivery, ahead_of }) = queue.next(at(300)) else {
        panic!("it was not tried");
    };
    assert_eq!((delivery.attempts, ahead_of), (1, None));
}

#[test]
fn a_head_expires_in_time_whatever_it_waits_for() {
    let mut queue = open_queue();
    let short = WaitingDelivery {
        due: at(1000),
        expires_at: Some(at(60)),
        ..delivery(1, "bob", "a")
    };
    queue.push(short, TERMS, at(0));
    push(&mut queue, 2, "bob", "a");
    assert_eq!(queue.wake_at(), Some(at(60)));
    assert!(matches!(queue.next(at(60)), Some(Step::Expire(_))));
    assert_eq!(queue.next(at(60)), None);
    let over = StepEnd {
        health: Health::Unknown,
        ..well()
    };
    queue.ended(id(1), over, at(60));
    assert_eq!(begun(&mut queue, at(60)), [2]);
}

#[test]
fn thousands_that_wait_for_a_recipient_that_is_down_are_given_up_in_time() {
    let mut queue = open_queue();
    for number in 1..=2000 {
        push(&mut queue, number, "bob", &number.to_string());
    }
    let (mut now, mut given_up) = (at(0), 0);
    let end = at(30 * 3600);
    while now <= end {
        while let Some(step) = queue.next(now) {
            let id = id(number(&step));
            match step {
                Step::Try { .. } => {
                    queue.ended(id, ill(end - TimeDelta::seconds(1)), now);
                }
                Step::GiveUp { last_error, .. } => {
                    assert_eq!(last_error.as_deref(), Some("down"));
                    assert_eq!(now, end);
                    given_up += 1;
                    let over = StepEnd {
                        health: Health::Unknown,
                        ..well()
                    };
                    queue.ended(id, over, now);
                }
                Step::Expire(_) => panic!("nothing expires here"),
            }
        }
        let Some(next) = queue.wake_at() else { break };
        assert!(next > now, "it does not turn in circles");
        now = next;
    }
    assert_eq!(given_up, 2000);
    assert!(queue.is_empty());
}

#[test]
fn what_is_too_old_after_a_long_stop_gets_its_tries() {
    let mut queue = DeliveryQueue::new(CircuitSettings::default());
    for number in 1..=10 {
        queue.push_paced(delivery(number, "bob", &number.to_string()), TERMS, at(0));
    }
    queue.open();
    let later = 90 * 3600;
    let mut now = at(later);
    for _ in 0..5 {
        now = now.max(queue.wake_at().unwrap());
        let step = queue.next(now).unwrap();
        assert!(matches!(step, Step::Try { .. }), "{step:?}");
        queue.ended(id(number(&step)), ill(now + TimeDelta::seconds(5)), now);
    }
    // Its recipient has an hour to come back.
    let mut probes = 0;
    loop {
        now = now.max(queue.wake_at().unwrap());
        let step = queue.next(now).unwrap();
        if matches!(step, Step::GiveUp { .. }) {
            break;
        }
        probes += 1;
        queue.ended(id(number(&step)), ill(now + TimeDelta::seconds(5)), now);
    }
    assert!((now - at(later)) >= TimeDelta::hours(1), "{now}");
    assert!(probes > 100, "{probes}");
}

#[test]
fn what_was_there_at_the_start_is_paced_and_what_is_new_is_not() {
    let mut queue = DeliveryQueue::new(CircuitSettings::default());
    for number in 1..=500 {
        let to = format!("p{}", number % 50);
        queue.push_paced(delivery(number, &to, &number.to_string()), TERMS, at(0));
    }
    queue.open();
    let mut tried = 0;
    for step in 0..1000 {
        let now = ms(step);
        if step == 300 {
            push(&mut queue, 1000, "p1", "new");
            push(&mut queue, 1001, "p1", "451");
        }
        for number in begun(&mut queue, now) {
            assert_eq!(number == 1000, step == 300 && number > 500);
            tried += i32::from(number <= 500);
            queue.ended(id(number), well(), now);
        }
    }
    assert_eq!(tried, 100);
}

#[test]
fn one_recipient_with_much_does_not_keep_others_from_the_pace() {
    let mut queue = DeliveryQueue::new(CircuitSettings::default());
    for number in 1..=1000 {
        queue.push_paced(delivery(number, "bob", &number.to_string()), TERMS, at(0));
    }
    queue.push_paced(delivery(2000, "carol", "c"), TERMS, at(0));
    queue.open();
    let mut order = Vec::new();
    for step in 0..5 {
        for number in begun(&mut queue, ms(step * 10)) {
            order.push(number);
            queue.ended(id(number), well(), ms(step * 10));
        }
    }
    assert!(order.contains(&2000), "{order:?}");
}

#[test]
fn a_message_that_was_read_at_the_start_and_is_new_all_the_same_is_not_paced() {
    let mut queue = DeliveryQueue::new(CircuitSettings::default());
    for number in 1..=100 {
        queue.push_paced(delivery(number, "bob", &number.to_string()), TERMS, at(0));
    }
    push(&mut queue, 77, "bob", "77");
    queue.open();
    assert_eq!(begun(&mut queue, at(0)), [77, 1]);
    assert_eq!(queue.len(), 100);
}

#[test]
fn a_dead_letter_that_waits_again_goes_first_in_its_lane() {
    let mut queue = open_queue();
    for number in [5, 6] {
        push(&mut queue, number, "bob", "a");
    }
    assert_eq!(begun(&mut queue, at(0)), [5]);
    queue.push_revived(delivery(1, "bob", "a"), TERMS, at(1));
    queue.push_revived(delivery(2, "bob", "a"), TERMS, at(1));
    assert_eq!(begun(&mut queue, at(1)), [0_i64; 0]);
    for (ended, next) in [(5, 1), (1, 2), (2, 6)] {
        queue.ended(id(ended), well(), at(2));
        assert_eq!(begun(&mut queue, at(2)), [next]);
    }
    assert_eq!(queue.oldest(), Some(at(0)));
}

#[test]
fn no_more_are_under_way_than_may_be() {
    let mut queue = open_queue();
    for number in 1..=1000 {
        push(&mut queue, number, &format!("p{number}"), "c");
    }
    assert_eq!(begun(&mut queue, at(0)).len(), MOST_UNDER_WAY);
    assert_eq!(queue.wake_at(), None);
    queue.ended(id(1), well(), at(0));
    assert_eq!(begun(&mut queue, at(0)).len(), 1);
}

#[test]
fn addresses_are_forgotten_and_peers_that_fail_are_not() {
    let mut queue = open_queue();
    let url = WaitingDelivery {
        to: Party::Url("http://example.com/".into()),
        ..delivery(1, "bob", "a")
    };
    queue.push(url, TERMS, at(0));
    push(&mut queue, 2, "bob", "a");
    let over = || StepEnd {
        again: None,
        ..ill(at(0))
    };
    for number in begun(&mut queue, at(0)) {
        queue.ended(id(number), over(), at(0));
    }
    assert_eq!(queue.recipients.len(), 1);
    assert!(queue.numbers.contains_key(&peer("bob")));
    queue.is_well(&peer("bob"), at(1));
    assert!(queue.recipients.is_empty() && queue.numbers.is_empty());
}

#[test]
fn an_agent_that_took_nothing_is_asked_every_half_minute() {
    let mut queue = open_queue();
    for number in 1..=8 {
        let of_agent = WaitingDelivery {
            to: Party::parse("agent:alice").unwrap(),
            ..delivery(number, "bob", &number.to_string())
        };
        queue.push(of_agent, TERMS, at(0));
    }
    while let Some(step) = queue.next(at(0)) {
        queue.ended(id(number(&step)), ill(at(10_000)), at(0));
    }
    let mut asked = Vec::new();
    for second in 1..=120 {
        while let Some(step) = queue.next(at(second)) {
            asked.push(second);
            queue.ended(id(number(&step)), ill(at(10_000)), at(second));
        }
    }
    assert_eq!(asked, [30, 60, 90, 120]);
    assert!(matches!(queue.next(at(150)), Some(Step::Try { .. })));
}

#[test]
fn what_failed_before_a_start_goes_once_its_recipient_takes_something() {
    let mut queue = DeliveryQueue::new(CircuitSettings::default());
    let failed = WaitingDelivery {
        attempts: 3,
        due: at(5000),
        ..delivery(1, "bob", "a")
    };
    queue.push_paced(failed, TERMS, at(0));
    queue.open();
    push(&mut queue, 2, "bob", "b");
    assert_eq!(begun(&mut queue, at(0)), [2]);
    queue.ended(id(2), well(), at(0));
    assert_eq!(begun(&mut queue, at(0)), [1]);
}

#[derive(Debug, Clone, Copy)]
enum Move {
    Push { to: u8, conversation: u8 },
    Pass(u16),
    Fail(u8),
    HoldBack(u8),
    Succeed(u8),
    Remove(u8),
    Revive { to: u8, conversation: u8 },
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let lane = || (0..3_u8, 0..3_u8);
    let one = prop_oneof![
        4 => lane().prop_map(|(to, conversation)| Move::Push { to, conversation }),
        2 => (0..400_u16).prop_map(Move::Pass),
        3 => any::<u8>().prop_map(Move::Fail),
        1 => any::<u8>().prop_map(Move::HoldBack),
        3 => any::<u8>().prop_map(Move::Succeed),
        1 => any::<u8>().prop_map(Move::Remove),
        1 => lane().prop_map(|(to, conversation)| Move::Revive { to, conversation }),
    ];
    proptest::collection::vec(one, 1..120)
}

/// The queue, and what a test knows of it.
struct Model {
    queue: DeliveryQueue,
    now: DateTime<Utc>,
    number: i64,
    under_way: Vec<WaitingDelivery>,
    over: BTreeSet<MessageId>,
}

impl Model {
    fn new() -> Self {
        Self {
            queue: open_queue(),
            now: at(0),
            number: 0,
            under_way: Vec::new(),
            over: BTreeSet::new(),
        }
    }

    fn make(&mut self, to: u8, conversation: u8) -> WaitingDelivery {
        self.number += 1;
        let name = ["peer:bob", "agent:alice", "url:http://x/"][usize::from(to)];
        WaitingDelivery {
            to: Party::parse(name).unwrap(),
            since: self.now,
            due: self.now,
            ..delivery(self.number, "bob", &conversation.to_string())
        }
    }

    fn take(&mut self, pick: u8) -> Option<WaitingDelivery> {
        let count = self.under_way.len();
        (count > 0).then(|| self.under_way.remove(usize::from(pick) % count))
    }

    fn play(&mut self, next: Move) {
        let now = self.now;
        match next {
            Move::Push { to, conversation } => {
                let delivery = self.make(to, conversation);
                self.queue.push(delivery, TWO_AT_ONCE, now);
            }
            Move::Revive { to, conversation } => {
                let delivery = self.make(to, conversation);
                self.queue.push_revived(delivery, TWO_AT_ONCE, now);
            }
            Move::Pass(seconds) => self.now += TimeDelta::seconds(seconds.into()),
            Move::Fail(pick) | Move::HoldBack(pick) => {
                let Some(delivery) = self.take(pick) else {
                    return;
                };
                let again = Again {
                    due: now + TimeDelta::seconds(i64::from(pick)),
                    is_held_back: matches!(next, Move::HoldBack(_)),
                };
                let end = StepEnd {
                    again: Some(again),
                    ..ill(now)
                };
                self.queue.ended(delivery.id, end, now);
            }
            Move::Succeed(pick) => {
                if let Some(delivery) = self.take(pick) {
                    self.queue.ended(delivery.id, well(), now);
                    self.over.insert(delivery.id);
                }
            }
            Move::Remove(pick) => {
                let number = i64::from(pick) % (self.number + 1);
                if self.queue.contains(id(number)) {
                    self.queue.remove(id(number), now);
                    self.over.insert(id(number));
                }
            }
        }
    }

    /// Begins what may be begun, and checks what always holds.
    fn begin(&mut self) {
        for _ in 0..1000 {
            let Some(step) = self.queue.next(self.now) else {
                return;
            };
            let (Step::Try { delivery, .. }
            | Step::Expire(delivery)
            | Step::GiveUp { delivery, .. }) = step;
            assert!(!self.over.contains(&delivery.id), "it was over");
            let to_same = self
                .under_way
                .iter()
                .filter(|other| other.to == delivery.to);
            let same_lane = to_same
                .clone()
                .any(|other| other.conversation == delivery.conversation);
            assert!(!same_lane, "two of a lane at once");
            assert!(to_same.count() < TWO_AT_ONCE.concurrency);
            let earlier = self.queue.items.values().filter(|item| {
                let other = &item.delivery;
                other.to == delivery.to
                    && other.conversation == delivery.conversation
                    && other.sequence < delivery.sequence
            });
            assert_eq!(earlier.count(), 0, "one before it in its lane waits");
            self.under_way.push(delivery);
        }
        panic!("it turns in circles");
    }

    /// Everything goes well from now on: all is delivered in the end.
    fn finish(mut self) {
        for _ in 0..100_000 {
            self.begin();
            if self.take(0).map(|delivery| {
                self.queue.ended(delivery.id, well(), self.now);
                self.over.insert(delivery.id);
            }) == Some(())
            {
                continue;
            }
            match self.queue.wake_at() {
                Some(wake_at) => self.now = self.now.max(wake_at),
                None => break,
            }
        }
        assert!(self.queue.is_empty(), "{:?}", self.queue);
        assert_eq!(self.over.len(), usize::try_from(self.number).unwrap());
        // Peers and agents that failed last are remembered, addresses are not.
        let mut remembered = self.queue.recipients.values();
        assert!(remembered.all(|recipient| !matches!(recipient.party, Party::Url(_))));
        assert!(self.queue.agenda.is_empty() && self.queue.under_way == 0);
        assert!(self.queue.paced_agenda.is_empty() && self.queue.sequences.is_empty());
    }
}

const TWO_AT_ONCE: Terms = Terms {
    concurrency: 2,
    span: Duration::from_hours(30),
    longest_pause: Duration::from_hours(10),
};

proptest! {
    #[test]
    fn whatever_happens_lanes_keep_their_order_and_nothing_is_lost(moves in moves()) {
        let mut model = Model::new();
        for next in moves {
            model.play(next);
            model.begin();
        }
        model.finish();
    }
}

#[test]
fn a_hundred_thousand_lanes_are_worked_through_without_looking_at_all_of_them() {
    let mut queue = open_queue();
    let began = tokio::time::Instant::now();
    for number in 1..=100_000 {
        push(
            &mut queue,
            number,
            &format!("p{}", number % 10),
            &number.to_string(),
        );
    }
    let mut done = 0;
    while let Some(step) = queue.next(at(0)) {
        queue.ended(id(number(&step)), well(), at(0));
        done += 1;
    }
    assert_eq!(done, 100_000);
    // Far more than it takes, far less than a look at all of them at each step would.
    assert!(
        began.elapsed() < Duration::from_mins(1),
        "{:?}",
        began.elapsed()
    );
}
