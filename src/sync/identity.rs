//! Target identity: links belong to one target. Where its address or credential changed, accounts that we know must read
//! back as recorded before anything is written.

use super::{Cycle, CycleError};
use crate::model::ObjectKind;
use crate::state::links::Sample;
use crate::state::syncs::SyncRow;
use crate::state::{StateError, Store};
use crate::target::Remote;

/// Links that are asked for.
const SAMPLE: u32 = 10;

impl Cycle {
    pub(super) async fn check_identity(&self, mut store: Store, row: &SyncRow) -> (Store, Result<(), CycleError>) {
        let out = self.check(&mut store, row).await;
        (store, out)
    }

    async fn check(&self, store: &mut Store, row: &SyncRow) -> Result<(), CycleError> {
        let now = self.salted(store)?;
        let known = store.find_sync(&self.sync.name)?.and_then(|r| r.target_identity);
        if known.as_deref() == Some(&now) {
            return Ok(());
        }
        let sample = store.sample_links(row.id, SAMPLE)?;
        if known.is_some() && !sample.is_empty() {
            self.read_back(row, &sample).await?;
        }
        store.set_target_identity(row.id, &now)?;
        Ok(())
    }

    async fn read_back(&self, row: &SyncRow, sample: &[Sample]) -> Result<(), CycleError> {
        tracing::info!(
            sync = self.sync.name,
            "the target's address or credential changed: looking at {} known accounts",
            sample.len()
        );
        let dialect = self.known_dialect(row).unwrap_or_else(|| self.preset.clone());
        let reader = self.target.reader(&dialect);
        let mut wrong = Vec::new();
        for s in sample {
            let there = reader.get(s.kind, &s.target_id).await?;
            let same = there.as_ref().is_some_and(|r| is_same(s, r));
            if !same {
                wrong.push(format!("{} ({} {})", s.who, s.kind, s.target_id));
            }
        }
        // One account may have been removed or renamed by hand; a target where hardly any is right is another target.
        if wrong.is_empty() || (sample.len() >= 2 && wrong.len() == 1) {
            return Ok(());
        }
        Err(CycleError::WrongTarget(format!(
            "target {}: its address or credential changed, and {} of {} accounts that we know do not read back as recorded: {}. \
             Nothing was written. If the address is wrong, correct it. If the application moved, move the links (`link`, `relink`), \
             or start with a new state store",
            self.sync.target,
            wrong.len(),
            sample.len(),
            wrong.iter().take(3).cloned().collect::<Vec<_>>().join(", "),
        )))
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

fn is_same(s: &Sample, r: &Remote) -> bool {
    let name = match s.kind {
        ObjectKind::User => r.user_name(),
        ObjectKind::Group => r.display_name(),
    };
    name.is_some_and(|n| n.to_lowercase() == s.name)
}
