//! The newest messages of all kinds, in one list.
//!
//! Each kind is read from its own table, in the order of ids, and no further than a bounded number
//! of rows. The list is whole down to where the first of these stopped; the next page begins there.

use std::collections::BTreeSet;

use postroom_actors::{
    domain::{
        excerpt,
        ids::{AgentId, ContextId, MessageId},
        party::Party,
        post::MessageFilter,
        task::{TaskOrigin, TaskState},
    },
    ports::recent::{
        CutText, FILED, MailboxLine, MailboxMessage, PENDING, RecentFilter, RecentKind, RecentLine,
        RecentPage,
    },
};
use rusqlite::{Connection, OptionalExtension, Result, Row, params};

use super::{
    message_list,
    message_summary::summaries,
    reader::replies_up_to,
    rows::{form, message_id, optional_time, outcome, time},
    task_rows::{agent_id, origin, task_state},
};

/// Rows of one table that one page looks at, at most.
const MOST_LOOKED_AT: usize = 2000;

/// The longest body in bytes that is read for a line of the list.
const LONGEST_READ: i64 = 64 << 10;

const MAILBOX: &str = "SELECT id, EXISTS (SELECT 1 FROM pending_inbox
                                          WHERE pending_inbox.seq = message.seq)
     FROM message WHERE id < ?1 ORDER BY id DESC";

const TASKS: &str = "SELECT id, origin, agent, state, is_forgotten FROM task
     WHERE id < ?1 ORDER BY id DESC";

/// What one table has.
#[derive(Default)]
struct Found {
    /// Newest first.
    ids: Vec<MessageId>,
    /// Where the search stopped before the table's end.
    stopped_at: Option<MessageId>,
}

pub(super) fn recent(connection: &Connection, filter: &RecentFilter) -> Result<RecentPage> {
    // One more tells whether there are older ones.
    let wanted = filter.limit.saturating_add(1);
    let is_asked = |kind| filter.kind.is_none_or(|asked| asked == kind);
    let mut found = Vec::new();
    if is_asked(RecentKind::Mailbox) && filter.agent.is_none() {
        found.push(of_mailbox(connection, filter, wanted)?);
    }
    if is_asked(RecentKind::Chat) {
        found.push(of_chats(connection, filter, wanted)?);
    }
    if is_asked(RecentKind::Message) {
        found.push(of_messages(connection, filter, wanted)?);
    }
    let (ids, older) = merged(found, filter.limit);
    Ok(RecentPage {
        lines: lines(connection, &ids)?,
        older,
    })
}

/// The newest of all that is known to be whole, and where to go on.
fn merged(found: Vec<Found>, limit: usize) -> (Vec<MessageId>, Option<MessageId>) {
    let stopped_at = found.iter().filter_map(|found| found.stopped_at).max();
    let ids: BTreeSet<MessageId> = found.into_iter().flat_map(|found| found.ids).collect();
    let mut whole = ids
        .into_iter()
        .rev()
        .take_while(|id| stopped_at.is_none_or(|stopped| *id >= stopped));
    let page: Vec<_> = whole.by_ref().take(limit).collect();
    let last = page.last().copied();
    let older = if whole.next().is_some() {
        last
    } else {
        stopped_at
    };
    (page, older)
}

fn of_mailbox(connection: &Connection, filter: &RecentFilter, wanted: usize) -> Result<Found> {
    let pending = match filter.state.as_deref() {
        None => None,
        Some(PENDING) => Some(true),
        Some(FILED) => Some(false),
        Some(_other) => return Ok(Found::default()),
    };
    search(connection, MAILBOX, filter, wanted, |row| {
        Ok(pending.is_none_or(|pending| row.get(1) == Ok(pending)))
    })
}

fn of_chats(connection: &Connection, filter: &RecentFilter, wanted: usize) -> Result<Found> {
    search(connection, TASKS, filter, wanted, |row| {
        let state = filter.state.as_deref();
        let is_of = |agent: &AgentId| agent_id(row, 2).map(|own| own == *agent);
        Ok(origin(row, 1)? != TaskOrigin::Message
            && !row.get::<_, bool>(4)?
            && filter.agent.as_ref().map_or(Ok(true), is_of)?
            && state.map_or(Ok(true), |state| {
                task_state(row, 3).map(|own| TaskState::as_str(own) == state)
            })?)
    })
}

fn of_messages(connection: &Connection, filter: &RecentFilter, wanted: usize) -> Result<Found> {
    if matches!(filter.state.as_deref(), Some(PENDING | FILED)) {
        return Ok(Found::default());
    }
    let ids = message_list::newest(
        connection,
        &MessageFilter {
            party: filter.agent.clone().map(Party::Agent),
            state: filter.state.clone(),
            before: filter.before,
            limit: wanted,
            ..MessageFilter::default()
        },
    )?;
    let is_full = ids.len() >= wanted;
    Ok(Found {
        stopped_at: ids.last().copied().filter(|_| is_full),
        ids,
    })
}

