//! What the store knows of entries while a read runs. A full read names everybody: it has 48 octets of each entry in hand, in
//! order, and touches the database once. An incremental read looks up whom it names, so that its cost follows the changes;
//! one that names more than a few of all gets them in hand too.

use super::hash::{self, Hash};
use super::{Sql, StateError, Store, kind_no};
use crate::model::{ObjectKind, Seal, Seals, SourceKey};
use rusqlite::{Connection, OpenFlags, OptionalExtension, params};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

/// Most newcomers that a read may announce before it brings them.
const MOST_OWED: usize = 100_000;
/// Looks that are always taken one by one.
const FEW: u64 = 1000;
/// Of so many entries one may be looked up besides, before all are taken in hand.
const SHARE: u64 = 50;

/// What the store knows before a read, and what the read has named of it.
#[derive(Debug, Default)]
pub struct Known {
    rows: Arc<Rows>,
    /// Named, by place; empty as long as nobody was found by place.
    seen: Vec<bool>,
    /// Named before all entries were in hand.
    met: HashSet<Hash>,
    /// Entries of which something is staged already: the last word counts.
    touched: HashSet<Hash>,
    /// The read spoke of this entry as known, and it is not: the read cannot be used.
    misfit: Option<SourceKey>,
    /// Entries that were said to be there and are not known: the read has to bring them yet (RFC 4533 section 3.3.1 names who
    /// is present before it sends who is new).
    owed: HashMap<Hash, SourceKey>,
    /// Names of entries without an id, of whom nobody can say who they are.
    nameless: BTreeSet<Hash>,
}

/// What is kept of an entry: hashes of its content, and of the octets that it came in (all zeros where none was kept).
#[derive(Debug, Clone, Copy)]
struct Kept {
    content: Hash,
    seal: Seal,
    /// Where it stands, once all are in hand.
    place: Option<usize>,
}

/// All present entries of a sync, in hand or to be looked up. Shared with the source, which asks from another thread.
#[derive(Debug, Default)]
struct Rows {
    /// Hashes of key and content, and the seal, in the order of the first.
    all: OnceLock<Vec<(Hash, Hash, Seal)>>,
    looks: Option<Looks>,
}

/// Entries are looked up by a connection of its own.
#[derive(Debug)]
struct Looks {
    conn: Mutex<Connection>,
    sync: i64,
    /// Looks before all are taken in hand.
    left: AtomicU64,
    /// The first that failed: the read cannot be used.
    failed: Mutex<Option<rusqlite::Error>>,
    path: PathBuf,
}

/// How an entry stands to what is known.
#[derive(Clone, Copy)]
pub(super) enum Met {
    /// New or different.
    Changed,
    /// The same, and said in the same way, or nobody can tell.
    Same,
    /// The same, said in another way.
    Sealed(Seal),
}

impl Rows {
    fn place(all: &[(Hash, Hash, Seal)], key: &Hash) -> Option<usize> {
        all.binary_search_by(|(k, ..)| k.cmp(key)).ok()
    }

    fn in_hand(all: &[(Hash, Hash, Seal)], key: &Hash) -> Option<Kept> {
        let place = Self::place(all, key)?;
        Some(Kept { content: all[place].1, seal: all[place].2, place: Some(place) })
    }

    fn kept(&self, kind: ObjectKind, key: &str) -> Option<Kept> {
        let (all, looks) = (self.all.get(), self.looks.as_ref());
        if let (None, Some(looks)) = (all, looks) {
            if looks.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok() {
                return looks.noted(|c| look_up(c, looks.sync, kind, key)).flatten();
            }
            // Only one of the two threads reads them; the other one waits.
            self.all.get_or_init(|| looks.noted(|c| load(c, looks.sync)).unwrap_or_default());
        }
        Self::in_hand(self.all.get()?, &hash::key(kind, key))
    }
}

impl Looks {
    /// Asks, and notes what fails.
    fn noted<T>(&self, ask: impl FnOnce(&Connection) -> Sql<T>) -> Option<T> {
        let conn = self.conn.lock().unwrap_or_else(PoisonError::into_inner);
        match ask(&conn) {
            Ok(found) => Some(found),
            Err(e) => {
                self.failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(e);
                None
            }
        }
    }
}

