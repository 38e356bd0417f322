-- What an operator sums over days, counted in the transaction that it tells of: pruning takes
-- nothing back. `labels` is a JSON array of the values, in the order in which the metric names them.
CREATE TABLE tally (
    metric TEXT NOT NULL,
    labels TEXT NOT NULL,
    value REAL NOT NULL,
    PRIMARY KEY (metric, labels)
) STRICT, WITHOUT ROWID;

-- W3C trace context of the message's own span.
ALTER TABLE message ADD COLUMN traceparent TEXT;
