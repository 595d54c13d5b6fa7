//! Reads from a cursor: which way there is to know what changed, and what the cursor is bound to.
//!
//! A cursor is good for one server, base, account and pair of filters. Whatever does not fit, or leaves any doubt, is
//! [`SourceError::CursorExpired`], and everything is read.

use super::collect::Collector;
use super::flavor::Flavor;
use super::read;
use super::search::Session;
use super::sync::{Delta, Job, active_directory, changelog, ds389, expired, modify_timestamp, syncrepl};
use crate::config::{Incremental, LdapConfig};
use crate::source::{Cursor, ReadDone, ReadRequest, Sink, SourceError};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// Goes into every cursor. To be raised when what an LDAP entry becomes, or what a position means, changes.
const VERSION: u32 = 1;

/// A cursor as it is kept, in JSON.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Envelope {
    version: u32,
    /// The server that gave it: positions are one server's own.
    server: String,
    /// Hash over everything else that it depends on.
    bound: String,
    at: Position,
}

/// Where the next read starts, by the way in which changes are known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "kebab-case")]
enum Position {
    Syncrepl(syncrepl::Position),
    ContentSync(ds389::Position),
    Changelog(changelog::Position),
    ModifyTimestamp(modify_timestamp::Position),
    ActiveDirectory(active_directory::Position),
}

/// Reads what changed since the cursor, or everything.
///
/// # Errors
/// [`SourceError::CursorExpired`] where there is any doubt about the cursor; whatever keeps the read from being complete.
pub async fn read(
    session: &mut Session<'_>,
    config: &LdapConfig,
    request: &ReadRequest,
    sink: &Sink,
    now: i64,
) -> Result<ReadDone, SourceError> {
    let job = Job { config, flavor: Flavor::choose(config.flavor, &session.root), request };
    let bound = bound(session, &job);
    let Some(cursor) = &request.since else {
        // Before anything is read: whatever changes from here on is read again.
        let at = position(session, &job, now).await?;
        let mut done = read::full(session, config, request, sink, now).await?;
        done.cursor = done.cursor.or_else(|| cursor_at(session, bound, at?));
        return Ok(done);
    };
    let from = open(session, &bound, cursor)?;
    let out = Collector::new(session.source, job.flavor, config, request.seals.as_deref(), sink);
    let mut delta = Delta { session, job, out };
    let (at, completeness) = match from {
        Position::Syncrepl(from) => syncrepl::read(&mut delta, &from).await.map(|(at, c)| (Position::Syncrepl(at), c)),
        Position::ContentSync(from) => ds389::read(&mut delta, &from).await.map(|(at, c)| (Position::ContentSync(at), c)),
        Position::Changelog(from) => changelog::read(&mut delta, &from).await.map(|(at, c)| (Position::Changelog(at), c)),
        Position::ModifyTimestamp(from) => {
            modify_timestamp::read(&mut delta, &from, now).await.map(|(at, c)| (Position::ModifyTimestamp(at), c))
        }
        Position::ActiveDirectory(from) => {
            active_directory::read(&mut delta, from, now).await.map(|(at, c)| (Position::ActiveDirectory(at), c))
        }
    }?;
    let Delta { session, mut out, .. } = delta;
    out.flush().await?;
    Ok(ReadDone {
        completeness,
        cursor: cursor_at(session, bound, at),
        references: 0,
        clock_skew_s: session.root.clock_skew(now),
        parts: vec![out.part(config)],
        warnings: out.warnings,
    })
}

/// How this account will know what changed between full reads of what is asked for, for people to read.
///
/// # Errors
/// The connection broke.
pub async fn way(
    session: &mut Session<'_>,
    config: &LdapConfig,
    request: &ReadRequest,
    now: i64,
) -> Result<Cow<'static, str>, SourceError> {
    let job = Job { config, flavor: Flavor::choose(config.flavor, &session.root), request };
    Ok(Cow::Borrowed(match position(session, &job, now).await? {
        Some(Position::Syncrepl(_)) => "syncrepl",
        Some(Position::ContentSync(_)) => "content synchronisation",
        Some(Position::Changelog(_)) => "retro changelog",
        Some(Position::ModifyTimestamp(_)) => "modifyTimestamp",
        Some(Position::ActiveDirectory(active_directory::Position::DirSync { .. })) => "DirSync",
        Some(Position::ActiveDirectory(active_directory::Position::Usn { .. })) => "uSNChanged",
        None if job.flavor == Flavor::ActiveDirectory
            && let Some(why) = active_directory::obstacle(config, request) =>
        {
            return Ok(Cow::Owned(format!("no: {why}; every read is a full one")));
        }
        None => "no: every read is a full one",
    }))
}

