-- What agents work on. `seq` is the order of acceptance, and never used twice. What has no
-- `ended_ms` is open. Texts in JSON: `pieces` is a list of numbers, `usage`, `usage_total` and
-- `failure` are objects.

CREATE TABLE task (
    seq INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    agent TEXT NOT NULL,
    session TEXT NOT NULL,
    origin TEXT NOT NULL,
    caller TEXT,
    received_ms INTEGER NOT NULL,
    is_background INTEGER NOT NULL,
    is_streamed INTEGER NOT NULL,
    is_kept INTEGER NOT NULL,
    traceparent TEXT,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    turn BLOB,
    started_ms INTEGER,
    not_before_ms INTEGER,
    ended_ms INTEGER,
    is_forgotten INTEGER NOT NULL DEFAULT 0,
    failure TEXT,
    usage TEXT,
    pieces TEXT,
    answer TEXT
) STRICT;

CREATE INDEX open_task ON task (agent) WHERE ended_ms IS NULL;

-- The request's JSON, away from the columns that lists are made of.
CREATE TABLE task_body (
    seq INTEGER PRIMARY KEY,
    json BLOB NOT NULL
) STRICT;

CREATE TABLE turn (
    seq INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    agent TEXT NOT NULL,
    session TEXT NOT NULL,
    state TEXT NOT NULL,
    cli_session TEXT,
    started_ms INTEGER NOT NULL,
    ended_ms INTEGER,
    exit_code INTEGER,
    signal INTEGER,
    usage TEXT,
    failure TEXT,
    callbacks INTEGER NOT NULL DEFAULT 0,
    transcript BLOB
) STRICT;

CREATE INDEX unfinished_turn ON turn (ended_ms) WHERE ended_ms IS NULL;

-- Ids of turns begin with their time.
CREATE INDEX turn_of_agent ON turn (agent, id);

-- What a turn works on, by the ids of the tasks: they may be gone before it.
CREATE TABLE turn_task (
    turn INTEGER NOT NULL,
    ordinal INTEGER NOT NULL,
    task BLOB NOT NULL,
    PRIMARY KEY (turn, ordinal)
) STRICT, WITHOUT ROWID;

CREATE TABLE session (
    agent TEXT NOT NULL,
    session TEXT NOT NULL,
    cli_session TEXT,
    usage_total TEXT,
    turns INTEGER NOT NULL DEFAULT 0,
    updated_ms INTEGER NOT NULL,
    PRIMARY KEY (agent, session)
) STRICT, WITHOUT ROWID;

-- Besides those of schema 1, `meta` has next_task and next_turn: the least seq that is free for good.
