//! What is older than `[state] keep` goes, in small steps, and its room is given back without stopping anybody.
//!
//! Never: a cycle with unsettled writes, the last cycle of a sync, what `undo` of a kept cycle reads, an entry with a link,
//! with anything parked or held, or with a line left in the journal.

use super::{Sql, StateError, Store};
use rusqlite::{Connection, OptionalExtension, params};
use std::time::{Duration, Instant};

/// Rows of one step: one short transaction.
const STEP: u32 = 500;
/// Pages given back in one step.
const PAGES: u32 = 256;
/// How often it is looked whether anything is too old, seconds.
const EVERY: i64 = 3600;
/// The guard counts over a day, and writes are in doubt for a day: less is never kept, seconds.
const LEAST: i64 = 2 * 86_400;

/// What a group's reference means whose entry was removed: no row has this number.
pub(super) const NOBODY: i64 = -1;

/// What went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Lines of the journal.
    pub journal: u64,
    /// Cycles.
    pub cycles: u64,
    /// Entries that had been gone for longer.
    pub entries: u64,
    /// Pages (of 4 KiB) given back to the file system.
    pub pages: u64,
    /// There is more to do: the next cycle goes on.
    pub more: bool,
}

impl Store {
    /// Removes what is older than `keep` seconds; takes about as long as `budget` allows, and goes on the next time. Looks
    /// at most once an hour unless the last time was cut short.
    ///
    /// # Errors
    /// The store cannot be read or written; what was removed before is removed.
    pub fn prune(&mut self, keep: i64, now: i64, budget: Duration) -> Result<Pruned, StateError> {
        let mut done = Pruned::default();
        let last: Option<i64> = self.run(|c| {
            c.query_row("SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'pruned_at'", [], |r| r.get(0)).optional()
        })?;
        if last.is_some_and(|at| (now - EVERY..=now).contains(&at)) {
            return Ok(done);
        }
        let (before, until) = (now - keep.max(LEAST), Instant::now() + budget);
        let in_time = || Instant::now() < until;
        done.more = true;
        while done.more && in_time() {
            let (journal, cycles, entries) = self.transaction(|c| step(c, before))?;
            done.journal += journal;
            done.cycles += cycles;
            done.entries += entries;
            done.more = journal + cycles + entries > 0;
        }
        while !done.more && in_time() {
            let free = self.give_back()?;
            done.pages += free;
            if free == 0 {
                self.transaction(|c| {
                    c.execute("INSERT OR REPLACE INTO meta (key, value) VALUES ('pruned_at', ?1)", [now.to_string()])
                })?;
                return Ok(done);
            }
        }
        done.more = true;
        Ok(done)
    }

    /// Gives some free pages back; a twentieth of the file stays free, because it is needed again soon.
    fn give_back(&self) -> Result<u64, StateError> {
        self.run(|c| {
            let ask = |what: &str| c.pragma_query_value(None, what, |r| r.get::<_, u64>(0));
            let (free, all) = (ask("freelist_count")?, ask("page_count")?);
            if free < u64::from(PAGES).max(all / 20) {
                return Ok(0);
            }
            c.execute_batch(&format!("PRAGMA incremental_vacuum({PAGES})"))?;
            // A store that was made without it gives nothing back.
            Ok(free.saturating_sub(ask("freelist_count")?))
        })
    }
}

/// One short step: lines of the journal, then cycles without lines, then entries.
fn step(c: &Connection, before: i64) -> Sql<(u64, u64, u64)> {
    const OLD: &str = "SELECT y.id FROM cycle y WHERE y.started < ?1 AND EXISTS (SELECT 1 FROM cycle z WHERE z.sync_id = y.sync_id AND z.id > y.id)
        AND NOT EXISTS (SELECT 1 FROM intent i WHERE i.cycle = y.id)";
    // What was done by hand belongs to no cycle.
    let journal = c
        .prepare_cached(&format!(
            "DELETE FROM journal WHERE id IN (SELECT j.id FROM journal j WHERE j.cycle IN ({OLD}) LIMIT ?2)
         OR id IN (SELECT j.id FROM journal j WHERE j.cycle = 0 AND j.at < ?1 LIMIT ?2)"
        ))?
        .execute(params![before, STEP])? as u64;
    if journal > 0 {
        return Ok((journal, 0, 0));
    }
    let cycles =
        c.prepare_cached(&format!("DELETE FROM cycle WHERE id IN ({OLD} LIMIT ?2)"))?.execute(params![before, STEP])? as u64;
    if cycles > 0 {
        return Ok((0, cycles, 0));
    }
    c.execute_batch("CREATE TEMP TABLE IF NOT EXISTS too_old (id INTEGER PRIMARY KEY); DELETE FROM temp.too_old")?;
    let found = c
        .prepare_cached(
            "INSERT INTO temp.too_old SELECT e.id FROM entry e WHERE e.gone < ?1
            AND NOT EXISTS (SELECT 1 FROM link l WHERE l.entry_id = e.id)
            AND NOT EXISTS (SELECT 1 FROM pushed_member p WHERE p.member_id = e.id)
            AND NOT EXISTS (SELECT 1 FROM journal j WHERE j.entry_id = e.id)
            AND NOT EXISTS (SELECT 1 FROM parked p WHERE p.entry_id = e.id)
            AND NOT EXISTS (SELECT 1 FROM held h WHERE h.sync_id = e.sync_id AND h.key = e.key)
            AND NOT EXISTS (SELECT 1 FROM intent i WHERE i.sync_id = e.sync_id) LIMIT ?2",
        )?
        .execute(params![before, STEP])?;
    if found > 0 {
        // Numbers of rows may be used again: nothing may point to them. What a group refers to does not become free for the
        // next one with the same name: it means nobody until a full read.
        for (table, nobody) in [("member", Some(NOBODY)), ("reference", None)] {
            let sql = format!("UPDATE {table} SET member_id = ?1 WHERE member_id IN (SELECT id FROM temp.too_old)");
            c.execute(&sql, [nobody])?;
        }
        c.execute(
            "DELETE FROM undone WHERE entry_id IN (SELECT id FROM temp.too_old)
             OR what IN ('+member', '-member') AND CAST(value AS INTEGER) IN (SELECT id FROM temp.too_old)",
            [],
        )?;
        c.execute("DELETE FROM entry WHERE id IN (SELECT id FROM temp.too_old)", [])?;
    }
    Ok((0, 0, found as u64))
}
