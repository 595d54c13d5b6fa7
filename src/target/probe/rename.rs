//! Whether a `userName` can be changed.

use super::Prober;
use super::forms::is;
use super::tries::Tried;
use crate::model::{Flat, ObjectKind};
use crate::target::Remote;
use crate::target::error::TargetError;
use serde_json::json;

impl Prober<'_> {
    /// Renames the first user, by PATCH and else by PUT. Not where it is known beforehand that a name cannot be changed.
    pub async fn rename(&mut self, one: &mut Remote) -> Result<(), TargetError> {
        if self.dialect.user_name_immutable {
            self.found.note("rename", "not tried: a userName cannot be changed there");
            return Ok(());
        }
        let new = self.user_name("renamed");
        let tries = self.tries(one, &new).await?;
        for (fact, tried) in &tries {
            self.found.note(fact, tried);
        }
        if tries.iter().any(|(_, t)| *t == Tried::Lost) {
            return self.moved(one, &new).await;
        }
        let works = tries.iter().any(|(_, t)| t.works());
        if works {
            one.raw["userName"] = json!(new);
        }
        let fixed = if works { Some(false) } else { self.is_fixed(one, &tries).await? };
        match fixed {
            Some(fixed) => self.found.learnt("user_name_immutable", |d| d.user_name_immutable = fixed),
            None => self.found.note("rename.immutable", "not known: this new name was refused, which says nothing of others"),
        }
        Ok(())
    }

    async fn tries(&mut self, one: &Remote, new: &str) -> Result<Vec<(&'static str, Tried)>, TargetError> {
        let value = json!(new);
        let mut tries = Vec::new();
        if self.found.dialect().patch {
            tries.push((
                "rename",
                self.patch(ObjectKind::User, &one.id, self.replace("userName", &value), is("userName", &value)).await?,
            ));
        }
        if tries.iter().all(|(_, t)| *t == Tried::NoEffect || t.is_refused()) {
            let to = Flat::from([("userName".to_owned(), value.clone())]);
            tries.push(("rename.put", self.put(ObjectKind::User, &one.id, &to, is("userName", &value)).await?));
        }
        Ok(tries)
    }

    /// Whether a name that was not changed is one that never changes; `None`: it may have been this new name that was not
    /// taken. Words alone count only where a name as good as the first one is refused in them too.
    async fn is_fixed(&mut self, one: &mut Remote, tries: &[(&'static str, Tried)]) -> Result<Option<bool>, TargetError> {
        let last = |tries: &[(&str, Tried)]| tries.last().map(|(_, t)| t.clone());
        if tries.iter().any(|(_, t)| matches!(t, Tried::Fixed(_) | Tried::NoEffect)) {
            return Ok(Some(true));
        }
        if !self.domain_given || !matches!(last(tries), Some(Tried::SaidFixed(_))) {
            return Ok(None);
        }
        let new = self.user_name("c");
        let again = self.tries(one, &new).await?;
        Ok(match last(&again) {
            Some(Tried::Fixed(_) | Tried::SaidFixed(_)) => Some(true),
            Some(Tried::Works) => {
                one.raw["userName"] = json!(new);
                Some(false)
            }
            // Gone from its id: it may be there under another.
            Some(Tried::Lost) => {
                self.moved(one, &new).await?;
                (!self.doubt).then_some(false)
            }
            _ => None,
        })
    }

    /// Gone from its id after a rename: some make the id of the name.
    async fn moved(&mut self, one: &mut Remote, new: &str) -> Result<(), TargetError> {
        let found = self.named(ObjectKind::User, &self.tag, None).await?;
        let Some(there) = found.into_iter().find(|r| r.user_name().is_some_and(|n| n.eq_ignore_ascii_case(new))) else {
            self.doubt = true;
            return Ok(());
        };
        self.found.note("rename", "works, and changes the id");
        self.found.learnt("user_name_immutable", |d| d.user_name_immutable = false);
        for made in self.made.iter_mut().filter(|m| m.id == one.id) {
            made.id = there.id.clone();
        }
        *one = there;
        Ok(())
    }
}
