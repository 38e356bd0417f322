//! Shows the numbers that the store keeps.

use metrics::Label;
use postroom_actors::{
    domain::metric::{Metric, MetricKind},
    ports::tally::{self, Tally, TallySheet},
};

const DEAD_LETTERS: &str = "postroom_dead_letters";
const DELIVERIES_DUE: &str = "postroom_deliveries_due";

/// What is read from the store besides the counters that it keeps.
pub(super) const METRICS: &[Metric] = &[
    Metric::gauge(DEAD_LETTERS, &[], "Dead letters that wait for an operator"),
    Metric::gauge(
        DELIVERIES_DUE,
        &[],
        "Deliveries whose time has come and that are not delivered yet, counted up to 10,000",
    ),
];

/// Gives the recorder what the store has counted.
pub fn show_kept(sheet: &TallySheet) {
    metrics::gauge!(DEAD_LETTERS).set(approximately(sheet.dead_letters));
    metrics::gauge!(DELIVERIES_DUE).set(approximately(sheet.deliveries_due));
    for kept in &sheet.tallies {
        // A newer version of the program may have counted more.
        let known = tally::METRICS
            .iter()
            .find(|metric| metric.name == kept.metric);
        if let Some(metric) = known {
            show(metric, kept);
        }
    }
}

fn show(metric: &'static Metric, kept: &Tally) {
    let named = metric.labels.iter().zip(&kept.labels);
    let labels: Vec<Label> = named
        .map(|(name, value)| Label::new(*name, value.clone()))
        .collect();
    if metric.kind == MetricKind::FractionCounter {
        metrics::gauge!(metric.name, labels).set(kept.value);
    } else {
        metrics::counter!(metric.name, labels).absolute(whole(kept.value));
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

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::as_conversions,
    reason = "kept counters are whole and never below 0"
)]
const fn whole(number: f64) -> u64 {
    number as u64
}
