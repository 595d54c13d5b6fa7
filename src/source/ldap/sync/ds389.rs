//! 389 Directory Server and FreeIPA: content synchronisation (RFC 4533) as that server means it.
//!
//! Its Sync Done control says `refreshDeletes FALSE` after every answer. By the RFC whatever was not named would be gone; here
//! it means nothing (389 DS documentation, "Content Synchronization"; a client that believed it emptied a directory). Who is
//! gone is named in sets of ids, and only there. An entry that merely stopped matching the filter is named nowhere, so all
//! entries are asked for, by id alone, and those that changed are read afterwards as always.

use super::control::{Info, State};
use super::exchange::{Heard, exchange};
use super::follow::{Touched, follow};
use super::{Delta, Job, suffix_of};
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
    Search { what: "changes", base, scope, filter: ALL, attributes: vec!["1.1".to_owned()] }
}

/// Where the directory stands now. The cookie is had with one entry: it is good for all of the base.
///
/// # Errors
/// The connection broke, or the server refused.
pub async fn position(session: &mut Session<'_>, base: &str) -> Result<Option<Position>, SourceError> {
    let done = exchange(session, &search(base, Scope::Base), None, &mut async |_| Ok(())).await?;
    Ok(cookie(done.cookie).map(|cookie| Position { cookie }))
}

/// A cookie that may be sent: one without number signs ended old servers (389 DS issue 5418).
fn cookie(octets: Option<Vec<u8>>) -> Option<String> {
    String::from_utf8(octets?).ok().filter(|c| is_cookie(c))
}

fn is_cookie(text: &str) -> bool {
    let number = text.rsplit_once('#').filter(|(before, _)| before.contains('#')).map(|(_, number)| number);
    number.is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
}

/// Reads what changed since `from`. Returns where the next read starts.
///
/// # Errors
/// [`SourceError::CursorExpired`] at any doubt; whatever keeps a read from being complete.
pub async fn read(delta: &mut Delta<'_, '_>, from: &Position) -> Result<(Position, Completeness), SourceError> {
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
}
