//! Both sides are read, and each account is put in its class.

use super::fresh::ExternalIds;
use super::only::Only;
use super::report::{Line, Outcome};
use super::selection::Options;
use crate::model::TargetId;
use crate::plan::userids::{ATTRIBUTES, Class, People, Row, Rules, Standing, classify, fold, united};
use crate::state::migration::Which;
use crate::state::syncs::SyncRow;
use crate::state::{StateError, Store};
use crate::sync::{Cycle, CycleError, each_person, userids};
use crate::target::Dialect;
use std::collections::HashSet;
use std::time::Instant;

/// The sync that is migrated, and the others that feed the same target.
pub struct Syncs {
    /// Whose accounts are renamed.
    pub main: Cycle,
    /// Their people count, too.
    pub others: Vec<Cycle>,
    /// Accounts that nobody can be found for are listed with this sync.
    pub lists_strangers: bool,
    /// Names of those of `others` that are migrated in the same run: their accounts are listed with them.
    pub migrated_too: Vec<String>,
}

/// What was found.
#[derive(Debug)]
pub struct Analysis {
    /// Row of the sync that is migrated.
    pub(super) row: SyncRow,
    /// Rows of all syncs whose people were read.
    pub(super) syncs: Vec<i64>,
    pub(super) dialect: Dialect,
    /// When reading the accounts began.
    pub(super) listed: Instant,
    /// How many there are at the target.
    pub(super) accounts: usize,
    pub(super) externals: ExternalIds,
    /// Accounts that a filter leaves out.
    pub(super) outside: HashSet<TargetId>,
    pub(super) people: People,
    /// Every account of the target, until those who wait are on record.
    pub(super) all: Vec<Row>,
    /// Those that are listed here.
    pub(super) lines: Vec<Line>,
}

/// Reads both sides into the store, which may be a private copy, and classifies.
pub(super) async fn analyse(syncs: &Syncs, mut store: Store, options: &Options) -> (Store, Result<Analysis, CycleError>) {
    let mut rows = Vec::new();
    let mut only = options.only.as_ref().map(Only::new);
    let further: Vec<&str> = ATTRIBUTES.iter().copied().chain(only.iter().flat_map(Only::attributes)).collect();
    for cycle in std::iter::once(&syncs.main).chain(&syncs.others) {
        let row = match store.sync_row(&cycle.config().name, &cycle.config().target) {
            Ok(row) => row,
            Err(e) => return (store, Err(e.into())),
        };
        let (back, read) = cycle.read_people(store, &row, &further).await;
        store = back;
        if let Err(e) = read {
            return (store, Err(e));
        }
        rows.push(row);
    }
    let listed = Instant::now();
    let (store, dialect) = match rows.first() {
        Some(row) => syncs.main.read_accounts(store, row).await,
        None => (store, Err(CycleError::Config("there is no sync".to_owned()))),
    };
    let dialect = match dialect {
        Ok(dialect) => dialect,
        Err(e) => return (store, Err(e)),
    };
    let own = syncs.main.reader(&dialect).me().await.map(|me| me.id);
    drop(further);
    let mut found = match put_together(syncs, &store, rows, (dialect, listed), own, options, only.as_mut()) {
        Ok(found) => found,
        Err(e) => return (store, Err(e.into())),
    };
    let narrowed = only.map_or(Ok(()), |only| narrow(syncs, &store, only, &mut found));
    (store, narrowed.map(|()| found))
}

/// Leaves only the lines for which the filter holds.
fn narrow(syncs: &Syncs, store: &Store, mut only: Only<'_>, found: &mut Analysis) -> Result<(), CycleError> {
    let mut lines = std::mem::take(&mut found.lines);
    found.outside = only.narrow(store, found, &mut lines)?;
    found.lines = lines;
    let sync = syncs.main.config();
    match only.unknown() {
        None => Ok(()),
        Some(attribute) => Err(CycleError::UnknownAttribute {
            sync: sync.name.clone(),
            application: sync.target.clone(),
            attribute: attribute.to_owned(),
        }),
    }
}

