//! Against collectors that take, refuse and hang. Small paces: sockets know no virtual time.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::Mutex,
};

use chrono::DateTime;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use postroom_actors::{
    domain::{ids::MessageId, trace_context::Sampling},
    ports::traces::Traces,
};
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::*;

const DEADLINE: Duration = Duration::from_secs(20);

const TAKEN: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
const REFUSED: &str = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n";

/// Says these to its requests, one each, then nothing; keeps what it was asked.
struct Collector {
    url: String,
    asked: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Collector {
    fn start(answers: Vec<&'static str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let asked: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
        let log = Arc::clone(&asked);
        let mut answers = answers.into_iter();
        thread::spawn(move || {
            let mut held = Vec::new();
            for mut stream in listener.incoming().map_while(Result::ok) {
                while let Some(request) = read_request(&mut stream) {
                    log.lock().unwrap().push(request);
                    let Some(answer) = answers.next() else { break };
                    stream.write_all(answer.as_bytes()).unwrap();
                }
                held.push(stream);
            }
        });
        Self { url, asked }
    }

    fn asked(&self) -> Vec<Vec<u8>> {
        self.asked.lock().unwrap().clone()
    }
}

fn read_request(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let (mut request, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let count = stream.read(&mut buffer).ok().filter(|count| *count > 0)?;
        request.extend_from_slice(&buffer[..count]);
        let text = String::from_utf8_lossy(&request).to_lowercase();
        let Some(end) = request.windows(4).position(|bytes| bytes == b"\r\n\r\n") else {
            continue;
        };
        let length = text.split("content-length: ").nth(1)?;
        let length: usize = length.split("\r\n").next()?.parse().ok()?;
        if request.len() >= end + 4 + length {
            return Some(request);
        }
    }
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// An export on this test's own thread, whose counters a test can read.
struct Rig {
    export: Arc<OtlpExport>,
    work: JoinHandle<()>,
    counters: PrometheusHandle,
}

impl Rig {
    fn start(url: &str, recorder: &PrometheusRecorder) -> Self {
        let pace = ExportPace {
            gather: Duration::from_millis(20),
            longest_try: Duration::from_millis(200),
            pauses: [Duration::from_millis(20); 2],
        };
        let (export, worker, running) = OtlpExport::with_worker(url, pace).unwrap();
        let work = tokio::spawn(async move {
            worker.run().await;
            drop(running);
        });
        Self {
            export: Arc::new(export),
            work,
            counters: recorder.handle(),
        }
    }

    fn give(&self, count: u128) {
        let traces = Traces::new(Some(sink(&self.export)), Sampling::default());
        for number in 1..=count {
            let id = MessageId::new(Uuid::from_u128(number));
            let span = traces.message(None, id).span.unwrap();
            let at = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
            traces.end(span.begun("POST /message", at).with("n", 7_u64), at);
        }
    }

    fn counted(&self, name: &str) -> u64 {
        let text = self.counters.render();
        let line = text.lines().find(|line| line.starts_with(name));
        line.map_or(0, |line| line.rsplit(' ').next().unwrap().parse().unwrap())
    }

    async fn until_counted(&self, name: &str, count: u64) {
        let counted = async {
            while self.counted(name) < count {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        let counted = tokio::time::timeout(DEADLINE, counted).await;
        assert!(counted.is_ok(), "{}", self.counters.render());
        assert_eq!(self.counted(name), count);
    }
}

/// Runs a test on this thread alone, with counters of its own.
fn run(test: impl AsyncFnOnce(&PrometheusRecorder)) {
    let recorder = PrometheusBuilder::new().build_recorder();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    runtime.unwrap().block_on(test(&recorder));
}

#[test]
fn spans_leave_together_as_protobuf() {
    run(async |recorder| {
        let collector = Collector::start(vec![TAKEN]);
        let rig = Rig::start(&collector.url, recorder);
        rig.give(3);
        rig.until_counted(EXPORTED, 3).await;
        let asked = collector.asked();
        let [request] = asked.as_slice() else {
            panic!("{} requests", asked.len())
        };
        let head = String::from_utf8_lossy(request).to_lowercase();
        assert!(head.starts_with("post /v1/traces http/1.1\r\n"), "{head}");
        assert!(
            head.contains("content-type: application/x-protobuf"),
            "{head}"
        );
        for number in 1..=3 {
            let id = MessageId::new(Uuid::from_u128(number));
            let context = Traces::default().message(None, id).kept;
            assert!(contains(request, &context.trace().to_bytes()));
            assert!(contains(request, &context.span().to_bytes()));
        }
        for part in [
            "POST /message",
            "service.name",
            "postroom",
            "service.version",
        ] {
            assert!(contains(request, part.as_bytes()), "{part}");
        }
        assert_eq!(rig.counted(DROPPED), 0);
    });
}

#[test]
fn a_collector_that_is_ill_for_a_moment_gets_them_all_the_same() {
    run(async |recorder| {
        let collector = Collector::start(vec![REFUSED, TAKEN]);
        let rig = Rig::start(&collector.url, recorder);
        rig.give(2);
        rig.until_counted(EXPORTED, 2).await;
        assert_eq!(collector.asked().len(), 2);
        assert_eq!(rig.counted(DROPPED), 0);
    });
}

#[test]
fn what_a_collector_does_not_take_is_dropped_and_counted_and_later_spans_are_sent() {
    run(async |recorder| {
        let collector = Collector::start(vec![REFUSED, REFUSED, REFUSED, TAKEN]);
        let rig = Rig::start(&collector.url, recorder);
        rig.give(2);
        rig.until_counted(DROPPED, 2).await;
        rig.give(1);
        rig.until_counted(EXPORTED, 1).await;
    });
}

#[test]
fn a_collector_that_is_not_there_costs_the_spans_and_nothing_else() {
    run(async |recorder| {
        let gone = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", gone.local_addr().unwrap());
        drop(gone);
        let rig = Rig::start(&url, recorder);
        rig.give(5);
        rig.until_counted(DROPPED, 5).await;
    });
}

#[test]
fn with_a_collector_that_hangs_no_more_than_the_queue_is_held() {
    run(async |recorder| {
        let collector = Collector::start(Vec::new());
        let mut rig = Rig::start(&collector.url, recorder);
        let room = u128::try_from(QUEUE).unwrap();
        rig.give(room + 7);
        assert_eq!(rig.counted(DROPPED), 7);
        let began = Instant::now();
        rig.export.close(Duration::from_millis(300)).await;
        (&mut rig.work).await.unwrap();
        assert!(
            began.elapsed() < Duration::from_secs(3),
            "{:?}",
            began.elapsed()
        );
        assert_eq!(rig.counters.render().matches(EXPORTED).count(), 0);
        assert_eq!(rig.counted(DROPPED), u64::try_from(QUEUE).unwrap() + 7);
    });
}

#[test]
fn the_end_sends_what_waits() {
    run(async |recorder| {
        let collector = Collector::start(vec![TAKEN]);
        let rig = Rig::start(&collector.url, recorder);
        rig.give(4);
        rig.export.close(DEADLINE).await;
        assert_eq!(rig.counted(EXPORTED), 4);
        assert!(rig.work.is_finished());
    });
}

#[test]
fn on_its_own_thread_it_sends_and_ends() {
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    runtime.unwrap().block_on(async {
        let collector = Collector::start(vec![TAKEN]);
        let export = OtlpExport::start(&collector.url, ExportPace::default()).unwrap();
        let id = MessageId::new(Uuid::from_u128(1));
        let export = Arc::new(export);
        let traces = Traces::new(Some(sink(&export)), Sampling::default());
        let span = traces.message(None, id).span.unwrap();
        traces.end(span, DateTime::UNIX_EPOCH);
        export.close(DEADLINE).await;
        assert_eq!(collector.asked().len(), 1);
    });
}
