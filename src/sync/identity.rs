//! Target identity: links belong to one target. Where its address or credential changed, accounts that we know must read
//! back as recorded before anything is written.

use super::singly::{Seen, Singly};
use super::{Cycle, CycleError};
use crate::state::links::Sample;
use crate::state::syncs::SyncRow;
use crate::state::{StateError, Store};
use crate::target::Remote;
use std::sync::atomic::Ordering;

/// Links that are asked for.
const SAMPLE: u32 = 10;

impl Cycle {
    /// Looks before anything else is done where the address or the credential changed, or the store was put back: also a
    /// cycle that has nothing to write says so.
    pub(super) async fn notice_another_target(&self, store: Store, row: &SyncRow) -> (Store, Result<(), CycleError>) {
        // A credential that cannot be read is told when it is needed.
        if row.target_identity.is_none() || self.target.identity().is_err() {
            return (store, Ok(()));
        }
        self.check_identity(store, row).await
    }

    pub(super) async fn check_identity(&self, mut store: Store, row: &SyncRow) -> (Store, Result<(), CycleError>) {
        if self.recognised.load(Ordering::Relaxed) {
            return (store, Ok(()));
        }
        let asked = match self.to_recognise(&mut store, row) {
            Ok(asked) => asked,
            Err(e) => return (store, Err(e)),
        };
        let Some((identity, sample, why)) = asked else {
            self.recognised.store(true, Ordering::Relaxed);
            return (store, Ok(()));
        };
        let (store, read) = match sample.is_empty() {
            true => (store, Ok(())),
            false => self.read_back(store, row, &sample, &why).await,
        };
        let noted = read.and_then(|()| Ok(store.set_target_identity(row.id, &identity, &self.address)?));
        self.recognised.store(noted.is_ok(), Ordering::Relaxed);
        (store, noted)
    }

    /// What has to be asked for, and why; `None` where this is the target that the links were checked against.
    #[allow(clippy::type_complexity)]
    fn to_recognise(&self, store: &mut Store, row: &SyncRow) -> Result<Option<(Vec<u8>, Vec<Sample>, String)>, CycleError> {
        let now = self.salted(store)?;
        let known = store.find_sync(&self.sync.name)?.unwrap_or_default();
        let why = match (&known.target_identity, &known.address) {
            (Some(identity), _) if *identity == now && known.restored_at.is_none() => return Ok(None),
            _ if known.restored_at.is_some() => "the state store was put back from a backup".to_owned(),
            (_, Some(address)) if *address != self.address => format!("its address changed from {address} to {}", self.address),
            (Some(_), _) => "its credential changed".to_owned(),
            (None, _) => "it was never asked before".to_owned(),
        };
        Ok(Some((now, store.sample_links(row.id, SAMPLE)?, why)))
    }

    async fn read_back(&self, store: Store, row: &SyncRow, sample: &[Sample], why: &str) -> (Store, Result<(), CycleError>) {
        tracing::info!(sync = self.sync.name, "target {}: {why}: looking at {} known accounts", self.sync.target, sample.len());
        let (store, dialect) = self.dialect(store, row).await;
        let dialect = match dialect {
            Ok(dialect) => dialect,
            Err(e) => return (store, Err(e)),
        };
        let reader = self.target.reader(&dialect);
        let mut singly = Singly::new(&reader);
        let (mut right, mut wrong, mut unknown) = (0, Vec::new(), None);
        for s in sample {
            match singly.get(s.kind, &s.target_id).await {
                Ok(Seen::There(there)) if is_same(s, &there) => right += 1,
                Ok(Seen::There(_) | Seen::Nowhere) => wrong.push(format!("{} ({} {})", s.who, s.kind, s.target_id)),
                // Which one it is says somebody else.
                Ok(Seen::Unknown(e)) => unknown = Some(e),
                Err(e) => return (store, Err(e)),
            }
        }
        // Some may have been removed by hand; a target where hardly any is right is another target.
        let known = right + wrong.len();
        if right > 0 && right * 2 >= known {
            return (store, Ok(()));
        }
        if let Some(e) = unknown.filter(|_| known == 0) {
            return (store, Err(e.into()));
        }
        let said = format!(
            "target {}: {why}, and {} of {} accounts that we know do not read back as recorded: {}. \
             Nothing was written. If the address or the credential is wrong, correct it. If the application moved and the accounts have \
             other ids there, mend the links (`scim-sync link`), or put the state store aside: a new one links everybody anew by the \
             rules of [sync.match]",
            self.sync.target,
            wrong.len(),
            known,
            wrong.iter().take(3).cloned().collect::<Vec<_>>().join(", "),
        );
        (store, Err(CycleError::WrongTarget(said)))
    }

    /// Address and credential, hashed with the store's own salt.
    fn salted(&self, store: &mut Store) -> Result<Vec<u8>, CycleError> {
        use sha2::Digest;
        let identity = self.target.identity()?;
        let salt = store.salt().map_err(|e: StateError| CycleError::State(e))?;
        let mut h = sha2::Sha256::new();
        h.update(&salt);
        h.update(&identity);
        Ok(h.finalize().to_vec())
    }
}

/// The same name or the same externalId under the same id: of the two, one may have been changed by hand.
fn is_same(s: &Sample, r: &Remote) -> bool {
    let named = r.name(s.kind).is_some_and(|n| n.to_lowercase() == s.name);
    named || s.external_id.as_deref().is_some_and(|ours| r.external_id() == Some(ours))
}

/// The target's URL without what may be secret in it.
pub(super) fn address(url: &url::Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    // Neither can fail for an address with a host, and others are refused by the configuration.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.as_str().trim_end_matches('/').to_owned()
}
