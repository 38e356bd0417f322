//! Sends finished spans to a collector: OTLP over HTTP, as protobuf, in batches, from a thread of its
//! own.
//!
//! Spans are the first thing to go: where the queue is full or the collector does not take them, they
//! are counted and dropped, and nobody waits for that.

mod convert;
mod http_client;
mod worker;

use std::{io, sync::Arc, thread, time::Duration};

use opentelemetry_otlp::{
    ExporterBuildError, Protocol, RetryPolicy, SpanExporter, WithExportConfig, WithHttpConfig,
};
use opentelemetry_sdk::trace::SpanExporter as _;
use postroom_actors::{
    domain::metric::Metric,
    ports::traces::{Span, SpanSink},
};
use thiserror::Error;
use tokio::{
    runtime,
    sync::{mpsc, watch},
    time::Instant,
};

use self::{http_client::CollectorClient, worker::Worker};

const EXPORTED: &str = "postroom_spans_exported_total";
const DROPPED: &str = "postroom_spans_dropped_total";

/// Spans that wait for the next batch; further ones are dropped.
const QUEUE: usize = 4096;

/// How long a closed exporter may take beyond its deadline to say that it has ended.
const SLACK: Duration = Duration::from_millis(200);

/// What is counted of the export.
pub const METRICS: &[Metric] = &[
    Metric::counter(
        EXPORTED,
        &[],
        "Spans of traces that the collector has taken",
    ),
    Metric::counter(
        DROPPED,
        &[],
        "Spans of traces that were dropped: the collector did not take them, or too many waited",
    ),
];

/// Why spans cannot be sent.
#[derive(Debug, Error)]
pub enum OtlpError {
    /// The exporter refused its settings.
    #[error(
        "cannot send traces: {0}; check `telemetry.otlp_endpoint` and the variables OTEL_EXPORTER_OTLP_…"
    )]
    Settings(#[from] ExporterBuildError),
    /// There is no thread for it.
    #[error("cannot start the thread that sends traces: {0}")]
    Thread(#[from] io::Error),
}

/// How fast spans leave, and how long a collector is waited for.
#[derive(Debug, Clone, Copy)]
pub struct ExportPace {
    /// How long spans are gathered into one batch; default 1 s.
    pub gather: Duration,
    /// The most that one try to send a batch takes; default 10 s.
    pub longest_try: Duration,
    /// The pauses before further tries; default 1 s and 4 s.
    pub pauses: [Duration; 2],
}

impl Default for ExportPace {
    fn default() -> Self {
        Self {
            gather: Duration::from_secs(1),
            longest_try: Duration::from_secs(10),
            pauses: [Duration::from_secs(1), Duration::from_secs(4)],
        }
    }
}

/// The port [`SpanSink`] to a collector.
#[derive(Debug)]
pub struct OtlpExport {
    spans: mpsc::Sender<Span>,
    /// When the last span must have left; `None` while the service runs.
    close_by: watch::Sender<Option<Instant>>,
    /// Closed once the thread has ended.
    running: watch::Receiver<()>,
}

impl OtlpExport {
    /// Starts sending to the collector with this base URL; `/v1/traces` is added to it.
    ///
    /// `OTEL_EXPORTER_OTLP_HEADERS` holds headers for collectors that want a key;
    /// `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` say more about us.
    ///
    /// # Errors
    /// [`OtlpError`].
    pub fn start(endpoint: &str, pace: ExportPace) -> Result<Self, OtlpError> {
        let (export, worker, running_here) = Self::with_worker(endpoint, pace)?;
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let work = move || {
            runtime.block_on(worker.run());
            // A connection that hangs is left where it is.
            runtime.shutdown_background();
            drop(running_here);
        };
        thread::Builder::new()
            .name("traces".to_owned())
            .spawn(work)?;
        Ok(export)
    }

    /// The parts: one end for all the others, the other end's work, and what is dropped after it.
    fn with_worker(
        endpoint: &str,
        pace: ExportPace,
    ) -> Result<(Self, Worker, watch::Sender<()>), OtlpError> {
        let exporter = exporter(endpoint)?;
        let (spans, queue) = mpsc::channel(QUEUE);
        let (close_by, closing) = watch::channel(None);
        let (running_here, running) = watch::channel(());
        let worker = Worker::new(queue, closing, exporter, pace);
        let export = Self {
            spans,
            close_by,
            running,
        };
        Ok((export, worker, running_here))
    }

    /// Sends what waits, and ends. What has not left by then is dropped.
    pub async fn close(&self, longest: Duration) {
        self.close_by.send_replace(Some(Instant::now() + longest));
        let mut running = self.running.clone();
        let ended = async { while running.changed().await.is_ok() {} };
        if tokio::time::timeout(longest + SLACK, ended).await.is_err() {
            tracing::warn!("the thread that sends traces does not end; it is left behind");
        }
    }
}

impl SpanSink for OtlpExport {
    fn take(&self, span: Span) {
        if self.spans.try_send(span).is_err() {
            metrics::counter!(DROPPED).increment(1);
        }
    }
}

fn exporter(endpoint: &str) -> Result<SpanExporter, ExporterBuildError> {
    let url = format!("{}/v1/traces", endpoint.trim_end_matches('/'));
    let mut exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(CollectorClient::default())
        .with_protocol(Protocol::HttpBinary)
        // Tries are ours: theirs put the thread to sleep.
        .with_retry_policy(RetryPolicy::disabled())
        .with_endpoint(url)
        .build()?;
    exporter.set_resource(&convert::resource());
    Ok(exporter)
}

/// A sink for everybody.
pub fn sink(export: &Arc<OtlpExport>) -> Arc<dyn SpanSink> {
    export.clone()
}

#[cfg(test)]
mod tests;
