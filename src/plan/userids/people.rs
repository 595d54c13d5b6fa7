//! The people of every source that feeds the target, and under which names their accounts may be known. Pure.

use super::names::{self, Legacy, fold};
use crate::mapping::{Mapper, folded_address};
use crate::model::{Entry, TargetId};
use std::collections::{BTreeMap, HashMap};

/// Attributes that tell people apart, besides those that the mapping reads. What a source does not have it leaves out.
pub const ATTRIBUTES: &[&str] = &[
    "mail",
    "email",
    "proxyAddresses",
    "otherMails",
    "userPrincipalName",
    "login",
    "sAMAccountName",
    "uid",
    "mailNickname",
    "msDS-PrincipalName",
    "onPremisesDomainName",
    "sn",
    "surname",
    "familyName",
    "lastName",
    "employeeNumber",
    "employeeID",
    "whenCreated",
    "createTimestamp",
    "createdDateTime",
    "created",
];

/// How a person stands at the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// Takes part.
    Active,
    /// Disabled at the source.
    Inactive,
    /// In the directory, outside the scope of the sync.
    OutOfScope,
}

/// A person of a source.
#[derive(Debug, Clone)]
pub struct Person {
    /// Row of the sync.
    pub sync: i64,
    /// Row of the entry.
    pub entry_id: i64,
    /// Source key.
    pub key: String,
    /// For people to read.
    pub who: String,
    /// How the person stands.
    pub standing: Standing,
    /// The userName that the mapping gives, or why there is none.
    pub user_id: Result<String, String>,
    /// What an externalId of this person may hold.
    pub ids: Vec<String>,
    /// Every address: mail, proxyAddresses, UPN; folded.
    pub addresses: Vec<String>,
    /// Account names: sAMAccountName, uid; folded.
    pub names: Vec<String>,
    /// What stands before the @ of mail, UPN and the primary one of proxyAddresses; folded.
    pub mailboxes: Vec<String>,
    /// The same of the other proxyAddresses, which a mailbox of many may be among; folded.
    pub aliases: Vec<String>,
    /// NETBIOS name of the domain, folded, where the directory says it.
    pub netbios: Option<String>,
    /// DNS name of the domain by the DN, folded; empty where it does not say.
    pub suffix: String,
    /// DNS names of the domain that the entry says besides (onPremisesDomainName); folded.
    pub suffixes: Vec<String>,
    /// What stands behind the @ of the UPN, which an administrator may choose for any domain; folded.
    pub upn_suffixes: Vec<String>,
    /// Family names as written.
    pub families: Vec<String>,
    /// Employee numbers.
    pub numbers: Vec<String>,
    /// When the entry was made, Unix second.
    pub created: Option<i64>,
    /// The account that the person is linked to.
    pub account: Option<TargetId>,
    /// Where else the same entry is read for this target: sync, row of the entry.
    pub elsewhere: Vec<(i64, i64)>,
}

/// What is known of an entry besides the entry itself.
#[derive(Debug, Clone)]
pub struct Place {
    /// Row of the sync.
    pub sync: i64,
    /// Row of the entry.
    pub entry_id: i64,
    /// For people to read.
    pub who: String,
    /// How the person stands.
    pub standing: Standing,
    /// The account that the person is linked to.
    pub account: Option<TargetId>,
}

impl Person {
    /// Somebody of whom only this is known.
    #[cfg(test)]
    pub(crate) fn blank(entry_id: i64, who: &str) -> Self {
        Self {
            sync: 1,
            entry_id,
            key: who.to_owned(),
            who: who.to_owned(),
            standing: Standing::Active,
            user_id: Err(String::new()),
            ids: vec![],
            addresses: vec![],
            names: vec![],
            mailboxes: vec![],
            aliases: vec![],
            netbios: None,
            suffix: String::new(),
            suffixes: vec![],
            upn_suffixes: vec![],
            families: vec![],
            numbers: vec![],
            created: None,
            account: None,
            elsewhere: vec![],
        }
    }

