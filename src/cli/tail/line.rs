//! One line an event: when, who, what. All that others wrote goes through [`shown`].

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;

use crate::cli::agent_view::{Paint, counted, shown, span};

/// The width of the column that says who.
const WHO: usize = 14;

/// What is shown of words that may be long, in characters.
const LONGEST_WORDS: usize = 300;

/// An event of the feed. One that we do not know is shown as it came.
pub(super) fn of(kind: &str, data: &Value, paint: Paint) -> String {
    let facts = Facts(data);
    let (who, what) = match kind {
        "missed" => ("postroom".to_owned(), missed(data)),
        "service_started" | "service_stopping" => ("postroom".to_owned(), service(kind, facts)),
        "message_accepted" | "inbox_written" | "relay_began" | "relay_ended" => {
            ("mailbox".to_owned(), mailbox(kind, facts, paint))
        }
        _ if kind.starts_with("deliver") => ("courier".to_owned(), delivery(kind, facts, paint)),
        _ => (facts.text("agent"), agents(kind, facts, paint)),
    };
    let time = paint.dim(&facts.time());
    format!("{time}  {}  {what}", paint.bold(&format!("{who:<WHO$}")))
}

/// What belongs to the line of a turn above it.
pub(super) fn below(sign: &str, text: &str, paint: Paint) -> String {
    let sign = paint.dim(sign);
    format!("{:>indent$}  {sign} {}", "", shown(text), indent = 9)
}

fn missed(data: &Value) -> String {
    match data.get("count").and_then(Value::as_u64) {
        Some(count) => format!("{} missed here", counted(count, "event was", "events were")),
        None => "the service was started anew; what it did before is not told any more".to_owned(),
    }
}

fn service(kind: &str, facts: Facts<'_>) -> String {
    match kind {
        "service_started" => format!("started, version {}", facts.text("version")),
        _ => "stops: takes nothing new in".to_owned(),
    }
}

fn mailbox(kind: &str, facts: Facts<'_>, paint: Paint) -> String {
    let message = paint.dim(&facts.text("message"));
    match kind {
        "message_accepted" => {
            let of = facts.given("context_id").map(|id| format!(" of {id}"));
            format!("message {message} kept{}", of.unwrap_or_default())
        }
        "inbox_written" => {
            let messages = counted(facts.number("messages"), "message", "messages");
            let size = facts.number("size");
            format!("inbox file written: {messages}, {size} bytes, up to {message}")
        }
        "relay_began" => format!("message {message} goes to a backend"),
        _ => {
            let (backend, outcome) = (facts.text("backend"), facts.text("outcome"));
            let outcome = paint.state(&outcome, &outcome);
            format!("message {message} answered by {backend}: {outcome}")
        }
    }
}

fn delivery(kind: &str, facts: Facts<'_>, paint: Paint) -> String {
    let from = facts.given("from").map(|from| format!(" from {from}"));
    let message = format!(
        "message {}{} to {}",
        paint.dim(&facts.text("message")),
        from.unwrap_or_default(),
        facts.text("to")
    );
    match kind {
        "delivery_waiting" => format!("{message} waits for delivery"),
        "delivery_held" => format!("{message} is kept until it is asked for"),
        "delivery_failed" => {
            let error = facts.words("/error");
            let next = facts.clock_time("next_at");
            format!("{message} not delivered, again at {next}{error}")
        }
        "delivered" => format!("{message} delivered after {}", facts.took()),
        "delivery_dead" => {
            let dead = paint.state("dead", "given up");
            format!("{message} {dead}{}", facts.words("/reason/message"))
        }
        _ => format!("{message} taken back"),
    }
}

fn agents(kind: &str, facts: Facts<'_>, paint: Paint) -> String {
    match kind {
        "task_queued" => {
            let from = facts.given("from").map(|from| format!(" from {from}"));
            let (origin, message) = (facts.text("origin"), paint.dim(&facts.text("message")));
            format!("{origin} {message}{} queued", from.unwrap_or_default())
        }
        "task_ended" => {
            let state = facts.text("state");
            let message = paint.dim(&facts.text("message"));
            format!("message {message} {}", paint.state(&state, &state))
        }
        "agent_hired" => "hired".to_owned(),
        "agent_removed" => "removed".to_owned(),
        "agent_stopped" => paint.state("stopped", "stopped"),
        "agent_started" => "takes turns again".to_owned(),
        "agent_parked" => {
            let parked = paint.state("parked", "parked");
            format!("{parked}{}", facts.words("/why"))
        }
        "agent_resumed" => "resumed: takes turns again".to_owned(),
        _ => turns(kind, facts, paint),
    }
}

