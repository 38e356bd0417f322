//! One message with all that is known of it.

use chrono::{DateTime, Utc};
use maud::{Markup, html};
use postroom_actors::{
    domain::{
        agent_message::Envelope,
        envelope::InboxForm,
        excerpt,
        ids::{AgentId, ContextId, MessageId},
        post::{Attempt, DeliveryRecord, MessageRecord, MessageSummary},
        task::{TaskRecord, TaskState},
        turn::TurnRecord,
    },
    ports::recent::{MailboxMessage, RecentLine},
};

use serde::de::IgnoredAny;

use super::{
    answer::PageError,
    messages,
    sections::{Look, Pen, Section, View},
    troubles, turn, words,
};

/// Of a text at most so many bytes are shown.
const LONGEST: usize = 64 << 10;

/// The page of a message.
///
/// # Errors
/// 404 for an unknown message, 503 where the store cannot be read.
pub(super) async fn view(look: &Look<'_>, id: MessageId) -> Result<View, PageError> {
    let shared = look.shared;
    if let Some(record) = shared.book.message(id).await? {
        return of_book(look, id, record).await;
    }
    let found = shared.recent.mailbox_message(id, LONGEST).await?;
    let message = found.ok_or(PageError::unknown("There is no such message (any more)."))?;
    Ok(of_mailbox(look, &message))
}

async fn of_book(look: &Look<'_>, id: MessageId, record: MessageRecord) -> Result<View, PageError> {
    let book = &look.shared.book;
    let turns = book.turns_of_message(id).await?;
    let callbacks = book.callbacks(id).await?;
    let mut lines = look.shared.recent.lines(vec![id]).await?;
    let summary = lines.pop().and_then(|line| match line {
        RecentLine::Message { summary, .. } => Some(*summary),
        RecentLine::Mailbox(_) => None,
    });
    let summary = summary.ok_or(PageError::unknown("There is no such message (any more)."))?;
    let mut sections = vec![state(look, &summary, &record)];
    let (body, answer) = match &record {
        MessageRecord::Task(task) => {
            sections.push(turns_section(look, &turns));
            if let Some(last) = turns.last() {
                sections.extend(batch(look, last).await);
            }
            (&task.task.body, task.answer.as_ref())
        }
        MessageRecord::Delivery(delivery) => {
            sections.push(tries(look, delivery));
            (&delivery.delivery.body, None)
        }
    };
    if let Some(answer) = answer {
        sections.push(Section::titled("answer", "Answer", &text(&answer.text)));
    }
    sections.push(callbacks_section(look, callbacks).await);
    // It is long: what is short comes first.
    if let (MessageRecord::Task(_), Some(last)) = (&record, turns.last()) {
        sections.push(turn::output(look, last).await);
    }
    let head = html! {
        h1 { (messages::from_to(&summary)) }
        @if let Some(words) = excerpt::words_of(body) {
            section { h2 { "What it says" } (text(&words)) }
        }
    };
    Ok(View {
        title: "Message".to_owned(),
        head,
        sections,
        foot: html! { section { h2 { "Body" } (json(body)) } },
    })
}

fn state(pen: &Pen<'_>, summary: &MessageSummary, record: &MessageRecord) -> Section {
    let envelope = summary.envelope.as_deref();
    let (attempts, ended) = match record {
        MessageRecord::Task(task) => (task.attempts, task.ended_at),
        MessageRecord::Delivery(delivery) => (delivery.attempts, delivery.ended_at),
    };
    let content = html! {
        div data-message=(summary.id) data-state=(summary.state) {
            dl.facts {
                div { dt { "State" } dd { (words::state(summary.state)) } }
                div { dt { "Came" } dd { (words::ago(summary.received_at, pen.now)) } }
                @if let MessageRecord::Task(task) = record { (begun(pen, task)) }
                @if let Some(ended) = ended { div { dt { "Ended" } dd { (words::ago(ended, pen.now)) } } }
                @if let Some(due) = summary.due { div { dt { "Next try" } dd { (words::until(due, pen.now)) } } }
                div { dt { "Tries" } dd { (attempts) } }
                @if let Some(envelope) = envelope { (facts(pen, envelope)) }
                @if let MessageRecord::Task(task) = record {
                    div { dt { "Session" } dd { code { (words::clean(task.task.session.as_str(), 200)) } } }
                }
                div { dt { "Id" } dd { code { (summary.id) } } }
            }
            @if let Some(trouble) = &summary.trouble {
                p.trouble { (words::said(&messages::trouble_text(trouble), 2000)) }
            }
            @if is_dead_letter(summary, record) { (troubles::buttons(pen, summary.id)) }
        }
    };
    Section::new("message", Some(summary.state), &html! { "State" }, &content)
}

/// One that was dropped stays failed, and is still shown with its buttons: they say so.
fn is_dead_letter(summary: &MessageSummary, record: &MessageRecord) -> bool {
    match record {
        MessageRecord::Task(task) => summary.envelope.is_some() && task.state == TaskState::Failed,
        MessageRecord::Delivery(_) => summary.state == "dead",
    }
}