    /// A person as the mapping of its sync sees it.
    ///
    /// `holder` says who else has an address; a user ID that was made up counts only where nobody has.
    #[must_use]
    pub fn of(entry: &Entry, mapper: &Mapper, place: Place, holder: impl FnOnce(&str) -> Option<String>) -> Self {
        let mapped = mapper.user(entry, false);
        let other = mapped.constructed().map(|id| folded_address(&id.address)).and_then(|address| holder(&address));
        let desired = match other {
            Some(other) => mapped.address_of_another(&other).attrs,
            None => mapped.attrs,
        };
        let (attrs, reason) = match desired {
            Ok(d) => (d, String::new()),
            Err(u) => (*u.rest, u.reason),
        };
        let mut ids = vec![entry.key.0.clone()];
        ids.extend(mapper.legacy_external_ids(entry));
        ids.extend(attrs.attrs.get("externalId").and_then(|v| v.as_str()).map(str::to_owned));
        ids.retain(|id| !id.trim().is_empty());
        ids.sort();
        ids.dedup();
        let own = texts(entry, &["mail", "email", "userPrincipalName", "login"]);
        let aliases: Vec<String> = texts(entry, &["proxyAddresses"]).iter().map(|a| without_prefix(a).to_owned()).collect();
        let further = texts(entry, &["otherMails"]).into_iter().map(|a| without_prefix(&a).to_owned()).chain(aliases.clone());
        let of_id = attrs.user_id.iter().cloned();
        let addresses =
            set(own.iter().cloned().chain(further).chain(of_id).filter(|a| a.contains('@')).map(|a| folded_address(&a)));
        let principal = texts(entry, &["msDS-PrincipalName"]);
        let before_at = |a: &String| Some(fold(a.rsplit_once('@')?.0));
        // The prefix in capitals marks the primary address ([MS-OXOABK] PidTagAddressBookProxyAddresses).
        let primary = texts(entry, &["proxyAddresses"]).into_iter().filter_map(|a| a.strip_prefix("SMTP:").map(str::to_owned));
        let mailboxes = set(own
            .iter()
            .filter_map(before_at)
            .chain(primary.filter_map(|a| before_at(&a)))
            .chain(texts(entry, &["mailNickname"]).iter().map(|n| fold(n))));
        Self {
            sync: place.sync,
            entry_id: place.entry_id,
            key: entry.key.0.clone(),
            who: place.who,
            standing: place.standing,
            user_id: attrs.user_id.filter(|id| !id.trim().is_empty()).ok_or(reason),
            ids,
            aliases: set(aliases.iter().filter_map(before_at).filter(|a| !mailboxes.contains(a))),
            mailboxes,
            addresses,
            names: set(texts(entry, &["sAMAccountName", "uid"]).iter().map(|n| fold(n))),
            netbios: principal.first().and_then(|p| Some(fold(p.split_once('\\')?.0))),
            suffix: entry.dn.as_deref().map(names::suffix).unwrap_or_default(),
            suffixes: set(texts(entry, &["onPremisesDomainName"]).iter().map(|d| fold(d))),
            upn_suffixes: set(texts(entry, &["userPrincipalName"]).iter().filter_map(|u| Some(fold(u.rsplit_once('@')?.1)))),
            families: texts(entry, &["sn", "surname", "familyName", "lastName"]),
            numbers: texts(entry, &["employeeNumber", "employeeID"]),
            created: texts(entry, &["whenCreated", "createTimestamp", "createdDateTime", "created"])
                .iter()
                .find_map(|t| instant(t)),
            account: place.account,
            elsewhere: Vec::new(),
        }
    }

    /// Name and source key, for messages.
    #[must_use]
    pub fn label(&self) -> String {
        format!("{} ({})", self.who, self.key)
    }
}

/// `user_id.domains` in the form in which names are compared.
pub(super) fn folded(domains: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    domains.iter().map(|(k, v)| (fold(k.trim().trim_start_matches('@')), fold(v))).collect()
}

/// Each once, in as little room as it takes: there may be many people.
fn set(texts: impl Iterator<Item = String>) -> Vec<String> {
    let mut all: Vec<String> = texts.collect();
    all.sort_unstable();
    all.dedup();
    all.shrink_to_fit();
    all
}

/// All values of these attributes as texts.
fn texts(entry: &Entry, names: &[&str]) -> Vec<String> {
    let values = names.iter().flat_map(|n| entry.attrs.all(n));
    values.filter_map(crate::model::Value::to_text).map(|t| t.trim().to_owned()).filter(|t| !t.is_empty()).collect()
}

/// `SMTP:jane@corp.example` without its prefix; other kinds of address (SIP, X500) are none.
fn without_prefix(proxy: &str) -> &str {
    match proxy.split_once(':') {
        Some((kind, address)) if kind.eq_ignore_ascii_case("smtp") => address,
        Some(_) => "",
        None => proxy,
    }
}

/// Generalized time of LDAP (RFC 4517 section 3.3.13, in UTC) or RFC 3339, as a Unix second.
fn instant(text: &str) -> Option<i64> {
    if let Ok(at) = text.parse::<jiff::Timestamp>() {
        return Some(at.as_second());
    }
    let digits = text.get(..14).filter(|d| d.bytes().all(|b| b.is_ascii_digit()) && text.ends_with('Z'))?;
    let at = jiff::civil::DateTime::strptime("%Y%m%d%H%M%S", digits).ok()?;
    Some(at.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_second())
}

