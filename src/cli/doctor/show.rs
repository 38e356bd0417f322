//! The report for people and for programs.

use serde_json::{Value, json};

use super::finding::{Finding, Grade, Report};
use crate::cli::agent_view::{Paint, counted, shown};

/// One section after the other, a line a finding, a line how to mend it.
pub(super) fn text(report: &Report, paint: Paint) -> String {
    let mut text = String::new();
    let mut section = None;
    for finding in report.findings() {
        if section != Some(finding.section) {
            section = Some(finding.section);
            text.push_str(&paint.bold(finding.section.word()));
            text.push('\n');
        }
        text.push_str(&lines(finding, paint));
    }
    text.push('\n');
    text.push_str(&sum(report, paint));
    text.push('\n');
    text
}

fn lines(finding: &Finding, paint: Paint) -> String {
    let (mark, word) = match finding.grade {
        Grade::Ok => ("✓", String::new()),
        Grade::Note => ("·", String::new()),
        Grade::Warning => ("!", "warning: ".to_owned()),
        Grade::Fault => ("✗", "fault: ".to_owned()),
    };
    let head = paint.grade(finding.grade.word(), &format!("{mark} {word}"));
    let mut lines = format!("  {head}{}\n", shown(&finding.found));
    if let Some(mend) = &finding.mend {
        let cure = format!("      {} {}\n", paint.dim("→"), shown(mend));
        lines.push_str(&cure);
    }
    lines
}

fn sum(report: &Report, paint: Paint) -> String {
    let count = |grade| u64::try_from(report.count(grade)).unwrap_or(u64::MAX);
    let faults = counted(count(Grade::Fault), "fault", "faults");
    let warnings = counted(count(Grade::Warning), "warning", "warnings");
    let notes = counted(count(Grade::Note), "note", "notes");
    let worst = report.findings().iter().map(|finding| finding.grade).max();
    let worst = worst.unwrap_or(Grade::Ok);
    paint.grade(worst.word(), &format!("{faults}, {warnings}, {notes}"))
}

/// The same as one object.
pub(super) fn json(report: &Report, is_online: bool) -> Value {
    json!({
        "ok": report.count(Grade::Fault) == 0,
        "version": env!("CARGO_PKG_VERSION"),
        "online": is_online,
        "faults": report.count(Grade::Fault),
        "warnings": report.count(Grade::Warning),
        "notes": report.count(Grade::Note),
        "checks": report.findings(),
    })
}

#[cfg(test)]
mod tests {
    use super::{super::finding::Section, *};

    fn report() -> Report {
        Report::of(vec![
            Finding::ok(Section::Home, "folder", "/home/ann/.postroom"),
            Finding::fault(Section::Address, "port", "127.0.0.1:7011 is taken")
                .mend("stop process 12"),
            Finding::note(Section::Home, "service", "it does\u{1b} not run"),
        ])
    }

    #[test]
    fn each_fault_has_its_cure_below_it_and_nothing_commands_the_terminal() {
        assert_eq!(
            text(&report(), Paint { colours: false }),
            "home\n  ✓ /home/ann/.postroom\n  · it does\u{fffd} not run\n\
             address\n  ✗ fault: 127.0.0.1:7011 is taken\n      → stop process 12\n\n\
             1 fault, 0 warnings, 1 note\n"
        );
    }

    #[test]
    fn programs_get_the_same() {
        let told = json(&report(), false);
        assert_eq!(told["ok"], false);
        assert_eq!(told["checks"][2]["section"], "address");
        assert_eq!(told["checks"][2]["grade"], "fault");
        assert_eq!(told["checks"][2]["mend"], "stop process 12");
    }
}
