//! What a directory says, as `ldapsearch` shows it, and what a target should hold accordingly. No code under test.

use super::slapd::Slapd;
use base64::Engine as _;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// An entry: attribute names in lower case.
pub type Attributes = BTreeMap<String, Vec<String>>;

/// A person as the target should hold them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    pub user_name: String,
    pub external_id: String,
    pub active: bool,
    pub display_name: String,
    pub given_name: Option<String>,
    pub family_name: Option<String>,
    /// Type and value.
    pub emails: Vec<(String, String)>,
}

/// A group as the target should hold it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Team {
    pub display_name: String,
    pub external_id: String,
    /// externalIds of its members.
    pub members: BTreeSet<String>,
}

/// Everything at a target, by externalId.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Truth {
    pub accounts: BTreeMap<String, Account>,
    pub teams: BTreeMap<String, Team>,
}

/// A directory as it is now.
pub struct Snapshot {
    people: Vec<Attributes>,
    groups: Vec<Attributes>,
}

impl Snapshot {
    pub fn take(slapd: &Slapd) -> Self {
        Self { people: slapd.search("(objectClass=inetOrgPerson)"), groups: slapd.search("(cn=*)") }.without_accounts()
    }

    fn without_accounts(mut self) -> Self {
        let is_group = |e: &Attributes| {
            ["groupofnames", "groupofuniquenames", "posixgroup"]
                .iter()
                .any(|c| e["objectclass"].iter().any(|have| have.eq_ignore_ascii_case(c)))
        };
        self.groups.retain(is_group);
        self
    }

    pub fn people(&self) -> usize {
        self.people.len()
    }

    pub fn groups(&self) -> usize {
        self.groups.len()
    }

    /// Member values over all groups.
    pub fn memberships(&self) -> usize {
        self.groups.iter().map(|g| members(g).count()).sum()
    }

    pub fn person(&self, uid: &str) -> &Attributes {
        self.people.iter().find(|p| p["uid"].iter().any(|u| u == uid)).unwrap()
    }

    /// DNs of the groups that hold a member value (compared without case, as `member`, `uniqueMember` or `memberUid`).
    pub fn groups_with(&self, value: &str) -> Vec<(String, String)> {
        let wanted = canonical(value);
        let with = |g: &Attributes| {
            let (name, _) = members(g).find(|(_, v)| canonical(v) == wanted)?;
            Some((one(g, "dn")?, name.to_owned()))
        };
        self.groups.iter().filter_map(with).collect()
    }

    /// What a target should hold: active people with an address, and the groups with those of them that are in them.
    pub fn expected(&self, flatten: bool) -> Truth {
        self.expected_of(flatten, &|_| true)
    }

    /// The same for those people that `scope` lets in.
    pub fn expected_of(&self, flatten: bool, scope: &dyn Fn(&Attributes) -> bool) -> Truth {
        let mut out = Truth::default();
        for p in &self.people {
            let locked = one(p, "pwdaccountlockedtime").as_deref() == Some("000001010000Z");
            let Some(mail) = one(p, "mail").filter(|_| !locked && scope(p)) else { continue };
            let id = one(p, "entryuuid").unwrap();
            let account = Account {
                user_name: mail.to_lowercase(),
                external_id: id.clone(),
                active: true,
                display_name: one(p, "displayname").or_else(|| one(p, "cn")).unwrap(),
                given_name: one(p, "givenname"),
                family_name: one(p, "sn"),
                emails: vec![("work".to_owned(), mail)],
            };
            out.accounts.insert(id, account);
        }
        let index = self.index();
        for g in &self.groups {
            let id = one(g, "entryuuid").unwrap();
            let mut people = BTreeSet::new();
            self.collect(g, flatten, &index, &mut BTreeSet::new(), &mut people);
            people.retain(|p| out.accounts.contains_key(p));
            let team = Team { display_name: one(g, "cn").unwrap(), external_id: id.clone(), members: people };
            out.teams.insert(id, team);
        }
        out
    }

    /// Canonical DNs and `uid:` names -> entry.
    fn index(&self) -> BTreeMap<String, &Attributes> {
        let mut out = BTreeMap::new();
        for e in self.people.iter().chain(&self.groups) {
            out.insert(canonical(&one(e, "dn").unwrap()), e);
        }
        for p in &self.people {
            out.extend(p["uid"].iter().map(|u| (format!("uid:{u}"), p)));
        }
        out
    }

    fn collect<'a>(
        &'a self,
        group: &'a Attributes,
        flatten: bool,
        index: &BTreeMap<String, &'a Attributes>,
        seen: &mut BTreeSet<String>,
        people: &mut BTreeSet<String>,
    ) {
        if !seen.insert(one(group, "entryuuid").unwrap()) {
            return;
        }
        for (name, value) in members(group) {
            let key = if name == "memberuid" { format!("uid:{value}") } else { canonical(value) };
            let Some(member) = index.get(&key) else { continue };
            if member["objectclass"].iter().any(|c| c == "inetOrgPerson") {
                people.insert(one(member, "entryuuid").unwrap());
            } else if flatten {
                self.collect(member, flatten, index, seen, people);
            }
        }
    }
}

