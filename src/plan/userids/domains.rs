//! Of which domain a person is, and of which a name: `CORP\\jdoe` and `OTHER\\jdoe` are two people. Pure.

use super::names::Legacy;
use super::people::{People, Person};

impl People {
    /// Of these people, those who may be of this domain (a NETBIOS name or a suffix): those of whom the directory says so,
    /// where it says so of anybody, else those of whom it does not say otherwise.
    pub(super) fn in_domain(&self, mut hits: Vec<usize>, domain: &str) -> Vec<usize> {
        let say = |i: &usize| self.all.get(*i).and_then(|p| self.is_of(p, domain));
        if hits.iter().any(|i| say(i) == Some(true)) {
            hits.retain(|i| say(i) == Some(true));
        } else {
            hits.retain(|i| say(i) != Some(false));
        }
        hits
    }

    /// Whether the person is of this domain (a NETBIOS name or a suffix); `None`: the directory does not say. Where
    /// `domains` names the domains, one that neither it nor the entry names is another one.
    fn is_of(&self, person: &Person, domain: &str) -> Option<bool> {
        let own = || suffixes(person);
        if own().any(|suffix| suffix == domain) || person.netbios.as_deref() == Some(domain) {
            return Some(true);
        }
        if let Some(same) = self.is_by_mail(person, domain) {
            return Some(same);
        }
        match &person.netbios {
            Some(_) if !domain.contains('.') => return Some(false),
            // By default a NETBIOS name is the first label of the domain's DNS name.
            None if own().any(|suffix| suffix.split('.').next() == Some(domain)) => return Some(true),
            _ => {}
        }
        if self.mail_domain(person, domain).is_some() || is_public(domain) {
            return None;
        }
        let names_domains = self.domains.get(&person.sync).is_some_and(|d| !d.is_empty());
        let another = domain.contains('.') && own().any(|suffix| !is_public(suffix));
        (names_domains || another).then_some(false)
    }

    /// Whether `domains` gives both the same mail domain; `None` where it does not name both.
    fn is_by_mail(&self, person: &Person, domain: &str) -> Option<bool> {
        let asked = self.mail_domain(person, domain)?;
        let own = person.netbios.as_deref().into_iter().chain(suffixes(person));
        let known: Vec<&str> = own.filter_map(|name| self.mail_domain(person, name)).collect();
        (!known.is_empty()).then(|| known.contains(&asked))
    }

    /// The mail domain of a domain; a mail domain stands for itself.
    fn mail_domain(&self, person: &Person, domain: &str) -> Option<&str> {
        let domains = self.domains.get(&person.sync)?;
        domains.get(domain).or_else(|| domains.values().find(|v| *v == domain)).map(String::as_str)
    }

    /// Whoever has the account name of a name whose domain is another one than theirs, or is not known.
    pub(super) fn of_other_domain(&self, user_name: &str) -> Option<OtherDomain> {
        let (name, domain) = match Legacy::of(user_name) {
            Legacy::Netbios { domain, name } => (name, domain),
            Legacy::At { local, domain, .. } if !is_public(&domain) => (local, domain),
            _ => return None,
        };
        let named = self.names.get(&name)?.clone();
        // Of whom the very domain is known it is surely not.
        let surely_not = |p: &Person| self.is_by_mail(p, &domain) == Some(false) || p.netbios.is_some() && !domain.contains('.');
        let undecided = named.iter().copied().filter(|i| self.all.get(*i).is_some_and(|p| !surely_not(p))).collect();
        Some(OtherDomain { domain, named, undecided })
    }

    /// Whether `account name@domain` is a name of this person: the domain is one that `domains` names, the person's own, or
    /// none of the public ones. Otherwise it is somebody else's address.
    pub(super) fn joins(&self, i: usize, domain: &str) -> bool {
        let Some(person) = self.all.get(i) else { return false };
        let domains = self.domains.get(&person.sync);
        let named = domains.is_some_and(|d| d.contains_key(domain) || d.values().any(|v| v == domain));
        named || person.suffix == domain || !is_public(domain)
    }
}

/// The DNS names of a person's domain, as the entry says them. The suffix of a UPN says it only where nothing else does, and
/// mail does not use it: an address for signing in may be given to anybody, whatever domain the account is in.
fn suffixes(person: &Person) -> impl Iterator<Item = &str> {
    let said = !person.suffix.is_empty() || !person.suffixes.is_empty() || person.netbios.is_some();
    let of_upn = person.upn_suffixes.iter().filter(move |suffix| !said && !is_public(suffix));
    std::iter::once(&person.suffix).chain(&person.suffixes).chain(of_upn).map(String::as_str).filter(|suffix| !suffix.is_empty())
}

/// Whether mail reaches such a domain from outside.
fn is_public(domain: &str) -> bool {
    crate::mapping::is_routable(&format!("x@{domain}"))
}

/// See [`People::of_other_domain`].
#[derive(Debug)]
pub(super) struct OtherDomain {
    /// The domain that the name says.
    pub domain: String,
    /// Who has the account name.
    pub named: Vec<usize>,
    /// Those of them whose account it may be all the same.
    pub undecided: Vec<usize>,
}

#[cfg(test)]
mod tests {
    use super::super::{People, Person};
    use std::collections::BTreeMap;

    /// `jdoe` with the mail address john.doe@corp.example.
    fn john() -> Person {
        Person {
            user_id: Ok("john.doe@corp.example".to_owned()),
            ids: vec!["k".to_owned()],
            addresses: vec!["john.doe@corp.example".to_owned()],
            names: vec!["jdoe".to_owned()],
            mailboxes: vec!["john.doe".to_owned()],
            ..Person::blank(1, "k")
        }
    }

