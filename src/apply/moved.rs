//! Accounts whose id changed. Some targets make the id out of the user name or its address: after a rename the account is
//! there under another id, and a 404 at the old one is not its end. Nobody may take a leaver's account for gone who is
//! still in it.

use super::create::CLOCK_SLACK;
use super::outcome::Outcome;
use super::worker::Worker;
use crate::model::{ObjectKind, TargetId};
use crate::plan::Change;
use crate::target::{Remote, Roster, TargetError};
use std::sync::atomic::Ordering::Relaxed;

/// So many accounts in a row that are nowhere else either: here ids do not change, and each look may read the whole target.
const ABSENCES: u32 = 3;

impl Worker {
    /// After a confirmed 404: the id under which the account of `change` is now, and to which its link was moved.
    ///
    /// Asked for every change that takes something away; for the others no more after [`ABSENCES`] in this apply. Whoever
    /// is made anew is matched again before that.
    pub(super) async fn moved(&self, change: &Change, old: &TargetId) -> Result<Option<TargetId>, Outcome> {
        if !change.kind.takes_away() && self.absent.load(Relaxed) >= ABSENCES {
            return Ok(None);
        }
        let kind = change.kind.object();
        let flats = [&change.to, change.known(), &change.from];
        let values = |path: &str| {
            let mut out: Vec<String> = Vec::new();
            for value in flats.iter().filter_map(|f| f.get(path)?.as_str()).filter(|v| !v.is_empty()) {
                if !out.iter().any(|o| o == value) {
                    out.push(value.to_owned());
                }
            }
            out
        };
        let (external, names) = (values("externalId"), values(kind.name_attribute()));
        let is_ours = |text: &str| names.iter().any(|n| text.eq_ignore_ascii_case(n));
        // The same externalId as we wrote, or an id made of the name that we gave it: else it is another account.
        let is_it = |r: &&Remote| {
            r.id != *old
                && (r.external_id().is_some_and(|e| external.iter().any(|ours| ours == e))
                    || (r.external_id().is_none() && is_ours(r.id.as_str())))
        };
        let by_external: Vec<(String, String)> = external.iter().map(|v| ("externalId".to_owned(), v.clone())).collect();
        let by_name = names.iter().map(|v| (kind.name_attribute().to_owned(), v.clone()));
        // All at once: where filters cannot be believed, that is one read of the list and not one for each.
        let all: Vec<_> = by_external.iter().cloned().chain(by_name).collect();
        let mut hits = self.look(kind, &all).await?;
        if !hits.is_empty() && !by_external.is_empty() && !hits.iter().any(|r| is_it(&r)) {
            // Somebody else bears the name; ours may bear another one.
            hits = self.look(kind, &by_external).await?;
        }
        let mut found: Vec<&Remote> = hits.iter().filter(is_it).collect();
        if found.len() > 1 {
            found.retain(|r| r.get(kind.name_attribute()).is_some_and(|name| name.as_str().is_some_and(is_ours)));
        }
        let [one] = found.as_slice() else {
            self.absent.fetch_add(1, Relaxed);
            return Ok(None);
        };
        self.absent.store(0, Relaxed);
        // An id that is made of the name says nothing of who made the account; another one may be of a new account.
        let made = if is_ours(one.id.as_str()) { None } else { one.created() };
        Ok(self.follow(change, old, &one.id, made).await.then(|| one.id.clone()))
    }

    async fn look(&self, kind: ObjectKind, criteria: &[(String, String)]) -> Result<Vec<Remote>, Outcome> {
        match self.job.reader.find(kind, criteria).await {
            Ok(hits) => Ok(hits),
            Err(e) => Err(self.failed(kind, e).await),
        }
    }

    /// Moves the link to the new id, and the memberships that we wrote. `false`: another entry is linked to that account.
    /// `made`: when the account was made, by the target's clock, where it may be another one than ours.
    pub(super) async fn follow(&self, change: &Change, old: &TargetId, new: &TargetId, made: Option<i64>) -> bool {
        let (sync, kind, entry, to) = (self.job.sync, change.kind.object(), change.id, new.clone());
        let skew = self.job.reader.clock_skew_s().unwrap_or(0);
        let made = made.map(|at| at.saturating_sub(skew).saturating_sub(CLOCK_SLACK));
        let moved = self
            .ask(move |store| match store.linked_to(sync, kind, &to, entry)? {
                Some(_) => Ok(None),
                None => store.move_link(entry, &to, made),
            })
            .await;
        let groups = match moved {
            Some(Ok(Some(groups))) => groups,
            // Not ours to have, or the store is broken, which the ledger reports.
            Some(Ok(None) | Err(_)) | None => return false,
        };
        tracing::info!(who = change.who, %old, %new, "the account has another id at the target now");
        for (group_entry, group) in groups {
            // Until it is noted again the person is not known to be in the group: a cycle that is killed here adds it later.
            let rekeyed = match self.rekey(group_entry, &group, old, new).await {
                Ok(()) => self.ask(move |store| store.set_pushed_members(group_entry, &[entry], true)).await,
                Err(_) => None,
            };
            if !matches!(rekeyed, Some(Ok(())))
                && let Ok(mut again) = self.look_again.lock()
            {
                again.push(group_entry);
            }
        }
        true
    }

    /// Puts the new id into a group in the place of the old one, which the target may have done itself.
    async fn rekey(&self, entry: i64, group: &TargetId, old: &TargetId, new: &TargetId) -> Result<(), TargetError> {
        let Some(there) = self.job.reader.get(ObjectKind::Group, group).await? else { return Ok(()) };
        let members = there.members();
        let (ours, known) = self.seated(entry).await.unwrap_or_default();
        let (writer, roster) = (&self.job.writer, Roster { size: 0, ours });
        if !members.contains(new) {
            writer.add_members_to(group, std::slice::from_ref(new), roster, Some(&known)).await?;
        }
        if members.contains(old) || !there.has_members() {
            writer.remove_members_of(group, std::slice::from_ref(old), roster, Some(&known)).await?;
        }
        Ok(())
    }
}
