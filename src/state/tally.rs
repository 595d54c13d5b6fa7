//! How many there are: kept by triggers (table `tally`), so that no cycle counts a directory.

use super::{Sql, StateError, Store};
use rusqlite::{Connection, params};

/// Counts of one kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Tally {
    /// At the source.
    present: u64,
    /// Of them in scope.
    in_scope: u64,
    /// With an account, as far as is known.
    linked: u64,
    /// Of them active.
    active: u64,
}

impl Store {
    fn tally(&self, sync: i64) -> Result<[Tally; 2], StateError> {
        self.run(|c| {
            let mut st =
                c.prepare_cached("SELECT present, in_scope, linked, active FROM tally WHERE sync_id = ?1 AND kind = ?2")?;
            let mut of = |kind: i64| {
                st.query_row([sync, kind], |r| {
                    Ok(Tally { present: r.get(0)?, in_scope: r.get(1)?, linked: r.get(2)?, active: r.get(3)? })
                })
            };
            Ok([of(0)?, of(1)?])
        })
    }

    /// Present people and groups of the sync: what shrink is judged on.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn count_present(&self, sync: i64) -> Result<(u64, u64), StateError> {
        self.tally(sync).map(|[users, groups]| (users.present, groups.present))
    }

    /// Present entries in scope, and outside it.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn count_scope(&self, sync: i64) -> Result<(u64, u64), StateError> {
        let [users, groups] = self.tally(sync)?;
        let inside = users.in_scope + groups.in_scope;
        Ok((inside, (users.present + groups.present).saturating_sub(inside)))
    }

    /// Present people in scope.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn count_people_in_scope(&self, sync: i64) -> Result<u64, StateError> {
        self.tally(sync).map(|[users, _]| users.in_scope)
    }

    /// Present groups in scope.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn count_groups_in_scope(&self, sync: i64) -> Result<u64, StateError> {
        self.tally(sync).map(|[_, groups]| groups.in_scope)
    }

    /// Linked people and groups whose account is there, as far as is known.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn count_links(&self, sync: i64) -> Result<(u64, u64), StateError> {
        self.tally(sync).map(|[users, groups]| (users.linked, groups.linked))
    }

    /// The base of shares: links before the cycle, but for people who were inactive before the window began. (Counting
    /// them for ever would let the limit grow with everyone who ever left.)
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn guard_base(&self, sync: i64, window_start: i64) -> Result<(u64, u64), StateError> {
        let [users, groups] = self.tally(sync)?;
        let lately: u64 = self.run(|c| {
            c.query_row(
                "SELECT count(*) FROM link INDEXED BY link_inactive WHERE sync_id = ?1 AND inactive_since >= ?2
                 AND kind = 0 AND active = 0 AND gone = 0",
                params![sync, window_start],
                |r| r.get(0),
            )
        })?;
        Ok((users.active + lately, groups.linked))
    }
}

/// Counts everybody: a full read looked at everybody anyway.
pub(super) fn count_anew(c: &Connection, sync: i64) -> Sql<()> {
    c.execute(
        "UPDATE tally SET
            present = (SELECT count(*) FROM entry e WHERE e.sync_id = ?1 AND e.kind = tally.kind AND e.gone IS NULL),
            in_scope = (SELECT count(*) FROM entry e WHERE e.sync_id = ?1 AND e.kind = tally.kind AND e.gone IS NULL AND e.in_scope = 1)
         WHERE sync_id = ?1",
        [sync],
    )
    .map(drop)
}
