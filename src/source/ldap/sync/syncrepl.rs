//! OpenLDAP: content synchronisation (RFC 4533) from a cookie that is made here.
//!
//! The cookie is the `contextCSN` of the database, read before the entries that it stands for. So the first load is an
//! ordinary paged read: syncrepl's own cannot be paged. slapd takes a cookie that it cannot read for none and then calls
//! everything new without naming who left, and one that is ahead of it for an error (measured with 2.5): so what is sent
//! was compared with `contextCSN` of now before.
//!
//! What slapd knows of deletions is in memory. When it was stopped properly it knows so after the restart, and names who is
//! still there; after a crash it does not, and answers as if nobody had left (measured with 2.5). So after any restart the ids of
//! all entries are read, too.

use super::control::{Info, State, SyncId};
use super::exchange::{Heard, exchange};
use super::{Delta, Job, MOST, Taken, look, suffix_of};
use crate::model::{ObjectKind, SourceKey};
use crate::source::ldap::search::{Search, Session};
use crate::source::{Completeness, Item, SourceError};
use ldap3::Scope;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Times that changes are asked for, as long as more came meanwhile: people and groups are read one after the other, and
/// whoever is renamed in between would be missing in the groups.
const ROUNDS: usize = 3;

/// Where the next read starts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The naming context, as the server writes it.
    suffix: String,
    /// Its entryUUID: another database has another one.
    database: String,
    /// `contextCSN`, a value for each server that writes, sorted.
    csn: Vec<String>,
    /// When the server was started, where it shows that.
    started: Option<String>,
}

/// Where the directory stands now; `None` where it does not say so.
///
/// # Errors
/// The connection broke.
pub async fn position(session: &mut Session<'_>, base: &str) -> Result<Option<Position>, SourceError> {
    let Some(suffix) = suffix_of(session, base) else { return Ok(None) };
    let Some(entry) = look(session, &suffix, &["contextCSN", "entryUUID"]).await? else { return Ok(None) };
    let text = |octets: &[u8]| String::from_utf8(octets.to_vec()).ok();
    let Some(database) = entry.first("entryUUID").and_then(text) else { return Ok(None) };
    let mut csn = Vec::new();
    for attribute in entry.attributes.iter().filter(|a| a.name.eq_ignore_ascii_case("contextCSN")) {
        for value in &attribute.values {
            match value.as_text().filter(|v| server_of(v).is_some()) {
                Some(value) => csn.push(value.to_owned()),
                None => return Ok(None),
            }
        }
    }
    csn.sort();
    let started = started(session).await?;
    Ok(Some(Position { suffix, database, csn, started }).filter(|p| !p.csn.is_empty()))
}

/// When slapd was started: it calls its schema created then.
async fn started(session: &mut Session<'_>) -> Result<Option<String>, SourceError> {
    let schema = look(session, "cn=Subschema", &["createTimestamp"]).await?;
    Ok(schema.and_then(|s| String::from_utf8(s.first("createTimestamp")?.to_vec()).ok()))
}

/// The server that wrote last, in `20261122063000.123456Z#000000#001#000000`; `None` where this is no CSN
/// (draft-chu-ldap-csn-00).
fn server_of(csn: &str) -> Option<&str> {
    let parts: Vec<&str> = csn.split('#').collect();
    let [time, count, server, change] = parts[..] else { return None };
    let is = |text: &str, length: usize| text.len() == length && text.bytes().all(|b| b.is_ascii_hexdigit());
    let clock = time.strip_suffix('Z').is_some_and(|t| t.len() == 21 && t.bytes().all(|b| b.is_ascii_digit() || b == b'.'));
    (clock && is(count, 6) && is(server, 3) && is(change, 6)).then_some(server)
}

impl Position {
    /// The cookie for it. `rid` is what a replica is called at its provider; any will do.
    fn cookie(&self) -> String {
        format!("rid=001,csn={}", self.csn.join(";"))
    }

