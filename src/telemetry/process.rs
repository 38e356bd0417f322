//! What the process takes of the machine.

use metrics_process::collector;
use postroom_actors::domain::metric::{Metric, MetricKind, MetricUnit};

const CPU: &str = "process_cpu_seconds_total";
const RESIDENT: &str = "process_resident_memory_bytes";
const VIRTUAL: &str = "process_virtual_memory_bytes";
const OPEN_FILES: &str = "process_open_fds";
const MOST_FILES: &str = "process_max_fds";
const STARTED: &str = "process_start_time_seconds";
const THREADS: &str = "process_threads";

/// The names that all programs give these numbers.
pub(super) const METRICS: &[Metric] = &[
    Metric::new(
        CPU,
        MetricKind::FractionCounter,
        &[],
        "Processor time used, of user and system together",
    )
    .unit(MetricUnit::Seconds),
    Metric::gauge(RESIDENT, &[], "Memory in use").unit(MetricUnit::Bytes),
    Metric::gauge(VIRTUAL, &[], "Address space in use").unit(MetricUnit::Bytes),
    Metric::gauge(OPEN_FILES, &[], "Open file descriptors"),
    Metric::gauge(MOST_FILES, &[], "File descriptors that may be open at most"),
    Metric::gauge(STARTED, &[], "When the process began, since 1970").unit(MetricUnit::Seconds),
    Metric::gauge(THREADS, &[], "Threads of the process"),
];

/// Looks at the process. Reads a few files of `/proc`: call it where waiting is allowed.
pub(super) fn look() {
    let seen = collector::collect();
    let numbers = [
        (CPU, seen.cpu_seconds_total),
        (RESIDENT, seen.resident_memory_bytes.map(approximately)),
        (VIRTUAL, seen.virtual_memory_bytes.map(approximately)),
        (OPEN_FILES, seen.open_fds.map(approximately)),
        (MOST_FILES, seen.max_fds.map(approximately)),
        (STARTED, seen.start_time_seconds.map(approximately)),
        (THREADS, seen.threads.map(approximately)),
    ];
    for (name, number) in numbers {
        if let Some(number) = number {
            metrics::gauge!(name).set(number);
        }
    }
}

#[expect(
    clippy::cast_precision_loss,
    clippy::as_conversions,
    reason = "gauges are approximate"
)]
const fn approximately(number: u64) -> f64 {
    number as f64
}
