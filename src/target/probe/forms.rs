//! Forms of writing to a user: PATCH with and without a path, case of `op`, booleans, elements, PUT.

use super::Prober;
use super::people::EMAIL;
use super::tries::operation;
use crate::model::{Flat, ObjectKind};
use crate::target::Remote;
use crate::target::dialect::Booleans;
use crate::target::error::TargetError;
use serde_json::{Value, json};

/// Attributes that any user may have and that nothing depends on.
const PLAIN: [&str; 4] = ["displayName", "title", "name.givenName", "name.familyName"];

impl Prober<'_> {
    /// Tries every form; the first that works in the usual order is the one to use.
    pub async fn forms(&mut self, one: &Remote) -> Result<(), TargetError> {
        let Some(path) = PLAIN.into_iter().find(|p| one.get(p).is_some()) else {
            self.found.note("patch", "not known: the target shows no attribute that could be changed");
            return Ok(());
        };
        let mut works = Vec::new();
        for (fact, capital, with_path) in [
            ("patch.path", false, true),
            ("patch.no_path", false, false),
            ("patch.path_op_capital", true, true),
            ("patch.no_path_op_capital", true, false),
        ] {
            let value = json!(fact.replace(['.', '_'], " "));
            let tried =
                self.patch(ObjectKind::User, &one.id, operation(capital, with_path, path, &value), is(path, &value)).await?;
            self.found.note(fact, &tried);
            if tried.works() {
                works.push((capital, with_path));
            }
        }
        let value = json!("put");
        let put = self.put(ObjectKind::User, &one.id, &Flat::from([(path.to_owned(), value.clone())]), is(path, &value)).await?;
        self.found.note("put", &put);
        match works.first() {
            Some(&(capital, with_path)) => {
                self.found.learnt("patch", |d| d.patch = true);
                self.found.learnt("op_capital", |d| d.op_capital = capital);
                self.found.learnt("patch_path", |d| d.patch_path = with_path);
            }
            // Without PUT either, nothing is known to be better.
            None if put.works() => self.found.learnt("patch", |d| d.patch = false),
            None => return Ok(()),
        }
        if works.is_empty() {
            return Ok(());
        }
        self.booleans(one).await?;
        self.elements(one).await
    }

    /// `active` as JSON, `"False"` and `"false"`.
    async fn booleans(&mut self, one: &Remote) -> Result<(), TargetError> {
        if one.active().is_none() {
            self.found.note("boolean", "not known: the target does not show active");
            return Ok(());
        }
        let mut works = None;
        for (fact, form, off, on) in [
            ("boolean.json", Booleans::Json, json!(false), json!(true)),
            ("boolean.True", Booleans::Capital, json!("False"), json!("True")),
            ("boolean.true", Booleans::Text, json!("false"), json!("true")),
        ] {
            let tried = self.patch(ObjectKind::User, &one.id, self.replace("active", &off), active(false)).await?;
            self.found.note(fact, &tried);
            if tried.works() {
                works = works.or(Some(form));
                // The next form has something to switch off again.
                self.patch(ObjectKind::User, &one.id, self.replace("active", &on), active(true)).await?;
            }
        }
        if let Some(form) = works {
            self.found.learnt("booleans", |d| d.booleans = form);
        }
        Ok(())
    }

    /// One element of a multi-valued attribute by its value filter, and the whole of it.
    async fn elements(&mut self, one: &Remote) -> Result<(), TargetError> {
        let Some(Value::String(now)) = one.get(EMAIL) else { return Ok(()) };
        for (fact, path, who) in [("patch.element", EMAIL, "element"), ("patch.whole_array", "emails", "array")] {
            let (_, domain) = now.rsplit_once('@').unwrap_or_default();
            let address = json!(format!("{}-{who}@{domain}", self.tag));
            let value =
                if path == EMAIL { address.clone() } else { json!([{"type": "work", "value": address, "primary": true}]) };
            let op = if self.found.dialect().op_capital { "Replace" } else { "replace" };
            let ops = json!([{"op": op, "path": path, "value": value}]);
            let tried = self.patch(ObjectKind::User, &one.id, ops, is(EMAIL, &address)).await?;
            self.found.note(fact, &tried);
        }
        Ok(())
    }
}

/// Whether the value stands at the path.
pub(super) fn is<'a>(path: &'a str, value: &'a Value) -> impl Fn(&Remote) -> bool + 'a {
    move |there| there.get(path).is_some_and(|v| crate::target::path::same(&v, value))
}

fn active(is: bool) -> impl Fn(&Remote) -> bool {
    move |there| there.active() == Some(is)
}
