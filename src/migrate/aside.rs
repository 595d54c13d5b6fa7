//! Temporary names: one of a circle bears one for a moment, and nobody for longer. Whoever cannot have the new name is given
//! the old one back.

use super::analysis::Analysis;
use super::order::Names;
use super::report::{Line, Outcome};
use super::run::Run;
use crate::apply::{ASIDE, Stop};
use crate::mapping::folded_address;
use crate::plan::userids::{Class, fold};
use crate::state::{StateError, Store};
use crate::sync::CycleError;
use std::collections::HashMap;
use std::time::Duration;

/// For how long names are given back after somebody asked to stop; what is in flight then has its own grace.
const AT_LAST: Duration = Duration::from_secs(2);

pub(super) fn is_aside(name: &str) -> bool {
    let name = fold(name);
    name.strip_prefix(ASIDE).is_some_and(|rest| rest.len() >= 12 && rest.bytes().take(12).all(|b| b.is_ascii_hexdigit()))
}

/// Who stands aside under a name that we gave, and the name from before. What a run that was killed left is among them,
/// whatever it had selected.
pub(super) fn standing(store: &Store, analysis: &Analysis, lines: &[Line]) -> Result<HashMap<usize, String>, StateError> {
    let mut out = HashMap::new();
    for (i, line) in lines.iter().enumerate() {
        if !is_aside(&line.current) || line.row.person.is_none() || line.row.class == Class::Protected {
            continue;
        }
        let before = match is_aside(&line.row.old) {
            false => Some(line.row.old.clone()),
            true => store.name_before(analysis.row.id, &line.row.id, &line.current)?,
        };
        out.extend(before.filter(|name| !name.is_empty() && !is_aside(name)).map(|name| (i, name)));
    }
    Ok(out)
}

impl Run<'_> {
    /// Whoever still stands aside gets the old name back; where somebody of the same circle has it by now, that one goes back
    /// too; where the old name is somebody's for good, it gets the new one, if that is free. `ended`: why nothing more is
    /// renamed, if not because everything was tried. A target that takes nothing is not asked: the next run gives back what
    /// this one left.
    pub(super) async fn give_back(&mut self, lines: &mut [Line], ended: Option<&CycleError>) -> Result<(), CycleError> {
        let store = self.store()?;
        let own = standing(&store, self.analysis, lines);
        self.store = Some(store);
        let own = own?;
        if own.is_empty() {
            return Ok(());
        }
        let before: HashMap<usize, (Outcome, Option<String>)> =
            own.keys().map(|i| (*i, (lines[*i].result, lines[*i].note.clone()))).collect();
        let done = match ended {
            None => self.all_back(lines, &own).await,
            Some(CycleError::Interrupted { .. }) => {
                let last = Stop::new();
                self.stop = Some(last.clone());
                let timer = async {
                    tokio::time::sleep(AT_LAST).await;
                    last.cancel();
                    std::future::pending::<()>().await;
                };
                tokio::select! {
                    done = self.all_back(lines, &own) => done,
                    () = timer => Ok(()),
                }
            }
            Some(_) => Ok(()),
        };
        for (i, (result, note)) in before {
            let (line, old) = (&mut lines[i], &own[&i]);
            if line.result == Outcome::Renamed {
                line.note.get_or_insert_with(|| "it stood aside for others, and has its new name".to_owned());
                continue;
            }
            if line.current == *old {
                line.result = result;
                let said = note.unwrap_or_else(|| "not renamed".to_owned());
                line.note = Some(format!("{said}; it stood aside for others, and has its old name again"));
                continue;
            }
            let why = match (&done, ended) {
                (Err(e), _) => format!(": {e}"),
                (Ok(()), Some(_)) => "; the same command goes on".to_owned(),
                (Ok(()), None) => line.note.take().map_or_else(String::new, |n| format!(": {n}")),
            };
            line.result = Outcome::Failed;
            line.note = Some(format!("it bears the temporary name {}; its name before was {old:?}{why}", line.current));
        }
        done
    }

    async fn all_back(&mut self, lines: &mut [Line], own: &HashMap<usize, String>) -> Result<(), CycleError> {
        let mut who: Vec<usize> = own.keys().copied().collect();
        who.sort_unstable();
        let names = Names::of(lines);
        let (mut now, mut ways) = (Vec::new(), Vec::new());
        for i in who {
            match way_back(lines, &names, own, i) {
                Ok(mut way) if way.len() == 1 => now.append(&mut way),
                Ok(way) => ways.push(way),
                // The old name is given to somebody for good, and nothing keeps this one from the new name any more.
                Err(_) if may_go_on(lines, &names, own, i) => {
                    now.extend(lines[i].row.new.clone().map(|new| (i, new)));
                }
                Err(holder) => {
                    lines[i].note = Some(format!("the account {:?} has that name now", lines[holder].current));
                }
            }
        }
        if !now.is_empty() {
            self.attempt(lines, &now).await?;
        }
        for way in ways {
            self.way_back(lines, way).await?;
        }
        Ok(())
    }

    /// Goes such a way, the last of it first. Whoever is not named back keeps the new name, and is said to have it.
    async fn way_back(&mut self, lines: &mut [Line], way: Vec<(usize, String)>) -> Result<(), CycleError> {
        let Some(start) = way.first().map(|(i, _)| *i) else { return Ok(()) };
        for (i, name) in way.into_iter().rev() {
            let (was, said) = (lines[i].result, lines[i].note.clone());
            let tried = self.attempt(lines, &[(i, name.clone())]).await;
            let line = &mut lines[i];
            let back = line.current == name;
            if was == Outcome::Renamed && back {
                line.result = Outcome::NotAttempted;
                line.note = Some("renamed, and renamed back: the circle of names could not be closed".to_owned());
            } else if was == Outcome::Renamed {
                line.result = was;
                let why = std::mem::replace(&mut line.note, said).unwrap_or_else(|| "no answer".to_owned());
                let current = line.current.clone();
                lines[start].note = Some(format!("the account {current:?} does not give that name back: {why}"));
            }
            tried?;
            if !back {
                break;
            }
        }
        Ok(())
    }
}

/// Whether an account that stands aside can have its new name: it was not refused it in this run, and nobody bears
/// it.
fn may_go_on(lines: &[Line], names: &Names, own: &HashMap<usize, String>, i: usize) -> bool {
    let line = &lines[i];
    let new = line.row.new.as_deref().filter(|_| line.row.class == Class::Convert && line.result == Outcome::NotAttempted);
    // Nor is it somebody's who goes back to it.
    new.is_some_and(|new| names.holder(new, i).is_none() && own.values().all(|old| folded_address(old) != folded_address(new)))
}

/// Who has to go back to which name so that this one can; the last of them first goes. `Err`: who has the name for good.
fn way_back(lines: &[Line], names: &Names, own: &HashMap<usize, String>, start: usize) -> Result<Vec<(usize, String)>, usize> {
    let (mut way, mut at): (Vec<(usize, String)>, usize) = (Vec::new(), start);
    loop {
        let name = own.get(&at).unwrap_or(&lines[at].row.old).clone();
        let holder = names.holder(&name, at);
        way.push((at, name));
        match holder {
            None => return Ok(way),
            Some(h) if lines[h].result == Outcome::Renamed && !way.iter().any(|(i, _)| *i == h) => at = h,
            Some(h) => return Err(h),
        }
    }
}
