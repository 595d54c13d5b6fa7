//! Each account in one class. Pure and deterministic: the same people and accounts give the same rows.

use super::names::fold;
use super::people::{How, People, Person, Standing};
use super::proof;
use crate::mapping::folded_address;
use crate::model::TargetId;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What is to become of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// It is renamed.
    Convert,
    /// It bears its user ID.
    Already,
    /// Nobody who takes part matches.
    NoMatch,
    /// One name, several people.
    Ambiguous,
    /// The name matches somebody, and another fact contradicts.
    Unproven,
    /// The user ID is taken, or several want it.
    Collision,
    /// The application cannot rename.
    Refused,
    /// A service, an administrator, our own account.
    Protected,
}

impl Class {
    /// All, in the order in which they are counted and shown.
    pub const ALL: [Self; 8] = [
        Self::Convert,
        Self::Already,
        Self::NoMatch,
        Self::Ambiguous,
        Self::Unproven,
        Self::Collision,
        Self::Refused,
        Self::Protected,
    ];

    /// The word in JSON, CSV and text.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Convert => "convert",
            Self::Already => "already",
            Self::NoMatch => "no_match",
            Self::Ambiguous => "ambiguous",
            Self::Unproven => "unproven",
            Self::Collision => "collision",
            Self::Refused => "refused",
            Self::Protected => "protected",
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// An account, as far as it is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// SCIM id.
    pub id: TargetId,
    /// userName as it stands.
    pub user_name: String,
    /// externalId, where it has one.
    pub external_id: Option<String>,
    /// May be used.
    pub active: bool,
    /// Addresses, folded.
    pub emails: Vec<String>,
    /// Those of them that are private (type `home`).
    pub private: Vec<String>,
    /// `name.familyName`.
    pub family: Option<String>,
    /// `employeeNumber` of the enterprise extension (RFC 7643 section 4.3).
    pub number: Option<String>,
    /// `meta.created`, Unix second.
    pub created: Option<i64>,
    /// `userType`, folded.
    pub user_type: Option<String>,
    /// Values of `roles`, folded.
    pub roles: Vec<String>,
    /// Sync and entry of its link.
    pub linked: Option<(i64, i64)>,
}

/// What the classes depend on besides people and accounts.
#[derive(Debug, Clone, Default)]
#[allow(clippy::struct_excessive_bools)]
pub struct Rules {
    /// The target cannot change a userName.
    pub immutable: bool,
    /// Inactive accounts, and accounts of people who are disabled at the source, take part.
    pub inactive: bool,
    /// Accounts of people outside the scope take part.
    pub out_of_scope: bool,
    /// A second fact must agree, and the entry must not be younger than the account.
    pub require_proof: bool,
    /// Names of accounts that are never touched: userName, address, externalId, target id, person; folded.
    pub protected: Vec<String>,
    /// The account behind our own credential.
    pub own: Option<TargetId>,
}

/// An account in its class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// SCIM id.
    pub id: TargetId,
    /// userName as it was.
    pub old: String,
    /// userName as it is to be, where that can be said.
    pub new: Option<String>,
    /// The class.
    pub class: Class,
    /// Why.
    pub why: String,
    /// What to do, where there is something to do.
    pub advice: String,
    /// Whose it is.
    pub person: Option<usize>,
    /// Whose it may be, where that is not decided.
    pub candidates: Vec<usize>,
    /// Of an account that bears the user ID, and is known by that alone: what contradicts that it is theirs.
    pub doubts: Vec<String>,
}

/// How the person was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    Link,
    ExternalId,
    Name(How),
}

impl By {
    /// The account is the person's whatever its name.
    pub(super) fn is_proof(self) -> bool {
        !matches!(self, Self::Name(_))
    }

    /// Only an alias says so, which may be that of a mailbox of many.
    pub(super) fn is_alias(self) -> bool {
        self == Self::Name(How::Alias)
    }
}

/// What to do where a second fact contradicts.
const WHOSE: &str =
    "the name may have been given to somebody new: look whose account it is, and say so with `scim-sync link set`";

/// Why an account is in the class [`Class::Refused`].
pub const IMMUTABLE: &str = "this application cannot change a userName";

/// Values of `userType` that no person has, and roles of those who are not touched.
const SERVICES: [&str; 8] = ["service", "service account", "serviceaccount", "system", "bot", "robot", "admin", "administrator"];

