//! Lists of messages, newest first, over tasks and deliveries.
//!
//! A list is made in two steps. The ids come from an index that the filter can use and that is in
//! the order of ids, so reading stops at the limit; then each line is looked up by its id.

use std::collections::BTreeSet;

use postroom_actors::domain::{
    ids::MessageId,
    party::Party,
    post::{Direction, MessageFilter, MessageSummary},
};
use rusqlite::{Connection, Result, params};

use super::{
    message_summary::{CALLBACKS_OF, SHOWN_STATE, summaries},
    rows::message_id,
    tasks::IS_DEAD_LETTER,
};

/// Callbacks that are listed of one message at most.
const MOST_CALLBACKS: i64 = 100;

/// A way to the ids of messages. Parameters are those of [`ids_on`].
struct Way {
    /// The table that is read first.
    first: &'static str,
    /// What is looked up besides.
    joined: &'static str,
    /// What the first table's index is asked.
    asks: &'static str,
    /// The id in the first table.
    id: &'static str,
}

const ALL: Way = Way::of_envelopes("envelope", "true");
const OF_SENDER: Way = Way::of_envelopes(
    "envelope INDEXED BY envelope_of_sender",
    "envelope.sender = ?3",
);
const TO_RECIPIENT: Way = Way::of_envelopes(
    "envelope INDEXED BY envelope_to_recipient",
    "envelope.recipient = ?4",
);
const BY_PARTY: Way = Way::of_envelopes(
    "envelope INDEXED BY envelope_of_sender",
    "envelope.sender = ?5",
);
const TO_PARTY: Way = Way::of_envelopes(
    "envelope INDEXED BY envelope_to_recipient",
    "envelope.recipient = ?5",
);
const IN_CONTEXT: Way = Way::of_envelopes(
    "envelope INDEXED BY envelope_in_context",
    "envelope.context_id = ?6",
);
const DELIVERIES_IN_STATE: Way = Way::of_deliveries("delivery.state = ?7");
const DEAD_DELIVERIES: Way = Way::of_deliveries("delivery.state = 'dead'");
const TASKS_IN_STATE: Way = Way::of_tasks("task.origin = 'message' AND task.state = ?7");
const FAILED_TASKS: Way = Way::of_tasks("task.origin = 'message' AND task.state = 'failed'");
/// Shown as answered, kept as done: see [`SHOWN_STATE`].
const ANSWERED_TASKS: Way =
    Way::of_tasks("task.origin = 'message' AND task.state = 'done' AND ?7 = 'answered'");

impl Way {
    const fn of_envelopes(first: &'static str, asks: &'static str) -> Self {
        Self {
            first,
            joined: "LEFT JOIN task ON task.id = envelope.id
                     LEFT JOIN delivery ON delivery.id = envelope.id",
            asks,
            id: "envelope.id",
        }
    }

    const fn of_deliveries(asks: &'static str) -> Self {
        Self {
            first: "delivery INDEXED BY delivery_in_state",
            joined: "CROSS JOIN envelope ON envelope.id = delivery.id
                     LEFT JOIN task ON task.id = delivery.id",
            asks,
            id: "delivery.id",
        }
    }

    const fn of_tasks(asks: &'static str) -> Self {
        Self {
            first: "task INDEXED BY message_in_state",
            joined: "CROSS JOIN envelope ON envelope.id = task.id
                     LEFT JOIN delivery ON delivery.id = task.id",
            asks,
            id: "task.id",
        }
    }

    fn query(&self) -> String {
        let Self {
            first,
            joined,
            asks,
            id,
        } = self;
        format!(
            "SELECT {id} FROM {first} {joined}
             WHERE {asks} AND {id} < ?1
               AND (?3 IS NULL OR envelope.sender = ?3)
               AND (?4 IS NULL OR envelope.recipient = ?4)
               AND (?5 IS NULL OR envelope.sender = ?5 OR envelope.recipient = ?5)
               AND (?6 IS NULL OR envelope.context_id = ?6)
               AND (?7 IS NULL OR ?7 = {SHOWN_STATE})
               AND (?8 IS NULL OR ?8 = (task.id IS NOT NULL OR envelope.recipient LIKE 'agent:%'))
               AND (NOT ?9 OR CASE WHEN task.id IS NULL THEN delivery.state = 'dead'
                                   ELSE {IS_DEAD_LETTER} END)
               AND NOT coalesce(task.is_forgotten, 0)
             ORDER BY {id} DESC LIMIT ?2"
        )
    }
}

/// Chats and responses, which have no envelope. They match an agent as their recipient, and the key
/// that they came with as their sender.
const CHATS: &str = "SELECT task.id FROM task
     WHERE task.id < ?1 AND NOT EXISTS (SELECT 1 FROM envelope WHERE envelope.id = task.id)
       AND (?3 IS NULL OR 'key:' || caller = ?3)
       AND (?4 IS NULL OR 'agent:' || agent = ?4)
       AND (?5 IS NULL OR 'agent:' || agent = ?5 OR 'key:' || caller = ?5)
       AND ?6 IS NULL
       AND (?7 IS NULL OR state = ?7)
       AND (?8 IS NULL OR ?8)
       AND NOT ?9
       AND NOT is_forgotten
     ORDER BY task.id DESC LIMIT ?2";

