PRAGMA application_id = 1396918605;                -- 'SCIM': tells a state store from any other database

-- The state store. One row of `entry` per object of a sync's source; everything else hangs on its id.
CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value BLOB NOT NULL
) WITHOUT ROWID;

CREATE TABLE sync (
    id                INTEGER PRIMARY KEY,
    name              TEXT NOT NULL UNIQUE,
    target            TEXT NOT NULL DEFAULT '',  -- name of the target, so that two syncs never link one account
    cursor            TEXT,                      -- where the next incremental read starts
    cursor_of         TEXT,                      -- which attributes and kinds were read with it
    fingerprint       TEXT,                      -- mapping, scope and policy that the evaluation columns were made with
    target_identity   BLOB,                      -- salted hash of the target's URL and credential
    dialect           TEXT,                      -- what discovery said last (JSON)
    baseline_users    INTEGER,                   -- people in the last accepted complete read
    baseline_groups   INTEGER,
    adopted_at        INTEGER,                   -- when a first cycle (the target read by pages) was completed
    complete_read_at  INTEGER,                   -- unix second of the last complete read, full or incremental
    full_read_at      INTEGER,                   -- unix second of the last complete full read
    address           TEXT,                      -- the target's URL that the links were checked against
    source_identity   TEXT,                      -- which directory the entries came from: type, addresses, base
    restored_at       INTEGER                    -- put back from a backup then; the target was not verified since
);

-- Slim on purpose: a full read scans it.
CREATE TABLE entry (
    id            INTEGER PRIMARY KEY,
    sync_id       INTEGER NOT NULL REFERENCES sync (id) ON DELETE CASCADE,
    kind          INTEGER NOT NULL,              -- 0 user, 1 group
    key           TEXT NOT NULL,                 -- source key
    hash          BLOB NOT NULL,                 -- 16 octets over everything the source said
    seal          BLOB,                          -- 16 octets over how the source said it, where it can tell
    label         TEXT NOT NULL,                 -- for people to read
    gone          INTEGER,                       -- unix second since which the source lacks it; NULL = present
    due           INTEGER,                       -- unix second at which it must be judged again by the clock
    dirty         INTEGER NOT NULL DEFAULT 1,    -- changes may be owed
    in_scope      INTEGER NOT NULL DEFAULT 0,
    inactive      INTEGER NOT NULL DEFAULT 0,    -- disabled at the source, or mapped to active = false
    leaving_since INTEGER,                       -- first seen inactive, out of scope or gone
    eligible      INTEGER NOT NULL DEFAULT 0,    -- may be a member: linked, or about to be
    user_id       TEXT,                          -- folded user ID that competes; NULL where it does not compete
    UNIQUE (sync_id, kind, key)
);
CREATE INDEX entry_dirty ON entry (sync_id, kind) WHERE dirty = 1;
CREATE INDEX entry_gone ON entry (gone) WHERE gone IS NOT NULL;
CREATE INDEX entry_due ON entry (sync_id, due) WHERE due IS NOT NULL;
CREATE INDEX entry_waiting ON entry (sync_id) WHERE due IS NOT NULL AND leaving_since IS NOT NULL;
CREATE INDEX entry_user_id ON entry (sync_id, user_id) WHERE user_id IS NOT NULL;
CREATE INDEX entry_standing ON entry (sync_id, kind, gone, in_scope);

CREATE TABLE entry_data (
    entry_id INTEGER PRIMARY KEY REFERENCES entry (id) ON DELETE CASCADE,
    data     BLOB NOT NULL                       -- the entry as the source said it (JSON)
);

-- Names by which groups refer to entries (16-octet hash of the normal form).
CREATE TABLE entry_name (
    sync_id  INTEGER NOT NULL,
    name     BLOB NOT NULL,
    entry_id INTEGER NOT NULL REFERENCES entry (id) ON DELETE CASCADE,
    PRIMARY KEY (sync_id, name, entry_id)
) WITHOUT ROWID;
CREATE INDEX entry_name_entry ON entry_name (entry_id);

