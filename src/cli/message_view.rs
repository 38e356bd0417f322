//! Messages as the API tells of them, and as a terminal shows them.

use chrono::{DateTime, Utc};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::Value;

use super::{
    agent_view::{Paint, counted, shown, span},
    client::Client,
    table,
};

mod steps;
#[cfg(test)]
mod tests;

pub(super) use steps::steps;

/// What stands for itself in a path and in a query; a point does not, for `..` is a way out.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_');

/// How many characters of a type or a party a line has room for.
const WIDEST_CELL: usize = 40;

/// What the commands read of a line of a list.
#[derive(Debug, Deserialize)]
pub(super) struct SummaryView {
    pub(super) id: String,
    #[serde(default)]
    pub(super) origin: String,
    pub(super) state: String,
    #[serde(rename = "type", default)]
    pub(super) kind: Option<String>,
    #[serde(default)]
    pub(super) from: Option<String>,
    #[serde(default)]
    pub(super) to: Option<String>,
    pub(super) received_at: DateTime<Utc>,
    #[serde(default)]
    due_at: Option<DateTime<Utc>>,
    #[serde(default)]
    attempts: u64,
    #[serde(default)]
    callbacks: u64,
    #[serde(default)]
    failure: Option<FailureView>,
}

/// What the commands read of one message.
#[derive(Debug, Deserialize)]
pub(super) struct MessageView {
    pub(super) id: String,
    #[serde(default)]
    pub(super) direction: String,
    #[serde(default)]
    pub(super) origin: String,
    pub(super) state: String,
    #[serde(rename = "type", default)]
    pub(super) kind: Option<String>,
    #[serde(default)]
    pub(super) from: Option<String>,
    #[serde(default)]
    pub(super) to: Option<String>,
    #[serde(default)]
    sender_id: Option<String>,
    #[serde(default)]
    context_id: Option<String>,
    #[serde(default)]
    in_reply_to: Option<String>,
    #[serde(default)]
    hops: u64,
    #[serde(default)]
    priority: Option<u8>,
    #[serde(default)]
    expires_at: Option<DateTime<Utc>>,
    received_at: DateTime<Utc>,
    #[serde(default)]
    ended_at: Option<DateTime<Utc>>,
    #[serde(default)]
    pub(super) failure: Option<FailureView>,
    #[serde(default)]
    pub(super) answer: Option<Value>,
    #[serde(default)]
    turns: Vec<TurnView>,
    #[serde(default)]
    pub(super) callbacks: Vec<SummaryView>,
    #[serde(default)]
    pub(super) delivery: Option<DeliveryView>,
    #[serde(default)]
    pub(super) body: Value,
}

/// Why something got nowhere.
#[derive(Debug, Deserialize)]
pub(super) struct FailureView {
    pub(super) message: String,
}

#[derive(Debug, Deserialize)]
struct TurnView {
    id: String,
    agent: String,
    state: String,
    started_at: DateTime<Utc>,
    #[serde(default)]
    ended_at: Option<DateTime<Utc>>,
    #[serde(default)]
    callbacks: u64,
}

/// What the commands read of the way to a recipient.
#[derive(Debug, Deserialize)]
pub(super) struct DeliveryView {
    state: String,
    #[serde(default)]
    due_at: Option<DateTime<Utc>>,
    #[serde(default)]
    pub(super) reason: Option<FailureView>,
    #[serde(default)]
    history: Vec<AttemptView>,
}

#[derive(Debug, Deserialize)]
struct AttemptView {
    number: u64,
    started_at: DateTime<Utc>,
    ended_at: DateTime<Utc>,
    #[serde(default)]
    status: Option<u16>,
    #[serde(default)]
    error: Option<String>,
}

/// One message: as it came, and as far as we read it.
pub(super) async fn one(client: &Client, path: &str) -> anyhow::Result<(Value, MessageView)> {
    let answer = client.get(path).await?;
    let view = MessageView::deserialize(&answer).map_err(|error| in_another_way(&error))?;
    Ok((answer, view))
}