/// Puts each account in its class. Rows come in the order of the accounts.
#[must_use]
pub fn classify(people: &People, accounts: &[Account], rules: &Rules) -> Vec<Row> {
    let work = Work { people, accounts, rules };
    let mut found: Vec<(Row, By)> = accounts.iter().map(|a| work.first_look(a)).collect();
    work.rivals(&mut found);
    work.taken(&mut found);
    let mut rows: Vec<Row> = found.into_iter().map(|(row, _)| row).collect();
    if rules.immutable {
        for row in rows.iter_mut().filter(|r| r.class == Class::Convert) {
            row.class = Class::Refused;
            row.why = IMMUTABLE.to_owned();
            row.advice =
                "let the sync make a new account under the user ID and deactivate this one, or ask the vendor to rename it; \
                          nothing is written here"
                    .to_owned();
        }
    }
    rows
}

pub(super) struct Work<'a> {
    pub(super) people: &'a People,
    pub(super) accounts: &'a [Account],
    rules: &'a Rules,
}

impl Work<'_> {
    fn row(&self, account: &Account, class: Class, why: impl Into<String>, advice: impl Into<String>) -> Row {
        Row {
            id: account.id.clone(),
            old: account.user_name.clone(),
            new: None,
            class,
            why: why.into(),
            advice: advice.into(),
            person: None,
            candidates: Vec::new(),
            doubts: Vec::new(),
        }
    }

    /// The class of an account by itself, before anybody else's wishes count.
    fn first_look(&self, a: &Account) -> (Row, By) {
        let (hits, by) = self.find(a);
        let mut row = match hits.as_slice() {
            [] if a.linked.is_some() => self.row(
                a,
                Class::NoMatch,
                "it is linked to somebody who is not in the directory any more, or by a sync that was not read",
                "",
            ),
            [] => self.elsewhere(a).unwrap_or_else(|| {
                self.row(a, Class::NoMatch, self.nobody(a), "give it to somebody with `scim-sync link set`, or leave it")
            }),
            [one] => self.of_one(a, *one, by),
            several => {
                let who: Vec<String> = several.iter().take(5).filter_map(|i| Some(self.people.get(*i)?.label())).collect();
                let what = match by {
                    By::Name(how) => how.words().to_owned(),
                    By::Link | By::ExternalId => "externalId".to_owned(),
                };
                let why = format!("it may be the account of {} people by {what}: {}", several.len(), who.join(", "));
                let mut row = self.row(a, Class::Ambiguous, why, "say whose it is: `scim-sync link set`, or its externalId");
                row.candidates = several.to_vec();
                row
            }
        };
        if let Some(why) = self.protects(a, row.person) {
            let (class, advice) = (Class::Protected, String::new());
            row = Row { class, why, advice, ..row };
        }
        (row, by)
    }

    /// By the link, else by externalId, else by name.
    fn find(&self, a: &Account) -> (Vec<usize>, By) {
        if let Some((_, entry)) = a.linked {
            return (self.people.of_entry(entry).into_iter().collect(), By::Link);
        }
        if let Some(id) = &a.external_id {
            let hits = self.people.of_external_id(id);
            if !hits.is_empty() {
                return (hits, By::ExternalId);
            }
        }
        if a.user_name.trim().is_empty() {
            return (Vec::new(), By::Name(How::AccountName));
        }
        let (hits, how) = self.people.of_name(&a.user_name);
        (hits, By::Name(how))
    }

    /// Somebody has the account name, and nothing says that they are of the account's domain.
    fn elsewhere(&self, a: &Account) -> Option<Row> {
        let other = self.people.of_other_domain(&a.user_name)?;
        let who: Vec<String> = other.named.iter().take(5).filter_map(|i| Some(self.people.get(*i)?.label())).collect();
        let (domain, who) = (other.domain, who.join(", "));
        let (why, advice) = if other.undecided.is_empty() {
            (format!("{who} has this account name in another domain than {domain:?}"), String::new())
        } else {
            let why = format!("{who} has this account name, and nothing says that {domain:?} is their domain");
            let advice = format!(
                "name {domain:?} in user_id.domains, with their mail domain or with that of the others; or give the account to \
                 somebody with `scim-sync link set`"
            );
            (why, advice)
        };
        let mut row = self.row(a, Class::NoMatch, why, advice);
        row.candidates = other.undecided;
        Some(row)
    }

    fn nobody(&self, a: &Account) -> String {
        match &a.external_id {
            Some(id) => format!("nobody in the directory has this name, nor the externalId {id:?}"),
            None => "nobody in the directory has this name".to_owned(),
        }
    }

    fn of_one(&self, a: &Account, i: usize, by: By) -> Row {
        let Some(p) = self.people.get(i) else { return self.row(a, Class::NoMatch, self.nobody(a), "") };
        let mut row = self.row(a, Class::Convert, "", "");
        row.person = Some(i);
        row.candidates = vec![i];
        let new = match &p.user_id {
            Ok(new) => new.clone(),
            Err(reason) => {
                row.class = Class::NoMatch;
                row.why = format!("it is {}'s, who has no user ID: {reason}", p.label());
                row.advice = "give the person a routable address at the source".to_owned();
                return row;
            }
        };
        row.new = Some(new.clone());
        if folded_address(&new) == folded_address(&a.user_name) {
            row.class = Class::Already;
            row.why = format!("it bears the user ID of {}", p.label());
            if !by.is_proof() {
                row.doubts = proof::compare(a, p, None).against;
            }
            if let (By::Name(_), Some(id)) = (by, a.external_id.as_deref().filter(|id| !id.trim().is_empty())) {
                row.class = Class::Unproven;
                row.why = format!("{}, but it carries the externalId {id:?}, which is not theirs", row.why);
                row.advice = WHOSE.to_owned();
            }
            return row;
        }
        if let By::Name(how) = by {
            self.prove(a, p, how, &mut row);
        } else {
            row.why = match by {
                By::Link => format!("linked to {}", p.label()),
                _ => format!("externalId of {}", p.label()),
            };
        }
        if row.class == Class::Convert {
            self.takes_part(a, p, &mut row);
        }
        row
    }

    /// The name alone matched: does anything else contradict?
    fn prove(&self, a: &Account, p: &Person, by: How, row: &mut Row) {
        let how = by.words();
        row.why = format!("its name is {how} of {}", p.label());
        // The address behind the alias is the same fact once more: a mailbox of many is somebody's alias.
        let alias = (by == How::Alias).then(|| fold(&a.user_name));
        let facts = proof::compare(a, p, alias.as_deref());
        let mut against = facts.against;
        if alias.is_some() && facts.agree.is_empty() {
            against.push("an alias may be that of a shared account, and nothing else says that it is theirs".to_owned());
        }
        if let Some(id) = &a.external_id {
            against.push(format!("it carries the externalId {id:?}, which is not theirs"));
        }
        let is_open = alias.is_some() && !against.is_empty();
        if let Some(other) = p.account.as_ref().filter(|other| **other != a.id && !is_open) {
            row.class = Class::Collision;
            row.why = format!("its name is {how} of {}, who has the account {other} already", p.label());
            row.advice = "remove one of the two accounts, or move the link".to_owned();
            return;
        }
        if against.is_empty() && self.rules.require_proof {
            if facts.agree.is_empty() {
                against.push("neither email, family name nor employee number says that it is theirs".to_owned());
            }
            if let (Some(entry), Some(account)) = (p.created, a.created)
                && entry > account
            {
                against.push("the account is older than the person's entry".to_owned());
            }
        }
        if against.is_empty() {
            if !facts.agree.is_empty() {
                row.why = format!("{}; {} agree", row.why, facts.agree.join(" and "));
            }
            return;
        }
        row.class = Class::Unproven;
        row.why = format!("{}, but {}", row.why, against.join(", and "));
        row.advice = WHOSE.to_owned();
    }

    fn takes_part(&self, a: &Account, p: &Person, row: &mut Row) {
        let (why, flag) = match p.standing {
            Standing::OutOfScope if !self.rules.out_of_scope => ("outside the scope of the sync", "--include-out-of-scope"),
            Standing::Inactive if !self.rules.inactive => ("disabled at the source", "--include-inactive"),
            _ if !a.active && !self.rules.inactive => {
                row.class = Class::NoMatch;
                row.why = format!("{}; the account is inactive", row.why);
                row.advice = "--include-inactive renames it too".to_owned();
                return;
            }
            _ => return,
        };
        row.class = Class::NoMatch;
        row.why = format!("{}, who is {why}", row.why);
        row.advice = format!("{flag} renames it too");
    }

    /// Why the account is never touched.
    fn protects(&self, a: &Account, person: Option<usize>) -> Option<String> {
        if self.rules.own.as_ref() == Some(&a.id) {
            return Some("it is the account that we sign in with".to_owned());
        }
        if let Some(kind) = a.user_type.as_deref().filter(|t| SERVICES.contains(t)) {
            return Some(format!("its userType is {kind}"));
        }
        if let Some(role) = a.roles.iter().find(|r| SERVICES.contains(&r.as_str())) {
            return Some(format!("it has the role {role}"));
        }
        let person = person.and_then(|i| self.people.get(i));
        let mut names: Vec<String> = vec![fold(&a.user_name), fold(a.id.as_str())];
        names.extend(a.external_id.iter().map(|e| fold(e)));
        names.extend(a.emails.iter().cloned());
        names.extend(person.iter().flat_map(|p| [fold(&p.who), fold(&p.key)]));
        names.extend(person.iter().filter_map(|p| Some(fold(p.user_id.as_ref().ok()?))));
        let name = self.rules.protected.iter().find(|p| names.contains(p))?;
        Some(format!("{name} stands in guard.protected"))
    }
}
