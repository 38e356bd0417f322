use std::{collections::BTreeSet, fs, path::PathBuf};

use postroom_actors::ports::tally::{Tally, TallySheet};

use super::*;

fn page_path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/metrics.md")
}

fn page() -> String {
    fs::read_to_string(page_path()).unwrap()
}

/// All metrics as a Markdown table, by name.
fn table() -> String {
    let mut metrics: Vec<&Metric> = catalogue().collect();
    metrics.sort_by_key(|metric| metric.name);
    let lines = metrics.iter().map(|metric| {
        let labels = metric.labels.iter().map(|label| format!("`{label}`"));
        let other = metric.other_labels.iter();
        let labels = labels.chain(other.map(|label| format!("(`{label}`)")));
        let labels: Vec<String> = labels.collect();
        let kept = if metric.lasts { "**kept**" } else { "" };
        format!(
            "| `{}` | {} | {} | {} | {kept} | {} |\n",
            metric.name,
            metric.kind.as_str(),
            unit(metric),
            labels.join(", "),
            metric.help
        )
    });
    let lines: String = lines.collect();
    format!("| metric | type | unit | labels | | |\n|---|---|---|---|---|---|\n{lines}")
}

fn unit(metric: &Metric) -> &'static str {
    match metric.unit {
        MetricUnit::Count if metric.name.contains("_usd_") => "US dollars",
        MetricUnit::Count => "",
        MetricUnit::Seconds => "seconds",
        MetricUnit::Bytes => "bytes",
    }
}

/// The words of a text that look like names of series.
fn series_in(text: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = text.split(|c: char| !is_part(c));
    let begins = ["postroom_", "gen_ai_client_", "process_"];
    words
        .filter(|word| begins.iter().any(|begin| word.starts_with(begin)))
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_metric_is_named_once_and_told_of_in_one_line() {
    let mut names = BTreeSet::new();
    for metric in catalogue() {
        assert!(names.insert(metric.name), "{} is there twice", metric.name);
        let help = metric.help;
        assert!(!help.is_empty() && !help.contains(['\n', '|']), "{help}");
        assert!(!help.ends_with('.'), "{help}");
        let is_counter = metric.kind.as_str() == "counter";
        assert_eq!(
            is_counter,
            metric.name.ends_with("_total"),
            "{}",
            metric.name
        );
        if metric.unit == MetricUnit::Seconds {
            assert!(metric.name.contains("_seconds"), "{}", metric.name);
        }
        if let MetricKind::Histogram(buckets) = metric.kind {
            assert!(buckets.bounds().is_sorted(), "{}", metric.name);
        }
    }
    assert!(names.len() > 60, "{}", names.len());
}

#[test]
fn the_table_of_metrics_is_the_one_that_the_catalogue_makes() {
    const START: &str = "<!-- metrics: made by a test, see src/telemetry/catalogue/tests.rs -->\n";
    let found = page();
    let (before, _) = found.split_once(START).expect("the mark of the table");
    let expected = format!("{before}{START}{}", table());
    if std::env::var_os("POSTROOM_UPDATE").is_some() {
        fs::write(page_path(), expected).unwrap();
        return;
    }
    assert_eq!(
        found, expected,
        "docs/metrics.md is stale; run with POSTROOM_UPDATE=1"
    );
}

#[test]
fn the_examples_name_metrics_that_there_are() {
    let known: BTreeSet<String> = series_names().into_iter().collect();
    let page = page();
    let examples: Vec<&str> = page
        .split("```promql\n")
        .skip(1)
        .filter_map(|after| after.split("```").next())
        .collect();
    assert!(examples.len() > 5, "{examples:?}");
    for example in examples {
        let named = series_in(example);
        assert!(!named.is_empty(), "{example}");
        let unknown: Vec<&String> = named.difference(&known).collect();
        assert_eq!(unknown, Vec::<&String>::new(), "{example}");
    }
}

#[test]
fn what_the_store_has_counted_is_shown_with_its_type_and_help_once() {
    let recorder = with_buckets(PrometheusBuilder::new())
        .unwrap()
        .build_recorder();
    let handle = recorder.handle();
    let tally = |metric: &str, labels: &[&str], value| Tally {
        metric: metric.to_owned(),
        labels: labels.iter().map(|&label| label.to_owned()).collect(),
        value,
    };
    let sheet = TallySheet {
        tallies: vec![
            tally("postroom_turns_total", &["coder", "done"], 3.0),
            tally("postroom_turns_total", &["coder", "failed"], 1.0),
            tally("postroom_turn_cost_usd_total", &["coder"], 0.0125),
            tally("postroom_of_the_future_total", &["x"], 9.0),
        ],
        dead_letters: 2,
        deliveries_due: 4,
    };
    metrics::with_local_recorder(&recorder, || {
        describe();
        super::super::show_kept(&sheet);
        super::super::show_kept(&sheet);
    });
    let text = with_counters_named(handle.render());
    for line in [
        "# TYPE postroom_turns_total counter",
        "postroom_turns_total{agent=\"coder\",state=\"done\"} 3",
        "postroom_turns_total{agent=\"coder\",state=\"failed\"} 1",
        "# TYPE postroom_turn_cost_usd_total counter",
        "postroom_turn_cost_usd_total{agent=\"coder\"} 0.0125",
        "postroom_dead_letters 2",
        "postroom_deliveries_due 4",
    ] {
        let times = text.lines().filter(|found| *found == line).count();
        assert_eq!(times, 1, "{line}\n{text}");
    }
    assert!(!text.contains("of_the_future"), "{text}");
}
