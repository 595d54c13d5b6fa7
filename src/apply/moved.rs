//! Accounts whose id changed. Some targets make the id out of the user name or its address: after a rename the account is
//! there under another id, and a 404 at the old one is not its end. Nobody may take a leaver's account for gone who is
//! still in it.

use super::outcome::Outcome;
use super::worker::Worker;
use crate::model::{ObjectKind, TargetId};
use crate::plan::Change;
use crate::target::Remote;

impl Worker {
    /// After a confirmed 404: the id under which the account of `change` is now, and to which its link was moved.
    pub(super) async fn moved(&self, change: &Change, old: &TargetId) -> Result<Option<TargetId>, Outcome> {
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
        let (external, names) = (values("externalId"), values(naming(kind)));
        let criteria = external.iter().map(|v| ("externalId", v)).chain(names.iter().map(|v| (naming(kind), v)));
        for (path, value) in criteria {
            let hits = match self.job.reader.find(kind, &[(path.to_owned(), value.clone())]).await {
                Ok(hits) => hits,
                Err(e) => return Err(self.failed(kind, e).await),
            };
            // The same externalId as we wrote, or an id made of the name that we gave it: else it is another account.
            let is_it = |r: &&Remote| {
                r.id != *old
                    && (r.external_id().is_some_and(|e| external.iter().any(|ours| ours == e))
                        || (r.external_id().is_none() && names.iter().any(|n| r.id.as_str().eq_ignore_ascii_case(n))))
            };
            let mut found = hits.iter().filter(is_it);
            if let (Some(one), None) = (found.next(), found.next()) {
                return Ok(self.follow(change, old, &one.id).await.then(|| one.id.clone()));
            }
        }
        Ok(None)
    }

    /// Moves the link to the new id, and the memberships that we wrote. `false`: another entry is linked to that account.
    pub(super) async fn follow(&self, change: &Change, old: &TargetId, new: &TargetId) -> bool {
        let (sync, kind, entry, to) = (self.job.sync, change.kind.object(), change.id, new.clone());
        let moved = self
            .ask(move |store| {
                if store.linked_to(sync, kind, &to, entry)?.is_some() || !store.move_link(entry, &to)? {
                    return Ok(None);
                }
                if kind == ObjectKind::User { store.groups_with(entry).map(Some) } else { Ok(Some(Vec::new())) }
            })
            .await;
        let groups = match moved {
            Some(Ok(Some(groups))) => groups,
            // Not ours to have, or the store is broken, which the ledger reports.
            Some(Ok(None) | Err(_)) | None => return false,
        };
        tracing::info!(who = change.who, %old, %new, "the account has another id at the target now");
        for (group_entry, group) in groups {
            if self.rekey(&group, old, new).await.is_err() {
                // The next cycle adds whoever is not noted as being there.
                let _ = self.ask(move |store| store.set_pushed_members(group_entry, &[entry], false)).await;
            }
        }
        true
    }

    /// Puts the new id into a group in the place of the old one, which the target may have done itself.
    async fn rekey(&self, group: &TargetId, old: &TargetId, new: &TargetId) -> Result<(), crate::target::TargetError> {
        let Some(there) = self.job.reader.get(ObjectKind::Group, group).await? else { return Ok(()) };
        let members = there.members();
        if !members.contains(new) {
            self.job.writer.add_members(group, std::slice::from_ref(new)).await?;
        }
        if members.contains(old) || !there.has_members() {
            self.job.writer.remove_members(group, std::slice::from_ref(old)).await?;
        }
        Ok(())
    }
}

/// The attribute that names a resource.
fn naming(kind: ObjectKind) -> &'static str {
    match kind {
        ObjectKind::User => "userName",
        ObjectKind::Group => "displayName",
    }
}
