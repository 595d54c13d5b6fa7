//! Lists of groups may leave out who is in them, though a look at one group shows it (RFC 7644 section 3.9 lets a server choose
//! what it returns by default): then the groups are read one by one.

use super::remote::keep;
use super::{Cycle, CycleError, Look};
use crate::model::ObjectKind;
use crate::state::Store;
use crate::state::remote::Memberless;
use crate::target::{Remote, TargetError, TargetReader};
use futures_util::StreamExt;

/// Groups to which members were pushed of which none shows anybody, after which the others are not looked at.
const FIRST: usize = 5;
/// The same of groups of which nobody knows whether anybody is in them: in many an application some are empty.
const UNKNOWN: usize = 50;

impl Cycle {
    /// Reads members where the list showed none of any group: of all groups, or, where linked ones are not compared, of the
    /// others.
    pub(super) async fn read_members(
        &self,
        store: Store,
        sync: i64,
        reader: &TargetReader,
        look: Look,
    ) -> (Store, Result<(), CycleError>) {
        let groups = match store.remote_groups_without_members(sync) {
            Ok(groups) => groups,
            Err(e) => return (store, Err(e.into())),
        };
        let counts = |group: &Memberless| look == Look::Everything || !group.linked;
        if !groups.iter().any(counts) {
            return (store, Ok(()));
        }
        let (sample, others) = sample(groups);
        let mut store = store;
        let mut rest = sample.chunks(FIRST);
        let mut shown = false;
        for some in rest.by_ref() {
            let (back, read) = self.read_singly(store, reader, &some.iter().collect::<Vec<_>>()).await;
            store = back;
            match read {
                Ok(somebody) => shown = somebody,
                Err(e) => return (store, Err(e)),
            }
            if shown {
                break;
            }
        }
        let left: Vec<&Memberless> = rest.flatten().chain(&others).filter(|group| counts(group)).collect();
        if !shown || left.is_empty() {
            return (store, Ok(()));
        }
        tracing::info!(
            sync = self.config().name,
            "the target lists groups without their members: each of {} is read by itself",
            left.len()
        );
        let (store, read) = self.read_singly(store, reader, &left).await;
        (store, read.map(drop))
    }

    /// Reads these groups; whether anybody is shown in one of them.
    async fn read_singly(
        &self,
        store: Store,
        reader: &TargetReader,
        groups: &[&Memberless],
    ) -> (Store, Result<bool, CycleError>) {
        if groups.is_empty() {
            return (store, Ok(false));
        }
        self.progress.begin("asking groups for their members", Some(groups.len() as u64));
        let asked = groups.iter().map(|group| {
            let (reader, id) = (reader.clone(), group.id.clone());
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

/// Those that show whether this target shows anybody, and the others: the first of those to which members were pushed, else
/// some from everywhere.
fn sample(mut groups: Vec<Memberless>) -> (Vec<Memberless>, Vec<Memberless>) {
    if groups.iter().any(|group| group.pushed) {
        let others = groups.split_off(FIRST.min(groups.len()));
        return (groups, others);
    }
    let step = groups.len().div_ceil(UNKNOWN).max(1);
    let (sample, others): (Vec<_>, Vec<_>) = groups.into_iter().enumerate().partition(|(i, _)| i % step == 0);
    let only = |all: Vec<(usize, Memberless)>| all.into_iter().map(|(_, group)| group).collect();
    (only(sample), only(others))
}

/// One that is gone meanwhile stays as it was listed: whoever writes to it finds out.
fn kept(store: &Store, answer: Result<Option<Remote>, TargetError>) -> Result<bool, CycleError> {
    let Some(there) = answer? else { return Ok(false) };
    keep(store, ObjectKind::Group, &there)?;
    Ok(!there.members().is_empty())
}
