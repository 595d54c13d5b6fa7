//! The retro changelog of 389 Directory Server and its relatives (draft-good-ldap-changelog-04): every change as an entry
//! with a number. Numbers are one server's own.

use super::follow::{Touched, follow, parse};
use super::{Delta, Job, look, suffix_of};
use crate::source::ldap::entry::RawEntry;
use crate::source::ldap::flavor::Flavor;
use crate::source::ldap::search::{Progress, Search, Session};
use crate::source::ldap::sent::SentEntry;
use crate::source::{Completeness, SourceError};
use ldap3::Scope;
use serde::{Deserialize, Serialize};

const FIRST: &str = "firstChangeNumber";

/// Where the next read starts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// Where the changelog is.
    changelog: String,
    /// What tells this server's database from any other's.
    database: String,
    /// Number of the last change that is known.
    number: u64,
}

/// What the rootDSE says of the changelog.
struct Changelog {
    position: Position,
    first: u64,
}

/// Whether such a server may have one.
#[must_use]
pub fn is_offered(job: &Job<'_>) -> bool {
    matches!(job.flavor, Flavor::Ds389 | Flavor::FreeIpa)
}

/// Where the directory stands now; `None` where there is no changelog, or the account may not read it.
///
/// # Errors
/// The connection broke.
pub async fn position(session: &mut Session<'_>) -> Result<Option<Position>, SourceError> {
    let Some(changelog) = changelog(session).await? else { return Ok(None) };
    // Whoever may read the container and not the changes would never see one.
    let last = format!("changeNumber={},{}", changelog.position.number, changelog.position.changelog);
    let visible = look(session, &last, &["changeNumber", "targetUniqueId"]).await?;
    Ok(visible.filter(|change| change.first("targetUniqueId").is_some()).map(|_| changelog.position))
}

async fn changelog(session: &mut Session<'_>) -> Result<Option<Changelog>, SourceError> {
    let names = ["changelog", FIRST, "lastChangeNumber", "dataversion", "netscapemdsuffix"];
    let Some(root) = look(session, "", &names).await? else { return Ok(None) };
    let text = |name: &str| root.first(name).map(|v| String::from_utf8_lossy(v).into_owned());
    let (Some(changelog), Some(first), Some(number)) =
        (text("changelog"), number(&root, FIRST), number(&root, "lastChangeNumber"))
    else {
        return Ok(None);
    };
    let database = format!("{} {}", text("netscapemdsuffix").unwrap_or_default(), text("dataversion").unwrap_or_default());
    Ok(Some(Changelog { position: Position { changelog, database, number }, first }))
}

/// Number of the oldest change that the server still keeps; `None` where it does not say so.
///
/// # Errors
/// The connection broke.
pub async fn first_kept(session: &mut Session<'_>) -> Result<Option<u64>, SourceError> {
    Ok(look(session, "", &[FIRST]).await?.and_then(|root| number(&root, FIRST)))
}

fn number(entry: &RawEntry, name: &str) -> Option<u64> {
    std::str::from_utf8(entry.first(name)?).ok()?.trim().parse().ok()
}

/// Reads what changed since `from`. Returns where the next read starts.
///
/// # Errors
/// [`SourceError::CursorExpired`] at any doubt; whatever keeps a read from being complete.
pub async fn read(delta: &mut Delta<'_, '_>, from: &Position) -> Result<(Position, Completeness), SourceError> {
    let now = changelog(delta.session).await?.ok_or_else(|| delta.expired("the server no longer shows its changelog"))?;
    let Changelog { position: now, first } = now;
    if (&now.changelog, &now.database) != (&from.changelog, &from.database) || now.number < from.number {
        return Err(delta.expired("the changelog is another one"));
    }
    if first > from.number.saturating_add(1) {
        return Err(delta.expired("the server has removed changes that were not read"));
    }
    let Some(suffix) = suffix_of(delta.session, &delta.job.config.base) else {
        return Err(delta.expired("the server no longer shows a naming context for the base"));
    };
    if now.number == from.number {
        return Ok((now, Completeness::Incremental));
    }
    let touched = changes(delta, from, &now).await?;
    let completeness = follow(delta, &suffix, &touched).await?;
    Ok((now, completeness))
}

/// What changed after `from`, up to `now`.
async fn changes(delta: &mut Delta<'_, '_>, from: &Position, now: &Position) -> Result<Touched, SourceError> {
    let filter = format!("(&(changeNumber>={})(changeNumber<={}))", from.number.saturating_add(1), now.number);
    let search = Search {
        what: "changes",
        base: &from.changelog,
        scope: Scope::OneLevel,
        filter: &filter,
        attributes: ["changeNumber", "targetUniqueId", "changeType"].map(str::to_owned).to_vec(),
        controls: Vec::new(),
    };
    let source = delta.session.source;
    let mut touched = Touched::default();
    let mut next_is_there = false;
    let mut each = async |sent: SentEntry| {
        let change = sent.decode(source)?;
        next_is_there |= number(&change, "changeNumber") == Some(from.number.saturating_add(1));
        let Some(id) = change.first("targetUniqueId").and_then(parse) else {
            return Err(super::expired(source, format!("{} does not say which entry it is about", change.label())));
        };
        if change.first("changeType").is_some_and(|t| t.eq_ignore_ascii_case(b"delete")) {
            touched.deleted.insert(id);
        } else {
            touched.changed.insert(id);
        }
        if touched.is_too_much() { Err(super::expired(source, "too much has changed")) } else { Ok(()) }
    };
    let mut progress = Progress::default();
    while delta.session.page(&search, &mut progress, &mut each).await? {}
    if next_is_there {
        Ok(touched)
    } else {
        Err(delta.expired("the change that comes next is not in the changelog, or may not be read"))
    }
}
