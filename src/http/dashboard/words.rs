//! How texts, times, sizes and states are shown.

use std::time::Duration;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use maud::{Markup, html};

/// A text from outside as it may be shown: without characters that are not seen, or that turn
/// around what stands beside them.
pub(super) fn clean(text: &str, longest: usize) -> String {
    let mut shown: String = text.chars().take(longest).map(visible).collect();
    if text.chars().nth(longest).is_some() {
        shown.push('…');
    }
    shown
}

/// Lines and tabs are kept; see [`clean`].
pub(super) fn clean_lines(text: &str) -> String {
    let keep = |character| match character {
        '\n' | '\t' => character,
        '\r' => ' ',
        character => visible(character),
    };
    text.chars().map(keep).collect()
}

fn visible(character: char) -> char {
    match character {
        '\n' | '\t' | '\r' => ' ',
        // Marks that change the direction of what follows, invisible separators, tags.
        '\u{061c}'
        | '\u{200b}'
        | '\u{200e}'
        | '\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e007f}' => '\u{fffd}',
        character if character.is_control() => '\u{fffd}',
        character => character,
    }
}

/// A text of others in a line of ours: its direction is its own affair.
pub(super) fn said(text: &str, longest: usize) -> Markup {
    html! { bdi.said { (clean(text, longest)) } }
}

/// A time as `12 s ago`, which the script keeps right.
pub(super) fn ago(time: DateTime<Utc>, now: DateTime<Utc>) -> Markup {
    html! {
        time datetime=(exact(time)) title=(told(time)) data-clock="ago" {
            (with_ago(span(now - time)))
        }
    }
}

fn with_ago(span: String) -> String {
    if span == "now" {
        span
    } else {
        format!("{span} ago")
    }
}

/// How long it has been since a time: `12 s`.
pub(super) fn since(time: DateTime<Utc>, now: DateTime<Utc>) -> Markup {
    html! {
        time datetime=(exact(time)) title=(told(time)) data-clock="since" { (span(now - time)) }
    }
}

/// A time to come as `in 12 s`.
pub(super) fn until(time: DateTime<Utc>, now: DateTime<Utc>) -> Markup {
    let left = span(time - now);
    html! {
        time datetime=(exact(time)) title=(told(time)) data-clock="until" {
            @if left == "now" { (left) } @else { "in " (left) }
        }
    }
}

fn exact(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

fn told(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// A span in its greatest unit. `live.js` says the same.
pub(super) fn span(span: TimeDelta) -> String {
    match span.num_seconds() {
        ..1 => "now".to_owned(),
        seconds @ 1..60 => format!("{seconds} s"),
        seconds @ 60..3600 => format!("{} min", seconds / 60),
        seconds @ 3600..172_800 => format!("{} h", seconds / 3600),
        seconds => format!("{} d", seconds / 86_400),
    }
}

/// A short time, to two digits or three.
pub(super) fn short(time: Duration) -> String {
    let micros = time.as_micros();
    match micros {
        ..1000 => format!("{micros} µs"),
        1000..10_000 => format!("{}.{} ms", micros / 1000, micros % 1000 / 100),
        10_000..1_000_000 => format!("{} ms", micros / 1000),
        1_000_000..100_000_000 => {
            format!("{}.{} s", micros / 1_000_000, micros % 1_000_000 / 100_000)
        }
        _ => format!("{} s", micros / 1_000_000),
    }
}

/// Bytes in the greatest unit that they fill.
pub(super) fn bytes(bytes: u64) -> String {
    let tenths = |unit: u64| {
        let (whole, part) = (bytes / unit, bytes % unit * 10 / unit);
        if whole < 10 {
            format!("{whole}.{part}")
        } else {
            whole.to_string()
        }
    };
    match bytes {
        ..1024 => format!("{bytes} B"),
        1024..1_048_576 => format!("{} KiB", tenths(1024)),
        1_048_576..1_073_741_824 => format!("{} MiB", tenths(1 << 20)),
        _ => format!("{} GiB", tenths(1 << 30)),
    }
}

/// `1 message`, `2 messages`.
pub(super) fn count(number: usize, thing: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {thing}{plural}")
}

/// A state as a word with a sign: never by its colour alone.
pub(super) fn state(word: &str) -> Markup {
    let (class, sign) = match word {
        "ok" | "idle" | "done" | "answered" | "delivered" | "filed" | "complete" => ("good", "✓"),
        "running" | "starting" | "tool-calls" => ("busy", "▸"),
        "queued" | "waiting" | "pending" => ("waits", "○"),
        "failed" | "dead" | "parked" | "timed-out" | "partial" => ("bad", "✕"),
        _ => ("still", "–"),
    };
    html! {
        span class={ "state " (class) } { span aria-hidden="true" { (sign) } " " (clean(word, 60)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_seen_or_turns_text_around_is_made_visible() {
        let hostile = "a\u{0}b\u{1b}[31m\u{202e}c\u{2066}d\u{200f}e\u{feff}\u{85}\u{e0041}\nf";
        let shown = clean(hostile, 100);
        assert_eq!(shown, "a�b�[31m�c�d�e��� f");
        assert_eq!(clean_lines("a\r\n\tb\u{7}"), "a \n\tb�");
        assert_eq!(clean("äöü", 2), "äö…");
        assert_eq!(clean("äö", 2), "äö");
    }

    #[test]
    fn times_are_told_in_their_greatest_unit() {
        for (seconds, said) in [
            (-5, "now"),
            (0, "now"),
            (59, "59 s"),
            (60, "1 min"),
            (7199, "1 h"),
            (172_799, "47 h"),
            (172_800, "2 d"),
        ] {
            assert_eq!(span(TimeDelta::seconds(seconds)), said);
        }
        for (micros, said) in [
            (7, "7 µs"),
            (1_250, "1.2 ms"),
            (12_500, "12 ms"),
            (1_500_000, "1.5 s"),
            (200_000_000, "200 s"),
        ] {
            assert_eq!(short(Duration::from_micros(micros)), said);
        }
    }

    #[test]
    fn sizes_are_told_in_their_greatest_unit() {
        for (size, said) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1536, "1.5 KiB"),
            (20 << 20, "20 MiB"),
            (3 << 30, "3.0 GiB"),
        ] {
            assert_eq!(bytes(size), said);
        }
    }
}
