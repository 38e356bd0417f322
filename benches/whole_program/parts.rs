//! The parts of a run: which cells there are, and in which order.
//!
//! Rounds are interleaved: every server runs once before any runs again, each time as a new
//! process in a new folder.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use tokio::time::sleep;

use crate::bodies::{Shape, Size};
use crate::filesystem::empty_files;
use crate::http1::loopback;
use crate::inbox;
use crate::load::{self, Source};
use crate::options::{Options, Part, Script};
use crate::processes::usage;
use crate::report::say;
use crate::results::{Cell, Metric, Place, Results};
use crate::server::{Server, Setup, Subject};
use crate::stream::{self, Reading};
use crate::tools::Tools;

const WARM_UP: Duration = Duration::from_millis(300);
const SUSTAINED_CLIENTS: u32 = 64;
const STREAM_CLIENTS: [u32; 2] = [1, 16];
/// Streams at once through the bridge.
const MANY_STREAMS: u32 = 512;
const SETTLE: Duration = Duration::from_secs(1);

/// A run in progress.
pub(crate) struct Run<'a> {
    /// What to run and how long.
    pub(crate) options: &'a Options,
    /// What can be started.
    pub(crate) tools: &'a Tools,
    /// The folder of this run.
    pub(crate) folder: PathBuf,
    /// What has been measured.
    pub(crate) results: Results,
}

/// What is done to a server in one cell.
#[derive(Clone, Copy)]
struct Task {
    place: Place,
    subject: Subject,
    setup: Setup,
    shape: Shape,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Start,
    Load,
    /// Longer, and each message is looked for one by one.
    Sustained,
    Stream,
    /// Many at once, each long.
    ManyStreams,
}