fn begun(pen: &Pen<'_>, task: &TaskRecord) -> Markup {
    html! {
        @if let Some(started) = task.started_at {
            div { dt { "First turn" } dd { (words::ago(started, pen.now)) } }
        }
    }
}

pub(super) fn facts(pen: &Pen<'_>, envelope: &Envelope) -> Markup {
    let fact = |name: &str, value: Option<&str>| {
        html! { @if let Some(value) = value { div { dt { (name) } dd { (words::said(value, 300)) } } } }
    };
    let context = envelope.context_id.as_ref().map(ContextId::as_str);
    let remote = envelope.remote_agent.as_ref().map(AgentId::as_str);
    html! {
        (fact("Type", Some(&envelope.kind)))
        (fact("Conversation", context))
        (fact("Its sender's id", envelope.sender_id.as_deref()))
        (fact("Agent of the peer", remote))
        (fact("Answers", envelope.in_reply_to.as_deref()))
        @if let Some(answers) = envelope.answers {
            div { dt { "Answers message" } dd { a href={ "/web/messages/" (answers) } { code { (answers) } } } }
        }
        @if let Some(turn) = envelope.turn {
            div { dt { "Sent in turn" } dd { a href={ "/web/turns/" (turn) } { code { (turn) } } } }
        }
        (fact("Answers go to", envelope.reply_to.as_deref()))
        div { dt { "Hops" } dd { (envelope.hops) } }
        div { dt { "Priority" } dd { (envelope.priority.level()) } }
        @if let Some(expires) = envelope.expires_at { div { dt { "Expires" } dd { (when(pen, expires)) } } }
    }
}

fn when(pen: &Pen<'_>, time: DateTime<Utc>) -> Markup {
    if time > pen.now {
        words::until(time, pen.now)
    } else {
        words::ago(time, pen.now)
    }
}

fn turns_section(pen: &Pen<'_>, turns: &[TurnRecord]) -> Section {
    let content = html! {
        @if turns.is_empty() {
            p.empty { "No turn has begun with it." }
        } @else {
            (turn::table(pen, turns))
        }
    };
    Section::titled("turns", "Turns that worked on it", &content)
}

/// What its last turn worked on, where that was more than this message.
async fn batch(look: &Look<'_>, turn: &TurnRecord) -> Option<Section> {
    if turn.tasks.len() < 2 {
        return None;
    }
    let lines = look.shared.recent.lines(turn.tasks.clone()).await.ok()?;
    let content = messages::table(look, &lines);
    Some(Section::titled(
        "batch",
        "The batch that its last turn worked on",
        &content,
    ))
}

fn tries(pen: &Pen<'_>, delivery: &DeliveryRecord) -> Section {
    let content = html! {
        @if delivery.history.is_empty() {
            p.empty { "It was not tried yet." }
        } @else {
            table.cards {
                thead {
                    tr {
                        th scope="col" { "Try" }
                        th scope="col" { "When" }
                        th scope="col" { "Took" }
                        th scope="col" { "Answer" }
                    }
                }
                tbody { @for attempt in delivery.history.iter().rev() { (one_try(pen, attempt)) } }
            }
        }
    };
    Section::titled("tries", "Tries to deliver it", &content)
}

pub(super) fn one_try(pen: &Pen<'_>, attempt: &Attempt) -> Markup {
    let took = (attempt.ended_at - attempt.started_at).to_std();
    html! {
        tr {
            td data-label="Try" { (attempt.number) }
            td data-label="When" { (words::ago(attempt.started_at, pen.now)) }
            td data-label="Took" { (words::short(took.unwrap_or_default())) }
            td data-label="Answer" {
                @if let Some(status) = attempt.status { (status) " " }
                @match &attempt.error {
                    Some(error) => span.why { (words::said(error, 400)) },
                    None => (words::state("delivered")),
                }
            }
        }
    }
}

async fn callbacks_section(look: &Look<'_>, callbacks: Vec<MessageSummary>) -> Section {
    let ids = callbacks.iter().map(|callback| callback.id).collect();
    let lines = look.shared.recent.lines(ids).await.unwrap_or_default();
    let content = html! {
        @if lines.is_empty() { p.empty { "Nothing was sent in answer to it." } }
        @else { (messages::table(look, &lines)) }
    };
    Section::titled("callbacks", "Callbacks", &content)
}

