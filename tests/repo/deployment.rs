//! What alerts and board ask for, and what there is.

use std::collections::BTreeSet;

use serde_json::Value;

use super::promql;

/// Where the table of all metrics is.
pub(crate) const METRICS: &str = "docs/metrics.md";

/// Made by Prometheus itself.
const OF_PROMETHEUS: [&str; 2] = ["up", "ALERTS"];

/// An alert rule.
#[derive(Debug, Default)]
pub(crate) struct Alert {
    /// Its name.
    pub(crate) name: String,
    /// Its expression, in one line.
    pub(crate) expression: String,
    /// Its annotations, as written.
    pub(crate) annotations: Vec<(String, String)>,
}

/// The rules of a file that is written as ours is: `- alert:`, `expr: |`, `annotations:`.
pub(crate) fn alerts(text: &str) -> Vec<Alert> {
    let mut alerts: Vec<Alert> = Vec::new();
    let mut within = "";
    for line in text.lines().map(str::trim_end) {
        let depth = line.len() - line.trim_start().len();
        let line = line.trim_start();
        if let Some(name) = line.strip_prefix("- alert: ") {
            let name = name.to_owned();
            alerts.push(Alert {
                name,
                ..Alert::default()
            });
            within = "";
        } else if depth == 8 {
            within = line.split(':').next().unwrap_or_default();
        } else if let Some(alert) = alerts.last_mut() {
            match within {
                "expr" => alert.expression = format!("{} {line}", alert.expression),
                "annotations" => alert.annotations.extend(pair(line)),
                _ => {}
            }
        }
    }
    alerts
}

fn pair(line: &str) -> Option<(String, String)> {
    let (name, value) = line.split_once(": ")?;
    Some((name.to_owned(), value.trim_matches('"').to_owned()))
}

impl Alert {
    /// What it lacks for whoever is woken by it.
    pub(crate) fn problems(&self) -> Vec<String> {
        let value = |wanted: &str| {
            let found = self.annotations.iter().find(|(name, _)| name == wanted);
            found.map_or("", |(_, value)| value.as_str())
        };
        let runbook = format!("docs/operations.md#alert-{}", self.name.to_lowercase());
        let mut problems = Vec::new();
        if value("summary").is_empty() || value("description").is_empty() {
            problems.push(format!("{}: no summary or description", self.name));
        }
        if value("runbook") != runbook {
            problems.push(format!("{}: its runbook is not {runbook}", self.name));
        }
        if promql::metrics(&self.expression).is_empty() {
            problems.push(format!("{}: asks for no metric", self.name));
        }
        problems
    }
}

/// All queries of a Grafana board: of its panels, its notes on the time line and its variables.
pub(crate) fn queries(board: &Value) -> Vec<String> {
    let mut found = Vec::new();
    collect(board, &mut found);
    found
}

fn collect(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            if let Some(Value::String(expression)) = fields.get("expr") {
                found.push(expression.clone());
            }
            if let Some(Value::String(definition)) = fields.get("definition") {
                let inside = definition.strip_prefix("label_values(");
                let metric = inside.and_then(|rest| rest.rsplit_once(','));
                found.extend(metric.map(|(metric, _)| metric.to_owned()));
            }
            fields.values().for_each(|value| collect(value, found));
        }
        Value::Array(values) => values.iter().for_each(|value| collect(value, found)),
        _ => {}
    }
}

/// The first column of the table of metrics.
pub(crate) fn known_metrics(page: &str) -> BTreeSet<String> {
    page.lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .map(str::to_owned)
        .collect()
}

/// The metrics of a query that do not exist.
pub(crate) fn unknown(query: &str, known: &BTreeSet<String>) -> Vec<String> {
    let is_known = |name: &String| {
        let parts = ["_bucket", "_sum", "_count"];
        let whole = parts.iter().find_map(|part| name.strip_suffix(part));
        OF_PROMETHEUS.contains(&name.as_str())
            || known.contains(name)
            || whole.is_some_and(|whole| known.contains(whole))
    };
    let names = promql::metrics(query).into_iter();
    names
        .filter(|name| !is_known(name))
        .map(|name| format!("`{name}` does not exist: {query}"))
        .collect()
}

