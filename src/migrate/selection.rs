//! What of an analysis is looked at, and what of it is done now.

use super::analysis::Analysis;
use super::order::Names;
use super::report::{Accepted, Line, Outcome};
use crate::mapping::folded_address;
use crate::plan::userids::{Class, fold};
use crate::scim::filter::Filter;
use serde_json::json;
use std::collections::HashSet;

/// What was asked for.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Inactive accounts, and accounts of people who are disabled at the source, take part.
    pub inactive: bool,
    /// Accounts of people outside the scope take part.
    pub out_of_scope: bool,
    /// A second fact must agree for every name.
    pub require_proof: bool,
    /// Only accounts for which this holds: attributes of the account, else of the person's entry.
    pub only: Option<Filter>,
    /// Only some of them now.
    pub pilot: Option<Pilot>,
    /// Only what a reviewed report accepts.
    pub accepted: Option<Accepted>,
    /// Whoever the pilot names may be of another sync of the same run.
    pub elsewhere: bool,
    /// Who runs it, for the records.
    pub by: String,
}

/// A part of what could be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pilot {
    /// So many.
    First(usize),
    /// These: old or new name, person, source key, or target id.
    Who(Vec<String>),
}

impl std::str::FromStr for Pilot {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(n) = text.trim().parse::<usize>() {
            return if n == 0 { Err("a pilot of nobody".to_owned()) } else { Ok(Self::First(n)) };
        }
        let who: Vec<String> = text.split(',').map(|w| w.trim().to_owned()).filter(|w| !w.is_empty()).collect();
        if who.is_empty() { Err("names nobody".to_owned()) } else { Ok(Self::Who(who)) }
    }
}

impl Options {
    /// A text that is the same for runs that select the same: an interrupted one is gone on with by such a run.
    #[must_use]
    pub fn print(&self) -> String {
        let accepted = self.accepted.as_ref().map(Accepted::print);
        let only = self.only.as_ref().map(ToString::to_string);
        json!([self.inactive, self.out_of_scope, self.require_proof, only, format!("{:?}", self.pilot), accepted]).to_string()
    }
}

/// The lines that are to be renamed now, by index; what a report accepts and cannot be done any more is noted on its line.
/// Returns how many such there are, too.
pub(super) fn select(options: &Options, analysis: &Analysis, lines: &mut Vec<Line>) -> (Vec<usize>, u64) {
    let mut moved = 0;
    let to_do =
        |l: &Line| l.row.class == Class::Convert && l.result == Outcome::NotAttempted && !analysis.outside.contains(&l.row.id);
    let mut open: HashSet<usize> = (0..lines.len()).filter(|i| to_do(&lines[*i])).collect();
    if let Some(accepted) = &options.accepted {
        let (unchanged, changed) = accepted.check(lines, &analysis.outside);
        moved = changed;
        open.retain(|i| unchanged.contains(i));
    }
    match &options.pilot {
        None => {}
        Some(Pilot::First(n)) => {
            let done = lines.iter().filter(|l| l.result == Outcome::Renamed).count();
            open = first(lines, &open, n.saturating_sub(done));
        }
        Some(Pilot::Who(who)) => {
            let who: HashSet<String> = who.iter().map(|w| fold(w)).collect();
            open.retain(|i| is_named(&lines[*i], analysis, &who));
        }
    }
    let mut out: Vec<usize> = open.into_iter().collect();
    out.sort_unstable();
    (out, moved)
}

/// The first `n` in the order of names, those who wait for nobody else's name before others; of a chain no one without
/// whoever is in the way.
fn first(lines: &[Line], open: &HashSet<usize>, n: usize) -> HashSet<usize> {
    let names = Names::of(lines);
    let mut order: Vec<usize> = open.iter().copied().collect();
    order.sort_unstable();
    let mut chosen: HashSet<usize> = HashSet::new();
    while chosen.len() < n {
        let free = |i: &usize| {
            let new = lines[*i].row.new.as_deref().unwrap_or_default();
            names.holder(new, *i).is_none_or(|h| chosen.contains(&h))
        };
        let Some(next) = order.iter().copied().find(|i| !chosen.contains(i) && free(i)) else { break };
        chosen.insert(next);
        order.retain(|i| *i != next);
    }
    chosen
}

fn is_named(line: &Line, analysis: &Analysis, who: &HashSet<String>) -> bool {
    let person = line.row.person.and_then(|i| analysis.people.get(i));
    let own = [line.row.id.as_str(), &line.row.old, &line.current].into_iter().chain(line.row.new.as_deref());
    let of_person = person.iter().flat_map(|p| [p.who.as_str(), p.key.as_str()]).collect::<Vec<_>>();
    own.chain(of_person).any(|name| who.contains(&fold(name)) || who.contains(&folded_address(name)))
}

/// Those of a named pilot who are nobody.
#[must_use]
pub(super) fn unknown(options: &Options, analysis: &Analysis, lines: &[Line]) -> Vec<String> {
    let Some(Pilot::Who(who)) = options.pilot.as_ref().filter(|_| !options.elsewhere) else { return Vec::new() };
    let known = |name: &String| lines.iter().any(|l| is_named(l, analysis, &HashSet::from([fold(name)])));
    who.iter().filter(|w| !known(w)).cloned().collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::Pilot;

    #[test]
    fn a_pilot_is_a_number_or_people() {
        assert_eq!("10".parse::<Pilot>(), Ok(Pilot::First(10)));
        assert_eq!("jdoe, CORP\\x".parse::<Pilot>(), Ok(Pilot::Who(vec!["jdoe".into(), "CORP\\x".into()])));
        assert!("0".parse::<Pilot>().is_err() && " , ".parse::<Pilot>().is_err());
    }
}
