//! P1 and P5 for messages: either of two Postrooms is killed at any moment, and what they accepted is
//! delivered, worked on and answered, each message once.
//!
//! What is promised: a message that was answered 2xx becomes one task, and its work leads to one
//! message further on. A turn that a kill cuts off is run again and told so; nothing else is.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use serde_json::{Value, json};

use crate::support::{
    agents::{Stage, id_of},
    broker::{Broker, BrokerOptions},
    client::try_send,
    messages::{Office, fixture, message},
    peers::{Peer, Received, Wire},
    wait::{until, until_async},
};

const BETWEEN: &str = "secret-between-two-postrooms";
const TESTER: &str = "secret-of-the-tester";

/// Kills, and exchanges that begin between two of them; in the long run more.
const KILLS: (usize, usize) = (8, 50);
const EXCHANGES_A_KILL: usize = 8;
const LONG_EXCHANGES_A_KILL: usize = 10;

/// Conversations that the exchanges belong to.
const CONVERSATIONS: usize = 6;

/// Places at which a broker can be made to die, and how often each is passed first, at most: there
/// should be something to lose.
const FAILPOINTS: [(&str, u64); 9] = [
    ("store::before_insert", 14),
    ("store::before_commit", 14),
    ("store::after_commit", 14),
    ("store::before_receipts", 14),
    ("store::task_queued", 3),
    ("store::queue_delivery", 3),
    ("store::delivery_queued", 3),
    // The recipient has it, and we do not know.
    ("store::end_attempt", 3),
    ("store::attempt_ended", 3),
];

/// Exchanges during which a broker dies at one of these places.
const EXCHANGES_A_PLACE: usize = 4;

/// One of the two, which can be killed and started again behind its wire.
struct Side {
    broker: Option<Broker>,
    options: BrokerOptions,
    wire: Wire,
    stage: Stage,
}

impl Side {
    async fn start(stage: Stage, wire: Wire, office: &Office) -> Self {
        let options = office.options();
        let broker = Broker::start_in(Arc::clone(stage.folder()), options.clone()).await;
        wire.lead_to(&broker);
        Self {
            broker: Some(broker),
            options,
            wire,
            stage,
        }
    }

    fn broker(&self) -> &Broker {
        self.broker.as_ref().unwrap()
    }

    /// Kills the broker, and starts it again.
    async fn restart(&mut self) {
        let folder = self.broker.take().unwrap().kill();
        let broker = Broker::start_in(folder, self.options.clone()).await;
        self.wire.lead_to(&broker);
        self.broker = Some(broker);
    }

    /// The same with a broker that dies by itself at a named place, and one after it that does not.
    async fn die_at(&mut self, failpoints: &str) {
        let folder = self.broker.take().unwrap().kill();
        let options = self.options.clone().env("POSTROOM_FAILPOINTS", failpoints);
        let status = match Broker::start_or_die_in(Arc::clone(&folder), options).await {
            Ok(mut broker) => {
                self.wire.lead_to(&broker);
                broker.ended().await
            }
            // What the last round left was enough to come to that place.
            Err((status, _log)) => status,
        };
        assert!(!status.success(), "{failpoints}: {status}");
        let broker = Broker::start_in(folder, self.options.clone()).await;
        self.wire.lead_to(&broker);
        self.broker = Some(broker);
    }
}

/// Both, and the peer that gives tasks and hears what was done.
struct Loop {
    near: Side,
    far: Side,
    tester: Peer,
    begun: usize,
}

impl Loop {
    async fn start() -> Self {
        let tester = Peer::that_takes_all();
        let (to_near, to_far) = (Wire::new().await, Wire::new().await);
        let (near, far) = (Stage::new(), Stage::new());
        let command = fixture("pass_marks_on.sh", "");
        let agent = "concurrency = 3\nmax_attempts = 100";
        // A turn works on whatever waits in its conversation, and what it sends counts as led to by all
        // of it: exchanges that overlap all the time lengthen each other's chains.
        let office = Office::new().with("[limits]\nhops = 1000\npair_rate = 0\nrepeats = 0");
        let near_office = office
            .clone()
            .agent(&near, "alice", &command, agent)
            .peer("far", to_far.url(), BETWEEN, "to = \"alice\"")
            .peer("tester", tester.url(), TESTER, "to = \"alice\"");
        let far_office = office.agent(&far, "bob", &command, agent).peer(
            "near",
            to_near.url(),
            BETWEEN,
            "to = \"bob\"",
        );
        Self {
            near: Side::start(near, to_near, &near_office).await,
            far: Side::start(far, to_far, &far_office).await,
            tester,
            begun: 0,
        }
    }

    /// The next marks, of so many exchanges.
    fn next(&mut self, count: usize) -> Vec<usize> {
        let first = self.begun;
        self.begun += count;
        (first..self.begun).collect()
    }

    /// Waits until all that was begun is done, and compares what there is with what was promised.
    async fn check(&self) {
        let wanted: BTreeSet<String> = (0..self.begun).map(|n| mark("done", n)).collect();
        let missing = || {
            let got: BTreeSet<String> = self.tester.texts().into_iter().collect();
            let missing: Vec<String> = wanted.difference(&got).cloned().collect();
            (missing, self.trouble())
        };
        until("that all is done", missing, |(missing, _)| {
            missing.is_empty()
        })
        .await;
        let mut keys: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for one in self.tester.received() {
            let key = Received::key(&one);
            keys.entry(one.text().to_owned()).or_default().insert(key);
        }
        assert!(keys.values().all(|keys| keys.len() == 1), "{keys:?}");
        assert_eq!(keys.len(), self.begun, "{keys:?}");
        self.check_side(&self.near, &["task", "answer"]).await;
        self.check_side(&self.far, &["ask"]).await;
    }

