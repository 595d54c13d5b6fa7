//! Any directory that says when an entry was changed last (modifyTimestamp, RFC 4512 section 3.4.4): ids and times of all
//! entries are read, and those that changed are read whole.
//!
//! The last resort, and only where the configuration asks for it: what an overlay or a plug-in changes without a new time, a replica's late writes, and
//! computed attributes show in the next full read only. Names and ids of all entries cost a good part of a full read.

use super::{Delta, Job, look};
use crate::model::ObjectKind;
use crate::source::ldap::read;
use crate::source::ldap::search::{Failed, Progress, Search, Session};
use crate::source::ldap::sent::SentEntry;
use crate::source::time::generalized_time;
use crate::source::{Completeness, Item, SourceError};
use ldap3::Scope;
use serde::{Deserialize, Serialize};

/// Seconds that are looked at again: servers write times in whole seconds, and replicas pass on older ones late.
const OVERLAP: i64 = 600;

/// Seconds before the first full read that are looked at: by so much the server's clock may be behind ours.
const FIRST: i64 = 24 * 3600;

/// Seconds by which a time may be ahead of our clock and still be believed.
const AHEAD: i64 = 3600;

/// Most entries that are read one by one.
const MOST: usize = 2000;

/// When the entry was changed last.
const TIME: &str = "modifyTimestamp";

/// Entries with others below them: whoever renames or moves one renames everybody below, and no time tells.
const CONTAINERS: &str = "(|(objectClass=organizationalUnit)(objectClass=organization)(objectClass=domain)(objectClass=dcObject)\
                          (objectClass=container)(objectClass=nsContainer)(objectClass=locality)(objectClass=country))";

/// Where the next read starts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// Latest time seen, Unix seconds.
    latest: i64,
    /// Hash over the names of all containers.
    containers: String,
}

/// Where the directory stands now; `None` where it shows no times.
///
/// # Errors
/// The connection broke, or containers cannot be read.
pub async fn position(session: &mut Session<'_>, job: &Job<'_>, now: i64) -> Result<Option<Position>, SourceError> {
    let base = look(session, &job.config.base, &[TIME]).await?;
    if base.as_ref().and_then(|e| e.first(TIME)).and_then(time).is_none() {
        return Ok(None);
    }
    Ok(Some(Position { latest: now.saturating_sub(FIRST), containers: containers(session, job).await? }))
}

fn time(value: &[u8]) -> Option<i64> {
    generalized_time(std::str::from_utf8(value).ok()?)
}

/// Hash over the names of all containers, in whatever order they come.
async fn containers(session: &mut Session<'_>, job: &Job<'_>) -> Result<String, SourceError> {
    let search = Search {
        what: "containers",
        base: &job.config.base,
        scope: Scope::Subtree,
        filter: CONTAINERS,
        attributes: vec!["1.1".to_owned()],
        controls: Vec::new(),
    };
    let source = session.source;
    let mut sum = 0u128;
    let mut each = async |sent: SentEntry| {
        let hash = blake3::hash(&sent.decode(source)?.dn);
        let mut octets = [0; 16];
        octets.copy_from_slice(&hash.as_bytes()[..16]);
        sum = sum.wrapping_add(u128::from_le_bytes(octets));
        Ok(())
    };
    let mut progress = Progress::default();
    while session.page(&search, &mut progress, &mut each).await? {}
    Ok(format!("{sum:032x}"))
}

/// Reads what changed since `from`. Returns where the next read starts.
///
/// # Errors
/// [`SourceError::CursorExpired`] at any doubt; whatever keeps a read from being complete.
pub async fn read(delta: &mut Delta<'_, '_>, from: &Position, now: i64) -> Result<(Position, Completeness), SourceError> {
    let containers = containers(delta.session, &delta.job).await?;
    if containers != from.containers {
        return Err(delta.expired("containers were added, removed or renamed: whatever is below may have moved"));
    }
    let mut latest = from.latest;
    let mut changed = Vec::new();
    for kind in delta.job.kinds() {
        latest = latest.max(scan(delta, *kind, from.latest, now, &mut changed).await?);
    }
    for (kind, dn) in &changed {
        let search = Search { base: dn, scope: Scope::Base, ..delta.job.search(*kind) };
        let entry = match delta.session.base(&search).await {
            Ok(Some(entry)) => entry,
            Ok(None) | Err(Failed::Refused(..)) => return Err(delta.expired(format!("{dn} changed while it was read"))),
            Err(Failed::Broken(e)) => return Err(e),
        };
        if !entry.ranged().is_empty() {
            return Err(delta.expired(format!("{dn} is not shown whole")));
        }
        delta.out.begin(*kind);
        delta.out.take(entry, None).await?;
    }
    Ok((Position { latest, containers }, Completeness::Keys))
}

/// Names everybody of this kind, and collects whose time is not before `from`. Returns the latest time.
async fn scan(
    delta: &mut Delta<'_, '_>,
    kind: ObjectKind,
    from: i64,
    now: i64,
    changed: &mut Vec<(ObjectKind, String)>,
) -> Result<i64, SourceError> {
    let Delta { session, job, out } = delta;
    let (source, flavor) = (session.source, job.flavor);
    let mut search = read::search(job.config, flavor, kind, job.ids(kind).attributes);
    search.attributes.push(TIME.to_owned());
    let mut latest = from;
    let mut each = async |sent: SentEntry| {
        let entry = sent.decode(source)?;
        let Some(key) = entry.key(flavor) else { return out.keep(kind, &entry).await };
        let Some(at) = entry.first(TIME).and_then(time) else {
            return Err(super::expired(source, format!("{} shows no time of its last change", entry.label())));
        };
        if at <= now.saturating_add(AHEAD) {
            latest = latest.max(at);
        }
        if at < from.saturating_sub(OVERLAP) {
            return out.push(Item::Kept(kind, key)).await;
        }
        let Ok(dn) = String::from_utf8(entry.dn) else {
            return Err(super::expired(source, "an entry changed whose name is not UTF-8"));
        };
        changed.push((kind, dn));
        if changed.len() > MOST { Err(super::expired(source, "too much has changed")) } else { Ok(()) }
    };
    let mut progress = Progress::default();
    while session.page(&search, &mut progress, &mut each).await? {}
    Ok(latest)
}