    /// Why `now` does not follow on this; `None` where it does.
    fn doubt(&self, now: &Self) -> Option<&'static str> {
        if self.csn.iter().any(|csn| server_of(csn).is_none()) || self.csn.is_empty() {
            return Some("it is no position in an OpenLDAP database");
        }
        if (&self.suffix, &self.database) != (&now.suffix, &now.database) {
            return Some("the database is another one");
        }
        let servers = |p: &Self| p.csn.iter().filter_map(|c| server_of(c).map(str::to_owned)).collect::<Vec<_>>();
        let (mut before, mut after) = (servers(self), servers(now));
        before.sort();
        after.sort();
        if before != after {
            return Some("other servers write to the database than before");
        }
        let behind = |csn: &String| now.csn.iter().any(|n| server_of(n) == server_of(csn) && n < csn);
        self.csn.iter().any(behind).then_some("the database is older than it was: was a backup restored?")
    }
}

/// Reads what changed since `from`. Returns where the next read starts.
///
/// # Errors
/// [`SourceError::CursorExpired`] at any doubt; whatever keeps a read from being complete.
pub async fn read(delta: &mut Delta<'_, '_>, from: &Position) -> Result<(Position, Completeness), SourceError> {
    let mut at = from.clone();
    for round in 0..ROUNDS {
        let now = position(delta.session, &delta.job.config.base).await?;
        let now = now.ok_or_else(|| delta.expired("the server no longer says where it stands (contextCSN)"))?;
        if let Some(doubt) = at.doubt(&now) {
            return Err(delta.expired(doubt));
        }
        if at == now {
            break;
        }
        let restarted = at.started != now.started;
        let mut taken = restarted.then(Taken::new);
        let everybody = at.csn != now.csn && changes(delta, &at, &mut taken).await?;
        at = now;
        if (everybody || restarted) && round > 0 {
            return Err(delta.expired("the server was restarted while it was asked"));
        }
        if let (false, Some(taken)) = (everybody, taken) {
            for kind in delta.job.kinds() {
                delta.enumerate(*kind, &taken).await?;
            }
        }
        if everybody || restarted {
            return Ok((at, Completeness::Full));
        }
    }
    Ok((at, Completeness::Incremental))
}

/// Asks once. `true`: whatever is there was named, so that what was not named is gone.
async fn changes(delta: &mut Delta<'_, '_>, from: &Position, taken: &mut Option<Taken>) -> Result<bool, SourceError> {
    let cookie = from.cookie();
    moved(delta, from, &cookie).await?;
    let mut all = Vec::new();
    for kind in delta.job.kinds() {
        let search = delta.job.search(*kind);
        all.push(changes_of(delta, *kind, &search, &cookie, taken).await?);
    }
    if all.iter().all(|a| *a) {
        return Ok(true);
    }
    if all.iter().any(|a| *a) {
        return Err(delta.expired("the server named all people and not all groups, or the other way round"));
    }
    Ok(false)
}

async fn changes_of(
    delta: &mut Delta<'_, '_>,
    kind: ObjectKind,
    search: &Search<'_>,
    cookie: &str,
    taken: &mut Option<Taken>,
) -> Result<bool, SourceError> {
    let Delta { session, job, out } = delta;
    let (source, flavor) = (session.source, job.flavor);
    out.begin(kind);
    let mut present_phase = false;
    let mut each = async |heard: Heard| {
        match heard {
            Heard::Entry(sent, said) => match said.state {
                State::Add | State::Modify => {
                    let entry = sent.decode(source)?;
                    // Deletions name nothing but this id: it has to be the one that entries are known by.
                    let key = key(said.id);
                    if entry.key(flavor).as_ref() != Some(&key) {
                        let why = format!("{}: the server shows another id than it synchronises by", entry.label());
                        return Err(super::expired(source, why));
                    }
                    if let Some(taken) = taken.as_mut() {
                        taken.insert((kind, key));
                        if taken.len() > MOST {
                            return Err(super::expired(source, "too much has changed"));
                        }
                    }
                    out.take(entry, None).await?;
                }
                State::Present => out.push(Item::Kept(kind, key(said.id))).await?,
                State::Delete => out.push(Item::Left(kind, key(said.id))).await?,
            },
            Heard::Info(Info::Ids { deleted, ids }) => {
                for id in ids {
                    out.push(if deleted { Item::Left(kind, key(id)) } else { Item::Kept(kind, key(id)) }).await?;
                }
            }
            Heard::Info(Info::RefreshPresent) => present_phase = true,
            Heard::Info(Info::Cookie(_) | Info::RefreshDelete) => {}
        }
        Ok(())
    };
    let done = exchange(session, search, Some(cookie.as_bytes()), &mut each).await?;
    Ok(present_phase || !done.refresh_deletes)
}

