
  CREATE TABLE conversations (
    call_id     TEXT PRIMARY KEY CHECK (length(call_id) <= 64),
    started_at  INTEGER NOT NULL,
    ended_at    INTEGER,
    profile     TEXT NOT NULL CHECK (length(profile) <= 64),
    from_number TEXT NOT NULL CHECK (length(from_number) <= 256),
    to_number   TEXT NOT NULL CHECK (length(to_number) <= 256),
    customer    TEXT CHECK (length(customer) <= 256),
    reference   TEXT CHECK (length(reference) <= 256),
    ended_by    TEXT CHECK (length(ended_by) <= 64)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX conversations_by_start ON conversations (started_at, call_id);

  CREATE TABLE segments (
    segment_id TEXT PRIMARY KEY CHECK (length(segment_id) <= 64),
    call_id    TEXT NOT NULL REFERENCES conversations ON DELETE CASCADE,
    kind       TEXT NOT NULL CHECK (kind IN ('ivr', 'identification', 'secure-payment', 'queue')),
    started_at INTEGER NOT NULL,
    ended_at   INTEGER,
    outcome    TEXT CHECK (length(outcome) <= 64)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX segments_by_call ON segments (call_id, started_at);

  CREATE TABLE payments (
    payment_id   TEXT PRIMARY KEY CHECK (length(payment_id) <= 64),
    call_id      TEXT NOT NULL REFERENCES conversations ON DELETE CASCADE,
    flow         TEXT NOT NULL CHECK (length(flow) <= 64),
    state        TEXT NOT NULL CHECK (length(state) <= 64),
    result       TEXT CHECK (result IN ('approved', 'declined', 'abandoned', 'failed', 'unknown', 'not-identified')),
    amount_minor INTEGER CHECK (amount_minor >= 0),
    currency     TEXT NOT NULL CHECK (currency GLOB '[A-Z][A-Z][A-Z]'),
    reference    TEXT CHECK (length(reference) <= 256),
    brand        TEXT CHECK (length(brand) <= 32),
    last4        TEXT CHECK (last4 GLOB '[0-9][0-9][0-9][0-9]'),
    declines     INTEGER NOT NULL CHECK (declines BETWEEN 0 AND 100),
    started_at   INTEGER NOT NULL,
    ended_at     INTEGER,
    attention    TEXT CHECK (length(attention) <= 512)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX payments_by_call ON payments (call_id, started_at);
  CREATE INDEX payments_by_result ON payments (result, call_id);

  CREATE TABLE attempts (
    attempt_id         TEXT PRIMARY KEY CHECK (length(attempt_id) <= 64),
    payment_id         TEXT NOT NULL REFERENCES payments ON DELETE CASCADE,
    idempotency_key    TEXT NOT NULL CHECK (length(idempotency_key) <= 255),
    verb               TEXT NOT NULL CHECK (verb IN ('authorize', 'capture', 'purchase', 'void', 'refund', 'lookup')),
    gateway            TEXT NOT NULL CHECK (length(gateway) <= 64),
    amount_minor       INTEGER NOT NULL CHECK (amount_minor >= 0),
    currency           TEXT NOT NULL CHECK (currency GLOB '[A-Z][A-Z][A-Z]'),
    state              TEXT NOT NULL
                       CHECK (state IN ('asking', 'approved', 'declined', 'notSent', 'unknown', 'voided')),
    gateway_reference  TEXT CHECK (length(gateway_reference) <= 255),
    authorization_code TEXT CHECK (length(authorization_code) <= 32),
    decline_reason     TEXT CHECK (length(decline_reason) <= 64),
    started_at         INTEGER NOT NULL,
    ended_at           INTEGER
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX attempts_by_payment ON attempts (payment_id, started_at);
  CREATE INDEX attempts_open ON attempts (state) WHERE state IN ('asking', 'unknown');

  CREATE TABLE events (
    call_id    TEXT NOT NULL REFERENCES conversations ON DELETE CASCADE,
    sequence   INTEGER NOT NULL CHECK (sequence >= 1),
    payment_id TEXT,
    at         INTEGER NOT NULL,
    kind       TEXT NOT NULL CHECK (length(kind) <= 64),
    detail     TEXT NOT NULL CHECK (length(detail) <= 4096 AND json_valid(detail)),
    PRIMARY KEY (call_id, sequence)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX events_by_payment ON events (payment_id, sequence);
  