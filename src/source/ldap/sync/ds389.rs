//! 389 Directory Server and FreeIPA: content synchronisation (RFC 4533) as that server means it.
//!
//! Its Sync Done control says `refreshDeletes FALSE` after every answer. By the RFC whatever was not named would be gone; here
//! it means nothing (389 DS documentation, "Content Synchronization"; a client that believed it emptied a directory). Who is
//! gone is named in sets of ids, and only there. An entry that merely stopped matching the filter is named nowhere, so all
//! entries are asked for, by id alone, and those that changed are read afterwards as always.

use super::control::{Info, State};
use super::exchange::{Heard, exchange};
use super::follow::{Touched, follow};
use super::{Delta, Job, changelog, suffix_of};
use crate::source::ldap::flavor::Flavor;
use crate::source::ldap::search::{Search, Session};
use crate::source::{Completeness, SourceError};
use ldap3::Scope;
use serde::{Deserialize, Serialize};

/// Every entry: the cookie is good for one filter only.
const ALL: &str = "(objectClass=*)";

/// Where the next read starts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// `host:port#bind dn:base:filter#change number`.
    cookie: String,
}

/// Whether the server can.
#[must_use]
pub fn is_offered(session: &Session<'_>, job: &Job<'_>) -> bool {
    matches!(job.flavor, Flavor::Ds389 | Flavor::FreeIpa)
        && session.root.contains("supportedControl", super::control::SYNC_REQUEST)
}

fn search(base: &str, scope: Scope) -> Search<'_> {
    Search { what: "changes", base, scope, filter: ALL, attributes: vec!["1.1".to_owned()], controls: Vec::new() }
}

/// Where the directory stands now. The cookie is had with one entry: it is good for all of the base.
///
/// # Errors
/// The connection broke, or the server refused.
pub async fn position(session: &mut Session<'_>, base: &str) -> Result<Option<Position>, SourceError> {
    // Without it nobody could tell later whether changes were removed that were not read.
    if changelog::first_kept(session).await?.is_none() {
        return Ok(None);
    }
    let done = exchange(session, &search(base, Scope::Base), None, &mut async |_| Ok(())).await?;
    Ok(cookie(done.cookie).map(|cookie| Position { cookie }))
}

/// A cookie that may be sent: one without number signs ended old servers (389 DS issue 5418).
fn cookie(octets: Option<Vec<u8>>) -> Option<String> {
    String::from_utf8(octets?).ok().filter(|c| is_cookie(c))
}

fn is_cookie(text: &str) -> bool {
    number_of(text).is_some()
}

/// The number of the last change that a cookie knows.
fn number_of(cookie: &str) -> Option<u64> {
    let (before, number) = cookie.rsplit_once('#')?;
    let is_number = before.contains('#') && !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    if is_number { number.parse().ok() } else { None }
}

/// Why changes after this cookie may be missing from what the server still keeps, if so.
fn gap(cookie: &str, first_kept: Option<u64>) -> Option<&'static str> {
    match (number_of(cookie), first_kept) {
        (None, _) => Some("it is no position in a 389 Directory Server"),
        (_, None) => Some("the server no longer shows how far back it knows changes (firstChangeNumber)"),
        (Some(last), Some(first)) => {
            (first > last.saturating_add(1)).then_some("the server has removed changes that were not read")
        }
    }
}

/// Reads what changed since `from`. Returns where the next read starts.
///
/// # Errors
/// [`SourceError::CursorExpired`] at any doubt; whatever keeps a read from being complete.
pub async fn read(delta: &mut Delta<'_, '_>, from: &Position) -> Result<(Position, Completeness), SourceError> {
    // A cookie that was never the server's is not sent to it.
    if !is_cookie(&from.cookie) {
        return Err(delta.expired("it is no position in a 389 Directory Server"));
    }
    let base = delta.job.config.base.as_str();
    let Some(suffix) = suffix_of(delta.session, base) else {
        return Err(delta.expired("the server no longer shows a naming context for the base"));
    };
    let source = delta.session.source;
    let mut touched = Touched::default();
    let mut each = async |heard: Heard| {
        match heard {
            Heard::Entry(_, said) => match said.state {
                State::Add | State::Modify => drop(touched.changed.insert(said.id)),
                State::Delete => drop(touched.deleted.insert(said.id)),
                State::Present => {}
            },
            Heard::Info(Info::Ids { deleted: true, ids }) => touched.deleted.extend(ids),
            Heard::Info(Info::Ids { deleted: false, .. } | Info::RefreshPresent) => {
                return Err(super::expired(source, "the server names who is there instead of what changed"));
            }
            Heard::Info(Info::Cookie(_) | Info::RefreshDelete) => {}
        }
        if touched.is_too_much() { Err(super::expired(source, "too much has changed")) } else { Ok(()) }
    };
    let done = exchange(delta.session, &search(base, Scope::Subtree), Some(from.cookie.as_bytes()), &mut each).await?;
    // The server answers from its changelog, and says nothing of what it has removed there (nsslapd-changelogmaxage). Asked
    // afterwards, so that what it removes while it answers is noticed too.
    if let Some(why) = gap(&from.cookie, changelog::first_kept(delta.session).await?) {
        return Err(delta.expired(why));
    }
    let next = match done.cookie {
        None => from.clone(),
        some => Position { cookie: cookie(some).ok_or_else(|| delta.expired("the server gave no cookie that can be used"))? },
    };
    let completeness = follow(delta, &suffix, &touched).await?;
    Ok((next, completeness))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn only_a_cookie_of_the_server_is_sent() {
        assert!(is_cookie("localhost:389#cn=directory manager:dc=x:(objectClass=*)#0"));
        assert!(is_cookie("h:1#uid=a#b,dc=x:dc=x:(objectClass=*)#4711"));
        for bad in ["", "17", "#", "a#", "a#b#", "a#b#x", "a#17", "a#b#1 "] {
            assert!(!is_cookie(bad), "{bad}");
        }
        assert_eq!(cookie(Some(vec![0xff])), None);
        assert_eq!(cookie(None), None);
    }

    #[test]
    fn absence_confirmed_only_where_no_change_was_removed_unread() {
        let at = |n: u64| format!("h:1#uid=a,dc=x:dc=x:(objectClass=*)#{n}");
        for (last, first) in [(0, 0), (88, 1), (88, 88), (88, 89)] {
            assert_eq!(gap(&at(last), Some(first)), None, "{last} {first}");
        }
        assert!(gap(&at(88), Some(90)).unwrap().contains("removed"));
        assert!(gap(&at(88), Some(95)).unwrap().contains("removed"));
        assert!(gap(&at(88), None).unwrap().contains("firstChangeNumber"));
        assert!(gap("17", Some(1)).is_some());
        assert!(gap("a#b#99999999999999999999999", Some(1)).is_some(), "more than a number");
    }
}
