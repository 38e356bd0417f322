//! P1, P2, P5: killed at any moment, it loses nothing that it accepted, tears no file, and writes
//! each message once.
//!
//! Clients log each accepted message; a reader that consumes nothing parses every file of the
//! inbox all the time. After each kill the broker is started again in the same folder.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::{
    broker::{Broker, BrokerOptions, KEY, inbox_files, inbox_of, read_item},
    client::chat,
    wait::until,
};

/// Clients that send all the time.
const CLIENTS: usize = 16;

/// Random kills of the ordinary run, and of the long one.
const KILLS: (u64, u64) = (50, 400);

/// Places at which the broker can be made to die.
const FAILPOINTS: [&str; 10] = [
    "store::before_insert",
    "store::before_commit",
    "store::after_commit",
    "store::before_receipts",
    "store::mark_projected",
    "inbox::before_temp",
    "inbox::mid_write",
    "inbox::before_rename",
    "inbox::after_rename",
    "inbox::after_folder_sync",
];

/// What the clients were promised.
#[derive(Default)]
struct Promises {
    kept: Mutex<BTreeSet<String>>,
    sent: AtomicUsize,
    stop: AtomicBool,
}

#[actix_web::test]
async fn random_kills_lose_nothing_and_tear_nothing() {
    let kills = if std::env::var("POSTROOM_FAULTS").is_ok_and(|faults| faults == "full") {
        KILLS.1
    } else {
        KILLS.0
    };
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let promises = Arc::new(Promises::default());
    let reader = Reader::start(inbox_of(folder.path()));
    let mut random = fastrand::Rng::with_seed(7);
    for round in 0..kills {
        let broker = Broker::start_in(Arc::clone(&folder), BrokerOptions::default()).await;
        let clients = start_clients(&broker, &promises, round);
        tokio::time::sleep(Duration::from_millis(random.u64(5..250))).await;
        broker.kill();
        stop_clients(clients, &promises).await;
    }
    check(&folder, &promises, reader).await;
}

#[actix_web::test]
async fn dying_at_every_named_place_loses_nothing_and_tears_nothing() {
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let promises = Arc::new(Promises::default());
    let reader = Reader::start(inbox_of(folder.path()));
    for (round, failpoint) in FAILPOINTS.into_iter().enumerate() {
        // Passed a few times first, so that there is something to lose.
        let failpoints = format!("{failpoint}=20*off->abort");
        let options = BrokerOptions::default().env("POSTROOM_FAILPOINTS", &failpoints);
        let started = Broker::start_or_die_in(Arc::clone(&folder), options).await;
        let status = match started {
            Ok(mut broker) => {
                let round = 1000 + u64::try_from(round).unwrap();
                let clients = start_clients(&broker, &promises, round);
                let status = broker.ended().await;
                stop_clients(clients, &promises).await;
                status
            }
            // What the last round left was enough to come to that place.
            Err((status, _log)) => status,
        };
        assert!(!status.success(), "{failpoint}: {status}");
    }
    check(&folder, &promises, reader).await;
}

/// Starts the broker once more and compares what it writes with what was promised.
async fn check(folder: &Arc<tempfile::TempDir>, promises: &Promises, reader: Reader) {
    let kept = promises.kept.lock().unwrap().clone();
    assert!(
        kept.len() > CLIENTS,
        "only {} messages were accepted",
        kept.len()
    );
    let broker = Broker::start_in(Arc::clone(folder), BrokerOptions::default()).await;
    let missing = || {
        let prompts = prompts(&broker.inbox());
        kept.iter()
            .filter(|prompt| !prompts.contains_key(*prompt))
            .cloned()
            .collect::<Vec<_>>()
    };
    until(
        "every accepted message in the inbox",
        missing,
        Vec::is_empty,
    )
    .await;
    for (prompt, files) in prompts(&broker.inbox()) {
        assert_eq!(files.len(), 1, "{prompt} lies in {files:?}");
    }
    reader.stop();
}

/// The files of an inbox by the prompt of their message.
fn prompts(inbox: &Path) -> BTreeMap<String, Vec<PathBuf>> {
    let mut prompts: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    for path in inbox_files(inbox) {
        let prompt = read_item(&path)["latest-user-prompt"]
            .as_str()
            .unwrap()
            .to_owned();
        prompts.entry(prompt).or_default().push(path);
    }
    prompts
}

fn start_clients(
    broker: &Broker,
    promises: &Arc<Promises>,
    round: u64,
) -> Vec<tokio::task::JoinHandle<()>> {
    promises.stop.store(false, Ordering::Relaxed);
    (0..CLIENTS)
        .map(|client| {
            let (address, promises) = (broker.address().to_owned(), Arc::clone(promises));
            let name = format!("r{round}-c{client}");
            tokio::spawn(async move { send_until_broken(&address, &name, client, &promises).await })
        })
        .collect()
}

async fn stop_clients(clients: Vec<tokio::task::JoinHandle<()>>, promises: &Promises) {
    promises.stop.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.unwrap();
    }
}

/// Sends messages one after the other until the broker is gone.
async fn send_until_broken(address: &str, name: &str, client: usize, promises: &Promises) {
    let Ok(mut stream) = TcpStream::connect(address).await else {
        return;
    };
    while !promises.stop.load(Ordering::Relaxed) {
        let number = promises.sent.fetch_add(1, Ordering::Relaxed);
        let prompt = format!("{name}-{number}");
        // Some large, some in a context, some alone.
        let filler = "x".repeat(if number.is_multiple_of(7) { 60_000 } else { 20 });
        let fields = match client % 3 {
            0 => json!({"filler": filler}),
            _ => json!({"filler": filler, "channel": format!("c{}", number % 40)}),
        };
        match send(&mut stream, &chat(&prompt, fields).to_string()).await {
            Some(200) => {
                promises.kept.lock().unwrap().insert(prompt);
            }
            Some(503) => {}
            Some(other) => panic!("{other}"),
            None => return,
        }
    }
}

/// The status of the answer; `None` where none came whole.
async fn send(stream: &mut TcpStream, body: &str) -> Option<u16> {
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all((head + body).as_bytes()).await.ok()?;
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let read = stream
            .read(&mut buffer)
            .await
            .ok()
            .filter(|read| *read > 0)?;
        answer.extend_from_slice(&buffer[..read]);
        let text = String::from_utf8_lossy(&answer);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let head = head.to_lowercase();
            let length = head
                .split("content-length: ")
                .nth(1)?
                .split("\r\n")
                .next()?;
            if body.len() >= length.parse::<usize>().ok()? {
                return head.split(' ').nth(1)?.parse().ok();
            }
        }
    }
}

/// Lists the inbox and parses what is new, all the time, as an agent would.
struct Reader {
    stop: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<()>,
}

impl Reader {
    fn start(inbox: PathBuf) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut seen = BTreeSet::new();
            while !stopped.load(Ordering::Relaxed) {
                for path in inbox_files(&inbox) {
                    if seen.insert(path.clone()) {
                        read_item(&path);
                    }
                }
                std::thread::yield_now();
            }
        });
        Self { stop, thread }
    }

    /// Ends it; a torn file that it saw fails the test here.
    fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap();
    }
}
