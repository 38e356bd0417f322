-- Times are milliseconds since 1970, UTC. Rows of one message share its seq, which is the order
-- of acceptance and is never used twice.

CREATE TABLE message (
    seq INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    received_ms INTEGER NOT NULL,
    context_id TEXT,
    reply_due_ms INTEGER,
    form TEXT NOT NULL,
    prompt TEXT
) STRICT;

-- The request's JSON, away from the columns that lists are made of.
CREATE TABLE body (
    seq INTEGER PRIMARY KEY,
    json BLOB NOT NULL
) STRICT;

-- Messages whose inbox item is not written yet: a row goes once its file is synced.
CREATE TABLE pending_inbox (
    seq INTEGER PRIMARY KEY
) STRICT;

-- The newest message of each conversation.
CREATE TABLE context (
    context_id TEXT PRIMARY KEY,
    newest INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Further requests of a message's tool loop; the message itself is number 0.
CREATE TABLE exchange (
    seq INTEGER NOT NULL,
    exchange INTEGER NOT NULL,
    received_ms INTEGER NOT NULL,
    request BLOB NOT NULL,
    PRIMARY KEY (seq, exchange)
) STRICT, WITHOUT ROWID;

CREATE TABLE reply (
    seq INTEGER NOT NULL,
    exchange INTEGER NOT NULL,
    backend TEXT NOT NULL,
    text TEXT,
    outcome TEXT NOT NULL,
    ended_ms INTEGER NOT NULL,
    PRIMARY KEY (seq, exchange)
) STRICT, WITHOUT ROWID;

-- inbox: the folder that the messages are for. next_seq: the least seq that is free for good.
-- heartbeat_ms: when the store last proved that it can write.
CREATE TABLE meta (
    key TEXT PRIMARY KEY,
    value ANY NOT NULL
) STRICT, WITHOUT ROWID;
