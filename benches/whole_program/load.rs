//! The load generator: keep-alive connections on one thread, one request in flight on each.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::bodies::Template;
use crate::http1::{Unstated, Wire};

/// No honest server needs longer for one answer; a hung one must not hang the benchmark.
const ANSWER_LIMIT: Duration = Duration::from_secs(20);

/// Where requests go and what they are.
pub(crate) struct Source {
    /// The server's address.
    pub(crate) address: SocketAddr,
    /// The requests in rotation.
    pub(crate) templates: Vec<Template>,
    next_serial: AtomicU64,
}

impl Source {
    /// A source whose serial numbers begin at 0.
    pub(crate) fn new(address: SocketAddr, templates: Vec<Template>) -> Arc<Self> {
        Arc::new(Self {
            address,
            templates,
            next_serial: AtomicU64::new(0),
        })
    }

    /// Requests sent so far: their serial numbers are 0 up to this, without it.
    pub(crate) fn sent(&self) -> u64 {
        self.next_serial.load(Ordering::Relaxed)
    }

    /// Writes the next request into `out`.
    pub(crate) fn next(&self, out: &mut Vec<u8>) {
        let serial = self.next_serial.fetch_add(1, Ordering::Relaxed);
        let turn = usize::try_from(serial).unwrap_or(0) % self.templates.len().max(1);
        if let Some(template) = self.templates.get(turn) {
            template.render(serial, out);
        }
    }

    /// Takes back the last serial number: its request reached no server.
    pub(crate) fn unsend(&self) {
        self.next_serial.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What one run of the load gave.
#[derive(Default)]
pub(crate) struct Measured {
    /// Time from each request's first byte sent to its answer's last byte read, sorted.
    pub(crate) latencies: Vec<Duration>,
    /// From the start to the last answer.
    pub(crate) elapsed: Duration,
    /// What went wrong, one line for each connection that had to give up.
    pub(crate) errors: Vec<String>,
}

impl Measured {
    /// Answered requests.
    pub(crate) fn requests(&self) -> f64 {
        count(self.latencies.len())
    }

    /// Requests a second.
    pub(crate) fn rate(&self) -> f64 {
        self.requests() / self.elapsed.as_secs_f64().max(1e-9)
    }

    /// The latency that `share` (0 to 1) of the requests did not exceed. Unit: milliseconds.
    pub(crate) fn percentile_ms(&self, share: f64) -> f64 {
        percentile(&self.latencies, share).as_secs_f64() * 1e3
    }
}

/// A count as a number to reckon with.
pub(crate) fn count(items: usize) -> f64 {
    f64::from(u32::try_from(items).unwrap_or(u32::MAX))
}

/// The value of a sorted list that `share` (0 to 1) of it does not exceed; zero for none.
pub(crate) fn percentile(sorted: &[Duration], share: f64) -> Duration {
    let rank = (share * count(sorted.len())).ceil();
    let below = sorted
        .iter()
        .enumerate()
        .take_while(|(at, _)| count(*at) < rank);
    below.last().map(|(_, value)| *value).unwrap_or_default()
}

/// Sends requests over `connections` connections for `length`; each finishes its last one.
pub(crate) async fn run(source: &Arc<Source>, connections: u32, length: Duration) -> Measured {
    let begin = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..connections {
        tasks.spawn(drive(Arc::clone(source), begin + length));
    }
    let mut measured = Measured::default();
    while let Some(ended) = tasks.join_next().await {
        match ended {
            Ok((latencies, error)) => {
                measured.latencies.extend(latencies);
                measured
                    .errors
                    .extend(error.map(|error| format!("{error:#}")));
            }
            Err(error) => measured.errors.push(error.to_string()),
        }
    }
    measured.elapsed = begin.elapsed();
    measured.latencies.sort_unstable();
    measured
}

async fn drive(source: Arc<Source>, end: Instant) -> (Vec<Duration>, Option<anyhow::Error>) {
    let mut latencies = Vec::with_capacity(4096);
    let error = drive_until(&source, end, &mut latencies).await.err();
    (latencies, error)
}

async fn drive_until(source: &Source, end: Instant, out: &mut Vec<Duration>) -> Result<()> {
    let mut wire = Wire::connect(source.address).await.context("connecting")?;
    let mut request = Vec::new();
    while Instant::now() < end {
        source.next(&mut request);
        let sent_at = Instant::now();
        let close = timeout(ANSWER_LIMIT, exchange(&mut wire, &request))
            .await
            .context("no answer within 20 s")??;
        out.push(sent_at.elapsed());
        if close {
            wire = Wire::connect(source.address)
                .await
                .context("connecting again")?;
        }
    }
    Ok(())
}

/// One request and its whole answer; whether the server then closes the connection.
///
/// # Errors
/// The connection broke, or the answer is not 2xx.
pub(crate) async fn exchange(wire: &mut Wire, request: &[u8]) -> Result<bool> {
    wire.send(request).await?;
    let head = wire
        .receive(Unstated::UntilClose)
        .await?
        .context("closed without an answer")?;
    if !(200..300).contains(&wire.status()) {
        let shown = wire
            .bytes()
            .get(..wire.bytes().len().min(400))
            .unwrap_or_default();
        bail!("not a 2xx answer: {:?}", String::from_utf8_lossy(shown));
    }
    Ok(head.close)
}