/// The ways that find all messages of a filter with few rows read in vain.
fn ways(filter: &MessageFilter) -> &'static [Way] {
    // Most messages come to be in one of these; few are in another state at one time.
    let is_common = |state: &str| matches!(state, "done" | "answered" | "delivered");
    match filter.state.as_deref() {
        _ if filter.dead => &[DEAD_DELIVERIES, FAILED_TASKS],
        Some(state) if !is_common(state) => &[DELIVERIES_IN_STATE, TASKS_IN_STATE],
        _ if filter.context_id.is_some() => &[IN_CONTEXT],
        _ if filter.sender.is_some() => &[OF_SENDER],
        _ if filter.recipient.is_some() => &[TO_RECIPIENT],
        _ if filter.party.is_some() => &[BY_PARTY, TO_PARTY],
        Some(_common) => &[DELIVERIES_IN_STATE, TASKS_IN_STATE, ANSWERED_TASKS],
        None => &[ALL],
    }
}

pub(super) fn messages(
    connection: &Connection,
    filter: &MessageFilter,
) -> Result<Vec<MessageSummary>> {
    summaries(connection, &newest(connection, filter)?)
}

/// The ids of the newest messages that a filter lets through.
pub(super) fn newest(connection: &Connection, filter: &MessageFilter) -> Result<Vec<MessageId>> {
    let mut found = BTreeSet::new();
    for way in ways(filter) {
        found.extend(ids_on(connection, &way.query(), filter)?);
    }
    if filter.all_origins {
        found.extend(ids_on(connection, CHATS, filter)?);
    }
    Ok(found.into_iter().rev().take(filter.limit).collect())
}

/// Parameters: 1 an id that those found are less than, 2 the limit, 3 the sender, 4 the recipient,
/// 5 either of them, 6 the context, 7 the state, 8 whether it comes in, 9 whether it is dead.
fn ids_on(connection: &Connection, query: &str, filter: &MessageFilter) -> Result<Vec<MessageId>> {
    let text = |party: &Option<Party>| party.as_ref().map(Party::to_string);
    // No id is greater than one byte more than an id has.
    let before = filter.before.map_or_else(
        || vec![u8::MAX; 17],
        |message| message.as_uuid().as_bytes().to_vec(),
    );
    connection
        .prepare_cached(query)?
        .query_map(
            params![
                before,
                i64::try_from(filter.limit).unwrap_or(i64::MAX),
                text(&filter.sender),
                text(&filter.recipient),
                text(&filter.party),
                filter.context_id,
                filter.state,
                filter.direction.map(|direction| direction == Direction::In),
                filter.dead,
            ],
            |row| message_id(row, 0),
        )?
        .collect()
}

/// The messages that answer one or were sent on its account, oldest first.
pub(super) fn callbacks(connection: &Connection, id: MessageId) -> Result<Vec<MessageSummary>> {
    let callbacks: Vec<MessageId> = connection
        .prepare_cached(&format!("{CALLBACKS_OF} ORDER BY 1 LIMIT ?2"))?
        .query_map(params![id.as_uuid().as_bytes(), MOST_CALLBACKS], |row| {
            message_id(row, 0)
        })?
        .collect::<Result<_>>()?;
    summaries(connection, &callbacks)
}

pub(super) fn dead_letters(connection: &Connection) -> Result<u64> {
    let count: i64 = connection
        .prepare_cached(&format!(
            "SELECT (SELECT count(*) FROM delivery INDEXED BY delivery_in_state
                     WHERE state = 'dead'
                       AND NOT EXISTS (SELECT 1 FROM task WHERE task.id = delivery.id))
                  + (SELECT count(*) FROM task INDEXED BY message_in_state
                     WHERE {IS_DEAD_LETTER})"
        ))?
        .query_row([], |row| row.get(0))?;
    Ok(u64::try_from(count).unwrap_or(0))
}

#[cfg(test)]
pub(super) mod tests {
    use postroom_actors::domain::party::PeerName;

    use super::*;

    /// What SQLite means to do.
    fn plan(connection: &Connection, query: &str) -> Vec<String> {
        let mut explain = connection
            .prepare(&format!("EXPLAIN QUERY PLAN {query}"))
            .unwrap();
        let mut steps = explain.raw_query();
        let mut plan = Vec::new();
        while let Some(step) = steps.next().unwrap() {
            plan.push(step.get(3).unwrap());
        }
        plan
    }

    /// A query that needs no more rows than it is asked for.
    pub(in super::super) fn assert_stops_at_its_limit(query: &str) {
        let connection = Connection::open_in_memory().unwrap();
        for schema in [
            include_str!("schema_1.sql"),
            include_str!("schema_2.sql"),
            include_str!("schema_3.sql"),
        ] {
            connection.execute_batch(schema).unwrap();
        }
        let plan = plan(&connection, query);
        let is_wasteful = |step: &String| {
            step.contains("TEMP B-TREE") || step.starts_with("SCAN") || step.contains("AUTO")
        };
        assert!(!plan.iter().any(is_wasteful), "{query}\n{plan:#?}");
    }

    #[test]
    fn every_list_stops_reading_at_its_limit() {
        let party = || Some(Party::Peer(PeerName::parse("lab").unwrap()));
        let any = MessageFilter::default;
        let state = |state: &str| MessageFilter {
            state: Some(state.to_owned()),
            ..any()
        };
        let filters = [
            any(),
            state("waiting"),
            state("done"),
            MessageFilter {
                dead: true,
                ..any()
            },
            MessageFilter {
                party: party(),
                ..any()
            },
            MessageFilter {
                sender: party(),
                ..any()
            },
            MessageFilter {
                recipient: party(),
                ..any()
            },
            MessageFilter {
                context_id: Some("case 7".to_owned()),
                ..any()
            },
        ];
        let queries = filters.iter().flat_map(ways).map(Way::query);
        for query in queries.chain([CHATS.to_owned()]) {
            assert_stops_at_its_limit(&query);
        }
    }
}
