//! Streams: when the first byte comes, and how late each event is.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::http1::{Unstated, Wire};
use crate::inbox::find;
use crate::load::{Source, percentile};
use crate::mock_backend::{SENT_AT, SENT_AT_DIGITS, wall_clock_us};
use crate::results::Metric;

/// What is read of a backend's streams.
#[derive(Clone, Copy)]
pub(crate) struct Reading {
    /// Events that each stream must bring.
    pub(crate) events: u32,
    /// Streams that each client reads, one after the other.
    pub(crate) streams: u32,
}

#[derive(Default)]
struct Watched {
    first_bytes: Vec<Duration>,
    delays: Vec<Duration>,
    /// Between two events of one stream, as they arrived.
    longest_gap: Duration,
}

/// Reads streams over `clients` connections at once.
///
/// # Errors
/// An answer was not 2xx, or a stream did not bring all its events.
pub(crate) async fn run(
    source: &Arc<Source>,
    clients: u32,
    reading: Reading,
) -> Result<Vec<(Metric, f64)>> {
    let mut tasks = JoinSet::new();
    for _ in 0..clients {
        tasks.spawn(watch(Arc::clone(source), reading));
    }
    let mut all = Watched::default();
    while let Some(ended) = tasks.join_next().await {
        let watched = ended??;
        all.first_bytes.extend(watched.first_bytes);
        all.delays.extend(watched.delays);
        all.longest_gap = all.longest_gap.max(watched.longest_gap);
    }
    all.first_bytes.sort_unstable();
    all.delays.sort_unstable();
    let millis = |time: Duration| time.as_secs_f64() * 1e3;
    Ok(vec![
        (
            Metric::FirstByteMs,
            millis(percentile(&all.first_bytes, 0.5)),
        ),
        (
            Metric::EventDelayP99Ms,
            millis(percentile(&all.delays, 0.99)),
        ),
        (Metric::LongestGapMs, millis(all.longest_gap)),
    ])
}

async fn watch(source: Arc<Source>, reading: Reading) -> Result<Watched> {
    let mut wire = Wire::connect(source.address).await?;
    let mut watched = Watched::default();
    for _ in 0..reading.streams {
        if watch_one(&source, reading, &mut wire, &mut watched).await? {
            wire = Wire::connect(source.address).await?;
        }
    }
    Ok(watched)
}

async fn watch_one(
    source: &Source,
    reading: Reading,
    wire: &mut Wire,
    watched: &mut Watched,
) -> Result<bool> {
    let mut request = Vec::new();
    source.next(&mut request);
    let sent = Instant::now();
    wire.send(&request).await?;
    let (mut first, mut events, mut read_to) = (None, 0_u32, 0);
    let mut last: Option<Instant> = None;
    let head = wire.receive_noting(Unstated::UntilClose, |bytes| {
        while let Some((sent_us, next)) = event_after(bytes, read_to) {
            first.get_or_insert_with(|| sent.elapsed());
            let now = Instant::now();
            let gap = last.replace(now).map_or(Duration::ZERO, |last| now - last);
            watched.longest_gap = watched.longest_gap.max(gap);
            let late = wall_clock_us().saturating_sub(sent_us);
            watched.delays.push(Duration::from_micros(late));
            events += 1;
            read_to = next;
        }
    });
    let head = head.await?.context("closed without an answer")?;
    ensure!(
        (200..300).contains(&wire.status()),
        "not a 2xx answer: {}",
        wire.status()
    );
    let wanted = reading.events;
    ensure!(events == wanted, "{events} of {wanted} events arrived");
    watched.first_bytes.extend(first);
    Ok(head.close)
}

/// When the first event after `from` was sent, and where it ends.
fn event_after(bytes: &[u8], from: usize) -> Option<(u64, usize)> {
    let begin = from + find(bytes.get(from..)?, SENT_AT)? + SENT_AT.len();
    let end = begin + SENT_AT_DIGITS;
    let digits = std::str::from_utf8(bytes.get(begin..end)?).ok()?;
    Some((digits.parse().ok()?, end))
}
