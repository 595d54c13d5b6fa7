//! A long run and the application that stays in use meanwhile: an account whose look is old is looked at again before it is
//! written to, and one that somebody else changed since is left alone.

use super::aside::is_aside;
use super::report::{Line, Outcome};
use super::run::Run;
use crate::mapping::folded_address;
use crate::model::{Fault, ObjectKind, TargetId};
use crate::plan::userids::{Account, Class};
use crate::state::{StateError, Store};
use crate::sync::{CycleError, keep};
use crate::target::Remote;
use futures_util::StreamExt;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, Instant};

/// What was seen of an account longer ago than this, when its turn comes, is looked at again.
pub const FRESH: Duration = Duration::from_secs(10);

/// The externalId of each account as it was when it was put in its class; as sums, because there may be many.
#[derive(Debug, Default)]
pub(super) struct ExternalIds(HashMap<u64, u64>);

impl ExternalIds {
    pub(super) fn of(accounts: &[Account]) -> Self {
        let known = accounts.iter().filter_map(|a| Some((sum(a.id.as_str()), sum(a.external_id.as_deref()?))));
        Self(known.collect())
    }

    fn is(&self, account: &TargetId, external: Option<&str>) -> bool {
        self.0.get(&sum(account.as_str())).copied() == external.map(sum)
    }
}

fn sum(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

/// When what is known of the accounts was seen.
pub(super) struct Seen {
    /// All of them; `None`: a list that was begun and not ended is worth nothing.
    listed: Option<Instant>,
    /// Those that were looked at by themselves.
    each: HashMap<usize, Instant>,
    /// Something was looked at again since accounts were put in their classes.
    again: bool,
    /// How old it may be.
    fresh: Duration,
}

impl Seen {
    pub(super) fn new(listed: Instant, fresh: Duration) -> Self {
        Self { listed: Some(listed), each: HashMap::new(), again: false, fresh }
    }

    /// How long a batch may take, so that its last account is written to while its look is fresh.
    pub(super) fn portion(&self) -> Duration {
        self.fresh / 2
    }
}

impl Run<'_> {
    /// Looks again at those whose look would be old by the end of a batch that takes so long. Who changed since is noted on
    /// the line and held: renamed by hand, given to somebody else.
    pub(super) async fn look_again(
        &mut self,
        lines: &mut [Line],
        wanted: &[(usize, String)],
        takes: Duration,
    ) -> Result<(), CycleError> {
        let (now, within) = (Instant::now(), self.seen.fresh.saturating_sub(takes));
        let is_old = |i: &usize| {
            let at = self.seen.each.get(i).copied().max(self.seen.listed);
            self.seen.listed.is_none() || at.is_none_or(|at| now.duration_since(at) >= within)
        };
        let old: Vec<usize> = wanted.iter().map(|(i, _)| *i).filter(is_old).collect();
        if !old.is_empty() {
            let stop = self.syncs.main.stop().clone();
            if stop.is_cancelled() {
                return Ok(());
            }
            self.seen.again = true;
            let pages = self.analysis.accounts / 100 + 1;
            if self.seen.listed.is_none() || old.len() >= pages * self.syncs.main.concurrency() {
                self.list_again(now).await?;
            } else {
                self.each_again(lines, &old, now).await?;
            }
        }
        if !self.seen.again {
            return Ok(());
        }
        let store = self.store()?;
        let compared = self.compare(&store, lines, wanted);
        self.store = Some(store);
        Ok(compared?)
    }

    async fn list_again(&mut self, now: Instant) -> Result<(), CycleError> {
        self.seen.listed = None;
        let store = self.store()?;
        let (store, listed) = self.syncs.main.list_accounts(store, &self.analysis.dialect).await;
        self.store = Some(store);
        listed?;
        self.seen.listed = Some(now);
        self.seen.each.clear();
        Ok(())
    }

    async fn each_again(&mut self, lines: &mut [Line], old: &[usize], now: Instant) -> Result<(), CycleError> {
        let cycle = &self.syncs.main;
        let (reader, stop) = (cycle.reader(&self.analysis.dialect), cycle.stop().clone());
        let asked = old.iter().map(|i| {
            let (reader, id) = (reader.clone(), lines[*i].row.id.clone());
            async move { (*i, reader.get(ObjectKind::User, &id).await) }
        });
        let answers = futures_util::stream::iter(asked).buffer_unordered(cycle.concurrency()).collect::<Vec<_>>();
        let answers = tokio::select! {
            answers = answers => answers,
            // Nothing is sent any more.
            () = stop.cancelled() => return Ok(()),
        };
        for (i, answer) in answers {
            match answer {
                Ok(Some(there)) => {
                    let store = self.store()?;
                    let kept = keep(&store, ObjectKind::User, &there);
                    self.store = Some(store);
                    kept?;
                    self.seen.each.insert(i, now);
                }
                // The write finds out whether it is gone, or there under another id.
                Ok(None) => {}
                Err(e) if e.fault == Fault::Auth => return Err(e.into()),
                Err(e) => {
                    reader.serves(ObjectKind::User, &e).await?;
                    lines[i].result = Outcome::Failed;
                    lines[i].note = Some(format!("left as it is: it could not be looked at again: {e}"));
                }
            }
        }
        Ok(())
    }

    /// Compares what is there now with what was there when the accounts were put in their classes.
    fn compare(&mut self, store: &Store, lines: &mut [Line], wanted: &[(usize, String)]) -> Result<(), StateError> {
        for (i, to) in wanted {
            let line = &mut lines[*i];
            let json = store.remote_json(ObjectKind::User, &line.row.id)?;
            let there = json.and_then(|json| Remote::new(serde_json::from_str(&json).ok()?));
            let changed = match &there {
                None => Some("it is not there any more".to_owned()),
                Some(there) => {
                    let name = there.user_name().unwrap_or_default();
                    let is = |other: &str| folded_address(name) == folded_address(other);
                    // What was seen before we gave a temporary name is no change by somebody else.
                    let before = is_aside(&line.current) && is(&line.row.old);
                    if is(&line.current) || is(to) || before {
                        self.other_owner(line, there)
                    } else if is_aside(name) {
                        // Given by us; the answer was lost.
                        line.current = name.to_owned();
                        None
                    } else {
                        line.current = name.to_owned();
                        Some(format!("it is named {name:?} now"))
                    }
                }
            };
            let Some(changed) = changed else { continue };
            self.held.insert(*i);
            if line.row.class != Class::Convert {
                continue;
            }
            if self.reviewed {
                self.moved += 1;
                line.note = Some(format!("refused: it changed since it was listed: {changed}"));
            } else {
                line.result = Outcome::Failed;
                line.note = Some(format!("left as it is: it changed since it was listed: {changed}"));
            }
        }
        Ok(())
    }

    /// Another externalId than before, which is not the person's own.
    fn other_owner(&self, line: &Line, there: &Remote) -> Option<String> {
        let now = there.external_id().filter(|id| !id.trim().is_empty());
        if self.analysis.externals.is(&line.row.id, now) {
            return None;
        }
        let person = line.row.person.and_then(|i| self.analysis.people.get(i));
        match (now, person) {
            (Some(id), Some(p)) if p.ids.iter().any(|own| own == id) => None,
            (Some(id), _) => Some(format!("its externalId is {id:?} now")),
            (None, _) => Some("its externalId was taken away".to_owned()),
        }
    }
}
