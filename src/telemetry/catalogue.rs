//! All metrics, from the tables of the modules that count them.

use metrics::Unit;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};
use postroom_actors::{
    catalogue as core,
    domain::metric::{Metric, MetricKind, MetricUnit},
};

use super::{kept, process};
use crate::{
    adapters::{inbox_files, otlp, store_sqlite},
    forwarding,
    http::{self, metrics::scrape},
    startup::{maintenance, retention},
};

/// What a single place in the program counts.
const SINGLE: &[Metric] = &[
    Metric::gauge(
        BUILD_INFO,
        &["version"],
        "Always 1; the label says which version runs",
    ),
    Metric::counter(
        "postroom_watchdog_beats_total",
        &[],
        "Signs of life given to the service manager; none is given while the store cannot commit",
    ),
];

const BUILD_INFO: &str = "postroom_build_info";

/// Every metric that `/metrics` may show, each once.
pub fn catalogue() -> impl Iterator<Item = &'static Metric> {
    let outside = [
        http::metrics::METRICS,
        scrape::METRICS,
        forwarding::METRICS,
        store_sqlite::METRICS,
        inbox_files::METRICS,
        otlp::METRICS,
        maintenance::METRICS,
        retention::METRICS,
        http::intake::METRICS,
        http::dashboard::METRICS,
        kept::METRICS,
        process::METRICS,
        SINGLE,
    ];
    outside.into_iter().flatten().chain(core::metrics())
}

/// The names that a query may use: those of the metrics, of histograms with `_bucket`, `_sum` and
/// `_count`.
pub fn series_names() -> Vec<String> {
    catalogue().flat_map(Metric::series).collect()
}

/// Gives every histogram its ranges.
///
/// # Errors
/// Never with the catalogue as it is: a histogram without a range.
pub(super) fn with_buckets(
    builder: PrometheusBuilder,
) -> Result<PrometheusBuilder, metrics_exporter_prometheus::BuildError> {
    catalogue().try_fold(builder, |builder, metric| match metric.kind {
        MetricKind::Histogram(buckets) => {
            let name = Matcher::Full(metric.name.to_owned());
            builder.set_buckets_for_metric(name, buckets.bounds())
        }
        MetricKind::Counter | MetricKind::FractionCounter | MetricKind::Gauge => Ok(builder),
    })
}

/// Tells the recorder what every metric means, and which version this is.
pub(super) fn describe() {
    for metric in catalogue() {
        let unit = match metric.unit {
            MetricUnit::Count => Unit::Count,
            MetricUnit::Seconds => Unit::Seconds,
            MetricUnit::Bytes => Unit::Bytes,
        };
        match metric.kind {
            MetricKind::Counter => metrics::describe_counter!(metric.name, unit, metric.help),
            MetricKind::Gauge | MetricKind::FractionCounter => {
                metrics::describe_gauge!(metric.name, unit, metric.help);
            }
            MetricKind::Histogram(_) => {
                metrics::describe_histogram!(metric.name, unit, metric.help);
            }
        }
    }
    metrics::gauge!(BUILD_INFO, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
}

/// Says of counters with a fraction what they are: the recorder knows such numbers as gauges only.
pub(super) fn with_counters_named(mut text: String) -> String {
    let fractions = catalogue().filter(|metric| metric.kind == MetricKind::FractionCounter);
    for metric in fractions {
        let told = format!("# TYPE {} gauge\n", metric.name);
        if let Some(start) = text.find(&told) {
            let meant = format!("# TYPE {} counter\n", metric.name);
            text.replace_range(start..start.saturating_add(told.len()), &meant);
        }
    }
    text
}

#[cfg(test)]
mod tests;
