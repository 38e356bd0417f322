//! Messages between agents: how fast they are taken in, and how fast they leave.
//!
//! There is no predecessor to compare with; the rows stand beside those of `accept`, which keep as
//! much. The agent works on one message all the time, so that the turns of others cost nothing.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::bodies::{KEY, Template};
use crate::http1::{Unstated, Wire, loopback};
use crate::load::{self, Measured, Source};
use crate::options::Script;
use crate::parts::Run;
use crate::processes::usage;
use crate::results::{Cell, Metric, Place};
use crate::server::{Server, Setup, Subject};
use crate::turns::AGENT;

/// The peer that messages are sent to.
pub(crate) const PEER: &str = "neighbour";
/// How long what was sent may take to arrive.
const LAG_LIMIT: Duration = Duration::from_mins(2);

/// Which way messages go.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// `POST /message` to an agent.
    In,
    /// `POST /send` to a peer, each in a conversation of its own.
    Out,
}

impl Way {
    const fn name(self) -> &'static str {
        match self {
            Self::In => "in",
            Self::Out => "out",
        }
    }

    fn template(self) -> Result<Template> {
        let payload = json!({"text": "please see whether the green parcel came in this morning"});
        let note = "Note #0000000000";
        let (path, body) = match self {
            Self::In => (
                "/message",
                json!({"type": "TASK", "payload": payload, "to": AGENT, "id": note}),
            ),
            Self::Out => (
                "/send",
                json!({"type": "TASK", "payload": payload, "to": PEER, "context_id": note}),
            ),
        };
        Template::at(path, &body.to_string())
    }
}

impl Run<'_> {
    /// Messages in and out, for each number of clients.
    pub(crate) async fn messages(&mut self) -> Result<()> {
        if self.tools.postroom.is_none() {
            return Ok(());
        }
        let peer = Server::mock_backend(self.tools, Script::JSON).await?;
        for way in [Way::In, Way::Out] {
            for clients in self.options.concurrency() {
                for round in 1..=self.options.rounds() {
                    let name = format!("cell-{:04}", self.results.cells.len());
                    let folder = self.folder.join(name);
                    let measured = measure(self, way, clients, peer.port, &folder).await;
                    let (values, problem) = match measured {
                        Ok(values) => (values, None),
                        Err(error) => (Vec::new(), Some(format!("{error:#}"))),
                    };
                    let place = Place {
                        part: "messages",
                        subject: Subject::Postroom.name(),
                        body: way.name(),
                        clients,
                    };
                    self.finished(Cell {
                        place,
                        round,
                        values,
                        problem,
                    });
                }
            }
        }
        Ok(())
    }
}

async fn measure(
    run: &Run<'_>,
    way: Way,
    clients: u32,
    peer: u16,
    folder: &Path,
) -> Result<Vec<(Metric, f64)>> {
    let setup = Setup {
        peer: Some(peer),
        ..Setup::default()
    };
    let mut server = Server::start(run.tools, Subject::Postroom, setup, folder)?;
    let source = Source::new(loopback(server.port), vec![way.template()?]);
    server.first_answer(&source).await?;
    let before = usage(server.pid()).cpu;
    let measured = load::run(&source, clients, run.options.cell()).await;
    let cpu = usage(server.pid()).cpu.saturating_sub(before);
    ensure!(measured.errors.is_empty(), "{:?}", measured.errors);
    let lag = match way {
        Way::In => None,
        Way::Out => Some(until_delivered(&source).await?),
    };
    Ok(values(&measured, cpu, lag, usage(server.pid()).peak_mb))
}

/// From the last answer until nothing waits for delivery.
async fn until_delivered(source: &Arc<Source>) -> Result<Duration> {
    let begin = Instant::now();
    while waiting(source).await? > 0 {
        ensure!(begin.elapsed() < LAG_LIMIT, "deliveries still wait");
        sleep(Duration::from_millis(1)).await;
    }
    Ok(begin.elapsed())
}

/// What waits for the courier, as `/health` says.
async fn waiting(source: &Arc<Source>) -> Result<u64> {
    let mut wire = Wire::connect(source.address).await?;
    let request =
        format!("GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {KEY}\r\n\r\n");
    wire.send(request.as_bytes()).await?;
    wire.receive(Unstated::UntilClose).await?;
    let answer = String::from_utf8_lossy(wire.bytes()).into_owned();
    let (_, body) = answer.split_once("\r\n\r\n").context("a body")?;
    let health: Value = serde_json::from_str(body)?;
    let actors = health.get("actors").and_then(Value::as_array);
    let actors = actors.context("actors")?;
    let courier = actors
        .iter()
        .find(|actor| actor.get("actor").is_some_and(|name| name == "courier"));
    courier
        .and_then(|courier| courier.get("waiting")?.as_u64())
        .context("the courier")
}

fn values(
    measured: &Measured,
    cpu: Duration,
    lag: Option<Duration>,
    peak_mb: f64,
) -> Vec<(Metric, f64)> {
    let mut values = vec![
        (Metric::Rps, measured.rate()),
        (Metric::P50Ms, measured.percentile_ms(0.5)),
        (Metric::P99Ms, measured.percentile_ms(0.99)),
        (
            Metric::CpuUs,
            cpu.as_secs_f64() * 1e6 / measured.requests().max(1.0),
        ),
        (Metric::PeakMb, peak_mb),
    ];
    if let Some(lag) = lag {
        values.push((Metric::LagMs, lag.as_secs_f64() * 1e3));
    }
    values
}
