//! Incremental reads of Active Directory: DirSync, else uSNChanged say what changed; that is read again.
//!
//! Deletions are said by tombstones where the account has the right "Replicating Directory Changes". Without it they are
//! not said, and no error is made of it: then the keys of everybody are read each time.

use super::again::{self, Again};
use super::changes::{Changes, MOST_CHANGES};
use super::{Delta, Job, dirsync, usn};
use crate::config::LdapConfig;
use crate::model::ObjectKind;
use crate::source::ldap::flavor::Flavor;
use crate::source::ldap::rootdse::{DIRSYNC, SHOW_DELETED};
use crate::source::ldap::search::{Failed, Progress, Search, Session};
use crate::source::ldap::{read, result};
use crate::source::{Completeness, Facts, ReadRequest, SourceError};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ldap3::controls::{MakeCritical as _, PagedResults, RawControl};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashSet};

/// Seconds after which a cursor is too old: tombstones go after 60 days in old forests (MS-ADTS section 3.1.1.1.15,
/// tombstoneLifetime), and with them the word of who was deleted.
const OLDEST: i64 = 30 * 86_400;

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
#[serde(tag = "mechanism", rename_all = "lowercase")]
pub enum Position {
    /// Good on every domain controller of the domain: the cookie knows how far each of them was.
    DirSync {
        /// The server's cookie, in base64.
        cookie: String,
        /// Without the replication right.
        own_view: bool,
        /// How far each domain controller was when it was last read: none is behind that unless it was put back from a backup.
        #[serde(default)]
        controllers: BTreeMap<String, usn::Position>,
        /// Unix second at which it was made.
        made: i64,
    },
    /// Good on one domain controller.
    Usn {
        /// Which one, and how far it was.
        #[serde(flatten)]
        at: usn::Position,
        /// Unix second at which it was made.
        made: i64,
    },
}

impl Position {
    /// Whether another domain controller can go on from here.
    #[must_use]
    pub fn is_good_elsewhere(&self) -> bool {
        matches!(self, Self::DirSync { .. })
    }

    fn made(&self) -> i64 {
        match self {
            Self::DirSync { made, .. } | Self::Usn { made, .. } => *made,
        }
    }
}

/// The naming context around the base.
fn context(session: &Session<'_>, config: &LdapConfig) -> Option<String> {
    super::suffix_of(session, &config.base)
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

/// Where the domain stands; `None` where nothing can be read incrementally.
///
/// # Errors
/// The connection broke.
pub async fn position(session: &mut Session<'_>, job: &Job<'_>, now: i64) -> Result<Option<Position>, SourceError> {
    if let Some(why) = obstacle(job.config, job.request) {
        tracing::info!(source = session.source, "everything is read each time: {why}");
        return Ok(None);
    }
    let Some(context) = context(session, job.config) else { return Ok(None) };
    match dirsync_position(session, &context, now).await? {
        Some(Position::DirSync { cookie, own_view, made, .. }) => {
            let controllers = controller_now(session).await?.into_iter().collect();
            Ok(Some(Position::DirSync { cookie, own_view, controllers, made }))
        }
        Some(position) => Ok(Some(position)),
        None => Ok(usn::Position::now(session).await?.map(|at| Position::Usn { at, made: now })),
    }
}

/// Which domain controller is in use, and how far it is, where it shows that.
async fn controller_now(session: &mut Session<'_>) -> Result<Option<(String, usn::Position)>, SourceError> {
    let name = usn::controller(session);
    Ok(name.zip(usn::Position::now(session).await?))
}

/// Why a cookie from when the domain controllers were this far cannot be gone on from at the one in use: what it forgot with the
/// backup that it was put back from, it does not tell (MS-ADTS section 3.1.1.3.4.1.3 names changes since the cookie alone).
/// Another controller of the domain can go on: the cookie knows how far each of them was.
fn doubt(
    before: &BTreeMap<String, usn::Position>,
    name: Option<&str>,
    now: Option<&(String, usn::Position)>,
) -> Option<&'static str> {
    let (name, before) = name.and_then(|name| before.get_key_value(name))?;
    match now.filter(|(now, _)| now == name) {
        Some((_, now)) => before.misfit(now),
        None => Some("the domain controller does not show any more where it is"),
    }
}