pub(super) fn of_mailbox(pen: &Pen<'_>, message: &MailboxMessage) -> View {
    let line = &message.line;
    let form = match message.form {
        InboxForm::Whole => "the whole request",
        InboxForm::Repeat => "conversation and prompt",
        InboxForm::RepeatWithMessage => "conversation, prompt and the whole request",
    };
    let file = line.id.file_name(line.received_at);
    let content = html! {
        div data-message=(line.id) data-state=(line.state()) {
            dl.facts {
                div { dt { "State" } dd { (words::state(line.state())) } }
                div { dt { "Came" } dd { (words::ago(line.received_at, pen.now)) } }
                @if let Some(context) = &line.context_id {
                    div { dt { "Conversation" } dd { (words::said(context.as_str(), 300)) } }
                }
                div { dt { "Its inbox file holds" } dd { (form) } }
                div { dt { "File of its own, or of a batch" } dd { code { (file) } } }
                @if message.exchanges > 0 {
                    div { dt { "Steps of its tool loop" } dd { (message.exchanges) } }
                }
                div { dt { "Id" } dd { code { (line.id) } } }
            }
        }
    };
    let mut sections = vec![Section::new(
        "message",
        Some(line.state()),
        &html! { "State" },
        &content,
    )];
    if !message.replies.is_empty() {
        sections.push(replies(pen, message));
    }
    let foot = html! {
        @if let Some(prompt) = &message.prompt { section { h2 { "Prompt" } (text(prompt)) } }
        @if let Some(body) = &message.body {
            section {
                h2 { "Body" }
                (json(body.text.as_bytes()))
                @if body.whole_bytes > u64::try_from(LONGEST).unwrap_or(u64::MAX) {
                    p.quiet { "The whole body has " (words::bytes(body.whole_bytes)) "." }
                }
            }
        }
    };
    View {
        title: "Message".to_owned(),
        head: html! { h1 { "A request to the mailbox" } },
        sections,
        foot,
    }
}

fn replies(pen: &Pen<'_>, message: &MailboxMessage) -> Section {
    let content = html! {
        @for reply in &message.replies {
            h3 {
                span.quiet { "backend " } (words::clean(&reply.backend, 60)) " "
                (words::state(messages::outcome_word(reply.outcome))) " "
                span.quiet { (words::ago(reply.ended_at, pen.now)) }
            }
            @if let Some(said) = &reply.text { (text(said)) }
        }
    };
    Section::titled("replies", "Replies of the backend", &content)
}

/// A text of others, as long as it may be.
pub(super) fn text(text: &str) -> Markup {
    let (beginning, is_cut) = beginning(text);
    html! {
        pre.text dir="auto" tabindex="0" { (words::clean_lines(beginning)) }
        @if is_cut { p.quiet { "The whole text has " (size(text.len())) "." } }
    }
}

/// A body, with its JSON laid out where it is whole.
fn json(body: &[u8]) -> Markup {
    if body.len() > LONGEST {
        let text_of_it = String::from_utf8_lossy(body);
        return text(&text_of_it);
    }
    let as_it_came = String::from_utf8_lossy(body);
    match serde_json::from_slice::<IgnoredAny>(body) {
        Ok(_) => text(&laid_out(&as_it_came)),
        Err(_not_json) => text(&as_it_came),
    }
}

/// JSON with a line for each value, in the order and the words that it came with.
fn laid_out(json: &str) -> String {
    let mut laid = String::with_capacity(json.len() * 2);
    let mut depth: usize = 0;
    let (mut in_text, mut is_escaped, mut after_opening) = (false, false, false);
    for character in json.chars() {
        if in_text {
            laid.push(character);
            in_text = is_escaped || character != '"';
            is_escaped = !is_escaped && character == '\\';
            continue;
        }
        if character.is_whitespace() {
            continue;
        }
        let is_closing = matches!(character, '}' | ']');
        if is_closing {
            depth = depth.saturating_sub(1);
        }
        // Nothing in between: `{}` stays together.
        if after_opening != is_closing {
            new_line(&mut laid, depth);
        }
        after_opening = matches!(character, '{' | '[');
        laid.push(character);
        match character {
            '"' => in_text = true,
            '{' | '[' => depth += 1,
            ',' => new_line(&mut laid, depth),
            ':' => laid.push(' '),
            _ => {}
        }
    }
    laid
}

/// Deeper than this nothing is moved to the right any more.
const DEEPEST: usize = 20;

fn new_line(text: &mut String, depth: usize) {
    text.push('\n');
    text.extend(std::iter::repeat_n("  ", depth.min(DEEPEST)));
}

fn beginning(text: &str) -> (&str, bool) {
    let end = text.floor_char_boundary(LONGEST);
    let (beginning, rest) = text.split_at(end);
    (beginning, !rest.is_empty())
}

fn size(bytes: usize) -> String {
    words::bytes(u64::try_from(bytes).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_laid_out_in_its_own_order_and_words() {
        let json = r#"{"b":[1,{"a":"x \"y\\"}],"a":{},"c":[ ],"n":1.50}"#;
        let laid = r#"{
  "b": [
    1,
    {
      "a": "x \"y\\"
    }
  ],
  "a": {},
  "c": [],
  "n": 1.50
}"#;
        assert_eq!(laid_out(json), laid);
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let long = "ä".repeat(LONGEST);
        let (begin, is_cut) = beginning(&long);
        assert!(is_cut && begin.len() <= LONGEST && begin.chars().all(|it| it == 'ä'));
        assert_eq!(beginning("short"), ("short", false));
    }
}
