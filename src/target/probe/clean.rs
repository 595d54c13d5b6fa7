//! Removing what was made: by this probe, and by earlier ones that were killed.

use super::tries::refusal;
use super::{Made, PREFIX, Prober};
use crate::model::{Flat, ObjectKind, TargetId};
use crate::target::Remote;
use crate::target::error::TargetError;
use crate::target::pages::Pages;
use serde_json::json;

/// Why something is still there.
pub(super) struct Stays {
    reason: String,
    only_inactive: bool,
}

impl Stays {
    fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), only_inactive: false }
    }
}

impl Prober<'_> {
    /// Removes whatever this probe made and has not removed yet, groups first; also what was made without an answer.
    pub async fn clean(&mut self) {
        let mut made = std::mem::take(&mut self.made);
        if self.doubt {
            for kind in [ObjectKind::Group, ObjectKind::User] {
                if kind == ObjectKind::Group && !self.dialect.groups {
                    continue;
                }
                match self.named(kind, &self.tag, None).await {
                    Ok(found) => made.extend(found.into_iter().map(|r| made_of(kind, r))),
                    Err(e) => {
                        let reason = format!(
                            "a request was not answered, and whether it made something could not be looked up: {}",
                            e.message
                        );
                        self.found.stays(kind, &self.tag, "", reason, false);
                    }
                }
            }
        }
        made.sort_by_key(|m| m.kind == ObjectKind::User);
        let mut seen = std::collections::HashSet::new();
        made.retain(|m| seen.insert((m.kind, m.id.clone())));
        for it in made {
            if let Err(stays) = self.remove(&it).await {
                self.found.stays(it.kind, &it.name, it.id.as_str(), stays.reason, stays.only_inactive);
            }
        }
    }

    /// Removes what probes before this one left. `known`: a resource of this probe, by which a filter shows that it works.
    pub async fn leftovers(&mut self, kind: ObjectKind, known: Option<&TargetId>) -> Result<(), TargetError> {
        let found = match self.named(kind, PREFIX, known).await {
            Ok(found) => found,
            // A list that cannot be read in full is a finding, too, and no reason to learn nothing else.
            Err(e) => {
                self.found.note("leftovers", format!("could not be looked for: {}", e.message));
                return Ok(());
            }
        };
        for old in found {
            if old.name(kind).is_some_and(|n| begins(n, &self.tag)) {
                continue;
            }
            let it = made_of(kind, old);
            match self.remove(&it).await {
                Ok(()) => self.found.removed.push(it.name),
                Err(stays) => self.found.stays(kind, &it.name, it.id.as_str(), stays.reason, stays.only_inactive),
            }
        }
        Ok(())
    }

    /// Resources whose name begins so: by filter where it finds `known`, else out of the whole list.
    pub async fn named(&self, kind: ObjectKind, prefix: &str, known: Option<&TargetId>) -> Result<Vec<Remote>, TargetError> {
        if let Some(known) = known {
            let filter = format!("{} sw \"{prefix}\"", kind.name_attribute());
            let pages = Pages::filtered(self.core, &self.dialect, kind, filter);
            match collect(pages, kind, prefix).await {
                Ok(rows) if rows.iter().any(|r| r.id == *known) => return Ok(rows),
                Ok(_) => {}
                Err(e) if refusal(&e).is_some() || e.status.is_none() => {}
                Err(e) => return Err(e),
            }
        }
        collect(Pages::all(self.core, &self.dialect, kind), kind, prefix).await
    }

    /// DELETE, judged by reading back. An account that cannot be removed is deactivated.
    pub async fn remove(&self, it: &Made) -> Result<(), Stays> {
        let call = self.reader.delete_call(it.kind, &it.id).map_err(|e| Stays::new(e.message))?;
        let refused = self.core.send(&call).await.err();
        self.settle().await;
        let there = match self.reader.get(it.kind, &it.id).await {
            Ok(None) => return Ok(()),
            Ok(Some(there)) => there,
            Err(e) => return Err(Stays::new(format!("it is not known whether it is still there: {}", e.message))),
        };
        let said = refused.as_ref().map_or_else(|| "DELETE leaves it there".to_owned(), |e| e.message.clone());
        if it.kind == ObjectKind::Group {
            return Err(Stays::new(said));
        }
        if there.active() != Some(false) {
            let (from, to) =
                (Flat::from([("active".to_owned(), json!(true))]), Flat::from([("active".to_owned(), json!(false))]));
            if let Err(e) = self.writer.update(ObjectKind::User, &it.id, &from, &to).await {
                return Err(Stays::new(format!("{said}; nor can it be deactivated: {}", e.message)));
            }
        }
        // Only a target that does so on purpose: a fault may pass, and then it can be removed.
        let only_inactive = refused.as_ref().is_none_or(|e| refusal(e).is_some());
        Err(Stays { reason: format!("it is inactive; the target does not remove accounts ({said})"), only_inactive })
    }
}

async fn collect(mut pages: Pages<'_>, kind: ObjectKind, prefix: &str) -> Result<Vec<Remote>, TargetError> {
    let mut found = Vec::new();
    while let Some(rows) = pages.next().await? {
        found.extend(rows.into_iter().filter(|r| r.name(kind).is_some_and(|n| begins(n, prefix))));
    }
    Ok(found)
}

fn begins(name: &str, prefix: &str) -> bool {
    name.get(..prefix.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(prefix))
}

fn made_of(kind: ObjectKind, resource: Remote) -> Made {
    let name = resource.name(kind).unwrap_or_default().to_owned();
    Made { kind, id: resource.id, name }
}
