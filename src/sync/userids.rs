//! Both sides as [`crate::plan::userids`] wants them, out of the store; and who waits for what it decided.

use crate::mapping::{Mapper, folded_address};
use crate::model::TargetId;
use crate::plan::render::quoted;
use crate::plan::userids::{Account, Class, People, Person, Place, Row, Rules, Sought, Standing, classify, fold};
use crate::scim::eval::field;
use crate::state::migration::{Claim, ReadAccount, Which};
use crate::state::standing::Dirty;
use crate::state::{StateError, Store};
use crate::target::Remote;
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};

use super::evaluate::Work;

/// The person of an entry; `None` where the entry is gone. `disabled`: at the source, as the scope of its sync counts it.
pub(crate) fn person(store: &Store, sync: i64, mapper: &Mapper, disabled: bool, d: Dirty) -> Result<Option<Person>, StateError> {
    let Some(entry) = d.entry.as_ref().filter(|_| !d.gone) else { return Ok(None) };
    let standing = match (d.in_scope, disabled || d.inactive) {
        (false, _) => Standing::OutOfScope,
        (true, true) => Standing::Inactive,
        (true, false) => Standing::Active,
    };
    let account = d.link.as_ref().filter(|l| !l.gone).map(|l| l.target_id.clone());
    let place = Place { sync, entry_id: d.id, who: d.label, standing, account };
    let mut failed = None;
    let person = Person::of(entry, mapper, place, |address| match store.address_holder(sync, address, d.id) {
        Ok(who) => who,
        Err(e) => {
            failed = Some(e);
            None
        }
    });
    failed.map_or(Ok(Some(person)), Err)
}

/// The accounts of this kind that were read at the target, by name and id.
pub(crate) fn accounts(store: &Store, sync: i64, which: Which<'_>) -> Result<Vec<Account>, StateError> {
    let mut accounts = Vec::new();
    store.read_accounts(sync, which, |read| {
        accounts.push(account(&read).ok_or_else(|| store.damaged(format!("resource {}", read.id)))?);
        Ok::<(), StateError>(())
    })?;
    Ok(accounts)
}

/// `None` where the resource cannot be understood.
fn account(read: &ReadAccount) -> Option<Account> {
    let there = Remote::of(read.id.clone(), serde_json::from_str(&read.json).ok()?);
    let text = |path: &str| match there.get(path) {
        Some(Value::String(s)) => Some(s),
        Some(Value::Number(n)) => Some(n.to_string()),
        _ => None,
    };
    Some(Account {
        user_name: there.user_name().unwrap_or_default().to_owned(),
        external_id: there.external_id().map(str::to_owned),
        active: there.active().unwrap_or(true),
        emails: there.emails().into_iter().map(folded_address).collect(),
        family: text("name.familyName"),
        number: text("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:employeeNumber"),
        created: there.created(),
        user_type: text("userType").map(|t| fold(&t)),
        roles: values(&there.raw, "roles").map(|role| fold(role.1)).collect(),
        private: values(&there.raw, "emails")
            .filter(|(kind, _)| kind.is_some_and(|k| k.eq_ignore_ascii_case("home")))
            .map(|email| folded_address(email.1))
            .collect(),
        linked: read.linked,
        id: read.id.clone(),
    })
}

/// Type and value of each element of a multi-valued attribute; some applications send bare texts.
fn values<'a>(raw: &'a Value, name: &str) -> impl Iterator<Item = (Option<&'a str>, &'a str)> {
    let elements = raw.as_object().and_then(|o| field(o, name)).and_then(Value::as_array);
    elements.map(Vec::as_slice).unwrap_or_default().iter().filter_map(|element| match element {
        Value::Object(o) => Some((field(o, "type").and_then(Value::as_str), field(o, "value")?.as_str()?)),
        other => Some((None, other.as_str()?)),
    })
}

/// Until it is decided whose an account under an old name is, none of those whose it may be gets another one: by sync.
pub(crate) fn claims(rows: &[Row], people: &People) -> HashMap<i64, Vec<Claim>> {
    let mut claims: HashMap<i64, Vec<Claim>> = HashMap::new();
    for row in rows.iter().filter(|row| !matches!(row.class, Class::Already | Class::Refused)) {
        let advice = match row.advice.as_str() {
            "" => "rename the account with `scim-sync --migrate-userids`, or by hand",
            advice => advice,
        };
        for person in row.candidates.iter().filter_map(|i| people.get(*i)) {
            for (sync, entry_id) in std::iter::once((person.sync, person.entry_id)).chain(person.elsewhere.iter().copied()) {
                claims.entry(sync).or_default().push(Claim {
                    entry_id,
                    target_id: row.id.clone(),
                    name: row.old.clone(),
                    reason: format!(
                        "the account {} ({}) may be theirs and was not converted ({}): {}",
                        quoted(&row.old),
                        row.id,
                        row.class,
                        row.why
                    ),
                    advice: advice.to_owned(),
                    settled: row.class != Class::Convert,
                });
            }
        }
    }
    claims
}