/// Several syncs may read the same entry for one target, each with a part of the directory as its scope. That is one person, who
/// stands where the account is, else where the person takes part, else in the first of them. `directories`: the syncs in their
/// order, each with the directory that it reads; a key says who it is in one directory only, but for a GUID (RFC 9562 section
/// 6.7), which is nobody else's in any.
#[must_use]
pub fn united(people: Vec<Person>, directories: &[(i64, &str)]) -> Vec<Person> {
    let directory = |p: &Person| match uuid::Uuid::try_parse(&p.key) {
        Ok(_) => "",
        Err(_) => directories.iter().find(|(sync, _)| *sync == p.sync).map_or("", |(_, directory)| directory),
    };
    let mut at: HashMap<(&str, String), usize> = HashMap::new();
    let mut out: Vec<Person> = Vec::with_capacity(people.len());
    for mut person in people {
        let Some(have) = at.get(&(directory(&person), person.key.clone())).and_then(|i| out.get_mut(*i)) else {
            at.insert((directory(&person), person.key.clone()), out.len());
            out.push(person);
            continue;
        };
        if person.account.is_some() && have.account.is_some() && person.account != have.account {
            // Each sync has an account of its own: they are told apart by their links.
            out.push(person);
            continue;
        }
        let place = |p: &Person| directories.iter().position(|(sync, _)| *sync == p.sync);
        let rank = |p: &Person| (p.account.is_none(), p.standing, place(p));
        if rank(&person) < rank(have) {
            std::mem::swap(have, &mut person);
        }
        have.elsewhere.push((person.sync, person.entry_id));
        have.elsewhere.append(&mut person.elsewhere);
    }
    out
}

/// Everybody, by every name.
#[derive(Debug, Default)]
pub struct People {
    pub(super) all: Vec<Person>,
    entries: HashMap<i64, usize>,
    ids: HashMap<String, Vec<usize>>,
    addresses: HashMap<String, Vec<usize>>,
    pub(super) names: HashMap<String, Vec<usize>>,
    mailboxes: HashMap<String, Vec<usize>>,
    aliases: HashMap<String, Vec<usize>>,
    user_ids: HashMap<String, Vec<usize>>,
    /// Of each sync, NETBIOS names and suffixes with the mail domain that replaces them; folded.
    pub(super) domains: HashMap<i64, BTreeMap<String, String>>,
}

impl People {
    /// Nobody yet; `domains` is `user_id.domains` of each sync.
    #[must_use]
    pub fn new(domains: &[(i64, &BTreeMap<String, String>)]) -> Self {
        Self { domains: domains.iter().map(|(sync, map)| (*sync, folded(map))).collect(), ..Self::default() }
    }

    /// Adds a person.
    pub fn add(&mut self, person: Person) {
        let i = self.all.len();
        self.entries.insert(person.entry_id, i);
        self.entries.extend(person.elsewhere.iter().map(|(_, entry)| (*entry, i)));
        let mut note = |map: fn(&mut Self) -> &mut HashMap<String, Vec<usize>>, key: &str| {
            map(self).entry(key.to_owned()).or_default().push(i);
        };
        person.ids.iter().for_each(|k| note(|s| &mut s.ids, k));
        person.addresses.iter().for_each(|k| note(|s| &mut s.addresses, k));
        person.names.iter().for_each(|k| note(|s| &mut s.names, k));
        person.mailboxes.iter().for_each(|k| note(|s| &mut s.mailboxes, k));
        person.aliases.iter().for_each(|k| note(|s| &mut s.aliases, k));
        if let Ok(id) = &person.user_id {
            note(|s| &mut s.user_ids, &folded_address(id));
        }
        self.all.push(person);
    }

