//! All metrics of the core, from the tables of its modules.

use crate::{
    agent_supervisor, backend_relay, courier, delivery, domain::metric::Metric, inbox_writer,
    lifecycle, ports::tally, token_usage,
};

/// Every metric that the core counts, or has the store count.
pub fn metrics() -> impl Iterator<Item = &'static Metric> {
    [
        delivery::METRICS,
        lifecycle::METRICS,
        inbox_writer::METRICS,
        backend_relay::metrics::METRICS,
        courier::metrics::METRICS,
        agent_supervisor::metrics::METRICS,
        tally::METRICS,
        token_usage::METRICS,
    ]
    .into_iter()
    .flatten()
}
