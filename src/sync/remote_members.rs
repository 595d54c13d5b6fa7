//! Lists of groups may leave out who is in them, though a look at one group shows it (RFC 7644 section 3.9 lets a server choose
//! what it returns by default): then the groups are read one by one.

use super::remote::keep;
use super::{Cycle, CycleError};
use crate::model::{ObjectKind, TargetId};
use crate::state::Store;
use crate::target::{Remote, TargetError, TargetReader};
use futures_util::StreamExt;

/// Groups of which none shows anybody, after which the others are not looked at.
const FIRST: usize = 5;

impl Cycle {
    /// Reads members where the list showed none of any group.
    pub(super) async fn read_members(&self, store: Store, sync: i64, reader: &TargetReader) -> (Store, Result<(), CycleError>) {
        let groups = match store.remote_groups_without_members(sync) {
            Ok(groups) => groups,
            Err(e) => return (store, Err(e.into())),
        };
        let (first, others) = groups.split_at(FIRST.min(groups.len()));
        let (store, shown) = self.read_singly(store, reader, first).await;
        match shown {
            Ok(true) if !others.is_empty() => {
                tracing::info!(
                    sync = self.config().name,
                    "the target lists groups without their members: each of {} is read by itself",
                    groups.len()
                );
                let (store, read) = self.read_singly(store, reader, others).await;
                (store, read.map(drop))
            }
            other => (store, other.map(drop)),
        }
    }

    /// Reads these groups; whether anybody is shown in one of them.
    async fn read_singly(&self, store: Store, reader: &TargetReader, groups: &[TargetId]) -> (Store, Result<bool, CycleError>) {
        if groups.is_empty() {
            return (store, Ok(false));
        }
        self.progress.begin("asking groups for their members", Some(groups.len() as u64));
        let asked = groups.iter().map(|id| {
            let (reader, id) = (reader.clone(), id.clone());
            async move { reader.get(ObjectKind::Group, &id).await }
        });
        let mut answers = futures_util::stream::iter(asked).buffer_unordered(self.concurrency());
        let mut shown = false;
        while let Some(answer) = answers.next().await {
            self.progress.step(1);
            match kept(&store, answer) {
                Ok(somebody) => shown |= somebody,
                Err(e) => return (store, Err(e)),
            }
        }
        self.progress.end();
        (store, Ok(shown))
    }
}

/// One that is gone meanwhile stays as it was listed: whoever writes to it finds out.
fn kept(store: &Store, answer: Result<Option<Remote>, TargetError>) -> Result<bool, CycleError> {
    let Some(there) = answer? else { return Ok(false) };
    keep(store, ObjectKind::Group, &there)?;
    Ok(!there.members().is_empty())
}
