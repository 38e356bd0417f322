//! Turns of an agent: what the broker adds to the program that it runs.
//!
//! The program is this benchmark itself, which tells when it began and when it was about to end.
//! Between two turns the same program is run by hand, so that both meet the same machine.

use std::io::{self, Read as _, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::bodies::Template;
use crate::http1::{Wire, loopback};
use crate::load::{Source, count, exchange, percentile};
use crate::mock_backend::wall_clock_us;
use crate::parts::Run;
use crate::processes::usage;
use crate::results::{Cell, Metric, Place};
use crate::server::{Server, Setup, Subject};

/// The first argument that makes this benchmark the program of a turn.
pub(crate) const PROGRAM: &str = "turn-program";
/// The agent that runs it.
pub(crate) const AGENT: &str = "probe";
/// Turns at once that the broker allows.
pub(crate) const TURNS_AT_ONCE: u32 = 8;

const TURNS: u32 = 200;
/// Bodies that the broker holds in memory while its turns are measured.
const HELD: usize = 16;
const HELD_BYTES: usize = 16 * 1024 * 1024;
const HELD_LIMIT: Duration = Duration::from_secs(8);

/// The program of a turn: takes its prompt and prints two times in µs.
pub(crate) fn program() -> Result<()> {
    let began = wall_clock_us();
    io::stdin().read_to_end(&mut Vec::new())?;
    let mut out = io::stdout();
    writeln!(out, "{began}")?;
    writeln!(out, "{}", wall_clock_us())?;
    Ok(out.flush()?)
}

/// What one cell does.
#[derive(Clone, Copy)]
struct Plan {
    body: &'static str,
    clients: u32,
}

const PLANS: [Plan; 3] = [
    Plan {
        body: "tiny",
        clients: 1,
    },
    Plan {
        body: "tiny",
        clients: TURNS_AT_ONCE,
    },
    Plan {
        body: "held",
        clients: 1,
    },
];

/// Times of turns.
#[derive(Default)]
struct Times {
    whole: Vec<Duration>,
    /// From the request to the program's first instruction.
    before: Vec<Duration>,
    /// From the program's last output to the answer.
    after: Vec<Duration>,
    /// The same program, run by hand.
    by_hand: Vec<Duration>,
}

impl Run<'_> {
    /// Turns one after the other, turns at once, and turns of a broker that holds much memory.
    pub(crate) async fn turns(&mut self) {
        if self.tools.postroom.is_none() {
            return;
        }
        for plan in PLANS {
            for round in 1..=self.options.rounds() {
                let name = format!("cell-{:04}", self.results.cells.len());
                let measured = measure(self, plan, &self.folder.join(name)).await;
                let (values, problem) = match measured {
                    Ok(values) => (values, None),
                    Err(error) => (Vec::new(), Some(format!("{error:#}"))),
                };
                let place = Place {
                    part: "turn",
                    subject: Subject::Postroom.name(),
                    body: plan.body,
                    clients: plan.clients,
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
}

async fn measure(run: &Run<'_>, plan: Plan, folder: &Path) -> Result<Vec<(Metric, f64)>> {
    let setup = Setup {
        turns: true,
        ..Setup::default()
    };
    let mut server = Server::start(run.tools, Subject::Postroom, setup, folder)?;
    let sources: Vec<Arc<Source>> = (0..plan.clients)
        .map(|client| source(server.port, client))
        .collect::<Result<_>>()?;
    let first = sources.first().context("there is a client")?;
    server.first_answer(first).await?;
    let held = if plan.body == "held" {
        hold(&server).await?
    } else {
        Vec::new()
    };
    let begin = Instant::now();
    let times = if plan.clients == 1 {
        one_by_one(first, &run.tools.own).await?
    } else {
        at_once(sources).await?
    };
    let elapsed = begin.elapsed();
    drop(held);
    let resident = usage(server.pid()).peak_mb;
    Ok(values(times, elapsed, resident))
}

/// Each client has a conversation of its own: within one, turns never run at once.
fn source(port: u16, client: u32) -> Result<Arc<Source>> {
    let message = json!({"role": "user", "content": "Note #0000000000: tell the time"});
    let user = format!("client-{client}");
    let body = json!({"model": AGENT, "messages": [message], "user": user});
    let template = Template::new(&body.to_string())?;
    Ok(Source::new(loopback(port), vec![template]))
}

async fn one_by_one(source: &Source, program: &Path) -> Result<Times> {
    let mut wire = Wire::connect(source.address).await?;
    let mut times = Times::default();
    for _ in 0..TURNS {
        one(source, &mut wire, &mut times).await?;
        times.by_hand.push(by_hand(program)?);
    }
    Ok(times)
}

async fn at_once(sources: Vec<Arc<Source>>) -> Result<Times> {
    let mut tasks = JoinSet::new();
    let each = TURNS / TURNS_AT_ONCE;
    for source in sources {
        tasks.spawn(async move {
            let mut wire = Wire::connect(source.address).await?;
            let mut times = Times::default();
            for _ in 0..each {
                one(&source, &mut wire, &mut times).await?;
            }
            anyhow::Ok(times)
        });
    }
    let mut all = Times::default();
    while let Some(ended) = tasks.join_next().await {
        let times = ended??;
        all.whole.extend(times.whole);
        all.before.extend(times.before);
        all.after.extend(times.after);
    }
    Ok(all)
}

async fn one(source: &Source, wire: &mut Wire, times: &mut Times) -> Result<()> {
    let mut request = Vec::new();
    source.next(&mut request);
    let (sent, sent_us) = (Instant::now(), wall_clock_us());
    let closes = exchange(wire, &request).await?;
    let (took, answered_us) = (sent.elapsed(), wall_clock_us());
    ensure!(!closes, "the server closed the connection");
    let (began_us, ended_us) = told(wire.bytes()).context("the answer is not what was printed")?;
    let between = |from: u64, to: u64| Duration::from_micros(to.saturating_sub(from));
    times.whole.push(took);
    times.before.push(between(sent_us, began_us));
    times.after.push(between(ended_us, answered_us));
    Ok(())
}

/// The two times in an answer.
fn told(answer: &[u8]) -> Option<(u64, u64)> {
    let head = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
    let answer: Value = serde_json::from_slice(answer.get(head + 4..)?).ok()?;
    let text = answer.pointer("/choices/0/message/content")?.as_str()?;
    let (began, ended) = text.trim().split_once('\n')?;
    Some((began.parse().ok()?, ended.parse().ok()?))
}

/// Starts the program, reads what it prints and waits for it; nothing else.
#[expect(
    clippy::disallowed_methods,
    reason = "it is waited for, and ends by itself"
)]
fn by_hand(program: &Path) -> Result<Duration> {
    let mut command = Command::new(program);
    command.arg(PROGRAM).env_clear().stdin(Stdio::null());
    let begin = Instant::now();
    let output = command.stderr(Stdio::null()).output()?;
    let took = begin.elapsed();
    ensure!(output.status.success(), "by hand: {}", output.status);
    Ok(took)
}

/// Sends large bodies but for their last byte: the broker keeps them until that comes.
async fn hold(server: &Server) -> Result<Vec<Wire>> {
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/json\r\nContent-Length: {HELD_BYTES}\r\n\r\n",
        crate::bodies::KEY
    );
    let body = vec![b' '; HELD_BYTES - 1];
    let mut wires = Vec::new();
    for _ in 0..HELD {
        let mut wire = Wire::connect(loopback(server.port)).await?;
        wire.send(head.as_bytes()).await?;
        wire.send(&body).await?;
        wires.push(wire);
    }
    let wanted = count(HELD) * count(HELD_BYTES / 1024 / 1024) * 0.9;
    let begin = Instant::now();
    while usage(server.pid()).resident_mb < wanted {
        ensure!(
            begin.elapsed() < HELD_LIMIT,
            "the broker does not hold {wanted} MiB"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(wires)
}

fn values(mut times: Times, elapsed: Duration, peak_mb: f64) -> Vec<(Metric, f64)> {
    let rate = count(times.whole.len()) / elapsed.as_secs_f64().max(1e-9);
    let mut share = |of: fn(&mut Times) -> &mut Vec<Duration>, share: f64| {
        let sorted = of(&mut times);
        sorted.sort_unstable();
        percentile(sorted, share).as_secs_f64() * 1e3
    };
    let whole = share(|times| &mut times.whole, 0.5);
    let slow = share(|times| &mut times.whole, 0.99);
    let before = share(|times| &mut times.before, 0.5);
    let after = share(|times| &mut times.after, 0.5);
    let by_hand = share(|times| &mut times.by_hand, 0.5);
    let mut values = vec![
        (Metric::P50Ms, whole),
        (Metric::P99Ms, slow),
        (Metric::PeakMb, peak_mb),
        (Metric::ToStartMs, before),
        (Metric::ToAnswerMs, after),
    ];
    if times.by_hand.is_empty() {
        values.push((Metric::Rps, rate));
    } else {
        values.push((Metric::ByHandMs, by_hand));
        values.push((Metric::OverheadMs, whole - by_hand));
        // What is run by hand in between is no part of the broker's rate.
        let alone: Duration = times.whole.iter().sum();
        let rate = count(times.whole.len()) / alone.as_secs_f64().max(1e-9);
        values.push((Metric::Rps, rate));
    }
    values
}
