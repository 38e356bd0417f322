//! What it costs that Prometheus looks every second.
//!
//! The machine's own noise is larger than what is looked for, so both sides run on one broker, in
//! short stretches that take turns, and the order changes from pair to pair.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::bodies::{KEY, Shape, Size};
use crate::http1::{Unstated, Wire, loopback};
use crate::inbox;
use crate::load::{self, Measured, Source, percentile};
use crate::parts::Run;
use crate::results::{Cell, Metric, Place};
use crate::server::{Server, Setup, Subject};

const CLIENTS: u32 = 64;
/// Pairs of stretches on one broker.
const PAIRS: u32 = 6;
const INTERVAL: Duration = Duration::from_secs(1);

/// The two sides.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Alone,
    Scraped,
}

impl Side {
    const BOTH: [Self; 2] = [Self::Alone, Self::Scraped];

    const fn name(self) -> &'static str {
        match self {
            Self::Alone => "alone",
            Self::Scraped => "scraped",
        }
    }
}

/// What one side did, all stretches together.
#[derive(Default)]
struct Sum {
    requests: f64,
    elapsed: Duration,
    latencies: Vec<Duration>,
    scrapes: Vec<Duration>,
}

impl Sum {
    fn values(mut self) -> Vec<(Metric, f64)> {
        self.latencies.sort_unstable();
        self.scrapes.sort_unstable();
        let ms = |sorted: &[Duration], share| percentile(sorted, share).as_secs_f64() * 1e3;
        let mut values = vec![
            (
                Metric::Rps,
                self.requests / self.elapsed.as_secs_f64().max(1e-9),
            ),
            (Metric::P50Ms, ms(&self.latencies, 0.5)),
            (Metric::P99Ms, ms(&self.latencies, 0.99)),
            (Metric::Requests, self.requests),
        ];
        if !self.scrapes.is_empty() {
            values.push((Metric::ScrapeMs, ms(&self.scrapes, 0.5)));
        }
        values
    }
}

impl Run<'_> {
    /// Accepting with and without a reader of the metrics.
    pub(crate) async fn scrape(&mut self) {
        if self.tools.postroom.is_none() {
            return;
        }
        for round in 1..=self.options.rounds() {
            let folder = self
                .folder
                .join(format!("cell-{:04}", self.results.cells.len()));
            let measured = measure(self, &folder).await;
            let problem = measured.as_ref().err().map(|error| format!("{error:#}"));
            let sums = measured.unwrap_or_default();
            for (side, sum) in Side::BOTH.into_iter().zip(sums) {
                let place = Place {
                    part: "scrape",
                    subject: Subject::Postroom.name(),
                    body: side.name(),
                    clients: CLIENTS,
                };
                let (values, problem) = (sum.values(), problem.clone());
                self.finished(Cell {
                    place,
                    round,
                    values,
                    problem,
                });
            }
        }
    }
}

async fn measure(run: &Run<'_>, folder: &Path) -> Result<[Sum; 2]> {
    let mut server = Server::start(run.tools, Subject::Postroom, Setup::default(), folder)?;
    let templates = Shape::usual(Size::Small).templates()?;
    let source = Source::new(loopback(server.port), templates);
    server.first_answer(&source).await?;
    stretch(
        &source,
        run.options.cell(),
        Side::Alone,
        &mut Sum::default(),
    )
    .await?;
    let mut sums = [Sum::default(), Sum::default()];
    for pair in 0..PAIRS {
        let [alone, scraped] = &mut sums;
        let mut sides = [(Side::Alone, alone), (Side::Scraped, scraped)];
        if pair % 2 == 1 {
            sides.reverse();
        }
        for (side, sum) in sides {
            stretch(&source, run.options.cell(), side, sum).await?;
            // The files of one side are not made on the other's time.
            inbox::wait_for_files(&server.folder.join("inbox"), source.sent()).await?;
        }
    }
    Ok(sums)
}

async fn stretch(source: &Arc<Source>, length: Duration, side: Side, sum: &mut Sum) -> Result<()> {
    let load = load::run(source, CLIENTS, length);
    let measured = match side {
        Side::Alone => load.await,
        Side::Scraped => {
            let mut scraped = Ok(());
            let mut took = Vec::new();
            let measured = tokio::select! {
                measured = load => measured,
                ended = scrape_each_second(source, &mut took) => {
                    scraped = ended;
                    Measured::default()
                }
            };
            scraped?;
            sum.scrapes.append(&mut took);
            measured
        }
    };
    ensure!(measured.errors.is_empty(), "{:?}", measured.errors);
    sum.requests += measured.requests();
    sum.elapsed += measured.elapsed;
    sum.latencies.extend(measured.latencies);
    Ok(())
}

/// Ends only where a scrape fails.
async fn scrape_each_second(source: &Source, took: &mut Vec<Duration>) -> Result<()> {
    let request =
        format!("GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {KEY}\r\n\r\n");
    let mut wire = Wire::connect(source.address).await?;
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let begin = Instant::now();
        wire.send(request.as_bytes()).await?;
        wire.receive(Unstated::UntilClose)
            .await?
            .context("closed without metrics")?;
        ensure!(wire.status() == 200, "metrics answer {}", wire.status());
        took.push(begin.elapsed());
    }
}
