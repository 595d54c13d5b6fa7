//! Who has anything to do with a few accounts, so that not everybody has to be kept in memory to put those in their class. Pure.

use super::classify::Account;
use super::names::Legacy;
use super::people::{Person, folded};
use crate::mapping::folded_address;
use std::collections::{BTreeMap, HashSet};

/// By what people are sought: everything by which [`super::People`] would find them for one of the accounts.
#[derive(Debug, Default)]
pub struct Sought {
    entries: HashSet<i64>,
    ids: HashSet<String>,
    names: HashSet<String>,
    user_ids: HashSet<String>,
    /// NETBIOS names and suffixes with the mail domain that replaces them; folded.
    domains: BTreeMap<String, String>,
}

impl Sought {
    /// Nobody yet; `domains` is `user_id.domains` of the sync.
    #[must_use]
    pub fn new(domains: &BTreeMap<String, String>) -> Self {
        Self { domains: folded(domains), ..Self::default() }
    }

    /// Whoever may have this account. Whether that is anybody else than before.
    pub fn account(&mut self, account: &Account) -> bool {
        if let Some((_, entry)) = account.linked {
            return self.entries.insert(entry);
        }
        let mut more = account.external_id.as_ref().is_some_and(|id| self.ids.insert(id.clone()));
        let names = match Legacy::of(&account.user_name) {
            Legacy::Bare(name) | Legacy::Netbios { name, .. } => vec![name],
            Legacy::At { address, local, domain } => {
                let other = self.domains.get(&domain).map(|to| format!("{local}@{to}"));
                [address, local].into_iter().chain(other).collect()
            }
        };
        for name in names.into_iter().filter(|n| !n.is_empty()) {
            more |= self.names.insert(name);
        }
        more
    }

    /// Whoever is to have the same user ID as this person. Whether that is anybody else than before.
    pub fn person(&mut self, person: &Person) -> bool {
        person.user_id.as_ref().is_ok_and(|id| self.user_ids.insert(folded_address(id)))
    }

    /// Whether a person is among those.
    #[must_use]
    pub fn is_one(&self, person: &Person) -> bool {
        let named = |names: &[String]| names.iter().any(|n| self.names.contains(n));
        self.entries.contains(&person.entry_id)
            || person.ids.iter().any(|id| self.ids.contains(id))
            || named(&person.addresses)
            || named(&person.names)
            || named(&person.mailboxes)
            || named(&person.aliases)
            || person.user_id.as_ref().is_ok_and(|id| self.user_ids.contains(&folded_address(id)))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::{Account, Person};
    use super::Sought;
    use crate::model::TargetId;
    use std::collections::BTreeMap;

    fn account(name: &str, external: Option<&str>, linked: Option<(i64, i64)>) -> Account {
        Account {
            id: TargetId(format!("id of {name}")),
            user_name: name.to_owned(),
            external_id: external.map(str::to_owned),
            active: true,
            emails: vec![],
            private: vec![],
            family: None,
            number: None,
            created: None,
            user_type: None,
            roles: vec![],
            linked,
        }
    }

    fn person(entry_id: i64, name: &str, address: &str, user_id: &str) -> Person {
        Person {
            key: format!("key {name}"),
            user_id: Ok(user_id.to_owned()),
            ids: vec![format!("key {name}")],
            addresses: vec![address.to_owned(), user_id.to_owned()],
            names: vec![name.to_owned()],
            mailboxes: vec![address.split('@').next().unwrap().to_owned()],
            ..Person::blank(entry_id, name)
        }
    }

    #[test]
    fn whoever_may_have_an_account_is_sought_and_nobody_else() {
        let domains = BTreeMap::from([("Corp.Local".to_owned(), "corp.example".to_owned())]);
        let jane = person(1, "jdoe", "jane@corp.example", "jane.doe@corp.example");
        let other = person(2, "roe", "richard@corp.example", "roe@corp.example");
        for of_jane in [
            account("JDoe", None, None),
            account("CORP\\jdoe", None, None),
            account("jane", None, None),
            account("jdoe@any.where", None, None),
            account("Jane@corp.local", None, None),
            account("JANE@corp.example", None, None),
            account("odd", Some("key jdoe"), None),
            account("odd", None, Some((1, 1))),
        ] {
            let mut sought = Sought::new(&domains);
            assert!(sought.account(&of_jane) && !sought.account(&of_jane));
            assert!(sought.is_one(&jane), "{of_jane:?}");
            assert!(!sought.is_one(&other), "{of_jane:?}");
        }
        // Whoever is to have the same user ID, by whatever other names.
        let mut sought = Sought::new(&domains);
        assert!(sought.person(&jane) && !sought.person(&jane));
        assert!(sought.is_one(&person(3, "x", "y@corp.example", "Jane.Doe@corp.example")) && !sought.is_one(&other));
    }
}
