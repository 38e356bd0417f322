//! A real OTLP collector, which writes down what it is sent.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    net::TcpListener,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use super::{
    tools::{ClientFailure, tools_folder},
    wait::{self, until},
};

/// Where the collector lies below the folder of the tools.
const PROGRAM: &str = "site-packages/rotel/rotel-agent";

/// A span as the collector has it.
#[derive(Debug, Clone, Default)]
pub struct CollectedSpan {
    /// 32 digits.
    pub trace: String,
    /// 16 digits.
    pub id: String,
    /// 16 digits; empty for the first of a trace.
    pub parent: String,
    /// What it shows.
    pub name: String,
    /// Such as `SPAN_KIND_SERVER`.
    pub kind: String,
    /// Such as `STATUS_CODE_ERROR`.
    pub status: String,
    /// Nanoseconds since 1970.
    pub started: u64,
    /// The same.
    pub ended: u64,
    /// Attributes, such as `Str(x)` and `Int(1)`.
    pub attributes: BTreeMap<String, String>,
    /// Ids of spans that it is linked to.
    pub links: Vec<String>,
}

impl CollectedSpan {
    /// An attribute that must be there.
    pub fn attribute(&self, key: &str) -> &str {
        let value = self.attributes.get(key);
        value.unwrap_or_else(|| panic!("no `{key}` in {self:?}"))
    }

    /// What a `traceparent` of this span says.
    pub fn traceparent(&self) -> String {
        format!("00-{}-{}-01", self.trace, self.id)
    }
}

/// A collector that runs; killed when dropped.
pub struct Collector {
    child: Child,
    url: String,
    said: Arc<Mutex<Vec<String>>>,
}

impl Collector {
    /// Starts one and waits until it listens.
    ///
    /// # Errors
    /// It is not installed.
    pub async fn start() -> Result<Self, ClientFailure> {
        let program = program()?;
        let deadline = tokio::time::Instant::now() + wait::DEADLINE;
        loop {
            let mut collector = Self::spawn(&program);
            if collector.listens().await {
                return Ok(collector);
            }
            // Somebody else was given one of its ports meanwhile.
            assert!(
                tokio::time::Instant::now() < deadline,
                "the collector does not start; it said: {:#?}",
                collector.text()
            );
        }
    }

    fn spawn(program: &std::path::Path) -> Self {
        let [http, grpc] = free_addresses();
        #[expect(clippy::disallowed_methods, reason = "killed when dropped")]
        let mut command = Command::new(program);
        let mut child = command
            .args(["start", "--exporter", "blackhole"])
            .args(["--debug-log", "traces"])
            .args(["--debug-log-verbosity", "detailed"])
            .args(["--batch-timeout", "20ms"])
            .args(["--otlp-http-endpoint", &http])
            .args(["--otlp-grpc-endpoint", &grpc])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let said = Arc::new(Mutex::new(Vec::new()));
        let (output, log) = (child.stdout.take().unwrap(), Arc::clone(&said));
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                log.lock().unwrap().push(line);
            }
        });
        Self {
            child,
            url: format!("http://{http}"),
            said,
        }
    }

    async fn listens(&mut self) -> bool {
        let address = self.url.strip_prefix("http://").unwrap().to_owned();
        loop {
            if tokio::net::TcpStream::connect(&address).await.is_ok() {
                return true;
            }
            if self.child.try_wait().unwrap().is_some() {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// The configuration that sends traces here.
    pub fn telemetry(&self) -> String {
        format!("[telemetry]\notlp_endpoint = \"{}\"\n", self.url)
    }

    /// All that it wrote down.
    pub fn text(&self) -> String {
        self.said.lock().unwrap().join("\n")
    }

    /// The spans that it has.
    pub fn spans(&self) -> Vec<CollectedSpan> {
        read_spans(&self.said.lock().unwrap())
    }

    /// Waits until it has spans of a trace with exactly these names, in any order; in the order in
    /// which they are given here.
    pub async fn until_trace(&self, trace: &str, names: &[&str]) -> Vec<CollectedSpan> {
        let mut wanted = names.to_vec();
        wanted.sort_unstable();
        let look = || {
            let mut spans = self.spans();
            spans.retain(|span| span.trace == trace);
            spans
        };
        let has_all = |spans: &Vec<CollectedSpan>| {
            let mut found: Vec<&str> = spans.iter().map(|span| span.name.as_str()).collect();
            found.sort_unstable();
            found == wanted
        };
        let mut spans = until(&format!("the spans {names:?}"), look, has_all).await;
        let take = |name: &&str| {
            let at = spans.iter().position(|span| span.name == *name).unwrap();
            spans.remove(at)
        };
        names.iter().map(take).collect()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The folder of its Python has a version in its name.
fn program() -> Result<std::path::PathBuf, ClientFailure> {
    let library = tools_folder().join("rotel/lib");
    let versions = std::fs::read_dir(&library).into_iter().flatten().flatten();
    let mut found = versions.map(|version| version.path().join(PROGRAM));
    match found.find(|program| program.is_file()) {
        Some(program) => Ok(program),
        None => super::tools::installed("rotel/lib/…/rotel-agent"),
    }
}

fn free_addresses() -> [String; 2] {
    let held = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    held.map(|listener| listener.local_addr().unwrap().to_string())
}

/// Where a line of the collector's text belongs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Elsewhere,
    Attributes,
    Links,
}

fn read_spans(lines: &[String]) -> Vec<CollectedSpan> {
    let mut spans: Vec<CollectedSpan> = Vec::new();
    let mut part = Part::Elsewhere;
    for line in lines {
        if line.starts_with("Span #") {
            spans.push(CollectedSpan::default());
            part = Part::Elsewhere;
            continue;
        }
        match line.as_str() {
            "Attributes:" => part = Part::Attributes,
            "Links:" => part = Part::Links,
            "Resource attributes:" => part = Part::Elsewhere,
            line => {
                if let Some(span) = spans.last_mut() {
                    read_line(span, part, line);
                }
            }
        }
    }
    spans
}

fn read_line(span: &mut CollectedSpan, part: Part, line: &str) {
    let Some((key, value)) = line.split_once(": ") else {
        return;
    };
    let (key, value) = (key.trim(), value.trim().to_owned());
    match (part, key.strip_prefix("-> ")) {
        (Part::Attributes, Some(key)) => {
            span.attributes.insert(key.to_owned(), value);
        }
        (Part::Links, Some("ID")) => span.links.push(value),
        (_, Some(_)) => {}
        (_, None) => match key {
            "Trace ID" => span.trace = value,
            "ID" => span.id = value,
            "Parent ID" => span.parent = value,
            "Name" => span.name = value,
            "Kind" => span.kind = value,
            "Status code" => span.status = value,
            "Start time" => span.started = value.parse().unwrap(),
            "End time" => span.ended = value.parse().unwrap(),
            _ => {}
        },
    }
}