/// Entries that have others below them: whoever renames or moves one renames everybody below, and slapd calls none of them
/// changed. (All entries are asked for: "neither person nor group" is nobody where a filter names what the schema lacks.)
async fn moved(delta: &mut Delta<'_, '_>, from: &Position, cookie: &str) -> Result<(), SourceError> {
    let source = delta.session.source;
    let search = Search {
        what: "containers",
        // Not the base: one that was moved out of it would be seen by nobody.
        base: &from.suffix,
        scope: Scope::Subtree,
        filter: "(objectClass=*)",
        attributes: vec!["hasSubordinates".to_owned()],
    };
    let mut each = async |heard: Heard| {
        if let Heard::Entry(sent, said) = heard
            && matches!(said.state, State::Add | State::Modify)
        {
            let entry = sent.decode(source)?;
            if entry.first("hasSubordinates") != Some(b"FALSE") {
                let why = format!("{} changed, and what is below it may have moved", entry.label());
                return Err(super::expired(source, why));
            }
        }
        Ok(())
    };
    exchange(delta.session, &search, Some(cookie.as_bytes()), &mut each).await.map(drop)
}

/// entryUUID as entries show it (RFC 4530).
fn key(id: SyncId) -> SourceKey {
    SourceKey(Uuid::from_bytes(id).to_string())
}

/// Whether the server can.
#[must_use]
pub fn is_offered(session: &Session<'_>, job: &Job<'_>) -> bool {
    job.flavor == crate::source::ldap::flavor::Flavor::OpenLdap
        && session.root.contains("supportedControl", super::control::SYNC_REQUEST)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    fn at(csn: &[&str]) -> Position {
        let csn = csn.iter().map(|c| (*c).to_owned()).collect();
        Position { suffix: "dc=x".to_owned(), database: "abc".to_owned(), csn, started: None }
    }

    const FIRST: &str = "20261122063000.000001Z#000000#000#000000";
    const SECOND: &str = "20261122063000.000002Z#000000#000#000000";
    const OTHER: &str = "20261122063000.000002Z#000000#001#000000";

    #[test]
    fn the_cookie_is_as_slapd_wants_it() {
        assert_eq!(at(&[FIRST]).cookie(), format!("rid=001,csn={FIRST}"));
        assert_eq!(at(&[FIRST, OTHER]).cookie(), format!("rid=001,csn={FIRST};{OTHER}"));
    }

    #[test]
    fn only_what_follows_is_gone_on_from() {
        assert_eq!(at(&[FIRST]).doubt(&at(&[FIRST])), None);
        assert_eq!(at(&[FIRST]).doubt(&at(&[SECOND])), None);
        assert_eq!(at(&[FIRST, OTHER]).doubt(&at(&[SECOND, OTHER])), None);
        assert!(at(&[SECOND]).doubt(&at(&[FIRST])).unwrap().contains("backup"), "from the future");
        assert!(at(&[FIRST]).doubt(&at(&[OTHER])).is_some(), "another server");
        assert!(at(&[FIRST]).doubt(&at(&[FIRST, OTHER])).is_some(), "one more server");
        assert!(at(&[]).doubt(&at(&[FIRST])).is_some());
        assert!(at(&["rubbish"]).doubt(&at(&[FIRST])).is_some());
        let other = Position { database: "def".to_owned(), ..at(&[FIRST]) };
        assert!(other.doubt(&at(&[FIRST])).unwrap().contains("another"));
    }

    #[test]
    fn a_csn_has_four_parts() {
        assert_eq!(server_of(OTHER), Some("001"));
        for bad in ["", "#", "###", "20261122063000.000001Z#000000#000", "x#000000#000#000000", &format!("{FIRST}#"), "a,csn=b"] {
            assert_eq!(server_of(bad), None, "{bad}");
        }
    }
}