/// The lines of a list that an answer holds under `key`.
pub(super) fn summaries(answer: &Value, key: &str) -> anyhow::Result<Vec<SummaryView>> {
    let listed = answer.get(key).and_then(Value::as_array);
    let read = listed.into_iter().flatten().map(SummaryView::deserialize);
    let summaries: Result<_, _> = read.collect();
    summaries.map_err(|error| in_another_way(&error))
}

fn in_another_way(error: &serde_json::Error) -> anyhow::Error {
    anyhow::anyhow!("the service tells of a message in another way: {error}")
}

/// A path to one thing below `folder`, whatever its id is made of.
pub(super) fn path_of(folder: &str, id: &str) -> String {
    format!("{folder}/{}", encoded(id))
}

/// A path with those of the parameters that are set.
pub(super) fn with_query(path: &str, parameters: &[(&str, Option<String>)]) -> String {
    let set = parameters.iter().filter_map(|(name, value)| {
        let value = value.as_deref()?;
        Some(format!("{name}={}", encoded(value)))
    });
    let set: Vec<_> = set.collect();
    if set.is_empty() {
        return path.to_owned();
    }
    format!("{path}?{}", set.join("&"))
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}

/// Messages as a table; the last column says what is worth knowing.
pub(super) fn list(summaries: &[SummaryView], now: DateTime<Utc>, paint: Paint) -> String {
    let head = ["ID", "RECEIVED", "STATE", "TYPE", "FROM", "TO", "NOTE"];
    let rows = summaries.iter().map(|summary| {
        [
            shown(&summary.id),
            time(summary.received_at),
            shown(&summary.state),
            cell(summary.kind.as_deref().or(Some(&summary.origin))),
            cell(summary.from.as_deref()),
            cell(summary.to.as_deref()),
            note(summary, now),
        ]
    });
    table::table(head, rows, 2, paint)
}

fn note(summary: &SummaryView, now: DateTime<Utc>) -> String {
    let mut notes = Vec::new();
    if summary.attempts > 1 || (summary.attempts > 0 && summary.due_at.is_some()) {
        notes.push(counted(summary.attempts, "try", "tries"));
    }
    if let Some(due) = summary.due_at {
        notes.push(format!("next {}", due_in(due, now)));
    }
    if summary.callbacks > 0 {
        notes.push(counted(summary.callbacks, "callback", "callbacks"));
    }
    if let Some(failure) = &summary.failure {
        notes.push(shown(&failure.message));
    }
    notes.join(", ")
}

/// `in 5m00s`, or `now`.
fn due_in(due: DateTime<Utc>, now: DateTime<Utc>) -> String {
    if due <= now {
        return "now".to_owned();
    }
    format!("in {}", span(due - now))
}

fn time(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%SZ").to_string()
}

/// Text of a sender, short enough for a table.
fn cell(text: Option<&str>) -> String {
    let Some(text) = text.filter(|text| !text.is_empty()) else {
        return "-".to_owned();
    };
    let text = shown(text);
    if text.chars().count() <= WIDEST_CELL {
        return text;
    }
    let begin: String = text.chars().take(WIDEST_CELL - 1).collect();
    format!("{begin}…")
}

/// What a message says: its text where it is one, else its payload as JSON.
pub(super) fn said(body: &Value) -> String {
    let payload = body.get("payload").unwrap_or(body);
    let is_text_alone = payload.as_object().is_none_or(|fields| fields.len() == 1);
    let text = payload.get("text").unwrap_or(payload).as_str();
    match text {
        Some(text) if is_text_alone => readable(text),
        // JSON escapes what commands a terminal, save what is no ASCII.
        _ => readable(&format!("{payload:#}")),
    }
}

/// Text from outside with its lines, without what commands a terminal.
pub(super) fn readable(text: &str) -> String {
    let is_harmless = |character: &char| !character.is_control() || "\n\t".contains(*character);
    text.chars().filter(is_harmless).collect()
}