impl Run<'_> {
    /// Runs all parts that were asked for.
    pub(crate) async fn all(&mut self) -> Result<()> {
        if self.options.runs(Part::Start) {
            self.start().await;
        }
        for (part, size) in [(Part::Small, Size::Small), (Part::Big, Size::Big)] {
            if self.options.runs(part) {
                self.accept(size).await;
            }
        }
        if self.options.runs(Part::Sustained) {
            self.sustained().await;
        }
        if self.options.runs(Part::Relay) {
            self.relay().await?;
        }
        if self.options.runs(Part::Bridge) {
            self.bridge().await?;
        }
        if self.options.runs(Part::Messages) {
            self.messages().await?;
        }
        if self.options.runs(Part::Turns) {
            self.turns().await;
        }
        if self.options.runs(Part::Scrape) {
            self.scrape().await;
        }
        Ok(())
    }

    async fn start(&mut self) {
        let shape = Shape::usual(Size::Small);
        for round in 1..=self.options.rounds().max(3) {
            for subject in self.mailboxes() {
                let setup = Setup::default();
                self.cell(
                    Task::new("start", subject, shape, 1, setup, Kind::Start),
                    round,
                )
                .await;
            }
        }
    }

    async fn accept(&mut self, size: Size) {
        for clients in self.options.concurrency() {
            for round in 1..=self.options.rounds() {
                for subject in [self.mailboxes(), vec![Subject::Limit]].concat() {
                    let shape = Shape::usual(size);
                    let task = Task::new(
                        "accept",
                        subject,
                        shape,
                        clients,
                        Setup::default(),
                        Kind::Load,
                    );
                    self.cell(task, round).await;
                }
            }
        }
    }

    /// One round: each cell is long enough to stand for itself.
    async fn sustained(&mut self) {
        let subjects = [
            self.mailboxes(),
            vec![Subject::Limit, Subject::LimitJournal],
        ]
        .concat();
        for size in Size::ALL {
            for subject in subjects.iter().copied() {
                self.sustained_cell("sustained", subject, Shape::usual(size), Setup::default())
                    .await;
            }
            // Without Postroom there is nothing that batches.
            if self.tools.postroom.is_some() {
                let shape = Shape {
                    contexts: 1,
                    ..Shape::usual(size)
                };
                let setup = Setup {
                    batches: true,
                    ..Setup::default()
                };
                self.sustained_cell("batches", Subject::Postroom, shape, setup)
                    .await;
            }
        }
    }

    async fn sustained_cell(
        &mut self,
        part: &'static str,
        subject: Subject,
        shape: Shape,
        setup: Setup,
    ) {
        let task = Task::new(
            part,
            subject,
            shape,
            SUSTAINED_CLIENTS,
            setup,
            Kind::Sustained,
        );
        self.cell(task, 1).await;
    }

    async fn relay(&mut self) -> Result<()> {
        let subjects = self.relays();
        self.loads("relay", &subjects).await?;
        self.streams("stream", &subjects).await
    }

    async fn bridge(&mut self) -> Result<()> {
        let subjects = self.passers();
        self.loads("bridge", &subjects).await?;
        self.streams("events", &subjects).await?;
        self.many_streams(&subjects).await
    }

    async fn loads(&mut self, part: &'static str, subjects: &[Subject]) -> Result<()> {
        let backend = Server::mock_backend(self.tools, Script::JSON).await?;
        let setup = Setup {
            backend: Some(backend.port),
            ..Setup::default()
        };
        for size in Size::ALL {
            for clients in self.options.concurrency() {
                for round in 1..=self.options.rounds() {
                    for subject in subjects.iter().copied() {
                        let shape = Shape::usual(size);
                        let task = Task::new(part, subject, shape, clients, setup, Kind::Load);
                        self.cell(task, round).await;
                    }
                }
            }
        }
        Ok(())
    }

    async fn streams(&mut self, part: &'static str, subjects: &[Subject]) -> Result<()> {
        let backend = Server::mock_backend(self.tools, Script::SHORT_STREAM).await?;
        let setup = Setup {
            backend: Some(backend.port),
            ..Setup::default()
        };
        for clients in STREAM_CLIENTS {
            for round in 1..=self.options.rounds() {
                for subject in subjects.iter().copied() {
                    let shape = Shape {
                        stream: true,
                        ..Shape::usual(Size::Small)
                    };
                    let task = Task::new(part, subject, shape, clients, setup, Kind::Stream);
                    self.cell(task, round).await;
                }
            }
        }
        Ok(())
    }

    /// Many streams at once, each with an event every 20 ms.
    async fn many_streams(&mut self, subjects: &[Subject]) -> Result<()> {
        let script = Script::steady(self.options.many_streams());
        let backend = Server::mock_backend(self.tools, script).await?;
        let setup = Setup {
            backend: Some(backend.port),
            ..Setup::default()
        };
        let shape = Shape {
            stream: true,
            ..Shape::usual(Size::Small)
        };
        for round in 1..=self.options.rounds() {
            for subject in subjects.iter().copied() {
                let kind = Kind::ManyStreams;
                let task = Task::new("streams", subject, shape, MANY_STREAMS, setup, kind);
                self.cell(task, round).await;
            }
        }
        Ok(())
    }

    /// What keeps nothing and passes on; the predecessor's bridge is a plugin of OpenClaw's.
    fn passers(&self) -> Vec<Subject> {
        let nginx = self.tools.nginx.is_some().then_some(Subject::Nginx);
        let bridge = self.tools.postroom.is_some().then_some(Subject::Bridge);
        [Subject::Direct]
            .into_iter()
            .chain(nginx)
            .chain(bridge)
            .collect()
    }

    fn mailboxes(&self) -> Vec<Subject> {
        let predecessor = [Subject::Predecessor(1), Subject::Predecessor(2)];
        let installed = self.tools.predecessor.is_some();
        let predecessor = predecessor.into_iter().filter(|_| installed);
        predecessor.chain([Subject::Postroom]).collect()
    }

    fn relays(&self) -> Vec<Subject> {
        let mut subjects = vec![Subject::Direct];
        subjects.extend(self.tools.nginx.is_some().then_some(Subject::Nginx));
        // The limit program stands in for a mailbox, but it is no relay.
        let mailboxes = self.mailboxes().into_iter();
        subjects.extend(
            mailboxes
                .filter(|subject| *subject != Subject::Postroom || self.tools.postroom.is_some()),
        );
        subjects
    }

    async fn cell(&mut self, task: Task, round: u32) {
        let folder = self
            .folder
            .join(format!("cell-{:04}", self.results.cells.len()));
        let outcome = self.measure(task, folder.clone()).await;
        if let Err(error) = empty_files(&folder) {
            say(&format!(
                "!! emptying {} failed: {error:#}",
                folder.display()
            ));
        }
        let (values, problem) = match outcome {
            Ok(values) => (values, None),
            Err(error) => (Vec::new(), Some(format!("{error:#}"))),
        };
        self.finished(Cell {
            place: task.place,
            round,
            values,
            problem,
        });
    }

    /// Tells of a cell and keeps it.
    pub(crate) fn finished(&mut self, cell: Cell) {
        say(&crate::report::cell_line(&cell));
        self.results.cells.push(cell);
    }

    async fn measure(&self, task: Task, folder: PathBuf) -> Result<Vec<(Metric, f64)>> {
        std::fs::create_dir_all(&folder)?;
        if task.subject == Subject::Direct {
            let port = task.setup.backend.unwrap_or_default();
            return task.against(self.options, None, port).await;
        }
        let mut server = Server::start(self.tools, task.subject, task.setup, &folder)?;
        let port = server.port;
        task.against(self.options, Some(&mut server), port).await
    }
}

