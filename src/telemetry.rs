//! Logs and metrics.

mod text_format;

use std::io::{self, IsTerminal};

use anyhow::Context;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::{EnvFilter, Layer, Registry, layer::SubscriberExt};

use self::text_format::TextFormat;
use crate::settings::{LogFormat, Origin, Settings};

/// Lines that wait for a slow reader of the log before further ones are dropped.
const BUFFERED_LINES: usize = 8192;

/// Bounds of every histogram of seconds: 0.1 ms to 100 s.
const SECONDS: [f64; 18] = [
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0, 10.0, 30.0, 100.0,
];

/// Bounds of every histogram of counts.
const COUNTS: [f64; 9] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];

/// Starts the log on standard error. Lines are written until the guard is dropped.
///
/// A reader that stops reading costs lines, never the service.
///
/// # Errors
/// Where a log has been started before.
pub fn start_log(settings: &Settings) -> anyhow::Result<WorkerGuard> {
    let (writer, guard) = NonBlockingBuilder::default()
        .buffered_lines_limit(BUFFERED_LINES)
        .thread_name("log")
        // The log's thread flushes whenever nothing more waits.
        .finish(io::BufWriter::new(io::stderr()));
    let level = if settings.telemetry.debug {
        "debug"
    } else {
        "info"
    };
    let filter = EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| EnvFilter::new(format!("{level},actix_server=warn")));
    let lines = tracing_subscriber::fmt::layer().with_writer(writer);
    let lines: Box<dyn Layer<Registry> + Send + Sync> = match format(settings) {
        LogFormat::Json => Box::new(lines.json().flatten_event(true)),
        _ => Box::new(lines.event_format(TextFormat::default())),
    };
    let subscriber = Registry::default().with(lines.with_filter(filter));
    tracing::subscriber::set_global_default(subscriber).context("the log runs already")?;
    Ok(guard)
}

fn format(settings: &Settings) -> LogFormat {
    match settings.telemetry.log_format {
        LogFormat::Auto if settings.origin == Origin::Predecessor => LogFormat::Text,
        LogFormat::Auto if io::stderr().is_terminal() => LogFormat::Text,
        LogFormat::Auto => LogFormat::Json,
        chosen => chosen,
    }
}

/// Starts the metrics; the handle renders them.
///
/// # Errors
/// Where metrics have been started before.
pub fn start_metrics() -> anyhow::Result<PrometheusHandle> {
    let builder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)?
        .set_buckets_for_metric(Matcher::Suffix("_size".to_owned()), &COUNTS)?;
    builder
        .install_recorder()
        .context("failed to start the metrics")
}