    /// Which of these names are taken for his.
    fn his<'a>(person: &Person, domains: &[(&str, &str)], names: &[&'a str]) -> Vec<&'a str> {
        let domains: BTreeMap<String, String> = domains.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let mut people = People::new(&[(1, &domains)]);
        people.add(person.clone());
        names.iter().copied().filter(|name| !people.of_name(name).0.is_empty()).collect()
    }

    const CORP: &[(&str, &str)] = &[("CORP", "corp.example"), ("corp.local", "corp.example")];
    const BOTH: &[(&str, &str)] =
        &[("CORP", "corp.example"), ("corp.local", "corp.example"), ("EMEA", "emea.example"), ("emea.local", "emea.example")];
    const OTHERS: &[&str] = &["OTHER\\jdoe", "EMEA\\jdoe", "jdoe@other.local", "jdoe@emea.local"];

    #[test]
    fn no_guess_an_account_of_a_domain_that_nobody_names_is_nobodys() {
        let mut by_dn = john();
        by_dn.suffix = "corp.local".to_owned();
        let mut by_upn = john();
        by_upn.upn_suffixes = vec!["corp.local".to_owned()];
        let mut by_principal = john();
        by_principal.netbios = Some("corp".to_owned());
        for person in [&by_dn, &by_upn, &by_principal] {
            for domains in [CORP, BOTH] {
                assert_eq!(his(person, domains, OTHERS), Vec::<&str>::new(), "{person:?} {domains:?}");
                let own = ["jdoe", "CORP\\jdoe", "jdoe@corp.local", "john.doe@corp.example"];
                assert_eq!(his(person, domains, &own), own, "{person:?} {domains:?}");
            }
        }
        // Of whom nothing is known, and of a domain that is named, it may be.
        assert_eq!(his(&john(), CORP, OTHERS), Vec::<&str>::new());
        assert_eq!(his(&john(), BOTH, OTHERS), ["EMEA\\jdoe", "jdoe@emea.local"]);
        // What only the entry names is named too.
        let only_emea = &BOTH[2..];
        assert_eq!(his(&by_dn, only_emea, &["CORP\\jdoe", "jdoe@corp.local"]), ["CORP\\jdoe", "jdoe@corp.local"]);
    }

    #[test]
    fn no_guess_the_suffix_of_a_upn_is_not_the_domain_where_the_entry_says_another() {
        let emea = &[("EMEA", "emea.example"), ("emea.corp.local", "emea.example")];
        let mixed = &[("EMEA", "emea.example"), ("emea.corp.local", "corp.example")];
        for upn in ["corp.example", "corp.local"] {
            let mut by_dn = john();
            by_dn.suffix = "emea.corp.local".to_owned();
            let mut by_principal = john();
            by_principal.netbios = Some("emea".to_owned());
            let mut by_domain = john();
            by_domain.suffixes = vec!["emea.corp.local".to_owned()];
            for person in [by_dn, by_principal, by_domain] {
                let person = Person { upn_suffixes: vec![upn.to_owned()], ..person };
                for domains in [&emea[..], &[]] {
                    assert_eq!(his(&person, domains, &["EMEA\\jdoe"]), ["EMEA\\jdoe"], "{person:?} {domains:?}");
                }
                for domains in [emea, mixed] {
                    assert_eq!(his(&person, domains, &["CORP\\jdoe", "jdoe@corp.local"]), Vec::<&str>::new(), "{person:?}");
                }
            }
        }
        // Where nothing else says it, one that mail uses does not say it either.
        let by_upn = Person { upn_suffixes: vec!["corp.example".to_owned()], ..john() };
        assert_eq!(his(&by_upn, emea, &["CORP\\jdoe"]), Vec::<&str>::new());
        assert_eq!(his(&by_upn, CORP, &["CORP\\jdoe"]), ["CORP\\jdoe"], "but the configuration may");
    }

    #[test]
    fn without_domains_only_what_the_entry_says_counts() {
        assert_eq!(his(&john(), &[], OTHERS), OTHERS);
        let mut by_dn = john();
        by_dn.suffix = "corp.local".to_owned();
        assert_eq!(his(&by_dn, &[], OTHERS), ["OTHER\\jdoe", "EMEA\\jdoe"], "a NETBIOS name may be any");
        by_dn.netbios = Some("corp".to_owned());
        assert_eq!(his(&by_dn, &[], OTHERS), Vec::<&str>::new());
    }

    #[test]
    fn whose_account_it_surely_is_not_does_not_wait_for_it() {
        let waits = |person: &Person, domains: &[(&str, &str)], name: &str| {
            let domains: BTreeMap<String, String> = domains.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
            let mut people = People::new(&[(1, &domains)]);
            people.add(person.clone());
            people.of_other_domain(name).is_some_and(|other| !other.undecided.is_empty())
        };
        let mut by_dn = john();
        by_dn.suffix = "corp.local".to_owned();
        assert!(waits(&by_dn, CORP, "OTHER\\jdoe") && waits(&by_dn, CORP, "jdoe@other.local"));
        assert!(!waits(&by_dn, BOTH, "EMEA\\jdoe") && !waits(&by_dn, BOTH, "jdoe@emea.local"));
        by_dn.netbios = Some("corp".to_owned());
        assert!(!waits(&by_dn, CORP, "OTHER\\jdoe"));
    }
}