-- Mail addresses that entries have of their own (folded); empty where no user ID is made up from anything else.
CREATE TABLE address (
    sync_id  INTEGER NOT NULL,
    address  TEXT NOT NULL,
    entry_id INTEGER NOT NULL REFERENCES entry (id) ON DELETE CASCADE,
    PRIMARY KEY (sync_id, address, entry_id)
) WITHOUT ROWID;
CREATE INDEX address_entry ON address (entry_id);

-- Direct members of groups at the source. A member keeps its id when it is renamed.
CREATE TABLE member (
    group_id  INTEGER NOT NULL REFERENCES entry (id) ON DELETE CASCADE,
    ref       BLOB NOT NULL,                     -- hash of the reference as the source gave it
    member_id INTEGER,                           -- the entry it resolves to; NULL = dangling
    PRIMARY KEY (group_id, ref)
) WITHOUT ROWID;
CREATE INDEX member_member ON member (member_id) WHERE member_id IS NOT NULL;
CREATE INDEX member_dangling ON member (ref) WHERE member_id IS NULL;

CREATE TABLE link (
    entry_id       INTEGER PRIMARY KEY REFERENCES entry (id),
    sync_id        INTEGER NOT NULL,
    kind           INTEGER NOT NULL,
    target_id      TEXT NOT NULL,
    origin         INTEGER NOT NULL,             -- 0 created, 1 adopted
    pushed         TEXT NOT NULL,                -- flat resource as last pushed (JSON)
    name           TEXT NOT NULL,                -- folded userName or displayName as last pushed
    active         INTEGER NOT NULL,
    inactive_since INTEGER,
    gone           INTEGER NOT NULL DEFAULT 0,   -- confirmed missing at the target
    hidden         INTEGER NOT NULL DEFAULT 0,   -- not shown by the target since it is inactive
    created_at     INTEGER NOT NULL
);
CREATE UNIQUE INDEX link_target ON link (sync_id, kind, target_id);
CREATE INDEX link_name ON link (sync_id, kind, name);
CREATE INDEX link_inactive ON link (sync_id, inactive_since) WHERE inactive_since IS NOT NULL;
CREATE INDEX link_hidden ON link (sync_id) WHERE hidden > 0;

-- Members as we pushed them. Members that we did not push are not here and are never touched.
CREATE TABLE pushed_member (
    group_id  INTEGER NOT NULL REFERENCES link (entry_id) ON DELETE CASCADE,
    member_id INTEGER NOT NULL,
    PRIMARY KEY (group_id, member_id)
) WITHOUT ROWID;
CREATE INDEX pushed_member_member ON pushed_member (member_id);

-- What the target's own group decides: a name that is not ours to change, or that nothing is to be made.
CREATE TABLE group_note (
    entry_id   INTEGER PRIMARY KEY REFERENCES entry (id) ON DELETE CASCADE,
    left_alone TEXT,                             -- it was there (target id), and groups are only made
    link_row   TEXT,                             -- the row of sync.groups.link by which it was linked
    link_to    TEXT
);

-- References of people to people (a manager).
CREATE TABLE reference (
    entry_id  INTEGER NOT NULL REFERENCES entry (id) ON DELETE CASCADE,
    path      TEXT NOT NULL,                     -- SCIM path that takes the other one's account
    member_id INTEGER,                           -- the entry that is meant; NULL = nobody is known under that name
    owed      INTEGER NOT NULL DEFAULT 0,        -- that one's account came or changed since this one was worked out
    PRIMARY KEY (entry_id, path)
) WITHOUT ROWID;
CREATE INDEX reference_member ON reference (member_id) WHERE member_id IS NOT NULL;
-- Names (hashed) under which somebody would be whom a reference means that means nobody yet.
CREATE TABLE reference_sought (
    name     BLOB NOT NULL,
    entry_id INTEGER NOT NULL REFERENCES entry (id) ON DELETE CASCADE,
    PRIMARY KEY (name, entry_id)
) WITHOUT ROWID;
CREATE INDEX reference_sought_entry ON reference_sought (entry_id);
CREATE INDEX reference_owed ON reference (entry_id) WHERE owed = 1;

CREATE TABLE cycle (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,  -- never repeats
    sync_id  INTEGER NOT NULL,
    started  INTEGER NOT NULL,
    ended    INTEGER,
    result   TEXT,                               -- ok | parked | held | failed; NULL = interrupted or running
    report   TEXT                                -- JSON; of a migration of user IDs from its beginning
);
CREATE INDEX cycle_sync ON cycle (sync_id, id);
CREATE INDEX cycle_started ON cycle (started);

