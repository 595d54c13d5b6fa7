//! What the mapping leaves to be found out: whose account a reference means, and which of several values is free.

use super::evaluate::Work;
use crate::mapping::{Desired, Shape, Unmapped};
use crate::model::{Flat, ObjectKind};
use crate::plan::{Change, Kind};
use crate::source::dn::dn_name;
use crate::state::links::Link;
use crate::state::references::Reference;
use crate::state::{StateError, Store};
use crate::target::Remote;
use serde_json::Value;
use std::collections::HashSet;

impl Work {
    /// Fills in what only the store knows.
    pub(super) fn complete(
        &self,
        store: &Store,
        entry: i64,
        link: Option<&Link>,
        desired: Result<Desired, Unmapped>,
    ) -> Result<Result<Desired, Unmapped>, StateError> {
        let typed = |desired: Desired| desired.typed(&|path| self.shape_of(path));
        match desired.and_then(typed) {
            Ok(mut desired) => {
                self.refer(store, entry, link, &mut desired)?;
                self.choose(store, link, desired)
            }
            Err(mut unmapped) => {
                // The rest goes on, in the types of the target too.
                unmapped.rest = Box::new(typed(*unmapped.rest).unwrap_or_else(|again| *again.rest));
                self.refer(store, entry, link, &mut unmapped.rest)?;
                Ok(Err(unmapped))
            }
        }
    }

    /// A reference becomes the account's id. Who has no account yet is filled in when there is one; until then stands there what
    /// was written last (`when_null = "clear"`: nothing), but never an account that is no more.
    fn refer(&self, store: &Store, entry: i64, link: Option<&Link>, desired: &mut Desired) -> Result<(), StateError> {
        let mut noted = Vec::new();
        for (path, clears) in self.mapper.references() {
            let text = desired.references.get(path).map(String::as_str);
            let name = text.map(dn_name).unwrap_or_default();
            let found = text.map_or(Ok(None), |text| store.referred(self.row.id, text, &name))?;
            let person = found.as_ref().map(|f| f.id);
            if let Some(id) = found.and_then(|f| f.target_id) {
                desired.attrs.insert(path.to_owned(), Value::String(id.0));
                noted.push((path, text.unwrap_or_default(), name, person, false));
                continue;
            }
            let written = link.filter(|l| !l.gone).and_then(|l| l.pushed.get(path)).and_then(Value::as_str);
            let Some(written) = written else {
                if let Some(text) = text {
                    noted.push((path, text, name, person, person.is_none()));
                }
                continue;
            };
            let bearer = store.bearer(self.row.id, written)?;
            // Whose account comes in this cycle is put in by the second pass, without a moment of nobody in between.
            let awaited = person.map_or(Ok(false), |id| store.is_awaited(id))?;
            let leads_nowhere = bearer.is_none() || (clears && text.is_some());
            if leads_nowhere && !awaited && !desired.clear.iter().any(|p| p == path) {
                desired.clear.push(path.to_owned());
            }
            // Whoever is named is waited for; while nobody is known by that name, whose account stands there is watched.
            if let Some(text) = text {
                noted.push((path, text, name, person.or(bearer), person.is_none()));
            } else if bearer.is_some() {
                noted.push((path, "", name, bearer, false));
            }
        }
        if !self.mapper.has_references() {
            return Ok(());
        }
        let noted: Vec<Reference<'_>> = noted
            .iter()
            .map(|(path, text, name, member, seeks)| Reference { path, text, name, member: *member, seeks: *seeks })
            .collect();
        store.set_references(entry, &noted)
    }

    /// Second pass: accounts that this plan makes or finds are put in where somebody refers to them, after they are there.
    pub(super) fn second_pass(&self, store: &Store) -> Result<(), StateError> {
        if !self.mapper.has_references() || !self.sync.actions.user_update {
            return Ok(());
        }
        for id in store.plan_waiting(self.row.id)? {
            let Some(waiting) = store.waiting_for(id)? else { continue };
            let names: Vec<&str> = waiting.paths.iter().map(|(_, m)| m.who.as_str()).collect();
            let reason = format!("{} gets an account", names.join(", "));
            let shown = |who: &str| Value::String(format!("(the account of {who})"));
            self.add(
                store,
                &Change {
                    kind: Kind::Update,
                    id,
                    who: waiting.who,
                    source_key: waiting.key,
                    target_id: waiting.target_id,
                    reason,
                    from: Flat::new(),
                    to: waiting.paths.iter().map(|(path, m)| (path.clone(), shown(&m.who))).collect(),
                    pushed: Flat::new(),
                    members: waiting.paths.into_iter().map(|(_, m)| m).collect(),
                    recreate: false,
                    create_only: std::collections::BTreeSet::new(),
                },
            )?;
        }
        Ok(())
    }

    /// How the target describes a path. The same few come with every person.
    fn shape_of(&self, path: &str) -> Shape {
        let mut known = self.shapes.borrow_mut();
        if let Some(shape) = known.get(path) {
            return *shape;
        }
        let shape = self.dialect.shape_of(path);
        // A path that names a value is another one for each value.
        if !path.contains("[value ") {
            known.insert(path.to_owned(), shape);
        }
        shape
    }

    /// Of several values the first that no account known at the target has. Who has an account keeps what it has.
    fn choose(&self, store: &Store, link: Option<&Link>, mut desired: Desired) -> Result<Result<Desired, Unmapped>, StateError> {
        let candidates = std::mem::take(&mut desired.candidates);
        for (path, values) in candidates {
            if let Some(link) = link.filter(|l| !l.gone) {
                match link.pushed.get(&path) {
                    Some(value) => desired.attrs.insert(path, value.clone()),
                    None => desired.attrs.remove(&path),
                };
                continue;
            }
            let mut all = self.taken.borrow_mut();
            if !all.contains_key(&path) {
                all.insert(path.clone(), self.known_values(store, &path)?);
            }
            let taken = all.entry(path.clone()).or_default();
            let free = values.iter().find(|value| !taken.contains(&value.to_lowercase())).cloned();
            let Some(free) = free else {
                desired.attrs.remove(&path);
                let reason = format!("every value that {path} could have is taken: {}", values.join(", "));
                let advice = format!("give SelectUniqueValue of {path} one more value to try");
                return Ok(Err(Unmapped { reason, advice, rest: Box::new(desired) }));
            };
            taken.insert(free.to_lowercase());
            if path == "userName" {
                desired.user_id = Some(free.clone());
            }
            desired.attrs.insert(path, Value::String(free));
        }
        Ok(Ok(desired))
    }

    /// Every value at a path that is known at the target, folded: as pushed, and as read in this cycle.
    fn known_values(&self, store: &Store, path: &str) -> Result<HashSet<String>, StateError> {
        let mut found = HashSet::new();
        let mut add = |flat: &Flat| found.extend(flat.get(path).and_then(Value::as_str).map(str::to_lowercase));
        store.each_pushed(self.row.id, ObjectKind::User, &mut add)?;
        if self.observed {
            store.each_remote(ObjectKind::User, &mut |id, raw| add(&Remote::of(id, raw).flat(std::iter::once(path))))?;
        }
        Ok(found)
    }
}
