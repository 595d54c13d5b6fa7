//! Every account at the target in a class, for people who clean up. Reads both sides, on a private copy of the state store;
//! there is no object here that could write at the target.

use super::evaluate::Work;
use super::{Cycle, CycleError, Look, Request, blocking};
use crate::model::{ObjectKind, SourceKey};
use crate::plan::matching::{self, Match, Person};
use crate::state::accounts::{AccountRow, Matched, Verdict};
use crate::state::standing::Dirty;
use crate::state::{StateError, Store};
use crate::target::Remote;
use serde::Serialize;
use std::fmt;
use std::path::Path;

/// What an account is to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// Linked to somebody who takes part.
    Linked,
    /// Linked to somebody who is disabled, gone, or out of scope at the source.
    Disabled,
    /// No link yet; somebody in the directory matches it, if only by an old name.
    Matched,
    /// No link, and nobody in the directory matches.
    Orphan,
    /// Somebody else's: of another sync, or with an externalId that is not the matching person's, or of several people.
    Foreign,
    /// Named in `guard.protected`.
    Protected,
}

impl Class {
    /// Every class.
    pub const ALL: [Self; 6] = [Self::Linked, Self::Disabled, Self::Matched, Self::Orphan, Self::Foreign, Self::Protected];

    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Linked => "linked",
            Self::Disabled => "disabled",
            Self::Matched => "matched",
            Self::Orphan => "orphan",
            Self::Foreign => "foreign",
            Self::Protected => "protected",
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Account {
    /// The sync.
    pub sync: String,
    /// What it is to us.
    pub class: Class,
    /// SCIM id.
    pub target_id: String,
    /// userName.
    pub user_name: Option<String>,
    /// Whether it may be used; `None` where the target does not say.
    pub active: Option<bool>,
    /// Whose it is, or who matches it.
    pub who: Option<String>,
    /// Their source key.
    pub source_key: Option<String>,
    /// Why it is in this class.
    pub why: String,
}

/// The accounts of one sync's target, on the private copy that they were worked out on.
#[derive(Debug)]
pub struct Listed {
    store: Store,
    sync: String,
    sync_id: i64,
    protected: Vec<String>,
}

impl Cycle {
    /// Reads the directory and the target's accounts, and puts each account in a class. Nothing is written anywhere but in
    /// a private copy of the state store.
    ///
    /// # Errors
    /// Source, target or state store failed.
    pub async fn accounts(&self, state: &Path) -> Result<Listed, CycleError> {
        let mut store = Store::scratch(state)?;
        let row = store.sync_row(&self.sync.name, &self.sync.target)?;
        let request = Request { by_hand: true, ..Request::default() };
        let (store, read) = self.read(store, &row, &request).await;
        let mut read = read?;
        if let Some(e) = read.no_room.take() {
            return Err(e.into());
        }
        let (store, recognised) = self.check_identity(store, &row).await;
        recognised?;
        let (store, dialect) = self.dialect(store, &row).await;
        let dialect = dialect?;
        store.remote_clear()?;
        let (store, listed) = self.list(store, &self.target.reader(&dialect), ObjectKind::User).await;
        listed?;
        store.remote_end()?;
        let work = self.decision(&row, &request, &dialect, Look::Everything, &read);
        let (store, matched) = blocking(store, move |store| {
            work.evaluate(store)?;
            store.account_matches_clear()?;
            store.in_transaction(|store| work.each(store, ObjectKind::User, |store, d| work.match_account(store, &d)))?;
            // On the private copy: what a cycle would say of accounts under old names.
            if work.preset.converts_user_ids {
                work.claim_old_names(store)?;
            }
            store.account_matches_by_claims(work.row.id)
        })
        .await;
        matched?;
        let protected = self.sync.guard.protected.iter().map(|p| p.trim().to_lowercase()).collect();
        Ok(Listed { store, sync: self.sync.name.clone(), sync_id: row.id, protected })
    }
}

impl Work {
    /// Notes which accounts an entry without a link matches.
    fn match_account(&self, store: &Store, d: &Dirty) -> Result<(), StateError> {
        let Some(entry) = d.entry.as_ref().filter(|_| !d.gone && d.link.as_ref().is_none_or(|l| l.gone)) else { return Ok(()) };
        let desired =
            self.mapper.user(entry, self.is_disabled(entry, d.inactive)).attrs.unwrap_or_else(|unmapped| *unmapped.rest);
        let (key, legacy) = (SourceKey(d.key.clone()), self.mapper.legacy_external_ids(entry));
        let person = Person {
            object: ObjectKind::User,
            source_key: key.as_str(),
            external_id: desired.attrs.get("externalId").and_then(|v| v.as_str()),
            legacy: &legacy,
        };
        for criterion in &self.sync.matching.users {
            let hits = self.hits(store, ObjectKind::User, d.id, &key, &desired, criterion)?;
            if hits.is_empty() {
                continue;
            }
            let (verdict, why) = match matching::judge(&person, criterion, &hits) {
                Match::Park { reason, .. } => (Verdict::Undecided, reason),
                Match::One(_) | Match::None if d.in_scope => (Verdict::Adoptable, String::new()),
                Match::One(_) | Match::None => (Verdict::OutOfScope, String::new()),
            };
            let matched = Matched { who: d.label.clone(), key: d.key.clone(), verdict, why };
            return hits.iter().try_for_each(|hit| store.account_matches(&hit.id, &matched));
        }
        Ok(())
    }
}

impl Listed {
    /// Calls `f` for every account, by name.
    ///
    /// # Errors
    /// The private copy cannot be read; what `f` says.
    pub fn each<E: From<StateError>>(&self, mut f: impl FnMut(Account) -> Result<(), E>) -> Result<(), E> {
        self.store.accounts_each(self.sync_id, |row| {
            let raw = serde_json::from_str(&row.json)
                .map_err(|e| self.store.damaged(format!("resource {}: {e}", row.target_id)))
                .map_err(E::from)?;
            let remote = Remote::of(row.target_id.clone(), raw);
            f(self.classify(&row, &remote))
        })
    }