    /// Forgets by which names people are found, once every account is in its class.
    pub fn forget_names(&mut self) {
        for index in [&mut self.ids, &mut self.addresses, &mut self.names, &mut self.mailboxes, &mut self.aliases] {
            *index = HashMap::new();
        }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether there is nobody.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// One of them.
    #[must_use]
    pub fn get(&self, i: usize) -> Option<&Person> {
        self.all.get(i)
    }

    /// The person of an entry.
    #[must_use]
    pub fn of_entry(&self, entry: i64) -> Option<usize> {
        self.entries.get(&entry).copied()
    }

    /// Whose externalId this may be; compared exactly (RFC 7643 section 3.1).
    #[must_use]
    pub fn of_external_id(&self, id: &str) -> Vec<usize> {
        self.ids.get(id).cloned().unwrap_or_default()
    }

    /// Everybody whose userName is to be this (folded).
    #[must_use]
    pub fn of_user_id(&self, folded: &str) -> &[usize] {
        self.user_ids.get(folded).map_or(&[], Vec::as_slice)
    }

    /// Everybody whose account may bear this name, and what the name is to whom it says most about.
    #[must_use]
    pub fn of_name(&self, user_name: &str) -> (Vec<usize>, How) {
        let found = |map: &HashMap<String, Vec<usize>>, key: &str| map.get(key).cloned().unwrap_or_default();
        let (mut hits, how) = match Legacy::of(user_name) {
            Legacy::Bare(name) => {
                let (accounts, mailboxes) = (found(&self.names, &name), found(&self.mailboxes, &name));
                let how = match (accounts.is_empty(), mailboxes.is_empty()) {
                    (false, _) => How::AccountName,
                    (true, false) => How::Mailbox,
                    (true, true) => How::Alias,
                };
                ([accounts, mailboxes, found(&self.aliases, &name)].concat(), how)
            }
            Legacy::Netbios { domain, name } => (self.in_domain(found(&self.names, &name), &domain), How::Netbios),
            Legacy::At { address, local, domain } => match found(&self.addresses, &address) {
                exact if !exact.is_empty() => (exact, How::Address),
                _ => {
                    let mut hits = self.in_domain(found(&self.names, &local), &domain);
                    hits.retain(|i| self.joins(*i, &domain));
                    for to in self.domains.values().filter_map(|d| d.get(&domain)) {
                        hits.extend(found(&self.addresses, &format!("{local}@{to}")));
                    }
                    (hits, How::Joined)
                }
            },
        };
        hits.sort_unstable();
        hits.dedup();
        (hits, how)
    }
}

/// What the name of an account is to the person whose it may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// Their account name.
    AccountName,
    /// What stands before the @ of their own address.
    Mailbox,
    /// What stands before the @ of a further address, which may be that of a shared mailbox.
    Alias,
    /// `NETBIOS\account name`.
    Netbios,
    /// One of their addresses.
    Address,
    /// `account name@domain`.
    Joined,
}

impl How {
    /// In words, as messages say it.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::AccountName => "the account name",
            Self::Mailbox => "the mailbox part of the address",
            Self::Alias => "the mailbox part of an alias",
            Self::Netbios => "NETBIOS\\account name",
            Self::Address => "an address",
            Self::Joined => "account name and domain",
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{Person, Standing, instant, united, without_prefix};
    use crate::model::TargetId;

    fn person(sync: i64, key: &str, standing: Standing, account: Option<&str>) -> Person {
        Person { sync, standing, account: account.map(|id| TargetId(id.to_owned())), ..Person::blank(sync * 100, key) }
    }

    #[test]
    fn one_entry_in_several_syncs_is_one_person_who_stands_where_the_account_is() {
        use Standing::{Active, OutOfScope};
        let directories = [(1, "ldap one"), (2, "ldap one"), (3, "ldap two")];
        let of = |all: Vec<Person>| -> Vec<(i64, Vec<(i64, i64)>)> {
            united(all, &directories).into_iter().map(|p| (p.sync, p.elsewhere)).collect()
        };
        let guid = "00000000-0000-4000-8000-000000000001";
        assert_eq!(of(vec![person(1, "k", OutOfScope, None), person(2, "k", Active, None)]), [(2, vec![(1, 100)])]);
        assert_eq!(of(vec![person(1, "k", OutOfScope, Some("a")), person(2, "k", Active, None)]), [(1, vec![(2, 200)])]);
        // The first of the syncs, whichever of them is migrated.
        assert_eq!(of(vec![person(2, "k", Active, None), person(1, "k", Active, None)]), [(1, vec![(2, 200)])]);
        assert_eq!(of(vec![person(1, "k", Active, None), person(3, "k", Active, None)]).len(), 2, "another directory's key");
        assert_eq!(of(vec![person(1, guid, Active, None), person(3, guid, Active, None)]).len(), 1, "a GUID is nobody else's");
        assert_eq!(of(vec![person(1, "k", Active, Some("a")), person(2, "k", Active, Some("b"))]).len(), 2, "two accounts");
    }

    #[test]
    fn times_of_directories_are_read() {
        assert_eq!(instant("20260101000000Z"), Some(1_767_225_600));
        assert_eq!(instant("20260101000000.0Z"), Some(1_767_225_600));
        assert_eq!(instant("2026-01-01T00:00:00Z"), Some(1_767_225_600));
        for odd in ["", "2026", "20261301000000Z", "20260101000000", "üü260101000000Z"] {
            assert_eq!(instant(odd), None, "{odd}");
        }
        assert_eq!(without_prefix("SMTP:a@b.example"), "a@b.example");
        assert_eq!(without_prefix("x500:/o=a@b"), "");
    }
}