fn turns(kind: &str, facts: Facts<'_>, paint: Paint) -> String {
    let turn = paint.dim(&facts.text("turn"));
    match kind {
        "turn_began" => {
            let messages = facts.list("messages");
            let more = match facts
                .number("count")
                .saturating_sub(facts.length("messages"))
            {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            let begins = paint.state("running", "begins");
            format!("turn {turn} {begins} with {}{more}", paint.dim(&messages))
        }
        "turn_step" => {
            let skipped = match facts.number("skipped") {
                0 => String::new(),
                skipped => format!(" (after {})", counted(skipped, "more step", "more steps")),
            };
            format!("turn {turn} {}{skipped}", step(facts))
        }
        "callback" => {
            let (kind, to) = (facts.text("type"), facts.text("to"));
            let message = paint.dim(&facts.text("message"));
            format!("turn {turn} sends {kind} to {to}: message {message}")
        }
        "turn_ended" => {
            let state = facts.text("state");
            let state = paint.state(&state, &state);
            let why = facts.words("/failure/message");
            format!("turn {turn} {state} after {}{why}", facts.took())
        }
        // Of a newer service than we are.
        _ => shown(&format!("{kind} {}", facts.0)),
    }
}

fn step(facts: Facts<'_>) -> String {
    match facts.text("step").as_str() {
        "process" => format!("runs (pid {})", facts.number("pid")),
        "said" => {
            let characters = facts.number("characters");
            format!("says {}", counted(characters, "character", "characters"))
        }
        "tool" => format!("calls {}", facts.text("name")),
        _ => format!("has trouble{}", facts.words("/text")),
    }
}

/// The data of an event; what it says is safe to show.
#[derive(Clone, Copy)]
struct Facts<'a>(&'a Value);

impl Facts<'_> {
    fn given(self, key: &str) -> Option<String> {
        self.0.get(key)?.as_str().map(cut)
    }

    fn text(self, key: &str) -> String {
        self.given(key).unwrap_or_default()
    }

    fn number(self, key: &str) -> u64 {
        self.0.get(key).and_then(Value::as_u64).unwrap_or_default()
    }

    fn length(self, key: &str) -> u64 {
        let items = self.0.get(key).and_then(Value::as_array);
        let length = items.map_or(0, Vec::len);
        u64::try_from(length).unwrap_or(u64::MAX)
    }

    fn list(self, key: &str) -> String {
        let items = self.0.get(key).and_then(Value::as_array);
        let texts = items.into_iter().flatten().filter_map(Value::as_str);
        let texts: Vec<_> = texts.map(shown).collect();
        texts.join(", ")
    }

    /// `: words`, where there are some.
    fn words(self, pointer: &str) -> String {
        let words = self.0.pointer(pointer).and_then(Value::as_str);
        let words = words.filter(|words| !words.is_empty());
        words.map_or_else(String::new, |words| format!(": {}", cut(words)))
    }

    fn took(self) -> String {
        let milliseconds = self.number("took_ms");
        if milliseconds < 1000 {
            return format!("{milliseconds}ms");
        }
        span(TimeDelta::milliseconds(
            i64::try_from(milliseconds).unwrap_or(i64::MAX / 2),
        ))
    }

    fn time(self) -> String {
        match self.0.get("at") {
            Some(_) => self.clock_time("at"),
            None => "        -".to_owned(),
        }
    }

    fn clock_time(self, key: &str) -> String {
        let time = self.text(key).parse::<DateTime<Utc>>();
        time.map_or_else(
            |_| self.text(key),
            |time| time.format("%H:%M:%SZ").to_string(),
        )
    }
}

fn cut(text: &str) -> String {
    let short: String = text.chars().take(LONGEST_WORDS).collect();
    let dots = if short.len() < text.len() { "…" } else { "" };
    shown(&short) + dots
}