impl Truth {
    /// What a SCIM server holds, from its users and groups.
    pub fn held(users: &[Value], groups: &[Value]) -> Self {
        let text = |v: &Value| v.as_str().map(str::to_owned);
        let mut out = Self::default();
        let mut ids = BTreeMap::new();
        for u in users {
            let id = text(&u["externalId"]).unwrap_or_else(|| format!("no externalId: {u}"));
            ids.insert(text(&u["id"]).unwrap(), id.clone());
            let emails = u["emails"].as_array().cloned().unwrap_or_default();
            let account = Account {
                user_name: text(&u["userName"]).unwrap(),
                external_id: id.clone(),
                active: u["active"].as_bool().unwrap(),
                display_name: text(&u["displayName"]).unwrap_or_default(),
                given_name: text(&u["name"]["givenName"]),
                family_name: text(&u["name"]["familyName"]),
                emails: emails
                    .iter()
                    .map(|e| (text(&e["type"]).unwrap_or_default(), text(&e["value"]).unwrap_or_default()))
                    .collect(),
            };
            assert!(out.accounts.insert(id.clone(), account).is_none(), "two accounts of {id}");
        }
        for g in groups {
            let id = text(&g["externalId"]).unwrap_or_else(|| format!("no externalId: {g}"));
            let rows = g["members"].as_array().cloned().unwrap_or_default();
            let members: Vec<String> = rows
                .iter()
                .map(|m| text(&m["value"]).unwrap())
                .map(|m| ids.get(&m).cloned().unwrap_or_else(|| format!("nobody: {m}")))
                .collect();
            let set: BTreeSet<String> = members.iter().cloned().collect();
            assert_eq!(set.len(), members.len(), "a member twice in {g}");
            let team = Team { display_name: text(&g["displayName"]).unwrap(), external_id: id.clone(), members: set };
            assert!(out.teams.insert(id.clone(), team).is_none(), "two groups of {id}");
        }
        out
    }

    /// Adds the accounts of those who were there `before` and are not now, inactive.
    pub fn with_leavers_of(mut self, before: &Self) -> Self {
        for (id, account) in &before.accounts {
            self.accounts.entry(id.clone()).or_insert_with(|| Account { active: false, ..account.clone() });
        }
        self
    }

    /// Panics at the first differences, each by name.
    #[track_caller]
    pub fn expect(&self, held: &Self) {
        let mut wrong = differences(&self.accounts, &held.accounts);
        wrong.extend(differences(&self.teams, &held.teams));
        assert!(wrong.is_empty(), "{} differences, the first:\n{}", wrong.len(), wrong[..wrong.len().min(5)].join("\n"));
    }

    /// Requests that changing the members of the groups from `before` to `self` takes: one for those who join, one for those
    /// who leave.
    pub fn member_patches(&self, before: &Self) -> usize {
        let none = BTreeSet::new();
        let count = |t: &Team| {
            let old = before.teams.get(&t.external_id).map_or(&none, |b| &b.members);
            usize::from(t.members.difference(old).next().is_some()) + usize::from(old.difference(&t.members).next().is_some())
        };
        self.teams.values().map(count).sum()
    }

    /// Memberships in all groups.
    pub fn memberships(&self) -> usize {
        self.teams.values().map(|t| t.members.len()).sum()
    }
}

fn differences<T: std::fmt::Debug + PartialEq>(wanted: &BTreeMap<String, T>, held: &BTreeMap<String, T>) -> Vec<String> {
    let keys: BTreeSet<&String> = wanted.keys().chain(held.keys()).collect();
    keys.into_iter()
        .filter(|k| wanted.get(*k) != held.get(*k))
        .map(|k| format!("expected {:?}\n    held {:?}", wanted.get(k), held.get(k)))
        .collect()
}

/// A DN in one spelling: servers write the same escape now as `\,` and now as `\2C` (RFC 4514 section 2.4). Every escaped
/// character is written in hexadecimal, everything in small letters.
pub fn canonical(dn: &str) -> String {
    let mut out: Vec<u8> = Vec::new();
    let mut octets = dn.bytes().peekable();
    while let Some(b) = octets.next() {
        if b != b'\\' {
            out.push(b);
            continue;
        }
        let first = octets.next().unwrap();
        let hex = |c: u8| char::from(c).to_digit(16).and_then(|d| u8::try_from(d).ok());
        let octet = match (hex(first), octets.peek().copied().and_then(hex)) {
            (Some(high), Some(low)) => {
                octets.next();
                high << 4 | low
            }
            _ => first,
        };
        if octet.is_ascii_alphanumeric() || !octet.is_ascii() || octet == b' ' {
            out.push(octet);
        } else {
            out.extend(format!("\\{octet:02x}").bytes());
        }
    }
    String::from_utf8(out).unwrap().to_lowercase()
}

/// The first value.
pub fn one(entry: &Attributes, name: &str) -> Option<String> {
    entry.get(name)?.first().cloned()
}

fn members(group: &Attributes) -> impl Iterator<Item = (&'static str, &String)> {
    ["member", "uniquemember", "memberuid"].into_iter().flat_map(|n| group.get(n).into_iter().flatten().map(move |v| (n, v)))
}

/// Entries of `ldapsearch -LLL -o ldif-wrap=no`.
pub fn parse(ldif: &str) -> Vec<Attributes> {
    let mut out = Vec::new();
    let mut entry = Attributes::new();
    for line in ldif.lines().chain([""]) {
        if line.is_empty() {
            if !entry.is_empty() {
                out.push(std::mem::take(&mut entry));
            }
            continue;
        }
        let (name, rest) = line.split_once(':').unwrap();
        let value = match rest.strip_prefix(':') {
            Some(coded) => {
                String::from_utf8(base64::engine::general_purpose::STANDARD.decode(coded.trim_start()).unwrap()).unwrap()
            }
            None => rest.trim_start().to_owned(),
        };
        entry.entry(name.to_lowercase()).or_default().push(value);
    }
    out
}
