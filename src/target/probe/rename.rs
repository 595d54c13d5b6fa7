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
        let value = json!(new);
        let mut tries = Vec::new();
        if self.found.dialect().patch {
            tries.push((
                "rename",
                self.patch(ObjectKind::User, &one.id, self.replace("userName", &value), is("userName", &value)).await?,
            ));
        }
        if tries.iter().all(|(_, t)| matches!(t, Tried::NoEffect | Tried::Refused(_))) {
            let to = Flat::from([("userName".to_owned(), value.clone())]);
            tries.push(("rename.put", self.put(ObjectKind::User, &one.id, &to, is("userName", &value)).await?));
        }
        for (fact, tried) in &tries {
            self.found.note(fact, tried);
        }
        if tries.iter().any(|(_, t)| *t == Tried::Lost) {
            return self.moved(one, &new).await;
        }
        let works = tries.iter().any(|(_, t)| t.works());
        if works {
            one.raw["userName"] = value;
        }
        self.found.learnt("user_name_immutable", |d| d.user_name_immutable = !works);
        Ok(())
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