fn put_together(
    syncs: &Syncs,
    store: &Store,
    rows: Vec<SyncRow>,
    (dialect, listed): (Dialect, Instant),
    own: Option<TargetId>,
    options: &Options,
    mut only: Option<&mut Only<'_>>,
) -> Result<Analysis, StateError> {
    let cycles: Vec<&Cycle> = std::iter::once(&syncs.main).chain(&syncs.others).collect();
    let domains: Vec<_> = rows.iter().zip(&cycles).map(|(row, c)| (row.id, &c.config().user_id.domains)).collect();
    let mut by_name: Vec<_> = rows.iter().zip(&cycles).collect();
    by_name.sort_by_key(|(_, c)| &c.config().name);
    let directories: Vec<(i64, &str)> = by_name.iter().map(|(row, c)| (row.id, c.source_identity())).collect();
    let mut found = Vec::new();
    for (row, cycle) in rows.iter().zip(&cycles) {
        each_person(store, row.id, |d| {
            let disabled = d.entry.as_ref().is_some_and(|e| cycle.disables(e));
            if let (Some(only), Some(entry)) = (only.as_deref_mut(), &d.entry) {
                only.see(entry);
            }
            found.extend(userids::person(store, row.id, cycle.mapper(), disabled, d)?);
            Ok::<(), StateError>(())
        })?;
    }
    let mut people = People::new(&domains);
    united(found, &directories).into_iter().for_each(|person| people.add(person));
    let main = rows.first().cloned().unwrap_or_default();
    let accounts = userids::accounts(store, main.id, Which::All)?;
    let protected = cycles.iter().flat_map(|c| &c.config().guard.protected).map(|p| fold(p)).collect();
    tracing::debug!(people = people.len(), accounts = accounts.len(), "both sides are read");
    let rules = Rules {
        immutable: syncs.main.names_stay(&dialect),
        inactive: options.inactive,
        out_of_scope: options.out_of_scope,
        require_proof: options.require_proof,
        protected,
        own,
    };
    let all = classify(&people, &accounts, &rules);
    let (externals, there) = (ExternalIds::of(&accounts), accounts.len());
    drop(accounts);
    people.forget_names();
    let names: Vec<(i64, &str)> = rows.iter().zip(&cycles).map(|(r, c)| (r.id, c.config().name.as_str())).collect();
    let mut lines: Vec<Line> = all.iter().filter_map(|row| line(syncs, &people, main.id, &names, row)).collect();
    keep_apart(&syncs.main, store, &people, main.id, &mut lines)?;
    let syncs = rows.iter().map(|r| r.id).collect();
    let outside = HashSet::new();
    Ok(Analysis { row: main, syncs, dialect, listed, accounts: there, externals, outside, people, all, lines })
}

/// Whoever belongs to a neighbouring application, or may, is given no account by a cycle: by a new name neither.
fn keep_apart(cycle: &Cycle, store: &Store, people: &People, main: i64, lines: &mut [Line]) -> Result<(), StateError> {
    for row in lines.iter_mut().map(|line| &mut line.row).filter(|row| row.class == Class::Convert) {
        let person = row.person.and_then(|i| people.get(i));
        let Some(p) = person.filter(|p| p.sync == main && p.account.is_none() && p.standing == Standing::Active) else {
            continue;
        };
        if let Some((why, advice)) = cycle.kept_apart(store, (main, p.entry_id), &p.key)? {
            row.class = Class::NoMatch;
            row.why = format!("{}, who {why}", row.why);
            row.advice = advice;
        }
    }
    Ok(())
}

/// The line of an account in this sync's report; `None` where another one lists it.
fn line(syncs: &Syncs, people: &People, main: i64, names: &[(i64, &str)], row: &Row) -> Option<Line> {
    let person = row.person.and_then(|i| people.get(i));
    let mut row = row.clone();
    match person {
        None if !syncs.lists_strangers => return None,
        Some(p) if p.sync != main => {
            let other = names.iter().find(|(id, _)| *id == p.sync).map_or("another sync", |(_, name)| name);
            if syncs.migrated_too.iter().any(|name| name == other) {
                return None;
            }
            if row.class == Class::Convert {
                row.class = Class::NoMatch;
                row.why = format!("{}, of the sync {other}", row.why);
                row.advice = format!("`scim-sync --migrate-userids {other}` renames it");
            }
        }
        _ => {}
    }
    let who = person.map(|p| (p.who.clone(), p.key.clone()));
    Some(Line { current: row.old.clone(), row, result: Outcome::NotAttempted, note: None, who })
}