    fn classify(&self, row: &AccountRow, remote: &Remote) -> Account {
        let (class, why) = match self.protects(row, remote) {
            Some(name) => (Class::Protected, format!("{name} stands in guard.protected")),
            None => class(row, remote),
        };
        let person = row.linked.as_ref().map(|l| (l.who.clone(), l.key.clone()));
        let person = person.or_else(|| row.matched.as_ref().map(|m| (m.who.clone(), m.key.clone())));
        let (who, source_key) = person.unzip();
        Account {
            sync: self.sync.clone(),
            class,
            target_id: row.target_id.0.clone(),
            user_name: remote.user_name().map(str::to_owned),
            active: remote.active(),
            who,
            source_key,
            why,
        }
    }

    /// Which name of `guard.protected` it bears.
    fn protects(&self, row: &AccountRow, remote: &Remote) -> Option<&String> {
        let person = row.linked.as_ref().map(|l| [l.who.as_str(), l.key.as_str()]);
        let mut names: Vec<String> = [Some(remote.id.as_str()), remote.user_name(), remote.external_id()]
            .into_iter()
            .flatten()
            .chain(remote.emails())
            .chain(person.into_iter().flatten())
            .map(str::to_lowercase)
            .collect();
        names.sort_unstable();
        self.protected.iter().find(|p| names.binary_search(p).is_ok())
    }
}

/// The class of an account that is not protected, and why.
fn class(row: &AccountRow, remote: &Remote) -> (Class, String) {
    if let Some(l) = &row.linked {
        let made = if l.created { "scim-sync made it" } else { "it was there and was adopted" };
        return match (l.gone, l.in_scope, l.inactive) {
            (Some(_), _, _) => (Class::Disabled, "gone from the directory".to_owned()),
            (None, false, _) => (Class::Disabled, "out of scope".to_owned()),
            (None, true, true) => (Class::Disabled, "disabled at the source".to_owned()),
            (None, true, false) => (Class::Linked, made.to_owned()),
        };
    }
    if let Some(other) = &row.other_sync {
        return (Class::Foreign, format!("linked by the sync {other}"));
    }
    if let Some(m) = &row.matched {
        return match m.verdict {
            Verdict::Adoptable => {
                (Class::Matched, format!("no link; {} matches, and a cycle that reads the target adopts it", m.who))
            }
            Verdict::OutOfScope => (Class::Matched, format!("no link; {} matches, and is out of scope", m.who)),
            Verdict::Undecided => (Class::Foreign, m.why.clone()),
            Verdict::Unconverted => (Class::Matched, format!("no link; {}: {}", m.who, m.why)),
        };
    }
    let carries = remote.external_id().map_or_else(String::new, |e| format!("; it carries the externalId {e:?}"));
    (Class::Orphan, format!("no link, and nobody in the directory matches{carries}"))
}
