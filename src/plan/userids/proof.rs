//! A second fact: does the account's email, family name or employee number agree with the person whose name it bears? Names
//! are given again to others. Pure.

use super::classify::Account;
use super::people::Person;
use crate::mapping::is_routable;
use std::collections::BTreeSet;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// What agrees, and what contradicts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Facts {
    pub agree: Vec<&'static str>,
    pub against: Vec<String>,
}

/// Compares what both sides say. `alias`: the mailbox part by which the account was found; an address with it agrees with itself
/// alone, which is no second fact.
pub(super) fn compare(account: &Account, person: &Person, alias: Option<&str>) -> Facts {
    let mut facts = Facts::default();
    // An address that no mail reaches was made up from the name: it proves nothing.
    let emails: Vec<&String> = account.emails.iter().filter(|e| is_routable(e)).collect();
    if !emails.is_empty() && !person.addresses.is_empty() {
        // A private address is in no directory: it may agree, and never contradicts.
        let official = emails.iter().find(|e| !account.private.contains(**e));
        let mut theirs = emails.iter().filter(|e| person.addresses.contains(**e)).peekable();
        match (theirs.peek().is_some(), official) {
            (true, _) if theirs.all(|e| alias.is_some() && e.rsplit_once('@').map(|(mailbox, _)| mailbox) == alias) => {}
            (true, _) => facts.agree.push("email"),
            (false, Some(email)) => facts.against.push(format!("the account's email is {email}")),
            (false, None) => {}
        }
    }
    if let Some(family) = account.family.as_deref().filter(|f| !words(f).is_empty())
        && person.families.iter().any(|f| !words(f).is_empty())
    {
        match person.families.iter().any(|f| same_family(f, family)) {
            true => facts.agree.push("family name"),
            false => facts.against.push(format!("the account's family name is {family}")),
        }
    }
    if let Some(number) = account.number.as_deref().filter(|n| !digits(n).is_empty())
        && !person.numbers.is_empty()
    {
        match person.numbers.iter().any(|n| digits(n) == digits(number)) {
            true => facts.agree.push("employee number"),
            false => facts.against.push(format!("the account's employee number is {number}")),
        }
    }
    facts
}

/// Without leading zeros: one system keeps a number, the other a text.
fn digits(number: &str) -> String {
    number.trim().trim_start_matches('0').to_lowercase()
}

/// Of double names one part in common is enough; Müller, Muller and Mueller are the same.
fn same_family(a: &str, b: &str) -> bool {
    !words(a).is_disjoint(&words(b))
}

/// Each word of a name without accents, and as it is written where there are none.
fn words(name: &str) -> BTreeSet<String> {
    let lower = name.nfc().collect::<String>().to_lowercase();
    let mut out = BTreeSet::new();
    for word in lower.split(|c: char| !c.is_alphanumeric() && !is_combining_mark(c) && c != '\'').filter(|w| !w.is_empty()) {
        let word = word.replace('\'', "");
        let spelled: String = word
            .chars()
            .map(|c| match c {
                'ä' | 'æ' => "ae".to_owned(),
                'ö' | 'ø' => "oe".to_owned(),
                'ü' => "ue".to_owned(),
                'å' => "aa".to_owned(),
                'ß' => "ss".to_owned(),
                c => c.to_string(),
            })
            .collect();
        for form in [word.clone(), spelled] {
            let plain: String = form
                .nfd()
                .filter(|c| !is_combining_mark(*c))
                .map(|c| match c {
                    'ø' => 'o',
                    'ł' => 'l',
                    'đ' => 'd',
                    'ı' => 'i',
                    c => c,
                })
                .collect();
            out.insert(plain);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{digits, same_family};

    #[test]
    fn family_names_agree_whatever_the_spelling() {
        for (a, b, same) in [
            ("Müller", "MUELLER", true),
            ("Müller", "Muller", true),
            ("Doe", "Smith-Doe", true),
            ("O'Brien", "OBrien", true),
            ("Łukasz", "lukasz", true),
            ("Søren", "Soeren", true),
            ("Doe", "Roe", false),
            ("山田", "山田", true),
        ] {
            assert_eq!(same_family(a, b), same, "{a} {b}");
        }
        assert_eq!(digits("00417"), digits(" 417"));
    }
}
