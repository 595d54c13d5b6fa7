//! `match.rehire`: a person comes back under a new entry. The same value of the configured attribute on a gone person with an
//! account gives that account to the new entry, one to one; where that is not so, the newcomer is parked.

use super::evaluate::Work;
use crate::model::ObjectKind;
use crate::state::rehire::Rebound;
use crate::state::{StateError, Store};
use std::collections::HashMap;

/// What became of a newcomer whose value a gone person has too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Rehired {
    /// Got the account; why.
    Yes(String),
    /// Cannot be decided; why.
    Unclear(String),
}

impl Work {
    /// Gives the accounts of gone people to those of the same value who take part and have none.
    pub(super) fn rehire(&self, store: &Store) -> Result<(), StateError> {
        // In another directory everybody is new: that is what `relink` is for.
        let Some(attribute) = self.sync.matching.rehire.as_deref().filter(|_| self.another_source.is_none()) else {
            return Ok(());
        };
        let mut new: HashMap<String, Vec<i64>> = HashMap::new();
        self.each(store, ObjectKind::User, |_, d| {
            let comes = !d.gone && d.in_scope && !d.inactive && d.link.as_ref().is_none_or(|l| l.gone);
            if let Some(value) = d.entry.as_ref().filter(|_| comes).and_then(|e| self.mapper.rehire(e)) {
                new.entry(normal(&value)).or_default().push(d.id);
            }
            Ok(())
        })?;
        new.remove("");
        if new.is_empty() {
            return Ok(());
        }
        let mut left: HashMap<String, Vec<(i64, String)>> = HashMap::new();
        store.gone_with_account(self.row.id, |id, who, entry| {
            let value = self.mapper.rehire(entry).map(|v| normal(&v)).filter(|v| new.contains_key(v));
            if let Some(value) = value {
                left.entry(value).or_default().push((id, who.to_owned()));
            }
        })?;
        let mut met: Vec<(String, Vec<(i64, String)>)> = left.into_iter().collect();
        met.sort();
        for (value, old) in met {
            let comers = new.get(&value).map(Vec::as_slice).unwrap_or_default();
            match (comers, old.as_slice()) {
                ([new], [(old, who)]) => {
                    let reason = format!("{attribute} {value}, as {who} had it who left");
                    store.rebind(self.row.id, Rebound { old: *old, new: *new, reason: &reason }, self.now)?;
                    self.rehired.borrow_mut().insert(*new, Rehired::Yes(format!("came back under a new entry ({reason})")));
                }
                (comers, old) => {
                    let names: Vec<&str> = old.iter().map(|(_, who)| who.as_str()).collect();
                    let why = format!(
                        "{} new entries have {attribute} {value}, and {} with accounts left with it: {}",
                        comers.len(),
                        old.len(),
                        names.join(", ")
                    );
                    for id in comers {
                        self.rehired.borrow_mut().insert(*id, Rehired::Unclear(why.clone()));
                    }
                }
            }
        }
        Ok(())
    }
}

/// Values compare without case and blanks around them.
fn normal(value: &str) -> String {
    value.trim().to_lowercase()
}
