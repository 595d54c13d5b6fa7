//! Incremental reads of Active Directory: DirSync, else uSNChanged say what changed; that is read again.
//!
//! Deletions are said by tombstones where the account has the right "Replicating Directory Changes". Without it they are
//! not said, and no error is made of it: then the keys of everybody are read each time.

use super::again::{self, Again};
use super::changes::{Changes, MOST_CHANGES};
use super::{dirsync, usn};
use crate::config::LdapConfig;
use crate::model::ObjectKind;
use crate::source::ldap::collect::Collector;
use crate::source::ldap::flavor::Flavor;
use crate::source::ldap::rootdse::{DIRSYNC, SHOW_DELETED};
use crate::source::ldap::search::{Failed, Progress, Search, Session};
use crate::source::ldap::{read, result};
use crate::source::{Completeness, Cursor, Facts, ReadDone, ReadRequest, Sink, SourceError, dn};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ldap3::controls::{MakeCritical as _, PagedResults, RawControl};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;

/// Seconds after which a cursor is too old: tombstones go after 60 days in old forests (MS-ADTS section 3.1.1.1.15,
/// tombstoneLifetime), and with them the word of who was deleted.
const OLDEST: i64 = 30 * 86_400;

/// Version of the cursor's text.
const VERSION: u8 = 1;

/// Attributes that change without a word: calculated, or the other end of a link. Who filters by them, or maps them, reads in
/// full. (MS-ADTS section 3.1.1.4.5; linked attributes with an odd linkID.)
const SILENT: &[&str] = &[
    "memberOf",
    "directReports",
    "managedObjects",
    "canonicalName",
    "isMemberOfDL",
    "tokenGroups",
    "tokenGroupsGlobalAndUniversal",
    "tokenGroupsNoGCAcceptable",
    "msDS-User-Account-Control-Computed",
    "msDS-UserPasswordExpiryTimeComputed",
    "msDS-UserPasswordExpired",
    "msDS-UserAccountDisabled",
    "msDS-UserAccountAutoLocked",
    "msDS-MemberOfTransitive",
    "msDS-MemberTransitive",
    "msDS-parentdistname",
    "msDS-ResultantPSO",
    "msDS-PSOApplied",
    // Not replicated: each domain controller has its own, and says nothing of it in DirSync.
    "lastLogon",
    "logonCount",
    "badPwdCount",
    "badPasswordTime",
];

/// Where an incremental read starts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct AdCursor {
    version: u8,
    /// Hash of what it is bound to: naming context, base, filters, who is bound.
    bound: String,
    /// Unix second at which it was made.
    at: i64,
    #[serde(flatten)]
    position: Position,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "mechanism", rename_all = "lowercase")]
enum Position {
    /// Good on every domain controller of the domain: the cookie knows how far each of them was.
    DirSync {
        cookie: String,
        /// Without the replication right.
        own_view: bool,
    },
    /// Good on one domain controller.
    Usn(usn::Position),
}

/// What may be read incrementally, and what it is called in a cursor.
struct Scope {
    context: String,
    bound: String,
}

impl Scope {
    fn new(session: &Session<'_>, config: &LdapConfig) -> Option<Self> {
        let context = again::naming_context(&session.root.naming_contexts(), &config.base)?;
        let flavor = Flavor::ActiveDirectory;
        let (users, groups) = (read::filter(config, flavor, ObjectKind::User), read::filter(config, flavor, ObjectKind::Group));
        let parts = [&dn::normal_form(&context), &dn::normal_form(&config.base), users, groups, session.who];
        let bound = blake3::hash(parts.join("\0").as_bytes()).to_hex().to_string();
        Some(Self { context, bound })
    }

    fn cursor(&self, position: Position, at: i64) -> Option<String> {
        serde_json::to_string(&AdCursor { version: VERSION, bound: self.bound.clone(), at, position }).ok()
    }
}

