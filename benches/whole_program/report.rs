//! What is printed: progress, one table for each kind of load, ratios, targets.

#![expect(
    clippy::format_push_string,
    reason = "tables are small, and read better this way"
)]

use std::io::{self, Write as _};

use crate::options::Pick;
use crate::results::{Cell, Metric, Place, Results};
use crate::targets::Target;

const COLUMNS: [(Metric, &str); 6] = [
    (Metric::Rps, "rps"),
    (Metric::P50Ms, "p50 ms"),
    (Metric::P99Ms, "p99 ms"),
    (Metric::CpuUs, "CPU us/req"),
    (Metric::PeakMb, "peak MB"),
    (Metric::LagMs, "inbox lag ms"),
];
const START_COLUMNS: [(Metric, &str); 2] =
    [(Metric::StartMs, "start ms"), (Metric::IdleMb, "idle MB")];
const TURN_COLUMNS: [(Metric, &str); 8] = [
    (Metric::Rps, "turns/s"),
    (Metric::P50Ms, "p50 ms"),
    (Metric::P99Ms, "p99 ms"),
    (Metric::ToStartMs, "to start ms"),
    (Metric::ToAnswerMs, "to answer ms"),
    (Metric::ByHandMs, "by hand ms"),
    (Metric::OverheadMs, "overhead ms"),
    (Metric::PeakMb, "peak MB"),
];
const STREAM_COLUMNS: [(Metric, &str); 4] = [
    (Metric::FirstByteMs, "1st byte ms"),
    (Metric::EventDelayP99Ms, "delay p99 ms"),
    (Metric::LongestGapMs, "worst gap ms"),
    (Metric::PeakMb, "peak MB"),
];
const SCRAPE_COLUMNS: [(Metric, &str); 4] = [
    (Metric::Rps, "rps"),
    (Metric::P50Ms, "p50 ms"),
    (Metric::P99Ms, "p99 ms"),
    (Metric::ScrapeMs, "scrape ms"),
];

/// Prints a line; a reader that went away does not stop a run.
pub(crate) fn say(line: &str) {
    drop(writeln!(io::stdout(), "{line}"));
}

/// Progress: one finished cell.
pub(crate) fn cell_line(cell: &Cell) -> String {
    let Place {
        part,
        subject,
        body,
        clients,
    } = cell.place;
    let mut line = format!("  {part:9} {body:6} c={clients:<3} {subject:24}");
    for (metric, name) in COLUMNS
        .iter()
        .chain(&START_COLUMNS[1..])
        .chain(&STREAM_COLUMNS[..3])
        .chain(&TURN_COLUMNS[3..7])
        .chain(&SCRAPE_COLUMNS[3..])
    {
        let value = cell.values.iter().find(|(kind, _)| kind == metric);
        if let Some((_, value)) = value {
            line += &format!(" {name} {}", number(*value));
        }
    }
    line + &cell
        .problem
        .as_ref()
        .map(|told| format!(" !! {told}"))
        .unwrap_or_default()
}

/// One table for each part, body and number of clients, in the order in which they ran.
pub(crate) fn tables(results: &Results, pick: Pick) -> String {
    let mut text = String::new();
    let mut done: Vec<Place> = Vec::new();
    for cell in &results.cells {
        let table = Place {
            subject: "",
            ..cell.place
        };
        if !done.contains(&table) {
            done.push(table);
            text += &one_table(results, table, pick);
        }
    }
    text
}

fn one_table(results: &Results, table: Place, pick: Pick) -> String {
    let columns = match table.part {
        "start" => &START_COLUMNS[..],
        "stream" | "events" | "streams" => &STREAM_COLUMNS[..],
        "turn" => &TURN_COLUMNS[..],
        "scrape" => &SCRAPE_COLUMNS[..],
        _ => &COLUMNS[..],
    };
    let title = format!("{} {} c={}", table.part, table.body, table.clients);
    let mut text = format!("\n{title:32}");
    for (_, name) in columns {
        text += &format!("{name:>14}");
    }
    let subjects = subjects(results, table);
    for subject in &subjects {
        text += &format!("\n{subject:32}");
        for (metric, _) in columns {
            let value = results.value(Place { subject, ..table }, *metric, pick);
            text += &format!("{:>14}", value.map_or_else(|| "-".into(), number));
        }
    }
    text += &ratios(results, table, columns, &subjects, pick);
    text + "\n"
}

/// Postroom by each other one; the predecessor counts with the better of its two forms.
fn ratios(
    results: &Results,
    table: Place,
    columns: &[(Metric, &str)],
    subjects: &[&'static str],
    pick: Pick,
) -> String {
    let (predecessor, others): (Vec<&str>, Vec<&str>) = subjects
        .iter()
        .partition(|subject| subject.starts_with("predecessor"));
    let mut rows = vec![("predecessor's best".to_owned(), predecessor)];
    let others = others.into_iter().filter(|subject| *subject != "Postroom");
    rows.extend(others.map(|subject| (subject.to_owned(), vec![subject])));
    let mut text = String::new();
    let ours = Place {
        subject: "Postroom",
        ..table
    };
    for (name, subjects) in rows.iter().filter(|(_, subjects)| !subjects.is_empty()) {
        let mut line = format!("\n  Postroom / {name:19}");
        let mut any = false;
        for (metric, _) in columns {
            let ratio = results
                .value(ours, *metric, pick)
                .and_then(|value| Some(value / results.best(subjects, table, *metric, pick)?));
            any |= ratio.is_some();
            line += &format!(
                "{:>14}",
                ratio.map_or_else(|| "-".into(), |r| format!("{r:.3}x"))
            );
        }
        if any {
            text += &line;
        }
    }
    text
}

fn subjects(results: &Results, table: Place) -> Vec<&'static str> {
    let mut subjects = Vec::new();
    for cell in &results.cells {
        let subject = cell.place.subject;
        if (Place {
            subject: "",
            ..cell.place
        }) == table
            && !subjects.contains(&subject)
        {
            subjects.push(subject);
        }
    }
    subjects
}

/// The list of targets with what was reached.
pub(crate) fn target_list(targets: &[Target], stand_in: bool) -> String {
    let mut text = String::from("\nTargets");
    if stand_in {
        text += " (the limit program stood in for Postroom: these verdicts are about IT)";
    }
    let header = format!(
        "\n{:4}{:62}{:>10}{:>10}{:>10}  verdict",
        "", "", "required", "aim", "reached"
    );
    text += &header;
    for target in targets {
        let sign = if target.at_least { ">=" } else { "<=" };
        let wanted = |value: f64| format!("{sign} {}", number(value));
        let reached = target.reached.map_or_else(|| "-".into(), number);
        let (required, aim) = (wanted(target.required), wanted(target.aim));
        let told = if target.information {
            " (information)"
        } else {
            ""
        };
        text += &format!(
            "\n{:4}{:62}{required:>10}{aim:>10}{reached:>10}  {}{told}",
            target.id,
            target.what,
            verdict(target),
        );
    }
    text
}

fn verdict(target: &Target) -> &'static str {
    match target.passed() {
        None => "not measured",
        Some(true) if target.aim_reached() => "PASS, aim reached",
        Some(true) => "PASS",
        Some(false) => "FAIL",
    }
}

/// As many digits as mean something.
fn number(value: f64) -> String {
    match value.abs() {
        large if large >= 100.0 => format!("{value:.0}"),
        middle if middle >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.3}"),
    }
}