/// What is wrong with a board as a board.
pub(crate) fn board_problems(board: &Value) -> Vec<String> {
    let mut problems = Vec::new();
    let is_there = |path| board.pointer(path).is_some();
    for (field, is_right) in [
        ("uid", board["uid"].is_string()),
        ("title", board["title"].is_string()),
        ("schemaVersion", board["schemaVersion"].as_u64() >= Some(36)),
        ("templating", is_there("/templating/list")),
        ("time", is_there("/time/from")),
    ] {
        if !is_right {
            problems.push(format!("the board's `{field}` is missing or old"));
        }
    }
    let panels = board["panels"].as_array().map_or(&[][..], Vec::as_slice);
    let mut ids = BTreeSet::new();
    let mut cells = BTreeSet::new();
    for panel in panels {
        let title = panel["title"].as_str().unwrap_or_default();
        if title.is_empty() || !ids.insert(panel["id"].as_u64()) {
            problems.push(format!("panel `{title}`: no title, or the id of another"));
        }
        if panel["type"] != "row" {
            problems.extend(panel_problem(panel).map(|what| format!("panel `{title}`: {what}")));
        }
        if !covers_free_cells(&panel["gridPos"], &mut cells) {
            problems.push(format!("panel `{title}` lies on another, or outside"));
        }
    }
    problems
}

fn panel_problem(panel: &Value) -> Option<&'static str> {
    let targets = panel["targets"].as_array()?;
    let mut references = BTreeSet::new();
    for target in targets {
        if target["expr"].as_str().is_none_or(str::is_empty) {
            return Some("a target without a query");
        }
        if target.pointer("/datasource/uid") != Some(&"${datasource}".into()) {
            return Some("a target of another source");
        }
        if !references.insert(target["refId"].as_str()) {
            return Some("two targets of one name");
        }
    }
    references.is_empty().then_some("no target")
}

/// The board is 24 columns wide.
fn covers_free_cells(place: &Value, taken: &mut BTreeSet<(u64, u64)>) -> bool {
    let number = |name: &str| place[name].as_u64().unwrap_or(u64::MAX / 4);
    let (x, y, w, h) = (number("x"), number("y"), number("w"), number("h"));
    if w == 0 || h == 0 || h > 100 || x + w > 24 {
        return false;
    }
    (x..x + w).all(|column| (y..y + h).all(|line| taken.insert((column, line))))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{alerts, board_problems, known_metrics, queries, unknown};

    #[test]
    fn rules_are_read_with_all_that_belongs_to_them() {
        let text = "groups:\n  - name: x\n    rules:\n      - alert: A\n        expr: |\n          a > 0\n          or b\n        for: 1m\n        annotations:\n          summary: \"s\"\n          description: d\n          runbook: docs/operations.md#alert-a\n      - alert: B\n        expr: |\n          c\n";
        let found = alerts(text);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].expression, " a > 0 or b");
        assert_eq!(found[0].problems(), Vec::<String>::new());
        assert_eq!(found[1].problems().len(), 2);
    }

    #[test]
    fn a_metric_that_is_in_no_table_is_found() {
        let known =
            known_metrics("| name |\n|---|\n| `a_seconds` | histogram |\n| `b` | gauge |\n");
        assert_eq!(unknown("rate(a_seconds_bucket[5m]) + b", &known).len(), 0);
        assert_eq!(unknown("rate(a_second_bucket[5m]) + c", &known).len(), 2);
    }

    #[test]
    fn queries_stand_in_panels_notes_and_variables() {
        let board = json!({
            "panels": [{"targets": [{"expr": "a"}]}],
            "annotations": {"list": [{"expr": "b"}]},
            "templating": {"list": [{"definition": "label_values(c{x=\"y\"}, z)"}]},
        });
        let mut found = queries(&board);
        found.sort();
        assert_eq!(found, ["a", "b", "c{x=\"y\"}"]);
    }

    #[test]
    fn panels_that_cannot_be_shown_are_found() {
        let panel = |id: u64, x: u64| {
            json!({"id": id, "title": "t", "type": "stat", "gridPos": {"x": x, "y": 0, "w": 12, "h": 4},
                "targets": [{"refId": "A", "expr": "a", "datasource": {"uid": "${datasource}"}}]})
        };
        let board = |panels: serde_json::Value| {
            json!({"uid": "u", "title": "t", "schemaVersion": 39, "templating": {"list": []},
                "time": {"from": "now-1h"}, "panels": panels})
        };
        assert_eq!(
            board_problems(&board(json!([panel(1, 0), panel(2, 12)]))).len(),
            0
        );
        assert_eq!(
            board_problems(&board(json!([panel(1, 0), panel(1, 6)]))).len(),
            2
        );
        assert_eq!(board_problems(&board(json!([panel(1, 14)]))).len(), 1);
        assert_eq!(board_problems(&json!({})).len(), 5);
    }
}