impl Seals for Rows {
    fn find(&self, kind: ObjectKind, key: &str, seal: &Seal) -> Option<usize> {
        // Of the few that are looked up one by one, each is read and compared.
        let kept = Self::in_hand(self.all.get()?, &hash::key(kind, key))?;
        kept.place.filter(|_| kept.seal == *seal)
    }

    fn knows(&self, kind: ObjectKind, key: &str) -> bool {
        self.kept(kind, key).is_some()
    }
}

impl Known {
    /// For a source that can tell entries by their octets.
    #[must_use]
    pub fn seals(&self) -> Arc<dyn Seals> {
        self.rows.clone()
    }

    /// Notes that the entry at this place of [`Known::seals`] was named, unchanged.
    pub fn meet_unchanged(&mut self, place: usize) {
        if self.seen.is_empty() {
            self.seen.resize(self.rows.all.get().map_or(0, Vec::len), false);
        }
        if let Some(seen) = self.seen.get_mut(place) {
            *seen = true;
        }
    }

    /// Notes that the entry was named as one that is there and has not changed.
    pub fn meet_kept(&mut self, kind: ObjectKind, key: SourceKey) {
        match self.rows.kept(kind, key.as_str()) {
            Some(kept) => self.see(kind, key.as_str(), kept),
            None if self.owed.len() < MOST_OWED => drop(self.owed.insert(hash::key(kind, key.as_str()), key)),
            None => self.misfit(key),
        }
    }

    /// Notes that the entry was named, where it is known. Returns whether it is.
    pub(super) fn meet_if_known(&mut self, kind: ObjectKind, key: &str) -> bool {
        let kept = self.rows.kept(kind, key);
        if let Some(kept) = kept {
            self.see(kind, key, kept);
        }
        kept.is_some()
    }

    /// Notes that somebody was there under this name of whom nobody can say who it is.
    pub(super) fn note_nameless(&mut self, name: Hash) {
        self.nameless.insert(name);
    }

    /// See [`Self::note_nameless`].
    pub(super) fn nameless(&self) -> &BTreeSet<Hash> {
        &self.nameless
    }

    /// Notes that the read speaks of an entry as known that is not.
    pub(super) fn misfit(&mut self, key: SourceKey) {
        self.misfit.get_or_insert(key);
    }

    /// Who is spoken of as known and is not: the read cannot be used. To be asked when it has ended.
    #[must_use]
    pub fn stranger(&self) -> Option<&SourceKey> {
        self.misfit.as_ref().or_else(|| self.owed.values().next())
    }

    /// What kept the store from being asked, if anything did: the read cannot be used. To be asked when it has ended.
    ///
    /// # Errors
    /// The store could not be read.
    pub fn answered(&self) -> Result<(), StateError> {
        let Some(looks) = &self.rows.looks else { return Ok(()) };
        match looks.failed.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(source) => Err(StateError::Sqlite { path: looks.path.clone(), source }),
            None => Ok(()),
        }
    }

    /// Something is staged of this entry.
    pub(super) fn touch(&mut self, kind: ObjectKind, key: &str) {
        // Of newcomers the last word replaces the one before. Where that would take a look they are noted too.
        let hashed = hash::key(kind, key);
        if self.rows.all.get().is_none_or(|all| Rows::place(all, &hashed).is_some()) {
            self.touched.insert(hashed);
        }
    }

    /// Whether something was staged of this entry; it is not any more.
    pub(super) fn untouch(&mut self, kind: ObjectKind, key: &str) -> bool {
        !self.touched.is_empty() && self.touched.remove(&hash::key(kind, key))
    }

    /// Notes that the entry was named.
    pub(super) fn meet(&mut self, kind: ObjectKind, key: &str, content: &Hash, seal: Option<Seal>) -> Met {
        let Some(kept) = self.rows.kept(kind, key) else {
            if !self.owed.is_empty() {
                self.owed.remove(&hash::key(kind, key));
            }
            return Met::Changed;
        };
        self.see(kind, key, kept);
        match seal {
            _ if kept.content != *content => Met::Changed,
            Some(seal) if seal != kept.seal => Met::Sealed(seal),
            _ => Met::Same,
        }
    }

    fn see(&mut self, kind: ObjectKind, key: &str, kept: Kept) {
        match kept.place {
            Some(place) => self.meet_unchanged(place),
            None => drop(self.met.insert(hash::key(kind, key))),
        }
    }

    /// Whether all of them were named, as far as that is known without asking for each.
    pub(super) fn all_named(&self) -> bool {
        let all = self.rows.all.get();
        all.is_some_and(|all| all.len() == self.seen.len() && self.seen.iter().all(|seen| *seen))
    }

    /// Whether the read named this entry, which is known.
    pub(super) fn is_named(&self, kind: ObjectKind, key: &str) -> bool {
        let hashed = hash::key(kind, key);
        let place = self.rows.all.get().and_then(|all| Rows::place(all, &hashed));
        place.is_some_and(|i| self.seen.get(i).copied().unwrap_or_default()) || self.met.contains(&hashed)
    }
}

