//! Accounts that bear their user ID already, and that the next cycle would take over: it is done here, so that it is quiet.

use super::analysis::Analysis;
use super::report::Line;
use super::run::{Run, put};
use super::selection::Options;
use crate::mapping::folded_address;
use crate::model::ObjectKind;
use crate::plan::Change;
use crate::plan::matching::{Person, is_own};
use crate::plan::userids::{Class, Standing};
use crate::state::links::Origin;
use crate::state::{StateError, Store};
use crate::sync::CycleError;
use serde_json::Value;
use std::collections::HashMap;
use std::time::Duration;

/// Accounts that are taken over in one go.
const AT_ONCE: usize = 500;

/// Accounts that bear their user ID and that the next cycle would adopt.
pub(super) fn adoptable(analysis: &Analysis, options: &Options, lines: &[Line]) -> Vec<usize> {
    if options.pilot.is_some() || options.accepted.is_some() {
        return Vec::new();
    }
    let fits = |line: &&Line| {
        let Some(p) = line.row.person.and_then(|i| analysis.people.get(i)) else { return false };
        let alone = analysis.people.of_user_id(&folded_address(line.row.new.as_deref().unwrap_or_default())).len() == 1;
        p.sync == analysis.row.id && p.account.is_none() && alone && p.standing == Standing::Active
    };
    let mut out: Vec<usize> =
        lines.iter().enumerate().filter(|(_, l)| l.row.class == Class::Already && fits(l)).map(|(i, _)| i).collect();
    let mut owners: HashMap<usize, usize> = HashMap::new();
    lines
        .iter()
        .filter(|l| l.row.class != Class::NoMatch)
        .filter_map(|l| l.row.person)
        .for_each(|p| *owners.entry(p).or_default() += 1);
    out.retain(|i| lines[*i].row.person.is_some_and(|p| owners.get(&p) == Some(&1)));
    out
}

impl Run<'_> {
    /// Links accounts that bear their user ID; what they lack is written.
    pub(super) async fn adopt(&mut self, lines: &mut [Line], adopted: &[usize]) -> Result<(), CycleError> {
        for batch in adopted.chunks(AT_ONCE) {
            self.turn.give_way().await?;
            let as_they_are: Vec<(usize, String)> = batch.iter().map(|i| (*i, lines[*i].current.clone())).collect();
            self.look_again(lines, &as_they_are, Duration::ZERO).await?;
            let mut store = self.store()?;
            let (mut changes, mut links) = (Vec::new(), Vec::new());
            for i in batch.iter().filter(|i| !self.held.contains(i)) {
                let Ok(change) = self.change(&store, &lines[*i], None)? else { continue };
                if !self.is_theirs(&store, &change)? {
                    continue;
                }
                if change.to.is_empty() { links.push(change) } else { changes.push(change) }
            }
            let (sync, now) = (self.analysis.row.id, jiff::Timestamp::now().as_second());
            store.in_transaction(|store| {
                links.iter().try_for_each(|c| match &c.target_id {
                    Some(id) => store.put_link(sync, ObjectKind::User, c.id, id, Origin::Adopted, c.known(), now),
                    None => Ok(()),
                })
            })?;
            put(&mut store, &changes)?;
            self.apply(store).await?;
        }
        Ok(())
    }

    /// The match rules' last word: an account with somebody else's externalId is never taken.
    fn is_theirs(&self, store: &Store, change: &Change) -> Result<bool, StateError> {
        let Some(id) = &change.target_id else { return Ok(false) };
        let json = store.remote_json(ObjectKind::User, id)?.unwrap_or_default();
        let raw: Value = serde_json::from_str(&json).unwrap_or_default();
        let external = raw.as_object().and_then(|o| crate::scim::eval::field(o, "externalId")).and_then(Value::as_str);
        let person = self.analysis.people.of_entry(change.id).and_then(|i| self.analysis.people.get(i));
        let legacy = person.map(|p| p.ids.clone()).unwrap_or_default();
        let who = Person { object: ObjectKind::User, source_key: change.source_key.as_str(), external_id: None, legacy: &legacy };
        Ok(is_own(external, &who))
    }
}
