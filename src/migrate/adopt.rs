//! Accounts that bear their user ID already, and that the next cycle would adopt: it is done here, so that it is quiet. Only what
//! the sync's own rules give is adopted, and it is said beforehand.

use super::analysis::Analysis;
use super::change::{desired, sides};
use super::report::{Line, Outcome};
use super::run::{Run, put};
use super::selection::Options;
use crate::mapping::folded_address;
use crate::model::{Flat, ObjectKind, TargetId};
use crate::plan::Change;
use crate::plan::matching::{Match, Person};
use crate::plan::undone::HAS_ACCOUNT;
use crate::plan::userids::{self as people, Class, Standing};
use crate::state::links::Origin;
use crate::state::{StateError, Store};
use crate::sync::{Cycle, CycleError};
use std::collections::{HashMap, HashSet};
use std::time::Duration;

/// Accounts that are adopted in one go.
const AT_ONCE: usize = 500;

/// Accounts that bear their user ID and that the next cycle would adopt. Each line says what is written then, or why it is none
/// of them.
pub(super) fn adoptable(
    cycle: &Cycle,
    store: &Store,
    analysis: &Analysis,
    options: &Options,
    lines: &mut [Line],
) -> Result<Vec<usize>, StateError> {
    let mut out = Vec::new();
    if options.pilot.is_some() || options.accepted.is_some() {
        return Ok(out);
    }
    let mut owners: HashMap<usize, usize> = HashMap::new();
    let owned = analysis.all.iter().filter(|row| row.class != Class::NoMatch).filter_map(|row| row.person);
    owned.for_each(|p| *owners.entry(p).or_default() += 1);
    for (i, line) in lines.iter_mut().enumerate() {
        let alone = line.row.person.is_some_and(|p| owners.get(&p) == Some(&1));
        if line.row.class != Class::Already || !alone || !is_newcomer(analysis, line) {
            continue;
        }
        match adoption(cycle, store, analysis, line, options.inactive)? {
            Ok(change) => {
                out.push(i);
                line.note = Some(format!("not adopted yet: --yes does{}", writing(&change, " and writes ")));
            }
            Err(why) => line.note = Some(not_adopted(&why)),
        }
    }
    for (i, who) in rivals(cycle, store, analysis, lines, &out)? {
        lines[i].note = Some(not_adopted(&format!("it matches {who} too; it is given to none of them")));
        out.retain(|other| *other != i);
    }
    Ok(out)
}

/// Of these accounts those that match somebody else without an account too, by whatever rule: a cycle gives them to nobody.
fn rivals(
    cycle: &Cycle,
    store: &Store,
    analysis: &Analysis,
    lines: &[Line],
    adopted: &[usize],
) -> Result<HashMap<usize, String>, StateError> {
    let mut out = HashMap::new();
    if adopted.is_empty() {
        return Ok(out);
    }
    let lines: HashMap<&TargetId, usize> = adopted.iter().map(|i| (&lines[*i].row.id, *i)).collect();
    let decided = analysis.all.iter().filter(|row| matches!(row.class, Class::Already | Class::Convert));
    let settled: HashSet<usize> = decided.filter_map(|row| row.person).collect();
    for i in (0..analysis.people.len()).filter(|i| !settled.contains(i)) {
        let Some(p) = analysis.people.get(i).filter(|p| p.sync == analysis.row.id && p.account.is_none()) else { continue };
        if p.standing != Standing::Active {
            continue;
        }
        let Some(desired) = desired(cycle, &analysis.dialect, store, p.entry_id)? else { continue };
        if let Match::One(id) = matched(cycle, store, analysis.row.id, p, &desired.attrs)?
            && let Some(line) = lines.get(&id)
        {
            out.insert(*line, p.who.clone());
        }
    }
    Ok(out)
}

/// The account that a cycle would give a person.
fn matched(cycle: &Cycle, store: &Store, sync: i64, p: &people::Person, desired: &Flat) -> Result<Match, StateError> {
    let external_id = desired.get("externalId").and_then(|v| v.as_str());
    let who = Person { object: ObjectKind::User, source_key: &p.key, external_id, legacy: &p.ids };
    cycle.matched(store, (sync, p.entry_id), &who, desired)
}

/// The person takes part in this sync, has no account yet, and shares the user ID with nobody.
fn is_newcomer(analysis: &Analysis, line: &Line) -> bool {
    let Some(p) = line.row.person.and_then(|i| analysis.people.get(i)) else { return false };
    let alone = analysis.people.of_user_id(&folded_address(line.row.new.as_deref().unwrap_or_default())).len() == 1;
    p.sync == analysis.row.id && p.account.is_none() && alone && p.standing == Standing::Active
}