/// Why nothing can be read incrementally with these filters and attributes, if so.
#[must_use]
pub fn obstacle(config: &LdapConfig, request: &ReadRequest) -> Option<String> {
    let flavor = Flavor::ActiveDirectory;
    let is_silent = |name: &str| SILENT.iter().any(|s| s.eq_ignore_ascii_case(name));
    for kind in [ObjectKind::User, ObjectKind::Group] {
        let filter = read::filter(config, flavor, kind);
        if let Some(name) =
            again::filter_attributes(filter).into_iter().find(|n| is_silent(n) || n.eq_ignore_ascii_case("member"))
        {
            return Some(format!("the {kind} filter names {name}, of which Active Directory does not say when it changes"));
        }
        if filter.contains(":1.2.840.113556.1.4.1941:") {
            return Some(format!(
                "the {kind} filter follows memberships, of which Active Directory does not say when they change"
            ));
        }
    }
    let name = request.attributes.iter().find(|n| is_silent(n))?;
    Some(format!("{name} is used, of which Active Directory does not say when it changes"))
}

/// As [`super::begin`].
pub async fn begin(
    session: &mut Session<'_>,
    config: &LdapConfig,
    request: &ReadRequest,
    now: i64,
) -> Result<Option<String>, SourceError> {
    if let Some(why) = obstacle(config, request) {
        tracing::info!(source = session.source, "everything is read each time: {why}");
        return Ok(None);
    }
    let Some(scope) = Scope::new(session, config) else { return Ok(None) };
    let position = match dirsync_position(session, &scope.context).await? {
        Some(position) => Some(position),
        None => usn::Position::now(session).await?.map(Position::Usn),
    };
    Ok(position.and_then(|position| scope.cursor(position, now)))
}

async fn dirsync_position(session: &mut Session<'_>, context: &str) -> Result<Option<Position>, SourceError> {
    if !session.root.contains("supportedControl", DIRSYNC) {
        return Ok(None);
    }
    for own_view in [false, true] {
        match dirsync::position(session, context, own_view).await? {
            dirsync::Answer::Complete(cookie) => {
                return Ok(Some(Position::DirSync { cookie: BASE64_STANDARD.encode(cookie), own_view }));
            }
            dirsync::Answer::Refused(code, text) => tracing::debug!(source = session.source, own_view, code, text, "no DirSync"),
            dirsync::Answer::TooMuch => return Ok(None),
        }
    }
    Ok(None)
}

/// What `check --online` says of incremental reads: DirSync, deleted objects, and what is in the way.
///
/// # Errors
/// The connection broke.
pub async fn facts(session: &mut Session<'_>, config: &LdapConfig) -> Result<Facts, SourceError> {
    let mut facts = Facts::new();
    let mut say = |name: &str, value: &str| facts.push((name.to_owned(), value.to_owned()));
    let Some(scope) = Scope::new(session, config) else { return Ok(facts) };
    let sees_deleted = sees_deleted(session, &scope.context).await?;
    say("deleted_objects", if sees_deleted { "visible" } else { "none visible" });
    let keys = "deletions are found by reading the keys of everybody each time";
    match dirsync_position(session, &scope.context).await? {
        Some(Position::DirSync { own_view: false, .. }) if says_deletions(session, &scope.context).await? => {
            say("dirsync", "with the replication right");
        }
        Some(Position::DirSync { own_view: false, .. }) => {
            say("dirsync", &format!("with the replication right; no deleted object can be seen, so {keys}"));
        }
        Some(Position::DirSync { own_view: true, .. }) => {
            say(
                "dirsync",
                &format!("without the replication right (Replicating Directory Changes on {}): {keys}", scope.context),
            );
        }
        _ => match usn::Position::now(session).await? {
            Some(_) => say("dirsync", &format!("no; uSNChanged on one domain controller, and {keys}")),
            None => say("dirsync", "no: everything is read each time"),
        },
    }
    if let Some(why) = obstacle(config, &ReadRequest::default()) {
        say("incremental", &format!("no: {why}"));
    }
    Ok(facts)
}

/// Whether DirSync tells an account with the replication right of deletions. Active Directory does, as it looks at no other
/// right then; Samba does only where the account may see deleted objects, and that shows once there is one.
async fn says_deletions(session: &mut Session<'_>, context: &str) -> Result<bool, SourceError> {
    if !session.root.vendor().to_lowercase().contains("samba") {
        return Ok(true);
    }
    sees_deleted(session, context).await
}

