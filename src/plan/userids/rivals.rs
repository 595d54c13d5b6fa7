//! Of several accounts that are to have one user ID, and of user IDs that somebody has already. Pure.

use super::classify::{By, Class, Row, Work};
use super::people::{Person, Standing};
use crate::mapping::folded_address;
use crate::plan::render::quoted;
use std::collections::{BTreeMap, HashMap};

impl Work<'_> {
    /// Of several people with one user ID, and of several accounts of one person, none is picked by guess.
    pub(super) fn rivals(&self, found: &mut [(Row, By)]) {
        let mut wanted: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (i, (row, _)) in found.iter().enumerate() {
            if let (Class::Convert, Some(new)) = (row.class, &row.new) {
                wanted.entry(folded_address(new)).or_default().push(i);
            }
        }
        for (name, rows) in wanted {
            let sharing: Vec<&Person> = self
                .people
                .of_user_id(&name)
                .iter()
                .filter_map(|i| self.people.get(*i))
                .filter(|p| p.standing == Standing::Active)
                .collect();
            for i in &rows {
                let row = &mut found[*i].0;
                let mine = row.person.and_then(|i| self.people.get(i));
                let others: Vec<String> =
                    sharing.iter().filter(|p| mine.is_none_or(|m| m.entry_id != p.entry_id)).map(|p| p.label()).collect();
                if !others.is_empty() {
                    row.class = Class::Collision;
                    row.why = format!("{} share the user ID {name}: {} too", others.len() + 1, others.join(", "));
                    row.advice = "give one of them another address at the source".to_owned();
                }
            }
            let left: Vec<usize> = rows.into_iter().filter(|i| found[*i].0.class == Class::Convert).collect();
            let proven: Vec<usize> = left.iter().copied().filter(|i| found[*i].1.is_proof()).collect();
            if left.len() < 2 {
                continue;
            }
            let all: Vec<String> = left.iter().map(|i| format!("{} ({})", quoted(&found[*i].0.old), found[*i].0.id)).collect();
            // An account name is somebody's own; an alias that leads to the same person does not contest it.
            let named: Vec<usize> = left.iter().copied().filter(|i| !found[*i].1.is_alias()).collect();
            let (sure, how) = if proven.is_empty() { (named, "name") } else { (proven, "externalId or its link") };
            let gets_it = match sure.as_slice() {
                [one] => Some(format!("{} ({})", quoted(&found[*one].0.old), found[*one].0.id)),
                _ => None,
            };
            for i in left {
                if sure.as_slice() == [i] {
                    continue;
                }
                let row = &mut found[i].0;
                row.class = Class::Collision;
                row.why = format!("{} accounts are to have the user ID {name}: {}", all.len(), all.join(", "));
                row.advice = match &gets_it {
                    Some(sure) => {
                        format!("{sure} is theirs by its {how}, and gets the name; remove or rename this account at the target")
                    }
                    None => "remove or rename the surplus accounts at the target; none is picked by guess".to_owned(),
                };
            }
        }
    }

    /// A user ID that an account bears which keeps it, or that stands as an address in an account nobody knows, is taken.
    /// An account that loses its new name keeps its old one, which may be somebody else's new one: until nothing changes.
    pub(super) fn taken(&self, found: &mut [(Row, By)]) {
        let mut holders: HashMap<String, Vec<usize>> = HashMap::new();
        let mut strangers: HashMap<&str, usize> = HashMap::new();
        let mut wanting: HashMap<String, usize> = HashMap::new();
        for (i, (row, _)) in found.iter().enumerate() {
            holders.entry(folded_address(&row.old)).or_default().push(i);
            if matches!(row.class, Class::NoMatch | Class::Ambiguous | Class::Unproven) {
                for email in &self.accounts[i].emails {
                    strangers.entry(email.as_str()).or_insert(i);
                }
            }
            if let (Class::Convert, Some(new)) = (row.class, &row.new) {
                wanting.insert(folded_address(new), i);
            }
        }
        let mut open: Vec<usize> = wanting.values().copied().collect();
        open.sort_unstable();
        while let Some(i) = open.pop() {
            if found[i].0.class != Class::Convert {
                continue;
            }
            let Some(name) = found[i].0.new.as_deref().map(folded_address) else { continue };
            let none = Vec::new();
            let keeps = holders.get(&name).unwrap_or(&none).iter().find(|h| **h != i && found[**h].0.class != Class::Convert);
            let (holder, how) = match (keeps, strangers.get(name.as_str()).filter(|s| **s != i)) {
                (Some(h), _) => (*h, "is named"),
                (None, Some(s)) => (*s, "has the address"),
                (None, None) => continue,
            };
            let other = &found[holder].0;
            let why = format!("the account {} ({}, {}) {how} {name} already", quoted(&other.old), other.id, other.class);
            let row = &mut found[i].0;
            row.class = Class::Collision;
            row.why = why;
            row.advice =
                "find out whose the other account is; rename or remove it, or correct the address at the source".to_owned();
            // Whoever was to have this account's old name cannot have it now.
            open.extend(wanting.get(&folded_address(&row.old)).copied());
        }
    }
}