async fn dirsync_position(session: &mut Session<'_>, context: &str, now: i64) -> Result<Option<Position>, SourceError> {
    if !session.root.contains("supportedControl", DIRSYNC) {
        return Ok(None);
    }
    for own_view in [false, true] {
        match dirsync::position(session, context, own_view).await? {
            dirsync::Answer::Complete(cookie) => {
                let cookie = BASE64_STANDARD.encode(cookie);
                return Ok(Some(Position::DirSync { cookie, own_view, controllers: BTreeMap::new(), made: now }));
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
    let Some(context) = context(session, config) else { return Ok(facts) };
    let sees_deleted = sees_deleted(session, &context).await?;
    say("deleted_objects", if sees_deleted { "visible" } else { "none visible" });
    let keys = "deletions are found by reading the keys of everybody each time";
    match dirsync_position(session, &context, 0).await? {
        Some(Position::DirSync { own_view: false, .. }) if says_deletions(session, &context).await? => {
            say("dirsync", "with the replication right");
        }
        Some(Position::DirSync { own_view: false, .. }) => {
            say("dirsync", &format!("with the replication right; no deleted object can be seen, so {keys}"));
        }
        Some(_) => say("dirsync", &format!("without the replication right (Replicating Directory Changes on {context}): {keys}")),
        None => match usn::Position::now(session).await? {
            Some(_) => say("dirsync", &format!("no; uSNChanged on one domain controller, and {keys}")),
            None => say("dirsync", "no: everything is read each time"),
        },
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

/// Reads what changed since the position.
///
/// # Errors
/// [`SourceError::CursorExpired`] wherever there is doubt; else whatever keeps the read from being complete.
pub async fn read(delta: &mut Delta<'_, '_>, from: Position, now: i64) -> Result<(Position, Completeness), SourceError> {
    let (config, request) = (delta.job.config, delta.job.request);
    if let Some(why) = obstacle(config, request) {
        return Err(delta.expired(why));
    }
    let age = now.saturating_sub(from.made());
    if !(-86_400..=OLDEST).contains(&age) {
        return Err(delta.expired("it is older than 30 days, or from the future"));
    }
    let context = context(delta.session, config);
    let context = context.ok_or_else(|| delta.expired("the server holds no naming context around the base"))?;
    let too_much = format!("more than {MOST_CHANGES} objects changed");
    let mut changes = Changes::default();
    let (position, names_everybody) = match from {
        Position::DirSync { cookie, own_view, mut controllers, .. } => {
            let now_at = controller_now(delta.session).await?;
            if let Some(why) = doubt(&controllers, usn::controller(delta.session).as_deref(), now_at.as_ref()) {
                return Err(delta.expired(why));
            }
            controllers.extend(now_at);
            let cookie = BASE64_STANDARD.decode(cookie).map_err(|_| delta.expired("its cookie is damaged"))?;
            let attributes = again::watched(config, request);
            let answer = dirsync::changes(delta.session, &context, own_view, &cookie, attributes, &mut changes).await?;
            let cookie = match answer {
                dirsync::Answer::Complete(cookie) => BASE64_STANDARD.encode(cookie),
                dirsync::Answer::TooMuch => return Err(delta.expired(too_much)),
                dirsync::Answer::Refused(code, text) => {
                    return Err(delta.expired(format!("the server answered {}", result::describe(code, &text))));
                }
            };
            let says_deletions = !own_view && says_deletions(delta.session, &context).await?;
            (Position::DirSync { cookie, own_view, controllers, made: now }, !says_deletions || !config.domains.is_empty())
        }
        Position::Usn { at: before, .. } => {
            let at = usn::Position::now(delta.session).await?;
            let at = at.ok_or_else(|| delta.expired("the server does not show where it is"))?;
            if let Some(why) = before.misfit(&at) {
                return Err(delta.expired(why));
            }
            if !usn::changes(delta.session, &context, before.usn, &mut changes).await? {
                return Err(delta.expired(too_much));
            }
            (Position::Usn { at, made: now }, true)
        }
    };
    delta.out.named = Some(HashSet::new());
    Again::new(delta.session, config, &context, request, &mut delta.out).run(changes, names_everybody).await?;
    Ok((position, if names_everybody { Completeness::Keys } else { Completeness::Incremental }))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    fn at(name: &str, invocation: &str, usn: u64) -> BTreeMap<String, usn::Position> {
        BTreeMap::from([(name.to_owned(), usn::Position { invocation: invocation.to_owned(), usn })])
    }

    #[test]
    fn a_controller_from_a_backup_is_noticed_and_another_one_goes_on() {
        let before = at("CN=DC1", "a", 9);
        let doubt_at = |name: &str, invocation: &str, n: u64| {
            let now = at(name, invocation, n).pop_first();
            doubt(&before, Some(name), now.as_ref())
        };
        assert_eq!(doubt_at("CN=DC1", "a", 9), None);
        assert_eq!(doubt_at("CN=DC1", "a", 12), None);
        assert!(doubt_at("CN=DC1", "a", 8).unwrap().contains("went back"));
        assert!(doubt_at("CN=DC1", "b", 12).unwrap().contains("backup"));
        assert_eq!(doubt_at("CN=DC2", "b", 3), None, "its numbers are its own");
        assert!(doubt(&before, Some("CN=DC1"), None).is_some(), "it showed them before");
        assert_eq!(doubt(&before, None, None), None);
        assert_eq!(doubt(&BTreeMap::new(), Some("CN=DC1"), None), None, "it never showed them");
    }

    #[test]
    fn a_position_is_read_as_it_was_written() {
        for position in [
            Position::DirSync { cookie: "YWI=".to_owned(), own_view: true, controllers: at("CN=DC1", "a", 9), made: 7 },
            Position::Usn { at: usn::Position { invocation: "a".to_owned(), usn: 9 }, made: 7 },
        ] {
            let text = serde_json::to_string(&position).unwrap();
            assert_eq!(serde_json::from_str::<Position>(&text).unwrap(), position, "{text}");
        }
        for odd in ["", "{}", "null", r#"{"made":1,"mechanism":"other"}"#] {
            assert!(serde_json::from_str::<Position>(odd).is_err(), "{odd}");
        }
    }
}
