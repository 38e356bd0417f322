-- Messages between agents. One that an agent of ours works on is a task; one that is delivered
-- elsewhere, or kept for somebody, is a delivery; one that was a delivery before an agent of ours
-- took it is both. Chats and messages of the mailbox have no rows in these tables.

-- What is known of a message besides its body. It stays while there is a task or a delivery of its
-- id. `answers` and `turn` are ids too. Parties are texts such as `agent:NAME`.
CREATE TABLE envelope (
    id BLOB PRIMARY KEY,
    sender TEXT NOT NULL,
    recipient TEXT NOT NULL,
    kind TEXT NOT NULL,
    sender_id TEXT,
    remote_agent TEXT,
    context_id TEXT,
    in_reply_to TEXT,
    answers BLOB,
    turn BLOB,
    reply_to TEXT,
    hops INTEGER NOT NULL,
    priority INTEGER NOT NULL,
    expires_ms INTEGER
) STRICT, WITHOUT ROWID;

-- All of these end with the id, so lists come out of them newest first.
CREATE INDEX envelope_of_sender ON envelope (sender);
CREATE INDEX envelope_to_recipient ON envelope (recipient);
CREATE INDEX envelope_in_context ON envelope (context_id) WHERE context_id IS NOT NULL;
CREATE INDEX envelope_of_answer ON envelope (answers) WHERE answers IS NOT NULL;
CREATE INDEX envelope_of_turn ON envelope (turn) WHERE turn IS NOT NULL AND answers IS NULL;

-- What a sender called its messages. A row may outlive its message, so that a late repeat is known.
CREATE TABLE idempotency_key (
    sender TEXT NOT NULL,
    key TEXT NOT NULL,
    digest BLOB NOT NULL,
    message BLOB NOT NULL,
    kept_ms INTEGER NOT NULL,
    PRIMARY KEY (sender, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX key_of_message ON idempotency_key (message);

-- `seq` is the order of acceptance, and never used twice. `attempts` are tries that failed since
-- `since_ms`, `tries` all tries ever made. `due_ms` is set while it waits. `reason` is JSON.
CREATE TABLE delivery (
    seq INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    conversation TEXT NOT NULL,
    received_ms INTEGER NOT NULL,
    traceparent TEXT,
    state TEXT NOT NULL,
    since_ms INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    tries INTEGER NOT NULL DEFAULT 0,
    due_ms INTEGER,
    ended_ms INTEGER,
    reason TEXT
) STRICT;

CREATE INDEX waiting_delivery ON delivery (seq) WHERE state = 'waiting';
CREATE INDEX delivery_in_state ON delivery (state, id);

-- The JSON that is posted, away from the columns that lists are made of.
CREATE TABLE delivery_body (
    seq INTEGER PRIMARY KEY,
    json BLOB NOT NULL
) STRICT;

CREATE TABLE attempt (
    delivery INTEGER NOT NULL,
    number INTEGER NOT NULL,
    started_ms INTEGER NOT NULL,
    ended_ms INTEGER NOT NULL,
    status INTEGER,
    error TEXT,
    PRIMARY KEY (delivery, number)
) STRICT, WITHOUT ROWID;

-- A dead letter that was dropped stays failed.
ALTER TABLE task ADD COLUMN is_dropped INTEGER NOT NULL DEFAULT 0;

-- Background responses that have ended, for whoever is told of them.
CREATE INDEX ended_response ON task (ended_ms, id)
    WHERE origin = 'response' AND is_background AND ended_ms IS NOT NULL AND caller IS NOT NULL;

CREATE INDEX message_in_state ON task (state, id) WHERE origin = 'message';

-- Paid for when a turn begins, not when a task is accepted.
CREATE INDEX turn_of_task ON turn_task (task);

-- Besides those of schemas 1 and 2, `meta` has next_delivery: the least seq that is free for good.