/// Where the directory stands, by the best way that it offers; `None` where it offers none.
async fn position(session: &mut Session<'_>, job: &Job<'_>, now: i64) -> Result<Option<Position>, SourceError> {
    let base = job.config.base.as_str();
    if !job.config.also_inactive.is_empty() {
        tracing::debug!(
            source = session.source,
            "also_inactive: no directory says when somebody is locked out; everything is read"
        );
        return Ok(None);
    }
    match job.config.incremental {
        Incremental::Off => return Ok(None),
        Incremental::ModifyTimestamp => {
            return modify_timestamp::position(session, job, now).await.map(|at| at.map(Position::ModifyTimestamp));
        }
        Incremental::Auto => {}
    }
    if job.flavor == Flavor::ActiveDirectory {
        return active_directory::position(session, job, now).await.map(|at| at.map(Position::ActiveDirectory));
    }
    if syncrepl::is_offered(session, job)
        && let Some(at) = syncrepl::position(session, base).await?
    {
        return Ok(Some(Position::Syncrepl(at)));
    }
    if ds389::is_offered(session, job) {
        match ds389::position(session, base).await {
            Ok(Some(at)) => return Ok(Some(Position::ContentSync(at))),
            // Refused: the account may not. There may be another way.
            Ok(None) | Err(SourceError::CursorExpired { .. }) => {}
            Err(e) => return Err(e),
        }
    }
    if changelog::is_offered(job)
        && let Some(at) = changelog::position(session).await?
    {
        return Ok(Some(Position::Changelog(at)));
    }
    Ok(None)
}

/// The server in use, without what may be secret in an address.
fn server(session: &Session<'_>) -> String {
    let url = &session.connection.url;
    let port = url.port().map(|p| format!(":{p}")).unwrap_or_default();
    format!("{}://{}{port}", url.scheme(), url.host_str().unwrap_or_default())
}

/// Hash over kind of server, account, base, filters and attributes.
fn bound(session: &Session<'_>, job: &Job<'_>) -> String {
    let mut hasher = blake3::Hasher::new();
    let mut add = |text: &str| {
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
    };
    add(job.flavor.as_str());
    add(session.who);
    add(&job.config.base);
    job.config.also_inactive.iter().for_each(|state| add(&format!("{state:?}")));
    for kind in job.kinds() {
        let search = job.search(*kind);
        add(search.filter);
        search.attributes.iter().for_each(|name| add(&name.to_lowercase()));
    }
    hasher.finalize().to_hex()[..32].to_owned()
}

fn cursor_at(session: &Session<'_>, bound: String, at: Position) -> Option<Cursor> {
    let envelope = Envelope { version: VERSION, server: server(session), bound, at };
    serde_json::to_string(&envelope).ok().map(Cursor)
}

/// The position in a cursor that is good here.
fn open(session: &Session<'_>, bound: &str, cursor: &Cursor) -> Result<Position, SourceError> {
    let no = |why: &str| Err(expired(session.source, why));
    match serde_json::from_str::<Envelope>(&cursor.0) {
        Err(_) => no("it cannot be read"),
        Ok(e) if e.version != VERSION => no("it is of another version of this program"),
        // A DirSync cookie is good on every domain controller of the domain.
        Ok(e) if e.server != server(session) && !matches!(&e.at, Position::ActiveDirectory(at) if at.is_good_elsewhere()) => {
            no("it is of another server")
        }
        Ok(e) if e.bound != bound => no("account, base, filters or attributes are others than before"),
        Ok(e) => Ok(e.at),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn cursors_say_what_they_are() {
        let kept = r#"{"version":1,"server":"ldaps://a","bound":"00","at":{"by":"content-sync","cookie":"a#b#1"}}"#;
        let envelope: Envelope = serde_json::from_str(kept).unwrap();
        assert_eq!(envelope.server, "ldaps://a");
        assert!(matches!(&envelope.at, Position::ContentSync(_)));
        assert_eq!(serde_json::to_string(&envelope).unwrap(), kept);
        assert!(serde_json::from_str::<Envelope>(&kept.replace("content-sync", "guess")).is_err());
    }
}
