//! Lists of groups may leave out who is in them, though a look at one group shows it (RFC 7644 section 3.9 lets a server choose
//! what it returns by default): then the groups are read one by one.

use super::remote::keep;
use super::singly::{Seen, Singly};
use super::{Cycle, CycleError, Look};
use crate::model::ObjectKind;
use crate::state::remote::Memberless;
use crate::state::{StateError, Store};
use crate::target::TargetReader;
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
            let (reader, group) = (reader.clone(), (*group).clone());
            async move {
                let answer = reader.get(ObjectKind::Group, &group.id).await;
                (group, answer)
            }
        });
        let mut singly = Singly::new(reader);
        let mut answers = futures_util::stream::iter(asked).buffer_unordered(self.concurrency());
        let mut shown = false;
        while let Some((group, answer)) = answers.next().await {
            self.progress.step(1);
            let seen = match singly.judge(ObjectKind::Group, &group.id, answer).await {
                Ok(seen) => seen,
                Err(e) => return (store, Err(e)),
            };
            match kept(&store, &group, &seen) {
                Ok(somebody) => shown |= somebody,
                Err(e) => return (store, Err(e.into())),
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

/// Keeps a group with its members; whether it has any. One that is gone meanwhile stays as it was listed: whoever writes to it
/// finds out. One of ours that cannot be read counts as not listed, so that in it is who was pushed.
fn kept(store: &Store, group: &Memberless, seen: &Seen) -> Result<bool, StateError> {
    match seen {
        Seen::There(there) => {
            keep(store, ObjectKind::Group, there)?;
            Ok(!there.members().is_empty())
        }
        Seen::Unknown(_) if group.linked => store.remote_forget(ObjectKind::Group, &group.id).map(|()| false),
        Seen::Nowhere | Seen::Unknown(_) => Ok(false),
    }
}
