//! One search with content synchronisation, `refreshOnly` (RFC 4533 section 3.3).

use super::super::pump::{Batch, Said};
use super::super::result;
use super::super::search::{Failed, Progress, Search, Session};
use super::super::sent::SentEntry;
use super::control::{self, Done, EntryState, Info};
use super::expired;
use crate::source::SourceError;
use ldap3::SearchOptions;
use ldap3::controls::{MakeCritical, RawControl, RefreshMode, SyncRequest};

/// What the server says, in its order.
#[derive(Debug)]
pub enum Heard {
    /// An entry, or with [`control::State::Present`] and [`control::State::Delete`] its name only.
    Entry(SentEntry, EntryState),
    /// A message between the entries.
    Info(Info),
}

/// Asks what became of the content of this search since `cookie`, and gives it to `each`. Returns only when the server said
/// that this was all.
///
/// # Errors
/// [`SourceError::CursorExpired`] where the server refuses, or says something that leaves doubt; as any search otherwise.
pub async fn exchange(
    session: &mut Session<'_>,
    search: &Search<'_>,
    cookie: Option<&[u8]>,
    each: &mut impl AsyncFnMut(Heard) -> Result<(), SourceError>,
) -> Result<Done, SourceError> {
    let mut progress = Progress::default();
    let request = SyncRequest { mode: RefreshMode::RefreshOnly, cookie: cookie.map(<[u8]>::to_vec), reload_hint: false };
    let attributes: Vec<&str> = search.attributes.iter().map(String::as_str).collect();
    let ldap = &mut session.connection.ldap;
    ldap.with_search_options(SearchOptions::new());
    ldap.with_controls(RawControl::from(request.critical()));
    let mut stream = match ldap.streaming_search(search.base, search.scope, search.filter, attributes).await {
        Ok(stream) => stream,
        Err(e) => return Err(refused(session.source, session.broken(search, &progress, &e).await)),
    };
    let id = u32::try_from(stream.ldap_handle().last_id()).unwrap_or(0);
    // As in an ordinary search: messages come from the pump, the result from `ldap3`, in this order.
    loop {
        let next = async {
            tokio::select! {
                biased;
                Some(batch) = session.connection.results.next() => Ok(Some(batch)),
                done = stream.next() => done.map(|_| None),
            }
        };
        match tokio::time::timeout(session.timeout, next).await.unwrap_or_else(|elapsed| Err(elapsed.into())) {
            Ok(Some(batch)) => hear(session.source, batch, id, &mut progress, each).await?,
            Ok(None) => break,
            Err(e) => return Err(refused(session.source, session.broken(search, &progress, &e).await)),
        }
    }
    while let Some(batch) = session.connection.results.waiting() {
        hear(session.source, batch, id, &mut progress, each).await?;
    }
    let answer = stream.finish().await;
    if answer.rc != 0 {
        return Err(expired(session.source, format!("the server answered {}", result::describe(answer.rc, &answer.text))));
    }
    let control = answer.ctrls.into_iter().map(|c| c.1).find(|c| c.ctype == control::SYNC_DONE);
    let done = control.and_then(|c| control::done(&c.val.unwrap_or_default()));
    done.ok_or_else(|| expired(session.source, "the server did not say that its answer is complete"))
}

fn refused(source: &str, failed: Failed) -> SourceError {
    match failed {
        Failed::Broken(e) => e,
        Failed::Refused(code, text, _) => expired(source, format!("the server answered {}", result::describe(code, &text))),
    }
}

/// Passes on what came together, in the order in which it came.
async fn hear(
    source: &str,
    batch: Batch,
    id: u32,
    progress: &mut Progress,
    each: &mut impl AsyncFnMut(Heard) -> Result<(), SourceError>,
) -> Result<(), SourceError> {
    if batch.entries.iter().any(|(answers, _)| *answers != id) || batch.notes.iter().any(|note| note.id != id) {
        return Err(expired(source, "the server sent an answer that nobody asked for"));
    }
    let mut notes = batch.notes.into_iter().peekable();
    for (place, (_, entry)) in batch.entries.into_iter().enumerate() {
        let mut state = None;
        while let Some(note) = notes.next_if(|note| note.place <= place) {
            match note.what {
                Said::Controls(controls) => state = control::entry_state(&controls),
                Said::Intermediate(contents) => tell(source, &contents, each).await?,
            }
        }
        let state = state.ok_or_else(|| expired(source, "the server sent an entry without saying what became of it"))?;
        progress.entries += 1;
        each(Heard::Entry(entry, state)).await?;
    }
    for note in notes {
        if let Said::Intermediate(contents) = note.what {
            tell(source, &contents, each).await?;
        }
    }
    Ok(())
}

async fn tell(
    source: &str,
    contents: &[u8],
    each: &mut impl AsyncFnMut(Heard) -> Result<(), SourceError>,
) -> Result<(), SourceError> {
    match control::info(contents) {
        Ok(Some(info)) => each(Heard::Info(info)).await,
        Ok(None) => Ok(()),
        Err(why) => Err(expired(source, format!("the server sent {why}"))),
    }
}