/// The change that adopts the account, or why it is not adopted.
fn adoption(
    cycle: &Cycle,
    store: &Store,
    analysis: &Analysis,
    line: &Line,
    inactive: bool,
) -> Result<Result<Change, String>, StateError> {
    let gone = Ok(Err("the person or the account is not there any more".to_owned()));
    let Some(p) = line.row.person.and_then(|i| analysis.people.get(i)) else { return gone };
    let sync = analysis.row.id;
    if let Some(held) = store.undone(sync, p.entry_id)?.iter().find(|undone| undone.hold.what == HAS_ACCOUNT) {
        return Ok(Err(format!("undo (cycle {}) took that back", held.cycle)));
    }
    if let Some(link) = store.link(p.entry_id)?.filter(|l| !l.gone) {
        return Ok(Err(format!("{} was linked to the account {} meanwhile", p.who, link.target_id)));
    }
    if let Some((why, _)) = cycle.kept_apart(store, (sync, p.entry_id), &p.key)? {
        return Ok(Err(format!("{} {why}", p.who)));
    }
    let Some(sides) = sides(cycle, &analysis.dialect, store, line, p.entry_id)? else { return gone };
    let found = matched(cycle, store, sync, p, sides.desired())?;
    if !line.row.doubts.is_empty() {
        let doubts = line.row.doubts.join(", and ");
        return Ok(Err(match found {
            Match::One(id) if id == line.row.id => format!(
                "{doubts}; a cycle adopts it by match.users all the same: if it is not the account of {}, rename it, or say whose \
                 it is with `scim-sync link set`",
                p.who
            ),
            _ => doubts,
        }));
    }
    if !sides.active && !inactive {
        return Ok(Err("it is inactive; --include-inactive takes it too".to_owned()));
    }
    Ok(match found {
        Match::One(id) if id == line.row.id => Ok(sides.change(cycle, line, (p.entry_id, &p.who, &p.key), None, false)),
        Match::One(other) => Err(format!("match.users gives {} the account {other}", p.who)),
        Match::None => Err("no rule of match.users gives it to anybody; `scim-sync link set` does".to_owned()),
        Match::Park { reason, .. } => Err(reason),
    })
}

/// Says of lines that are about to be adopted what is true until they are: a run may end before.
pub(super) fn not_reached(lines: &mut [Line], adopted: &[usize]) {
    let ended = not_adopted("the run ended before; the same command goes on");
    adopted.iter().for_each(|i| lines[*i].note = Some(ended.clone()));
}

fn not_adopted(why: &str) -> String {
    format!("not adopted: {why}")
}

/// What a change writes, after this word; nothing where it only links.
fn writing(change: &Change, word: &str) -> String {
    let paths: Vec<&str> = change.to.keys().map(String::as_str).collect();
    if paths.is_empty() { String::new() } else { format!("{word}{}", paths.join(", ")) }
}

impl Run<'_> {
    /// Links accounts that bear their user ID; what they lack is written.
    pub(super) async fn adopt(&mut self, lines: &mut [Line], adopted: &[usize], inactive: bool) -> Result<(), CycleError> {
        for batch in adopted.chunks(AT_ONCE) {
            self.turn.give_way().await?;
            let as_they_are: Vec<(usize, String)> = batch.iter().map(|i| (*i, lines[*i].current.clone())).collect();
            self.look_again(lines, &as_they_are, Duration::ZERO).await?;
            let mut store = self.store()?;
            let (mut changes, mut links) = (Vec::new(), Vec::new());
            for i in batch {
                // It could not be looked at again.
                if lines[*i].result == Outcome::Failed {
                    continue;
                }
                let decided = if self.held.contains(i) {
                    Err("it changed since it was listed".to_owned())
                } else {
                    adoption(&self.syncs.main, &store, self.analysis, &lines[*i], inactive)?
                };
                match decided {
                    Ok(change) if change.to.is_empty() => links.push((*i, change)),
                    Ok(change) => changes.push((*i, change)),
                    Err(why) => lines[*i].note = Some(not_adopted(&why)),
                }
            }
            self.link(&mut store, lines, &links)?;
            let (at, changes): (Vec<usize>, Vec<Change>) = changes.into_iter().unzip();
            put(&mut store, &changes)?;
            let applied = self.apply(store).await;
            let store = self.store()?;
            let noted = note_adopted(&store, lines, &at, &changes);
            self.store = Some(store);
            noted?;
            applied?;
        }
        Ok(())
    }

    /// Accounts that lack nothing are only linked.
    fn link(&self, store: &mut Store, lines: &mut [Line], links: &[(usize, Change)]) -> Result<(), StateError> {
        let (sync, now) = (self.analysis.row.id, jiff::Timestamp::now().as_second());
        store.in_transaction(|store| {
            links.iter().try_for_each(|(_, c)| match &c.target_id {
                Some(id) => store.put_link(sync, ObjectKind::User, c.id, id, Origin::Adopted, c.known(), now),
                None => Ok(()),
            })
        })?;
        links.iter().for_each(|(i, _)| lines[*i].note = Some("adopted".to_owned()));
        Ok(())
    }
}

/// Notes on the lines what became of them.
fn note_adopted(store: &Store, lines: &mut [Line], at: &[usize], changes: &[Change]) -> Result<(), StateError> {
    let outcomes: HashMap<String, (bool, Option<String>)> =
        store.plan_outcomes()?.into_iter().map(|o| (o.target_id.0, (o.done, o.refused))).collect();
    for (i, change) in at.iter().zip(changes) {
        let line = &mut lines[*i];
        match outcomes.get(line.row.id.as_str()) {
            Some((true, None)) => line.note = Some(format!("adopted{}", writing(change, "; written: "))),
            Some((true, Some(refused))) => {
                line.result = Outcome::Failed;
                line.note = Some(format!("adopted, but not all of it went through: {refused}"));
            }
            Some((false, Some(refused))) => {
                line.result = Outcome::Failed;
                line.note = Some(not_adopted(refused));
            }
            Some((false, None)) | None => {}
        }
    }
    Ok(())
}
