//! Which entries have which mail address of their own: kept where user IDs are made up from UPNs or account names, which count
//! only where nobody else has the address.

use super::{StateError, Store};
use rusqlite::{OptionalExtension, params};
use std::collections::BTreeSet;

impl Store {
    /// Notes the addresses of an entry (folded), and has those looked at again whose user ID one of them is or was.
    ///
    /// # Errors
    /// The store cannot be read or written.
    pub fn set_addresses(&self, sync: i64, entry: i64, now: &BTreeSet<String>) -> Result<(), StateError> {
        self.run(|c| {
            let mut st = c.prepare_cached("SELECT address FROM address WHERE entry_id = ?1")?;
            let before: BTreeSet<String> = st.query_map([entry], |r| r.get(0))?.collect::<Result<_, _>>()?;
            for address in before.symmetric_difference(now) {
                if now.contains(address) {
                    c.prepare_cached("INSERT OR IGNORE INTO address (sync_id, address, entry_id) VALUES (?1, ?2, ?3)")?
                        .execute(params![sync, address, entry])?;
                } else {
                    c.prepare_cached("DELETE FROM address WHERE sync_id = ?1 AND address = ?2 AND entry_id = ?3")?
                        .execute(params![sync, address, entry])?;
                }
                c.prepare_cached("UPDATE entry SET dirty = 1 WHERE sync_id = ?1 AND user_id = ?2 AND dirty = 0")?
                    .execute(params![sync, address])?;
            }
            Ok(())
        })
    }

    /// Who else has this address (folded) of their own, in scope or not.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn address_holder(&self, sync: i64, address: &str, except: i64) -> Result<Option<String>, StateError> {
        self.run(|c| {
            c.prepare_cached(
                "SELECT e.label || ' (' || e.key || ')' FROM address a JOIN entry e ON e.id = a.entry_id
                 WHERE a.sync_id = ?1 AND a.address = ?2 AND a.entry_id <> ?3 AND e.gone IS NULL ORDER BY e.key LIMIT 1",
            )?
            .query_row(params![sync, address, except], |r| r.get(0))
            .optional()
        })
    }
}