-- Intents: one durable row per batch of writes, gone when the batch's results are in the journal.
CREATE TABLE intent (
    id      INTEGER PRIMARY KEY,
    sync_id INTEGER NOT NULL,
    cycle   INTEGER NOT NULL,
    items   TEXT NOT NULL                        -- [{seq, kind, object, entry, key, who, name, external_id, target_id, ..}]
);

CREATE TABLE journal (
    id          INTEGER PRIMARY KEY,
    sync_id     INTEGER NOT NULL,
    cycle       INTEGER NOT NULL,
    at          INTEGER NOT NULL,                -- unix second
    kind        TEXT NOT NULL,
    object      TEXT NOT NULL,
    entry_id    INTEGER NOT NULL,
    who         TEXT NOT NULL,
    target_id   TEXT,
    status      TEXT NOT NULL,                   -- done | failed | parked | held | undone
    amount      INTEGER NOT NULL DEFAULT 1,      -- members, for membership changes
    approved    INTEGER NOT NULL DEFAULT 0,
    http_status INTEGER,
    error       TEXT,
    before      TEXT,                            -- before-image (JSON)
    after       TEXT,
    approved_by TEXT,                            -- who released it, where the guard held it
    approval_reason TEXT
);
CREATE INDEX journal_cycle ON journal (cycle);
-- For the guard's count of a day, of those kinds that have a limit.
CREATE INDEX journal_window ON journal (sync_id, kind, approved, at) WHERE status = 'done';
CREATE INDEX journal_entry ON journal (entry_id);

CREATE TABLE held (
    sync_id   INTEGER NOT NULL,
    hash      BLOB NOT NULL,                     -- kind, source key, target id, `to`
    kind      TEXT NOT NULL,
    object    TEXT NOT NULL,
    key       TEXT NOT NULL,
    target_id TEXT,
    who       TEXT NOT NULL,
    reason    TEXT NOT NULL,
    since     INTEGER NOT NULL,
    PRIMARY KEY (sync_id, hash)
) WITHOUT ROWID;

CREATE TABLE approval (
    sync_id INTEGER NOT NULL,
    hash    BLOB NOT NULL,
    until   INTEGER NOT NULL,
    at      INTEGER NOT NULL,
    by      TEXT NOT NULL,
    reason  TEXT,
    who     TEXT NOT NULL,
    kind    TEXT NOT NULL,
    PRIMARY KEY (sync_id, hash)
) WITHOUT ROWID;

CREATE TABLE parked (
    sync_id  INTEGER NOT NULL,
    entry_id INTEGER NOT NULL,
    kind     TEXT NOT NULL,                      -- kind of the change that is parked; 'map' where it could not be worked out
    key      TEXT NOT NULL,
    object   TEXT NOT NULL,
    who      TEXT NOT NULL,
    reason   TEXT NOT NULL,
    advice   TEXT NOT NULL,
    fault    TEXT NOT NULL,
    hash     BLOB,                               -- the change that was refused; another change is tried at once
    attempts INTEGER NOT NULL,
    next_try INTEGER NOT NULL,
    since    INTEGER NOT NULL,
    PRIMARY KEY (sync_id, entry_id, kind)
) WITHOUT ROWID;
CREATE INDEX parked_entry ON parked (entry_id, kind);

-- What `undo` took back: not done again until somebody approves it.
CREATE TABLE undone (
    sync_id  INTEGER NOT NULL,
    entry_id INTEGER NOT NULL,
    what     TEXT NOT NULL,                      -- a path, or +account, -account, +member, -member
    value    TEXT NOT NULL,                      -- what must not be written again (JSON); the member's entry
    undoes   INTEGER NOT NULL,                   -- the cycle that was undone
    cycle    INTEGER NOT NULL,                   -- the undo
    PRIMARY KEY (sync_id, entry_id, what, value)
) WITHOUT ROWID;