impl Task {
    fn new(
        part: &'static str,
        subject: Subject,
        shape: Shape,
        clients: u32,
        setup: Setup,
        kind: Kind,
    ) -> Self {
        let body = if matches!(kind, Kind::Stream | Kind::ManyStreams) {
            "stream"
        } else {
            shape.size.name()
        };
        let place = Place {
            part,
            subject: subject.name(),
            body,
            clients,
        };
        Self {
            place,
            subject,
            setup,
            shape,
            kind,
        }
    }

    async fn against(
        self,
        options: &Options,
        mut server: Option<&mut Server>,
        port: u16,
    ) -> Result<Vec<(Metric, f64)>> {
        let source = Source::new(loopback(port), self.shape.templates()?);
        let mut values = Vec::new();
        if let Some(server) = server.as_deref_mut() {
            let took = server.first_answer(&source).await?;
            values.push((Metric::StartMs, took.as_secs_f64() * 1e3));
        }
        let server = server.as_deref();
        match self.kind {
            Kind::Start => {
                sleep(SETTLE).await;
                let idle = server.map(|server| usage(server.pid()).resident_mb);
                values.extend(idle.map(|idle| (Metric::IdleMb, idle)));
            }
            Kind::Stream => {
                let reading = Reading {
                    events: Script::SHORT_STREAM.events,
                    streams: 3,
                };
                values.extend(stream::run(&source, self.place.clients, reading).await?);
            }
            Kind::ManyStreams => {
                let reading = Reading {
                    events: Script::steady(options.many_streams()).events,
                    streams: 1,
                };
                values.extend(stream::run(&source, self.place.clients, reading).await?);
                let peak = server.map(|server| usage(server.pid()).peak_mb);
                values.extend(peak.map(|peak| (Metric::PeakMb, peak)));
            }
            Kind::Load => {
                load::run(&source, self.place.clients, WARM_UP).await;
                self.settle(server, &source).await?;
                values.extend(self.load(server, &source, options.cell()).await?);
            }
            Kind::Sustained => {
                values.extend(self.load(server, &source, options.sustained()).await?);
                if let Some(server) = server.filter(|_| self.subject.keeps_messages()) {
                    inbox::verify(&server.folder.join("inbox"), source.sent())?;
                }
            }
        }
        Ok(values)
    }

    async fn load(
        self,
        server: Option<&Server>,
        source: &Arc<Source>,
        length: Duration,
    ) -> Result<Vec<(Metric, f64)>> {
        let before = server.map(|server| usage(server.pid())).unwrap_or_default();
        let measured = load::run(source, self.place.clients, length).await;
        let error = measured.errors.first();
        ensure!(
            error.is_none(),
            "{} connections gave up, the first: {}; {}",
            measured.errors.len(),
            error.map_or("", String::as_str),
            server.map(Server::log_end).unwrap_or_default()
        );
        let mut values = vec![
            (Metric::Rps, measured.rate()),
            (Metric::P50Ms, measured.percentile_ms(0.5)),
            (Metric::P99Ms, measured.percentile_ms(0.99)),
            (Metric::Requests, measured.requests()),
        ];
        let lag = self.settle(server, source).await?;
        values.extend(lag.map(|lag| (Metric::LagMs, lag.as_secs_f64() * 1e3)));
        if let Some(server) = server {
            // Work that a server puts off until after the answer belongs to the request as well.
            let after = usage(server.pid());
            let cpu = after.cpu.saturating_sub(before.cpu).as_secs_f64() * 1e6;
            values.push((Metric::CpuUs, cpu / measured.requests().max(1.0)));
            values.push((Metric::PeakMb, after.peak_mb));
        }
        Ok(values)
    }

    /// Waits until every message sent so far is in the inbox; the time that took.
    async fn settle(self, server: Option<&Server>, source: &Source) -> Result<Option<Duration>> {
        let Some(server) = server.filter(|_| self.subject.keeps_messages()) else {
            return Ok(None);
        };
        let inbox = server.folder.join("inbox");
        let lag = if self.setup.batches {
            inbox::wait_for_items(&inbox, source.sent()).await?
        } else {
            inbox::wait_for_files(&inbox, source.sent()).await?
        };
        Ok(Some(lag))
    }
}
