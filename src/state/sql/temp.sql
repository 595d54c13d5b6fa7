-- What one cycle works with; gone when the connection closes.
CREATE TEMP TABLE IF NOT EXISTS stage (
    kind    INTEGER NOT NULL,
    key     TEXT NOT NULL,
    hash    BLOB NOT NULL,
    seal    BLOB,
    label   TEXT NOT NULL,
    due     INTEGER,
    disabled INTEGER NOT NULL,
    data    BLOB NOT NULL,
    names   BLOB NOT NULL,   -- 16-octet hashes, one after another
    members BLOB,            -- the same; NULL: those that are known, with `joined` and `left_out`
    joined  BLOB,
    left_out BLOB,
    PRIMARY KEY (kind, key)
);
-- Entries that are the same under another seal.
CREATE TEMP TABLE IF NOT EXISTS stage_seal (
    kind INTEGER NOT NULL,
    key  TEXT NOT NULL,
    seal BLOB NOT NULL,
    PRIMARY KEY (kind, key)
);
CREATE TEMP TABLE IF NOT EXISTS stage_gone (
    kind     INTEGER NOT NULL,
    key      TEXT NOT NULL,
    explicit INTEGER NOT NULL,  -- 1: the source said so; 0: absent from a complete read
    PRIMARY KEY (kind, key)
);
-- Groups that are there and could not be read in a full read.
CREATE TEMP TABLE IF NOT EXISTS stage_unread (
    key TEXT PRIMARY KEY
) WITHOUT ROWID;
CREATE TEMP TABLE IF NOT EXISTS remote (
    kind        INTEGER NOT NULL,
    id          TEXT NOT NULL,
    name        TEXT NOT NULL,   -- folded userName or displayName
    external_id TEXT,
    json        TEXT NOT NULL,
    PRIMARY KEY (kind, id)
);
CREATE INDEX IF NOT EXISTS temp.remote_name ON remote (kind, name);
CREATE INDEX IF NOT EXISTS temp.remote_external ON remote (kind, external_id);
CREATE TEMP TABLE IF NOT EXISTS remote_email (
    value TEXT NOT NULL,         -- folded
    id    TEXT NOT NULL,
    PRIMARY KEY (value, id)
);
-- What was read, by the values of attributes that a configuration matches by.
CREATE TEMP TABLE IF NOT EXISTS remote_value (
    kind      INTEGER NOT NULL,
    criterion TEXT NOT NULL,     -- path, lower case
    value     TEXT NOT NULL,     -- folded
    id        TEXT NOT NULL,
    PRIMARY KEY (kind, criterion, value, id)
) WITHOUT ROWID;
CREATE TEMP TABLE IF NOT EXISTS remote_listed (
    kind      INTEGER NOT NULL,
    criterion TEXT NOT NULL,
    PRIMARY KEY (kind, criterion)
) WITHOUT ROWID;
CREATE TEMP TABLE IF NOT EXISTS remote_member (
    group_id  TEXT NOT NULL,
    member_id TEXT NOT NULL,
    PRIMARY KEY (group_id, member_id)
);
-- Who came into a group or left one, and who is gone, while a read is merged.
CREATE TEMP TABLE IF NOT EXISTS moved (entry_id INTEGER PRIMARY KEY);
-- Whose names changed or were given up, in this read and in incremental ones since the last full one.
CREATE TEMP TABLE IF NOT EXISTS renamed (entry_id INTEGER PRIMARY KEY);
-- References that name their entry no more.
CREATE TEMP TABLE IF NOT EXISTS stale (
    group_id INTEGER NOT NULL,
    ref      BLOB NOT NULL,
    PRIMARY KEY (group_id, ref)
) WITHOUT ROWID;
CREATE TEMP TABLE IF NOT EXISTS scope_member (entry_id INTEGER PRIMARY KEY);
CREATE TEMP TABLE IF NOT EXISTS flipped (entry_id INTEGER PRIMARY KEY);
CREATE TEMP TABLE IF NOT EXISTS plan_change (
    seq       INTEGER PRIMARY KEY,
    phase     INTEGER NOT NULL,
    kind      TEXT NOT NULL,
    object    TEXT NOT NULL,
    entry_id  INTEGER NOT NULL,
    key       TEXT NOT NULL,
    who       TEXT NOT NULL,
    target_id TEXT,
    reason    TEXT NOT NULL,
    amount    INTEGER NOT NULL,  -- members, for membership changes
    hash      BLOB NOT NULL,
    recreate  INTEGER NOT NULL DEFAULT 0,
    renames   INTEGER NOT NULL DEFAULT 0,  -- gets another userName, whatever its kind
    approved  INTEGER NOT NULL DEFAULT 0,
    approval  BLOB,              -- the identity that was approved, where that is not `hash`
    held      TEXT,              -- why, where the guard holds it
    undone    TEXT,              -- why, where this was taken back before
    undone_by INTEGER,           -- the undo (cycle) that did
    done      INTEGER NOT NULL DEFAULT 0  -- 0 planned, 1 done, 2 partly
);
-- What a plan is judged by is gone through more often than what is sent.
CREATE TEMP TABLE IF NOT EXISTS plan_body (
    seq  INTEGER PRIMARY KEY,    -- of `plan_change`
    body TEXT NOT NULL           -- {from, to, members, ..} (JSON)
);
CREATE INDEX IF NOT EXISTS temp.plan_order ON plan_change (phase, key, kind, seq);
CREATE INDEX IF NOT EXISTS temp.plan_held ON plan_change (kind) WHERE held IS NOT NULL;
CREATE INDEX IF NOT EXISTS temp.plan_target ON plan_change (target_id) WHERE kind = 'adopt';
CREATE INDEX IF NOT EXISTS temp.plan_entry ON plan_change (entry_id);
CREATE TEMP TABLE IF NOT EXISTS plan_parked (
    entry_id INTEGER NOT NULL,
    kind     TEXT NOT NULL,
    object   TEXT NOT NULL,
    key      TEXT NOT NULL,
    who      TEXT NOT NULL,
    reason   TEXT NOT NULL,
    advice   TEXT NOT NULL,
    PRIMARY KEY (entry_id, kind)
);
-- What differs at the target and is only reported.
CREATE TEMP TABLE IF NOT EXISTS plan_drift (
    entry_id INTEGER NOT NULL,
    path     TEXT NOT NULL,
    object   TEXT NOT NULL,
    key      TEXT NOT NULL,
    who      TEXT NOT NULL,
    there    TEXT NOT NULL,      -- JSON
    pushed   TEXT NOT NULL,      -- JSON
    PRIMARY KEY (entry_id, path)
) WITHOUT ROWID;
-- Members that a group at the target has already and that we did not push: as the directory wants it (nothing is sent for
-- them), or not (they are to leave). They count as pushed from now on, unless they are taken out in this cycle.
CREATE TEMP TABLE IF NOT EXISTS absorb (
    group_id  INTEGER NOT NULL,
    member_id INTEGER NOT NULL,
    PRIMARY KEY (group_id, member_id)
);
-- Accounts at the target that an entry without a link matches.
CREATE TEMP TABLE IF NOT EXISTS account_match (
    target_id TEXT PRIMARY KEY,
    who       TEXT NOT NULL,
    key       TEXT NOT NULL,
    verdict   INTEGER NOT NULL,  -- 0 adoptable, 1 out of scope, 2 undecided
    why       TEXT NOT NULL
) WITHOUT ROWID;
-- What `relink` compares: entries of the new read with the value that leads to the old one, linked entries that the new
-- read lacks with the values that lead to them, and the pairs.
CREATE TEMP TABLE IF NOT EXISTS relink_new (
    kind  INTEGER NOT NULL,
    key   TEXT NOT NULL,
    value TEXT,
    name  TEXT NOT NULL,         -- folded displayName (groups)
    PRIMARY KEY (kind, key)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS temp.relink_new_value ON relink_new (kind, value);
CREATE TEMP TABLE IF NOT EXISTS relink_old (
    entry_id INTEGER NOT NULL,
    kind     INTEGER NOT NULL,
    value    TEXT NOT NULL,
    how      TEXT NOT NULL,      -- key | value | name
    PRIMARY KEY (kind, value, entry_id)
) WITHOUT ROWID;
CREATE TEMP TABLE IF NOT EXISTS relink_pair (
    old_id   INTEGER NOT NULL,
    kind     INTEGER NOT NULL,
    new_key  TEXT NOT NULL,
    how      TEXT NOT NULL,
    several  INTEGER NOT NULL DEFAULT 0,  -- 1: not one to one
    PRIMARY KEY (old_id, new_key)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS temp.relink_pair_new ON relink_pair (kind, new_key);
-- Lines of the journal that an `undo` is about.
CREATE TEMP TABLE IF NOT EXISTS undo_row (
    journal_id INTEGER PRIMARY KEY,
    entry_id   INTEGER NOT NULL,
    members    INTEGER NOT NULL,
    complete   INTEGER NOT NULL,  -- 1: undone when its changes are done
    unlink     INTEGER NOT NULL   -- 1: the account had no link before
);