    /// What the agents' scripts met with.
    fn trouble(&self) -> String {
        let read = |side: &Side| std::fs::read_to_string(side.stage.path("trouble"));
        let texts = [read(&self.near), read(&self.far)];
        let text: String = texts.into_iter().flatten().collect();
        text.chars()
            .rev()
            .take(500)
            .collect::<Vec<_>>()
            .iter()
            .rev()
            .collect()
    }

    /// Each mark of these kinds came in once, and was worked on in one turn that ended well.
    async fn check_side(&self, side: &Side, kinds: &[&str]) {
        let mut seen: BTreeMap<String, Value> = BTreeMap::new();
        for id in all_in(side.broker()).await {
            let is_ended = |message: &Value| message["ended_at"].is_string();
            let look = async || side.broker().message(&id).await;
            let message = until_async("the end of a message", look, is_ended).await;
            let text = message["body"]["payload"]["text"]
                .as_str()
                .unwrap()
                .to_owned();
            let twice = seen.insert(text, message);
            assert!(twice.is_none(), "{twice:?}");
        }
        let wanted: BTreeSet<String> = kinds
            .iter()
            .flat_map(|kind| (0..self.begun).map(|number| mark(kind, number)))
            .collect();
        assert_eq!(seen.keys().cloned().collect::<BTreeSet<_>>(), wanted);
        for message in seen.values() {
            check_turns(side, message);
        }
    }
}

/// The last turn ended well; those before it were cut off, and the next one was told.
fn check_turns(side: &Side, message: &Value) {
    let turns = message["turns"].as_array().unwrap();
    let (last, before) = turns
        .split_last()
        .unwrap_or_else(|| panic!("no turn: {message}"));
    assert_eq!(last["state"], "done", "{message}");
    assert!(
        before.iter().all(|turn| turn["state"] == "interrupted"),
        "{message}"
    );
    if !before.is_empty() {
        let path = format!("prompts/{}.txt", id_of(last));
        let prompt = std::fs::read_to_string(side.stage.path(&path)).unwrap();
        assert!(prompt.contains("this is a repeat"), "{message}: {prompt}");
    }
}

/// The ids of all messages that came in.
async fn all_in(broker: &Broker) -> Vec<String> {
    let mut ids: Vec<String> = Vec::new();
    loop {
        let before = ids.last().map(|id| format!("&before={id}"));
        let query = format!("?direction=in&limit=200{}", before.unwrap_or_default());
        let page = broker.messages(&query).await;
        if page.is_empty() {
            return ids;
        }
        ids.extend(page.iter().map(id_of));
    }
}

fn mark(kind: &str, number: usize) -> String {
    format!("{kind}-{number:04}")
}

/// Gives a task until it is taken: under the same id, however often the connection breaks.
async fn give(url: &str, number: usize) {
    let context = format!("conversation {}", number % CONVERSATIONS);
    let task = mark("task", number);
    let body = message("TASK", &task, json!({"id": task, "context_id": context})).to_string();
    let headers = [
        ("x-shared-secret", TESTER),
        ("content-type", "application/json"),
    ];
    let look = async || {
        let answer = try_send(url, "POST", "/message", body.clone(), &headers).await;
        if let Ok(answer) = &answer {
            assert!(matches!(answer.status, 200 | 503), "{answer:?}");
        }
        answer.is_ok_and(|answer| answer.status == 200)
    };
    until_async("that a task is taken", look, |taken| *taken).await;
}

async fn give_all(url: &str, numbers: &[usize]) {
    let gives = numbers.iter().map(|number| give(url, *number));
    futures_util::future::join_all(gives).await;
}

#[actix_web::test]
async fn random_kills_of_either_side_lose_no_message_and_double_none() {
    let (kills, exchanges) = if is_long() {
        (KILLS.1, LONG_EXCHANGES_A_KILL)
    } else {
        (KILLS.0, EXCHANGES_A_KILL)
    };
    let mut both = Loop::start().await;
    let mut random = fastrand::Rng::with_seed(11);
    for _ in 0..kills {
        let numbers = both.next(exchanges);
        let url = both.near.wire.url().to_owned();
        let side = if random.bool() {
            &mut both.near
        } else {
            &mut both.far
        };
        let kill = async {
            tokio::time::sleep(Duration::from_millis(random.u64(20..400))).await;
            side.restart().await;
        };
        tokio::join!(give_all(&url, &numbers), kill);
    }
    both.check().await;
}

#[actix_web::test]
async fn dying_at_every_named_place_loses_no_message_and_doubles_none() {
    let sides = if is_long() { 2 } else { 1 };
    let mut both = Loop::start().await;
    let mut random = fastrand::Rng::with_seed(13);
    let places = FAILPOINTS.iter().cycle().take(FAILPOINTS.len() * sides);
    for (round, (failpoint, most)) in places.enumerate() {
        let numbers = both.next(EXCHANGES_A_PLACE);
        let url = both.near.wire.url().to_owned();
        // There are an odd number of places, so that each of them comes to both sides.
        let side = if round.is_multiple_of(2) {
            &mut both.near
        } else {
            &mut both.far
        };
        let passes = random.u64(0..*most);
        let failpoints = format!("{failpoint}={passes}*off->abort");
        tokio::join!(give_all(&url, &numbers), side.die_at(&failpoints));
    }
    both.check().await;
}

fn is_long() -> bool {
    std::env::var("POSTROOM_FAULTS").is_ok_and(|faults| faults == "full")
}