-- Accounts under a name from before the user IDs that may be this person's, and were not given to anybody: until that is
-- decided the person gets no other account.
CREATE TABLE claim (
    entry_id  INTEGER NOT NULL REFERENCES entry (id) ON DELETE CASCADE,
    target_id TEXT NOT NULL,
    sync_id   INTEGER NOT NULL,
    name      TEXT NOT NULL,                     -- folded userName of that account
    reason    TEXT NOT NULL,
    advice    TEXT NOT NULL,
    settled   INTEGER NOT NULL,                  -- a migration has said why the account keeps its name
    PRIMARY KEY (entry_id, target_id)
) WITHOUT ROWID;
CREATE INDEX claim_sync ON claim (sync_id);

-- What the service goes by, beside the cycles themselves.
CREATE TABLE service (
    sync_id     INTEGER PRIMARY KEY,
    asked       INTEGER NOT NULL DEFAULT 0,      -- cycles that commands asked for (an approval, a changed link)
    answered    INTEGER NOT NULL DEFAULT 0,      -- `asked` when the last cycle began
    verified_at INTEGER                          -- unix second of the last complete verification of the target
);

-- How many there are, kept by the triggers below: no cycle counts a directory.
CREATE TABLE tally (
    sync_id  INTEGER NOT NULL REFERENCES sync (id) ON DELETE CASCADE,
    kind     INTEGER NOT NULL,
    present  INTEGER NOT NULL DEFAULT 0,         -- entries at the source
    in_scope INTEGER NOT NULL DEFAULT 0,         -- of them those that take part
    linked   INTEGER NOT NULL DEFAULT 0,         -- links whose account is there, as far as is known
    active   INTEGER NOT NULL DEFAULT 0,         -- of them the active ones
    PRIMARY KEY (sync_id, kind)
) WITHOUT ROWID;
CREATE TRIGGER tally_sync AFTER INSERT ON sync BEGIN
    INSERT INTO tally (sync_id, kind) VALUES (NEW.id, 0), (NEW.id, 1);
END;
CREATE TRIGGER tally_entry_in AFTER INSERT ON entry WHEN NEW.gone IS NULL BEGIN
    UPDATE tally SET present = present + 1, in_scope = in_scope + NEW.in_scope WHERE sync_id = NEW.sync_id AND kind = NEW.kind;
END;
CREATE TRIGGER tally_entry_out AFTER DELETE ON entry WHEN OLD.gone IS NULL BEGIN
    UPDATE tally SET present = present - 1, in_scope = in_scope - OLD.in_scope WHERE sync_id = OLD.sync_id AND kind = OLD.kind;
END;
CREATE TRIGGER tally_entry_other AFTER UPDATE OF sync_id, kind, gone, in_scope ON entry
WHEN OLD.sync_id <> NEW.sync_id OR OLD.kind <> NEW.kind OR (OLD.gone IS NULL) <> (NEW.gone IS NULL) OR OLD.in_scope <> NEW.in_scope BEGIN
    UPDATE tally SET present = present - 1, in_scope = in_scope - OLD.in_scope
        WHERE OLD.gone IS NULL AND sync_id = OLD.sync_id AND kind = OLD.kind;
    UPDATE tally SET present = present + 1, in_scope = in_scope + NEW.in_scope
        WHERE NEW.gone IS NULL AND sync_id = NEW.sync_id AND kind = NEW.kind;
END;
-- There is one place that puts links, and it counts them: with a trigger SQLite would note down, for each, what it takes to take it back.
CREATE TRIGGER tally_link_out AFTER DELETE ON link WHEN OLD.gone = 0 BEGIN
    UPDATE tally SET linked = linked - 1, active = active - OLD.active WHERE sync_id = OLD.sync_id AND kind = OLD.kind;
END;
CREATE TRIGGER tally_link_other AFTER UPDATE OF sync_id, kind, gone, active ON link
WHEN OLD.sync_id <> NEW.sync_id OR OLD.kind <> NEW.kind OR OLD.gone <> NEW.gone OR OLD.active <> NEW.active BEGIN
    UPDATE tally SET linked = linked - 1, active = active - OLD.active WHERE OLD.gone = 0 AND sync_id = OLD.sync_id AND kind = OLD.kind;
    UPDATE tally SET linked = linked + 1, active = active + NEW.active WHERE NEW.gone = 0 AND sync_id = NEW.sync_id AND kind = NEW.kind;
END;
