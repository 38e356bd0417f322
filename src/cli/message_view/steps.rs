//! What became of one message, step by step.

use chrono::{DateTime, Utc};

use super::{AttemptView, DeliveryView, MessageView, SummaryView, TurnView, due_in, said, time};
use crate::cli::agent_view::{Paint, counted, shown, span};

/// The priority of a message that asks for none.
const NORMAL_PRIORITY: u8 = 4;

/// A step, and when it was.
type Step = (DateTime<Utc>, String);

/// All there is to know of a message, for people.
pub(in crate::cli) fn steps(message: &MessageView, now: DateTime<Utc>, paint: Paint) -> String {
    let state = paint.state(&message.state, &shown(&message.state));
    let mut lines = vec![format!("{} {state}", paint.bold(&shown(&message.id)))];
    let fact = |(name, fact)| format!("  {} {fact}", paint.dim(&format!("{name:<12}")));
    lines.extend(facts(message).into_iter().map(fact));
    lines.push(String::new());
    let mut steps = taken(message);
    // Stable: what happened at the same time stays in its order.
    steps.sort_by_key(|(at, _)| *at);
    let step = |(at, step)| format!("{}  {step}", paint.dim(&time(at)));
    lines.extend(steps.into_iter().map(step));
    let due = message
        .delivery
        .as_ref()
        .and_then(|delivery| delivery.due_at);
    lines.extend(due.map(|due| format!("next try {} ({})", due_in(due, now), time(due))));
    if !message.body.is_null() {
        lines.extend([String::new(), said(&message.body)]);
    }
    lines.push(String::new());
    lines.join("\n")
}

fn facts(message: &MessageView) -> Vec<(&'static str, String)> {
    let text = |text: &Option<String>| text.as_deref().map(shown);
    let priority = message.priority.filter(|level| *level != NORMAL_PRIORITY);
    let facts = [
        (
            "type",
            text(&message.kind).or_else(|| Some(shown(&message.origin))),
        ),
        ("from", text(&message.from)),
        ("to", text(&message.to)),
        ("its own id", text(&message.sender_id)),
        ("conversation", text(&message.context_id)),
        ("answers", text(&message.in_reply_to)),
        ("hops", (message.hops > 0).then(|| message.hops.to_string())),
        ("priority", priority.map(|level| level.to_string())),
        ("expires", message.expires_at.map(time)),
    ];
    let known = facts
        .into_iter()
        .filter_map(|(name, fact)| Some((name, fact?)));
    known.filter(|(_, fact)| !fact.is_empty()).collect()
}

fn taken(message: &MessageView) -> Vec<Step> {
    let is_message = message.origin == "message";
    let mut steps = vec![(message.received_at, "received, and kept".to_owned())];
    for turn in &message.turns {
        steps.push((
            turn.started_at,
            format!("turn {} of {} begins", shown(&turn.id), shown(&turn.agent)),
        ));
    }
    steps.extend(message.callbacks.iter().map(callback));
    for turn in &message.turns {
        steps.extend(turn_end(turn, is_message));
    }
    if let Some(delivery) = &message.delivery {
        steps.extend(delivery.history.iter().map(attempt));
    }
    steps.extend(end(message));
    steps
}

fn callback(callback: &SummaryView) -> Step {
    let kind = callback.kind.as_deref().unwrap_or("message");
    let to = callback.to.as_deref().unwrap_or("nobody");
    let state = match callback.state.as_str() {
        "held" => "kept until its recipient asks for it",
        state => state,
    };
    let step = format!(
        "callback {}: {} to {}, {}",
        shown(&callback.id),
        shown(kind),
        shown(to),
        shown(state)
    );
    (callback.received_at, step)
}

fn turn_end(turn: &TurnView, is_message: bool) -> Option<Step> {
    let ended_at = turn.ended_at?;
    let lasted = span(ended_at - turn.started_at);
    let called_back = match turn.callbacks {
        0 if is_message => "without a callback: nobody was told anything".to_owned(),
        0 => "no callbacks".to_owned(),
        number => counted(number, "callback", "callbacks"),
    };
    let step = format!(
        "turn {} ends after {lasted}: {}, {called_back}",
        shown(&turn.id),
        shown(&turn.state)
    );
    Some((ended_at, step))
}

fn attempt(attempt: &AttemptView) -> Step {
    let lasted = (attempt.ended_at - attempt.started_at)
        .num_milliseconds()
        .max(0);
    let status = attempt.status.map(|status| format!(" status {status}"));
    let error = match &attempt.error {
        Some(error) => format!(": {}", shown(error)),
        None => ": delivered".to_owned(),
    };
    let step = format!(
        "try {} took {lasted} ms{}{error}",
        attempt.number,
        status.map_or_else(String::new, |status| format!(",{status}"))
    );
    (attempt.ended_at, step)
}

/// How it ended, where it did.
fn end(message: &MessageView) -> Option<Step> {
    let ended_at = message.ended_at?;
    let reason = message.delivery.as_ref().and_then(DeliveryView::given_up);
    let failure = message.failure.as_ref().map(|failure| &failure.message);
    let step = match reason.or(failure) {
        Some(why) => format!("{}: {}", shown(&message.state), shown(why)),
        None => shown(&message.state),
    };
    Some((ended_at, step))
}

impl DeliveryView {
    fn given_up(&self) -> Option<&String> {
        let is_over = matches!(self.state.as_str(), "dead" | "dropped");
        self.reason
            .as_ref()
            .filter(|_| is_over)
            .map(|reason| &reason.message)
    }
}
