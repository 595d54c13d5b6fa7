//! Memberships: bounded chunks, and after a lost answer a look before anything is sent again.

use super::Task;
use super::outcome::{Outcome, Refused};
use super::worker::{Worker, not_shown_yet};
use crate::model::{Fault, ObjectKind, TargetId};
use crate::plan::Kind;
use crate::target::TargetError;
use std::collections::HashSet;

impl Worker {
    pub(super) async fn members(&self, task: &Task, group: &TargetId) -> Outcome {
        let adding = task.change.kind == Kind::MembersAdd;
        let mut done = Vec::with_capacity(task.members.len());
        let mut refused = None;
        let writer = &self.job.writer;
        let size = writer.members_at_once(self.job.members_per_request);
        // A stack of chunks, the first on top; a refused chunk comes back in two halves.
        let mut chunks: Vec<Vec<(i64, TargetId)>> = task.members.chunks(size).map(<[_]>::to_vec).collect();
        chunks.reverse();
        let mut lost = 0;
        // Who is in the group by our doing, where the target takes it as a whole only.
        let mut known: Option<Vec<TargetId>> = None;
        while let Some(mut chunk) = chunks.pop() {
            let size = writer.members_at_once(self.job.members_per_request);
            if chunk.len() > size {
                // Meanwhile it is known that so many are too many.
                let rest = chunk.split_off(size);
                chunks.push(rest);
            }
            let ids: Vec<TargetId> = chunk.iter().map(|(_, t)| t.clone()).collect();
            let sent = if adding {
                writer.add_members_to(group, &ids, task.roster, known.as_deref()).await
            } else {
                writer.remove_members_of(group, &ids, task.roster, known.as_deref()).await
            };
            let error = match sent {
                Ok(()) => {
                    done.extend(chunk.iter().map(|(id, _)| *id));
                    match &mut known {
                        Some(known) if adding => known.extend(ids),
                        Some(known) => known.retain(|m| !ids.contains(m)),
                        None => {}
                    }
                    continue;
                }
                Err(e) if e.wants_members && known.is_none() => {
                    let Some((_, mut ours)) = self.seated(task.change.id).await else {
                        return self.stopped(task, done, group, e).await;
                    };
                    // What went through before is not booked yet.
                    let gone: HashSet<i64> = done.iter().copied().collect();
                    let (now, rest): (Vec<_>, Vec<_>) = task.members.iter().partition(|(id, _)| gone.contains(id));
                    drop(rest);
                    if adding {
                        ours.extend(now.into_iter().map(|(_, account)| account.clone()));
                    } else {
                        ours.retain(|m| !now.iter().any(|(_, account)| account == m));
                    }
                    known = Some(ours);
                    chunks.push(chunk);
                    continue;
                }
                Err(e) => e,
            };
            if error.ambiguous && lost < 5 {
                lost += 1;
                match self.rest(group, &chunk, adding).await {
                    Ok((arrived, rest)) => {
                        done.extend(arrived);
                        if !rest.is_empty() {
                            chunks.push(rest);
                        }
                        continue;
                    }
                    // Nobody knows whether this chunk arrived.
                    Err(e) => return self.stopped(task, done, group, e.ambiguous()).await,
                }
            }
            // Not where the target refused nothing and did nothing: that is about no member in particular.
            let too_much = error.fault == Fault::Invalid && error.status.is_some() && chunk.len() > 1;
            if too_much {
                if error.status == Some(413) {
                    writer.note_too_large(chunk.len());
                }
                let (a, b) = chunk.split_at(chunk.len() / 2);
                chunks.push(b.to_vec());
                chunks.push(a.to_vec());
                continue;
            }
            if error.fault == Fault::Invalid && error.status.is_some() {
                refused = Some(Refused::from(error));
                continue;
            }
            return self.stopped(task, done, group, error).await;
        }
        Outcome::Members { done, refused }
    }

    /// Of a chunk whose answer was lost: who is where they should be, and who is not. Where the target does not tell, nobody
    /// is: to add or remove them once more does no harm, and one who is not removed keeps what the group gives.
    #[allow(clippy::type_complexity)]
    async fn rest(
        &self,
        group: &TargetId,
        chunk: &[(i64, TargetId)],
        adding: bool,
    ) -> Result<(Vec<i64>, Vec<(i64, TargetId)>), TargetError> {
        let there: HashSet<TargetId> = match self.job.reader.get(ObjectKind::Group, group).await? {
            Some(g) if !self.job.reader.tells_members(&g) => return Ok((Vec::new(), chunk.to_vec())),
            Some(g) => g.members().into_iter().collect(),
            // Without the group nothing arrived: sent again, the answer says so.
            None => return Ok((Vec::new(), chunk.to_vec())),
        };
        let (arrived, rest): (Vec<_>, Vec<_>) = chunk.iter().cloned().partition(|(_, t)| there.contains(t) == adding);
        Ok((arrived.into_iter().map(|(id, _)| id).collect(), rest))
    }

    /// An ambiguous error: the intent stays open, and the next cycle looks who is in the group before anything else.
    async fn stopped(&self, task: &Task, done: Vec<i64>, group: &TargetId, e: TargetError) -> Outcome {
        let (ambiguous, accepted) = (e.ambiguous, e.accepted);
        match self.gone_or(ObjectKind::Group, group, e).await {
            Outcome::Refused(mut refused) => {
                refused.ambiguous |= ambiguous;
                Outcome::Members { done, refused: Some(refused) }
            }
            // The target took them, and shows the group itself later: who is in it is looked at then.
            Outcome::Gone if self.is_awaited(&task.change, group, accepted).await => {
                Outcome::Members { done, refused: Some(Refused { ambiguous: accepted, ..not_shown_yet(ObjectKind::Group) }) }
            }
            other => other,
        }
    }
}
