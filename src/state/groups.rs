//! What is kept of a group that the target's own group of that name decides about.

use super::{StateError, Store};
use crate::model::TargetId;
use rusqlite::{OptionalExtension, params};

impl Store {
    /// Notes that a group was there at the target before it could be made, and is left alone; nothing of it is planned in
    /// this cycle any more.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn leave_group_alone(&self, entry: i64, there: &TargetId) -> Result<(), StateError> {
        self.run(|c| {
            c.prepare_cached(
                "INSERT INTO group_note (entry_id, left_alone) VALUES (?1, ?2)
                 ON CONFLICT (entry_id) DO UPDATE SET left_alone = excluded.left_alone",
            )?
            .execute(params![entry, there.as_str()])?;
            c.prepare_cached("DELETE FROM temp.plan_change WHERE entry_id = ?1")?.execute([entry])
        })
        .map(drop)
    }

    /// The group at the target on whose account this one is left alone.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn group_left_alone(&self, entry: i64) -> Result<Option<TargetId>, StateError> {
        self.run(|c| {
            c.prepare_cached("SELECT left_alone FROM group_note WHERE entry_id = ?1")?
                .query_row([entry], |r| r.get::<_, Option<String>>(0))
                .optional()
        })
        .map(|id| id.flatten().map(TargetId))
    }

    /// Forgets it: that group is there no more.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn forget_group_left_alone(&self, entry: i64) -> Result<(), StateError> {
        self.run(|c| c.execute("UPDATE group_note SET left_alone = NULL WHERE entry_id = ?1", [entry])).map(drop)
    }

    /// The row of `sync.groups.link` by which a group was linked: what it says of the directory, and of the target.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn group_link_row(&self, entry: i64) -> Result<Option<(String, String)>, StateError> {
        self.run(|c| {
            c.prepare_cached("SELECT link_row, link_to FROM group_note WHERE entry_id = ?1 AND link_row IS NOT NULL")?
                .query_row([entry], |r| Ok((r.get(0)?, r.get(1)?)))
                .optional()
        })
    }

    /// Notes or forgets that row.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn set_group_link_row(&self, entry: i64, row: Option<(&str, &str)>) -> Result<(), StateError> {
        let (from, to) = row.unzip();
        self.run(|c| {
            c.prepare_cached(
                "INSERT INTO group_note (entry_id, link_row, link_to) VALUES (?1, ?2, ?3)
                 ON CONFLICT (entry_id) DO UPDATE SET link_row = excluded.link_row, link_to = excluded.link_to",
            )?
            .execute(params![entry, from, to])
        })
        .map(drop)
    }
}