impl Store {
    /// What is known of the sync's present entries, all in hand: for a read that names everybody.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn known(&self, sync: i64) -> Result<Known, StateError> {
        let all = self.run(|c| load(c, sync))?;
        let rows = Rows { all: OnceLock::from(all), looks: None };
        Ok(Known { rows: Arc::new(rows), ..Known::default() })
    }

    /// The same, looked up as it is asked for: for an incremental read.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn known_when_asked(&self, sync: i64) -> Result<Known, StateError> {
        let (users, groups) = self.count_present(sync)?;
        // Another connection: this one is at work on another thread while the source asks.
        let conn = self.run(|_| {
            let conn =
                Connection::open_with_flags(self.path(), OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
            conn.busy_timeout(Duration::from_secs(300))?;
            conn.pragma_update(None, "cache_size", -2000)?;
            Ok(conn)
        })?;
        let looks = Looks {
            conn: Mutex::new(conn),
            sync,
            left: AtomicU64::new(FEW + (users + groups) / SHARE),
            failed: Mutex::default(),
            path: self.path().to_owned(),
        };
        Ok(Known { rows: Arc::new(Rows { all: OnceLock::new(), looks: Some(looks) }), ..Known::default() })
    }
}

fn load(c: &Connection, sync: i64) -> Sql<Vec<(Hash, Hash, Seal)>> {
    let mut st = c.prepare_cached("SELECT kind, key, hash, seal FROM entry NOT INDEXED WHERE sync_id = ?1 AND gone IS NULL")?;
    let mut rows = Vec::new();
    let mut q = st.query([sync])?;
    while let Some(r) = q.next()? {
        let key = hash::key(super::kind_of(r.get(0)?), r.get_ref(1)?.as_str()?);
        let (content, seal) = hashes(r.get_ref(2)?.as_blob()?, r.get_ref(3)?.as_blob_or_null()?);
        rows.push((key, content, seal));
    }
    rows.sort_unstable();
    rows.shrink_to_fit();
    Ok(rows)
}

fn look_up(c: &Connection, sync: i64, kind: ObjectKind, key: &str) -> Sql<Option<Kept>> {
    c.prepare_cached("SELECT hash, seal FROM entry WHERE sync_id = ?1 AND kind = ?2 AND key = ?3 AND gone IS NULL")?
        .query_row(params![sync, kind_no(kind), key], |r| {
            let (content, seal) = hashes(r.get_ref(0)?.as_blob()?, r.get_ref(1)?.as_blob_or_null()?);
            Ok(Kept { content, seal, place: None })
        })
        .optional()
}

/// A stored hash of another length never equals: the entry counts as changed.
fn hashes(content: &[u8], seal: Option<&[u8]>) -> (Hash, Seal) {
    (content.try_into().unwrap_or([0; 16]), seal.and_then(|s| s.try_into().ok()).unwrap_or_default())
}