/// The ids of those rows that are `right`; columns: id and whatever that looks at.
fn search(
    connection: &Connection,
    query: &str,
    filter: &RecentFilter,
    wanted: usize,
    is_right: impl Fn(&Row<'_>) -> Result<bool>,
) -> Result<Found> {
    let mut select = connection.prepare_cached(query)?;
    // No id is greater than one byte more than an id has.
    let before = filter.before.map_or_else(
        || vec![u8::MAX; 17],
        |message| message.as_uuid().as_bytes().to_vec(),
    );
    let mut rows = select.query(params![before])?;
    let mut found = Found::default();
    let mut looked_at = 0;
    while let Some(row) = rows.next()? {
        let id = message_id(row, 0)?;
        looked_at += 1;
        if is_right(row)? {
            found.ids.push(id);
        }
        if found.ids.len() >= wanted || looked_at >= MOST_LOOKED_AT {
            found.stopped_at = Some(id);
            break;
        }
    }
    Ok(found)
}

pub(super) fn lines(connection: &Connection, ids: &[MessageId]) -> Result<Vec<RecentLine>> {
    let mut found = Vec::with_capacity(ids.len());
    for id in ids {
        if let Some(summary) = summaries(connection, &[*id])?.pop() {
            found.push(RecentLine::Message {
                words: words(connection, *id)?,
                summary: Box::new(summary),
            });
        } else if let Some(line) = mailbox_line(connection, *id)? {
            found.push(RecentLine::Mailbox(line));
        }
    }
    Ok(found)
}

fn words(connection: &Connection, id: MessageId) -> Result<Option<String>> {
    let body: Option<Vec<u8>> = connection
        .prepare_cached(
            "SELECT CASE WHEN length(json) <= ?2 THEN json END
             FROM (SELECT task_body.json FROM task JOIN task_body ON task_body.seq = task.seq
                   WHERE task.id = ?1
                   UNION ALL
                   SELECT delivery_body.json
                   FROM delivery JOIN delivery_body ON delivery_body.seq = delivery.seq
                   WHERE delivery.id = ?1)
             LIMIT 1",
        )?
        .query_row(params![id.as_uuid().as_bytes(), LONGEST_READ], |row| {
            row.get(0)
        })
        .optional()?
        .flatten();
    Ok(body.as_deref().and_then(excerpt::of_body))
}

/// Columns of a [`MailboxLine`].
const LINE: &str = "message.id, received_ms, context_id, reply_due_ms,
     EXISTS (SELECT 1 FROM pending_inbox WHERE pending_inbox.seq = message.seq),
     (SELECT outcome FROM reply WHERE reply.seq = message.seq ORDER BY exchange DESC LIMIT 1),
     substr(prompt, 1, 1000)";

fn mailbox_line(connection: &Connection, id: MessageId) -> Result<Option<MailboxLine>> {
    connection
        .prepare_cached(&format!("SELECT {LINE} FROM message WHERE message.id = ?1"))?
        .query_row(params![id.as_uuid().as_bytes()], line)
        .optional()
}

fn line(row: &Row<'_>) -> Result<MailboxLine> {
    let reply = match row.get_ref(5)?.as_str_or_null()? {
        Some(_word) => Some(outcome(row, 5)?),
        None => None,
    };
    let prompt: Option<String> = row.get(6)?;
    Ok(MailboxLine {
        id: message_id(row, 0)?,
        received_at: time(row, 1)?,
        context_id: row.get::<_, Option<String>>(2)?.map(ContextId::new),
        reply_due: optional_time(row, 3)?,
        is_pending: row.get(4)?,
        reply,
        words: prompt.as_deref().and_then(excerpt::of_text),
    })
}

pub(super) fn mailbox_message(
    connection: &Connection,
    id: MessageId,
    longest: usize,
) -> Result<Option<MailboxMessage>> {
    let longest = i64::try_from(longest).unwrap_or(i64::MAX);
    let found = connection
        .prepare_cached(&format!(
            "SELECT {LINE}, form, substr(prompt, 1, ?2), substr(body.json, 1, ?2),
                    length(body.json),
                    (SELECT count(*) FROM exchange WHERE exchange.seq = message.seq)
             FROM message LEFT JOIN body ON body.seq = message.seq WHERE message.id = ?1"
        ))?
        .query_row(params![id.as_uuid().as_bytes(), longest], |row| {
            Ok(MailboxMessage {
                line: line(row)?,
                form: form(row, 7)?,
                prompt: row.get(8)?,
                body: body(row)?,
                exchanges: row.get(11)?,
                replies: Vec::new(),
            })
        })
        .optional()?;
    let Some(message) = found else {
        return Ok(None);
    };
    Ok(Some(MailboxMessage {
        replies: replies_up_to(connection, id, longest)?,
        ..message
    }))
}

fn body(row: &Row<'_>) -> Result<Option<CutText>> {
    let beginning: Option<Vec<u8>> = row.get(9)?;
    let whole_bytes: Option<i64> = row.get(10)?;
    Ok(beginning.map(|beginning| CutText {
        text: String::from_utf8_lossy(&beginning).into_owned(),
        whole_bytes: whole_bytes.and_then(|all| all.try_into().ok()).unwrap_or(0),
    }))
}

#[cfg(test)]
mod tests {
    use super::{super::message_list::tests::assert_stops_at_its_limit, MAILBOX, TASKS};

    #[test]
    fn the_tables_are_read_in_the_order_of_ids_and_no_further_than_asked() {
        for query in [MAILBOX, TASKS] {
            assert_stops_at_its_limit(query);
        }
    }
}
