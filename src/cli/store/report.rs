//! What a check found, in words.

use super::super::backup::{held, size};
use crate::startup::upkeep::Checked;

/// The report, line by line.
pub(super) fn text(checked: &Checked) -> String {
    let mut text = lines(checked).join("\n");
    text.push('\n');
    text
}

fn lines(checked: &Checked) -> Vec<String> {
    let path = checked.path.display();
    let mut lines = vec![match (checked.damage.is_empty(), checked.ok) {
        (_, true) => format!("the store in {path} is sound"),
        (false, _) => format!("the store in {path} is damaged:"),
        (true, false) => format!("the store in {path} can be read, but its rows do not fit:"),
    }];
    lines.extend(checked.damage.iter().map(|fault| format!("  {fault}")));
    let findings = checked.findings.iter();
    lines.extend(findings.map(|finding| format!("  {}: {} rows", finding.rule, finding.rows)));
    if !checked.ok {
        lines.push(cure(checked));
    }
    lines.extend(numbers(checked));
    lines
}

fn cure(checked: &Checked) -> String {
    let path = checked.path.display();
    if checked.damage.is_empty() {
        return "keep a copy of the folder and report this as a bug; a backup from before can be restored with `postroom restore`".to_owned();
    }
    format!(
        "stop the service, keep a copy of the folder, and restore a backup with `postroom restore`; without one, `sqlite3 {path}/postroom.db .recover` saves what can be read"
    )
}

fn numbers(checked: &Checked) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(facts) = &checked.facts {
        lines.push(format!("schema {}: {}", facts.schema, held(facts)));
    }
    if !checked.states.is_empty() {
        let states = checked.states.iter();
        let states: Vec<String> = states
            .map(|(state, rows)| format!("{state} {rows}"))
            .collect();
        lines.push(states.join(", "));
    }
    if let Some(oldest) = checked.oldest_pending {
        lines.push(format!(
            "the oldest message that waits for the inbox came in at {}",
            oldest.format("%Y-%m-%d %H:%M:%S UTC")
        ));
    }
    let free = match (checked.free_bytes, checked.gives_back) {
        (0, _) => String::new(),
        (free, true) => format!(", {} of it free", size(free)),
        (free, false) => format!(
            ", {} of it free (`postroom store compact` gives it back)",
            size(free)
        ),
    };
    lines.push(format!(
        "{} on disk{free}, its log {}",
        size(checked.size_bytes),
        size(checked.log_bytes)
    ));
    lines.extend(inbox(checked));
    if checked.restore_is_ready {
        lines.push("a restore was cut off; the next start finishes it".to_owned());
    }
    let aside = checked.aside.iter();
    lines.extend(aside.map(|name| format!("moved aside by a restore: {name}")));
    lines
}

fn inbox(checked: &Checked) -> Option<String> {
    let inbox = checked.inbox.as_ref()?;
    let path = inbox.path.display();
    if !inbox.is_readable {
        return Some(format!("the inbox {path} cannot be read"));
    }
    let mut line = format!("the inbox {path} has {} items", inbox.files);
    if inbox.written_but_pending > 0 {
        let pending = inbox.written_but_pending;
        line = format!("{line}, {pending} of them still to be marked as written");
    }
    if inbox.leftovers > 0 {
        line = format!("{line}, and {} half-written files", inbox.leftovers);
    }
    Some(line)
}
