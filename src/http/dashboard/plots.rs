//! Throughput and latency of the last half hour, as small plots.

use std::fmt::Write;

use maud::{Markup, html};

use super::{
    sections::{Look, Section},
    words,
};
use crate::http::traffic::{INTERVAL, KEPT, Sample};

/// The size of a plot, in units of its own: it is as wide as its place.
const WIDTH: usize = 360;
const HEIGHT: usize = 96;

/// Requests a second.
pub(super) fn throughput(look: &Look<'_>) -> Section {
    let samples = look.shared.traffic.samples();
    let taken = values(&samples, |sample| Some(sample.accepted));
    let refused = values(&samples, |sample| Some(sample.refused));
    let all = values(&samples, |sample| Some(sample.accepted + sample.refused));
    let highest = greatest(&all).max(1);
    let now = samples
        .last()
        .map_or(0, |last| last.accepted + last.refused);
    let refused_at_all = refused.iter().flatten().sum::<u64>();
    let content = html! {
        p.plot-now {
            b { (rate(now)) } span.quiet { " now · at most " (rate(highest)) " · 30 min" }
            @if refused_at_all > 0 { " " span.why { (refused_at_all) " refused" } }
        }
        (svg(
            "Requests a second over the last 30 minutes",
            &[("area good", &area(&taken, highest)), ("line good", &line(&taken, highest)), ("line bad", &line_where_any(&refused, highest))],
        ))
    };
    Section::titled("throughput", "Requests", &content)
}

/// How long requests took.
pub(super) fn latency(look: &Look<'_>) -> Section {
    let samples = look.shared.traffic.samples();
    let micros = |time: std::time::Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    let median = values(&samples, |sample| sample.median.map(micros));
    let slow = values(&samples, |sample| sample.slow.map(micros));
    let highest = greatest(&slow).max(1);
    let last = samples.iter().rev().find(|sample| sample.slow.is_some());
    let content = html! {
        p.plot-now {
            @match last {
                Some(last) => {
                    b { (words::short(last.median.unwrap_or_default())) } span.quiet { " half · " }
                    b { (words::short(last.slow.unwrap_or_default())) } span.quiet { " 95 of 100 · 30 min" }
                }
                None => span.quiet { "No request in the last 30 minutes." },
            }
        }
        (svg(
            "How long requests took over the last 30 minutes: half of them, and 95 of 100",
            &[("line slow", &line(&slow, highest)), ("line good", &line(&median, highest))],
        ))
    };
    Section::titled("latency", "Time to answer", &content)
}

/// One value a place on the axis, the newest at its end.
fn values(samples: &[Sample], of: impl Fn(&Sample) -> Option<u64>) -> Vec<Option<u64>> {
    let missing = KEPT.saturating_sub(samples.len());
    let nothing = std::iter::repeat_n(None, missing);
    nothing.chain(samples.iter().map(of)).collect()
}

fn greatest(values: &[Option<u64>]) -> u64 {
    values.iter().flatten().copied().max().unwrap_or(0)
}

fn rate(in_interval: u64) -> String {
    let tenths = in_interval * 10 / INTERVAL.as_secs().max(1);
    if tenths >= 100 {
        format!("{}/s", tenths / 10)
    } else {
        format!("{}.{}/s", tenths / 10, tenths % 10)
    }
}

fn x(place: usize) -> usize {
    place * WIDTH / (KEPT - 1)
}

/// In tenths of a unit, so that small values are seen.
fn y(value: u64, highest: u64) -> String {
    let room = u128::try_from(HEIGHT - 4).unwrap_or(1) * 10;
    let tenths = u128::from(value) * room / u128::from(highest.max(1));
    let from_top = u128::try_from(HEIGHT - 2).unwrap_or(1) * 10 - tenths.min(room);
    format!("{}.{}", from_top / 10, from_top % 10)
}

/// A line through what is there; it breaks where nothing is.
fn line(values: &[Option<u64>], highest: u64) -> String {
    let mut path = String::new();
    let mut is_drawing = false;
    for (place, value) in values.iter().enumerate() {
        let Some(value) = value else {
            is_drawing = false;
            continue;
        };
        let step = if is_drawing { 'L' } else { 'M' };
        write!(path, "{step}{} {}", x(place), y(*value, highest)).ok();
        if !is_drawing {
            // A point alone is seen too.
            path.push_str("h0.01");
        }
        is_drawing = true;
    }
    path
}

/// The same, of nothing but zeros no line at all.
fn line_where_any(values: &[Option<u64>], highest: u64) -> String {
    if greatest(values) == 0 {
        String::new()
    } else {
        line(values, highest)
    }
}

fn area(values: &[Option<u64>], highest: u64) -> String {
    let first = values.iter().position(Option::is_some);
    let Some(first) = first else {
        return String::new();
    };
    let mut path = format!("M{} {HEIGHT}", x(first));
    for (place, value) in values.iter().enumerate().skip(first) {
        write!(path, "L{} {}", x(place), y(value.unwrap_or(0), highest)).ok();
    }
    write!(path, "V{HEIGHT}Z").ok();
    path
}

fn svg(title: &str, paths: &[(&str, &String)]) -> Markup {
    html! {
        svg.plot viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } preserveAspectRatio="none" role="img" {
            title { (title) }
            path.grid d={ "M0 2H" (WIDTH) "M0 " (HEIGHT / 2) "H" (WIDTH) "M0 " (HEIGHT - 2) "H" (WIDTH) } {}
            @for (class, path) in paths { path class=(class) d=(path) {} }
        }
        p.axis aria-hidden="true" { span { "30 min ago" } span { "now" } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_goes_through_what_is_there_and_breaks_where_nothing_is() {
        let mut values = vec![None; KEPT];
        values[0] = Some(0);
        values[1] = Some(10);
        values[KEPT - 1] = Some(5);
        assert_eq!(line(&values, 10), "M0 94.0h0.01L2 2.0M360 48.0h0.01");
        assert_eq!(line_where_any(&vec![Some(0); KEPT], 10), "");
        assert_eq!(area(&[None; KEPT], 10), "");
    }

    #[test]
    fn the_newest_value_stands_at_the_end() {
        let sample = |accepted| Sample {
            at: chrono::DateTime::UNIX_EPOCH,
            accepted,
            refused: 0,
            median: None,
            slow: None,
            taken: Vec::new(),
        };
        let values = values(&[sample(1), sample(2)], |sample| Some(sample.accepted));
        assert_eq!(values.len(), KEPT);
        assert_eq!(values[KEPT - 3..], [None, Some(1), Some(2)]);
    }

    #[test]
    fn small_rates_have_a_digit_behind_the_point() {
        assert_eq!((rate(7).as_str(), rate(1234).as_str()), ("0.7/s", "123/s"));
    }
}
