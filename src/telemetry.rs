//! Logs and metrics.

mod catalogue;
mod kept;
mod process;
mod text_format;

use std::io::{self, IsTerminal};

use anyhow::Context;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::{EnvFilter, Layer, Registry, layer::SubscriberExt};

use self::text_format::TextFormat;
pub use self::{
    catalogue::{catalogue, series_names},
    kept::show_kept,
};
use crate::settings::{LogFormat, Origin, Settings};

/// Lines that wait for a slow reader of the log before further ones are dropped.
const BUFFERED_LINES: usize = 8192;

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
    let metrics = catalogue::with_buckets(PrometheusBuilder::new())?
        .install_recorder()
        .context("failed to start the metrics")?;
    catalogue::describe();
    Ok(metrics)
}

/// All metrics in Prometheus' text form. Reads a few files of `/proc`: call it where waiting is
/// allowed.
pub fn render(metrics: &PrometheusHandle) -> String {
    process::look();
    catalogue::with_counters_named(metrics.render())
}
