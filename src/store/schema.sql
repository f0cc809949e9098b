-- versweep's database. Times are microseconds since 1970 UTC, durations microseconds.
-- To read one: SELECT datetime(seen_at / 1000000, 'unixepoch') ...
PRAGMA application_id = 1987278704; -- 'vswp': tells this file from other programs' databases

-- One row per device ever visited, rewritten in place: a sweep in which nothing changes adds no row anywhere but in
-- `sweep`.
CREATE TABLE device (
    id                  INTEGER PRIMARY KEY,
    name                TEXT    NOT NULL UNIQUE,
    -- the last successful answer; absent before the first
    platform            TEXT,
    revision            INTEGER,
    pattern             TEXT,
    version             TEXT,
    model               TEXT,
    serial              TEXT,
    hostname            TEXT,
    image               TEXT,
    uptime              INTEGER,
    -- members, patches and the next boot image as JSON; absent where the device tells nothing of them
    more                TEXT,
    seen_at             INTEGER,
    version_since       INTEGER,
    boot_time           INTEGER,
    -- the last visit
    visit_at            INTEGER,
    visit_took          INTEGER,
    failure_kind        TEXT,
    failure_stage       TEXT,
    failure_detail      TEXT,
    -- the last SSH session: the server's identification; key exchange, host key, cipher, MAC
    ssh_server          TEXT,
    ssh_algorithms      TEXT,
    -- over all visits
    failures            INTEGER NOT NULL,
    unreachable         INTEGER NOT NULL,
    version_changes     INTEGER NOT NULL,
    last_version_change INTEGER,
    host_key_told       INTEGER NOT NULL,
    -- when the inventory ceased to have it
    removed             INTEGER,
    -- changes to and fro as JSON; absent while it is calm
    flaps               TEXT,
    -- the inventory's labels at its last visit, as JSON
    labels              TEXT    NOT NULL,
    -- what each policy last said for sure of it, as JSON; absent where none ever did
    standings           TEXT
) STRICT;

-- The policies that were last in force. `since` is when one began to ask for what it asks for.
CREATE TABLE policy (
    name  TEXT    PRIMARY KEY,
    asks  TEXT    NOT NULL,
    since INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The versions that a device was seen to run. The open range has no `last_seen`: that is the device's `seen_at`.
CREATE TABLE history (
    id         INTEGER PRIMARY KEY,
    device     INTEGER NOT NULL REFERENCES device (id) ON DELETE CASCADE,
    platform   TEXT    NOT NULL,
    version    TEXT    NOT NULL,
    first_seen INTEGER NOT NULL,
    last_seen  INTEGER
) STRICT;
CREATE INDEX history_of_device ON history (device, first_seen);
CREATE UNIQUE INDEX history_open ON history (device) WHERE last_seen IS NULL;
CREATE INDEX history_age ON history (last_seen) WHERE last_seen IS NOT NULL;

-- `sweep` is absent where no sweep found the change; `subject` is empty but for policies and flapping.
CREATE TABLE change (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    device    INTEGER NOT NULL REFERENCES device (id) ON DELETE CASCADE,
    sweep     TEXT,
    at        INTEGER NOT NULL,
    kind      TEXT    NOT NULL,
    subject   TEXT    NOT NULL,
    platform  TEXT,
    before    TEXT    NOT NULL,
    after     TEXT    NOT NULL,
    why       TEXT    NOT NULL,
    confirmed INTEGER NOT NULL
) STRICT;
-- The identity of a change: the same batch written again adds nothing.
CREATE UNIQUE INDEX change_once ON change (device, coalesce(sweep, at), kind, subject);
CREATE INDEX change_age ON change (at);
CREATE INDEX change_kind ON change (kind);

-- What the devices said: zlib, at most 64 KiB compressed. `size` is the length of the text as it came.
CREATE TABLE change_raw (
    change INTEGER PRIMARY KEY REFERENCES change (id) ON DELETE CASCADE,
    size   INTEGER NOT NULL,
    kept   INTEGER NOT NULL,
    zlib   BLOB    NOT NULL
) STRICT;
CREATE TABLE failure_raw (
    device INTEGER PRIMARY KEY REFERENCES device (id) ON DELETE CASCADE,
    size   INTEGER NOT NULL,
    kept   INTEGER NOT NULL,
    zlib   BLOB    NOT NULL
) STRICT;

CREATE TABLE sweep (
    id       TEXT    PRIMARY KEY,
    name     TEXT    NOT NULL,
    reason   TEXT    NOT NULL,
    started  INTEGER NOT NULL,
    ended    INTEGER,
    devices  INTEGER NOT NULL,
    answered INTEGER NOT NULL,
    failed   INTEGER NOT NULL,
    complete INTEGER NOT NULL
) STRICT;
CREATE INDEX sweep_by_name ON sweep (name, started);

-- Events on their way out, in order, with what the inventory and the device said of it then; labels are JSON.
CREATE TABLE outbox (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    change   INTEGER NOT NULL UNIQUE REFERENCES change (id) ON DELETE CASCADE,
    model    TEXT,
    labels   TEXT
) STRICT;

-- `delivered` is the last sequence that a sink has passed; what it passed without delivering has a letter. `waited` is
-- how long it has been tried in vain. `deliveries`, `dead` and `dropped` count since the store was made.
CREATE TABLE sink (
    name       TEXT    PRIMARY KEY,
    delivered  INTEGER NOT NULL,
    deliveries INTEGER NOT NULL,
    active     INTEGER NOT NULL,
    waited     INTEGER NOT NULL DEFAULT 0,
    dead       INTEGER NOT NULL DEFAULT 0,
    dropped    INTEGER NOT NULL DEFAULT 0
) STRICT;

-- The credentials whose breaker is open: a restart is no reason to try a refused password on the fleet again.
CREATE TABLE breaker (
    credential TEXT    PRIMARY KEY,
    since      INTEGER NOT NULL,
    until      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- An event that a sink refused, one of the same device that waits behind it, or one that somebody wants again. With
-- `dead_at` it was given up and is only kept to be looked at and asked for.
CREATE TABLE letter (
    sink     TEXT    NOT NULL REFERENCES sink (name) ON DELETE CASCADE,
    sequence INTEGER NOT NULL REFERENCES outbox (sequence) ON DELETE CASCADE,
    device   INTEGER NOT NULL,
    tries    INTEGER NOT NULL,
    waited   INTEGER NOT NULL,
    error    TEXT    NOT NULL,
    dead_at  INTEGER,
    PRIMARY KEY (sink, sequence)
) STRICT, WITHOUT ROWID;
CREATE INDEX letter_of_sequence ON letter (sequence);

CREATE TABLE counter (
    what  TEXT    NOT NULL,
    label TEXT    NOT NULL,
    value INTEGER NOT NULL,
    PRIMARY KEY (what, label)
) STRICT, WITHOUT ROWID;