/// Whether the account sees a deleted object.
///
/// # Errors
/// The connection broke.
pub async fn sees_deleted(session: &mut Session<'_>, context: &str) -> Result<bool, SourceError> {
    let base = format!("CN=Deleted Objects,{context}");
    let (what, filter) = ("deleted objects", "(isDeleted=TRUE)");
    let search = Search { what, scope: ldap3::Scope::OneLevel, filter, ..Search::base(&base, vec!["1.1".to_owned()]) };
    let one = PagedResults { size: 1, cookie: Vec::new() };
    let show = RawControl { ctype: SHOW_DELETED.to_owned(), crit: true, val: None };
    let mut seen = false;
    let mut each = async |_| {
        seen = true;
        Ok(())
    };
    match session.exchange(&search, &mut Progress::default(), vec![one.critical().into(), show], &mut each).await {
        Ok(_) | Err(Failed::Refused(..)) => Ok(seen),
        Err(Failed::Broken(e)) => Err(e),
    }
}

/// As [`super::since`].
pub async fn since(
    session: &mut Session<'_>,
    config: &LdapConfig,
    request: &ReadRequest,
    cursor: &str,
    sink: &Sink,
    now: i64,
) -> Result<ReadDone, SourceError> {
    let source = session.source.to_owned();
    let expired = |message: &str| SourceError::CursorExpired { source_name: source.clone(), message: message.to_owned() };
    let cursor: AdCursor = serde_json::from_str(cursor).map_err(|_| expired("it is none of this version's"))?;
    if let Some(why) = obstacle(config, request) {
        return Err(expired(&why));
    }
    let scope = Scope::new(session, config).ok_or_else(|| expired("the server holds no naming context around the base"))?;
    if cursor.version != VERSION || cursor.bound != scope.bound {
        return Err(expired("base, filters or bind_dn are others than when it was made"));
    }
    if now.saturating_sub(cursor.at) > OLDEST || cursor.at > now.saturating_add(86_400) {
        return Err(expired("it is older than 30 days, or from the future"));
    }
    let mut changes = Changes::default();
    let too_much = || expired(&format!("more than {MOST_CHANGES} objects changed"));
    let (position, names_everybody) = match cursor.position {
        Position::DirSync { cookie, own_view } => {
            let cookie = BASE64_STANDARD.decode(cookie).map_err(|_| expired("its cookie is damaged"))?;
            let attributes = again::watched(config, request);
            let cookie = match dirsync::changes(session, &scope.context, own_view, &cookie, attributes, &mut changes).await? {
                dirsync::Answer::Complete(cookie) => BASE64_STANDARD.encode(cookie),
                dirsync::Answer::TooMuch => return Err(too_much()),
                dirsync::Answer::Refused(code, text) => {
                    return Err(expired(&format!("the server answered {}", result::describe(code, &text))));
                }
            };
            let says_deletions = !own_view && says_deletions(session, &scope.context).await?;
            (Position::DirSync { cookie, own_view }, !says_deletions || !config.domains.is_empty())
        }
        Position::Usn(before) => {
            let now = usn::Position::now(session).await?.ok_or_else(|| expired("the server does not show where it is"))?;
            if let Some(why) = before.misfit(&now) {
                return Err(expired(why));
            }
            if !usn::changes(session, &scope.context, before.usn, &mut changes).await? {
                return Err(too_much());
            }
            (Position::Usn(now), true)
        }
    };
    let mut out = Collector::new(session.source, Flavor::ActiveDirectory, config, request.seals.as_deref(), sink);
    out.named = Some(HashSet::new());
    let references = Again::new(session, config, &scope.context, request, &mut out).run(changes, names_everybody).await?;
    out.flush().await?;
    let completeness = if names_everybody { Completeness::Keys } else { Completeness::Incremental };
    let clock_skew_s = session.root.clock_skew(now);
    Ok(ReadDone {
        completeness,
        cursor: scope.cursor(position, now).map(Cursor),
        references,
        clock_skew_s,
        warnings: out.warnings,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_as_it_was_written() {
        for position in [
            Position::DirSync { cookie: "YWI=".to_owned(), own_view: true },
            Position::Usn(usn::Position { invocation: "a".to_owned(), usn: 9 }),
        ] {
            let cursor = AdCursor { version: VERSION, bound: "b".to_owned(), at: 1, position };
            let text = serde_json::to_string(&cursor).unwrap();
            assert_eq!(serde_json::from_str::<AdCursor>(&text).unwrap(), cursor, "{text}");
        }
        for odd in ["", "{}", "null", r#"{"version":1,"bound":"b","at":1,"mechanism":"other"}"#] {
            assert!(serde_json::from_str::<AdCursor>(odd).is_err(), "{odd}");
        }
    }
}