/// An account that the migration of user IDs would rename.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unconverted {
    /// Its name.
    pub account: String,
    /// The name that it is to have.
    pub user_id: String,
}

impl Work {
    /// Accounts that the migration of user IDs would still rename, where the preset asks for it: those of its class `convert`.
    /// Where there are none, whoever may have one of the others gets no second account: it is parked, with the reason.
    pub(super) fn unconverted(&self, store: &mut Store) -> Result<Vec<Unconverted>, StateError> {
        let first = self.preset.converts_user_ids && self.row.adopted_at.is_none() && self.observed;
        if !first || !store.has_strange_accounts(self.row.id)? {
            return Ok(Vec::new());
        }
        let (people, rows) = self.classified(store)?;
        let mut left = Vec::new();
        for row in rows.iter().filter(|row| row.class == Class::Convert) {
            let entry = row.person.and_then(|i| people.get(i)).map_or(0, |p| p.entry_id);
            // A migration, which knows the people of other syncs and our own account too, may have said otherwise.
            if !store.is_settled(entry, &row.id)? {
                left.push(Unconverted { account: row.old.clone(), user_id: row.new.clone().unwrap_or_default() });
            }
        }
        if left.is_empty() {
            let claims = claims(&rows, &people);
            store.in_transaction(|store| claims.iter().try_for_each(|(sync, claims)| store.add_claims(*sync, claims)))?;
        }
        Ok(left)
    }

    /// Puts on record whose the accounts under old names may be, besides what a migration said of them.
    pub(super) fn claim_old_names(&self, store: &mut Store) -> Result<(), StateError> {
        let (people, rows) = self.classified(store)?;
        store.in_transaction(|store| claims(&rows, &people).iter().try_for_each(|(sync, claims)| store.add_claims(*sync, claims)))
    }

    fn classified(&self, store: &Store) -> Result<(People, Vec<Row>), StateError> {
        let (people, accounts) = self.strange(store)?;
        let rules = Rules {
            immutable: super::preset::names_stay(&self.preset, &self.dialect),
            require_proof: self.sync.matching.require_proof,
            protected: self.sync.guard.protected.iter().map(|p| fold(p)).collect(),
            ..Rules::default()
        };
        let rows = classify(&people, &accounts, &rules);
        Ok((people, rows))
    }

    /// The accounts that are not simply somebody's under the user ID, and whoever and whatever has to do with them: all that
    /// their classes depend on. Everybody else, nearly all where a target is in use for long, is not kept in memory.
    fn strange(&self, store: &Store) -> Result<(People, Vec<Account>), StateError> {
        let (sync, domains) = (self.row.id, &self.sync.user_id.domains);
        let mut sought = Sought::new(domains);
        let mut found: BTreeMap<i64, Person> = BTreeMap::new();
        let mut all: BTreeMap<(String, TargetId), Account> = BTreeMap::new();
        let mut fresh = accounts(store, sync, Which::Strange)?;
        loop {
            // Each round seeks by what the last one brought: who may have an account, and who else is to have its name.
            let mut more = false;
            for a in fresh.drain(..) {
                more |= sought.account(&a);
                all.insert((a.user_name.to_lowercase(), a.id.clone()), a);
            }
            for p in found.values() {
                more |= sought.person(p);
            }
            if !more {
                break;
            }
            super::each_person(store, sync, |d| {
                if found.contains_key(&d.id) {
                    return Ok(());
                }
                let disabled = d.entry.as_ref().is_some_and(|e| self.is_disabled(e, d.inactive));
                if let Some(p) = person(store, sync, &self.mapper, disabled, d)?.filter(|p| sought.is_one(p)) {
                    let name = p.user_id.as_ref().ok().map(|id| folded_address(id));
                    fresh.extend(accounts(store, sync, Which::Of { name: name.as_deref(), id: p.account.as_ref() })?);
                    found.insert(p.entry_id, p);
                }
                Ok::<(), StateError>(())
            })?;
        }
        let mut people = People::new(&[(sync, domains)]);
        found.into_values().for_each(|p| people.add(p));
        Ok((people, all.into_values().collect()))
    }
}
