//! In which order names change hands: nobody takes a name that somebody still has, and where people exchange their names one of
//! them steps aside under a temporary one. Pure.

use super::report::Line;
use crate::mapping::folded_address;
use std::collections::{HashMap, HashSet};

/// Who bears which name now.
#[derive(Debug, Default)]
pub(super) struct Names(HashMap<String, Vec<usize>>);

impl Names {
    pub(super) fn of(lines: &[Line]) -> Self {
        let mut names = Self::default();
        for (i, line) in lines.iter().enumerate() {
            names.give(&line.current, i);
        }
        names
    }

    /// Somebody else who bears the name.
    pub(super) fn holder(&self, name: &str, me: usize) -> Option<usize> {
        self.0.get(&folded_address(name))?.iter().copied().find(|i| *i != me)
    }

    pub(super) fn take(&mut self, name: &str, i: usize) {
        if let Some(all) = self.0.get_mut(&folded_address(name)) {
            all.retain(|have| *have != i);
        }
    }

    pub(super) fn give(&mut self, name: &str, i: usize) {
        self.0.entry(folded_address(name)).or_default().push(i);
    }
}

/// What can be done next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// These, in any order.
    Rename(Vec<usize>),
    /// These step aside: each is one of a circle.
    Aside(Vec<usize>),
    /// Nothing: these wait for a name that does not become free.
    Stuck(Vec<usize>),
    /// Nothing is left.
    Done,
}

/// The next step for `left`. `aside` have stepped aside already.
pub(super) fn next(lines: &[Line], names: &Names, left: &[usize], aside: &HashSet<usize>) -> Next {
    if left.is_empty() {
        return Next::Done;
    }
    let wants = |i: usize| lines[i].row.new.as_deref().unwrap_or_default();
    let free: Vec<usize> = left.iter().copied().filter(|i| names.holder(wants(*i), *i).is_none()).collect();
    if !free.is_empty() {
        return Next::Rename(free);
    }
    let waiting: HashSet<usize> = left.iter().copied().collect();
    let mut seen: HashSet<usize> = HashSet::new();
    let mut circles = Vec::new();
    for start in left {
        let (mut at, mut path) = (*start, Vec::new());
        loop {
            if let Some(from) = path.iter().position(|i| *i == at) {
                circles.extend(path[from..].iter().copied().min().filter(|one| !aside.contains(one)));
                break;
            }
            if !seen.insert(at) {
                break;
            }
            path.push(at);
            match names.holder(wants(at), at).filter(|h| waiting.contains(h)) {
                Some(holder) => at = holder,
                None => break,
            }
        }
    }
    if circles.is_empty() { Next::Stuck(left.to_vec()) } else { Next::Aside(circles) }
}
