//! Each rename is read back and compared: at the end, by pages where there are many.

use super::analysis::Analysis;
use super::report::{Line, Outcome};
use crate::mapping::folded_address;
use crate::model::ObjectKind;
use crate::plan::Kind;
use crate::state::Store;
use crate::state::journal::JournalRow;
use crate::state::links::Link;
use crate::sync::{Cycle, CycleError};
use crate::target::Remote;
use futures_util::StreamExt;
use serde_json::Value;

/// Accounts that are asked for one by one rather than by pages of a hundred, for every page that there is.
const EACH: usize = 3;

/// Compares what was renamed with what is there now; what is not as it should be is a failure.
pub(super) async fn read_back(
    cycle: &Cycle,
    mut store: Store,
    analysis: &Analysis,
    number: i64,
    lines: &mut [Line],
) -> (Store, Result<(), CycleError>) {
    let renamed: Vec<usize> = (0..lines.len()).filter(|i| lines[*i].result == Outcome::Renamed).collect();
    if renamed.is_empty() {
        return (store, Ok(()));
    }
    let pages = lines.len() / 100 + 1;
    let mut doubtful = renamed.clone();
    if renamed.len() > EACH * pages {
        let (back, listed) = cycle.list_accounts(store, &analysis.dialect).await;
        store = back;
        if let Err(e) = listed {
            return (store, Err(e));
        }
        // A list may lag behind: only what differs in it is asked for.
        let mut different = Vec::new();
        for i in renamed {
            match store.remote_json(ObjectKind::User, &lines[i].row.id) {
                Ok(json) if json.as_deref().and_then(name_in).as_deref() == lines[i].row.new.as_deref() => {}
                Ok(_) => different.push(i),
                Err(e) => return (store, Err(e.into())),
            }
        }
        doubtful = different;
    }
    let reader = cycle.reader(&analysis.dialect);
    cycle.progress().begin("reading back what was renamed", Some(doubtful.len() as u64));
    let asked = doubtful.into_iter().map(|i| {
        let (reader, id) = (reader.clone(), lines[i].row.id.clone());
        async move { (i, reader.get(ObjectKind::User, &id).await) }
    });
    let answers: Vec<_> = futures_util::stream::iter(asked).buffer_unordered(8).collect().await;
    cycle.progress().end();
    for (i, answer) in answers {
        let line = &mut lines[i];
        let there = match answer {
            Ok(there) => there.and_then(|r| r.user_name().map(str::to_owned)),
            Err(e) => return (store, Err(e.into())),
        };
        // Servers may keep names in lower case.
        let wanted = line.row.new.as_deref().map(folded_address);
        if there.as_deref().map(folded_address) == wanted {
            continue;
        }
        match renamed_on(&store, analysis, line, there.as_deref()) {
            Ok(None) => {}
            Ok(Some(name)) => {
                line.note = Some(format!("another cycle renamed it on to {name} meanwhile"));
                line.current = name;
                continue;
            }
            Err(e) => return (store, Err(e.into())),
        }
        let is = there.as_deref().unwrap_or("gone");
        line.result = Outcome::Failed;
        line.note = Some(format!("the target said that it was renamed, and it reads back as {is}"));
        line.current = is.to_owned();
        if let Err(e) = note(cycle, &mut store, analysis, number, line, there.as_deref()) {
            return (store, Err(e.into()));
        }
    }
    (store, Ok(()))
}

/// The name that is there, where another cycle gave it between two batches: the link says so.
fn renamed_on(
    store: &Store,
    analysis: &Analysis,
    line: &Line,
    there: Option<&str>,
) -> Result<Option<String>, crate::state::StateError> {
    let Some(person) = line.row.person.and_then(|i| analysis.people.get(i)) else { return Ok(None) };
    let link = store.link(person.entry_id)?.filter(|l| !l.gone && l.target_id == line.row.id);
    let pushed = link.and_then(|l| Some(l.pushed.get("userName")?.as_str()?.to_owned()));
    Ok(pushed.filter(|name| there.is_some_and(|there| folded_address(there) == folded_address(name))))
}

/// The link says what is there, so that the next cycle sees what is left to do.
fn note(
    cycle: &Cycle,
    store: &mut Store,
    analysis: &Analysis,
    number: i64,
    line: &Line,
    name: Option<&str>,
) -> Result<(), crate::state::StateError> {
    let Some(person) = line.row.person.and_then(|i| analysis.people.get(i)) else { return Ok(()) };
    let now = jiff::Timestamp::now().as_second();
    tracing::warn!(sync = cycle.config().name, who = person.who, "{}", line.note.as_deref().unwrap_or_default());
    store.in_transaction(|store| {
        if let (Some(Link { mut pushed, .. }), Some(name)) = (store.link(person.entry_id)?, name) {
            pushed.insert("userName".to_owned(), Value::from(name));
            store.set_pushed(ObjectKind::User, person.entry_id, &pushed, now)?;
        }
        let row = JournalRow {
            kind: Kind::Rename,
            entry_id: person.entry_id,
            who: &person.who,
            target_id: Some(line.row.id.as_str()),
            status: "failed",
            amount: 1,
            approved: true,
            recreate: false,
            http_status: None,
            error: line.note.as_deref(),
            before: None,
            after: None,
        };
        store.journal(analysis.row.id, number, &row, now)
    })
}

fn name_in(json: &str) -> Option<String> {
    Remote::new(serde_json::from_str(json).ok()?)?.user_name().map(str::to_owned)
}
