//! `check --online`: what the source sees, in facts.

use super::entry::RawEntry;
use super::flavor::Flavor;
use super::groups::MEMBERS;
use super::incremental;
use super::read;
use super::rootdse::WHO_AM_I;
use super::search::{Progress, Session};
use super::sent::SentEntry;
use super::sync::active_directory;
use crate::config::LdapConfig;
use crate::model::ObjectKind;
use crate::source::{Facts, ReadRequest, SourceError};
use ldap3::exop::WhoAmI;

/// Looks around, for what syncs want of it; reads names and mail addresses of everybody once, so that what is said is true of a read as well. Beside what
/// was learnt: whatever would keep a read from being complete.
pub async fn facts(
    session: &mut Session<'_>,
    config: &LdapConfig,
    wanted: &ReadRequest,
    now: i64,
) -> (Facts, Result<(), SourceError>) {
    let mut facts = Facts::new();
    let looked = look(session, (config, wanted), now, &mut facts).await;
    (facts, looked)
}

async fn look(
    session: &mut Session<'_>,
    (config, wanted): (&LdapConfig, &ReadRequest),
    now: i64,
    facts: &mut Facts,
) -> Result<(), SourceError> {
    let flavor = Flavor::choose(config.flavor, &session.root);
    let mut say = |name: &str, value: String| facts.push((name.to_owned(), value));
    let mut warnings = Vec::new();

    let vendor = session.root.vendor();
    say("server", if vendor.is_empty() { "unknown".to_owned() } else { vendor });
    say("url", session.connection.url.to_string());
    say("flavor", flavor.as_str().to_owned());
    let tls = session.connection.tls.clone();
    if tls.is_none() && session.connection.url.scheme() != "ldapi" {
        warnings.push("the connection is not encrypted; use ldaps:// or starttls = true".to_owned());
    }
    say("tls", tls.unwrap_or_else(|| "no".to_owned()));
    say("bound_as", who_am_i(session).await);
    say("paging", if session.page_size > 0 { "yes" } else { "no" }.to_owned());
    if session.page_size == 0 {
        warnings.push("the server has no paged results: large directories need unlimited searches".to_owned());
    }
    if let Some(skew) = session.root.clock_skew(now) {
        say("clock_skew_s", skew.to_string());
    }
    if let Err(e) = session.base_exists(&config.base).await {
        let contexts = session.root.naming_contexts();
        return Err(match e {
            SourceError::Incomplete { source_name, message } if !contexts.is_empty() => {
                SourceError::Incomplete { source_name, message: format!("{message}; the server holds {}", contexts.join(", ")) }
            }
            e => e,
        });
    }
    say("base", "found".to_owned());
    say("incremental", incremental::way(session, config, wanted, now).await?.into_owned());

    if flavor == Flavor::ActiveDirectory {
        let more = active_directory::facts(session, config).await?;
        more.into_iter().for_each(|(name, value)| say(&name, value));
    }

    let mut references = 0;
    let mut operational = false;
    for kind in [ObjectKind::User, ObjectKind::Group] {
        let mut attributes: Vec<String> = flavor.attributes(kind, &["mail".to_owned()].into());
        attributes.retain(|a| !MEMBERS.contains(&a.as_str()));
        attributes.push(MODIFIED.to_owned());
        let mut search = read::search(config, flavor, kind, attributes);
        search.controls.clear();
        let mut progress = Progress::default();
        let mut seen = Seen::default();
        let source = session.source;
        let mut each = async |entry: SentEntry| {
            seen.note(entry.decode(source)?, flavor, kind);
            Ok(())
        };
        while session.page(&search, &mut progress, &mut each).await? {}
        references += progress.references;
        operational |= seen.operational > 0;
        say(search.what, progress.entries.to_string());
        say(&format!("{}_without_id", search.what), seen.without_id.to_string());
        if kind == ObjectKind::User {
            say("people_without_mail", seen.without_mail.to_string());
            say("people_disabled", seen.disabled.to_string());
            say("people_expiring", seen.expiring.to_string());
            if flavor == Flavor::ActiveDirectory {
                say("people_without_userPrincipalName", seen.without_principal.to_string());
            }
        }
        // Where no sync wants groups, that there are none is nothing to warn of.
        if progress.entries == 0 && (wanted.groups || kind == ObjectKind::User) {
            warnings.push(format!("no {} match {} under {}", search.what, search.filter, config.base));
        }
        if seen.without_id > 0 {
            let ids = flavor.id_attributes().join(", ");
            warnings.push(format!("{} {} show no stable id ({ids}) and would be left out", seen.without_id, search.what));
        }
        if ROUND.contains(&progress.entries) {
            let limits =
                "a limit of the server on what this account may read looks like this (OpenLDAP: size; 389 DS: nsslapd-sizelimit)";
            warnings.push(format!("exactly {} {} came: {limits}", progress.entries, search.what));
        }
    }
    say("operational_attributes", if operational { "visible" } else { "none visible" }.to_owned());
    if !operational {
        warnings.push(format!("{MODIFIED} is not visible: the account may be missing the right to read operational attributes"));
    }
    if flavor == Flavor::ActiveDirectory && config.page_size > MAX_PAGE_SIZE {
        warnings.push(format!("page_size is {}; Active Directory gives at most {MAX_PAGE_SIZE} (MaxPageSize)", config.page_size));
    }
    if references > 0 {
        say("references_not_followed", references.to_string());
    }
    for (i, warning) in warnings.into_iter().enumerate() {
        say(&if i == 0 { "warning".to_owned() } else { format!("warning_{}", i + 1) }, warning);
    }
    Ok(())
}

/// An operational attribute that every server has (RFC 4512 section 3.4.4).
const MODIFIED: &str = "modifyTimestamp";
/// MS-ADTS section 3.1.1.3.4.6, MaxPageSize.
const MAX_PAGE_SIZE: u32 = 1000;
/// Usual limits on the number of entries.
const ROUND: &[u64] = &[500, 1000, 2000, 5000];

/// What entries show.
#[derive(Debug, Default)]
struct Seen {
    without_id: u64,
    without_mail: u64,
    without_principal: u64,
    disabled: u64,
    expiring: u64,
    operational: u64,
}

impl Seen {
    fn note(&mut self, entry: RawEntry, flavor: Flavor, kind: ObjectKind) {
        self.without_mail += u64::from(entry.first("mail").is_none());
        self.without_principal += u64::from(entry.first("userPrincipalName").is_none());
        self.operational += u64::from(entry.first(MODIFIED).is_some());
        match entry.key(flavor) {
            Some(key) => {
                let entry = entry.into_entry(kind, key);
                self.disabled += u64::from(entry.disabled);
                self.expiring += u64::from(entry.due.is_some());
            }
            None => self.without_id += 1,
        }
    }
}

/// Who the server takes us for (RFC 4532); else who we said we are.
async fn who_am_i(session: &mut Session<'_>) -> String {
    let said = session.who.to_owned();
    if !session.root.contains("supportedExtension", WHO_AM_I) {
        return said;
    }
    let asked = session.connection.ldap.with_timeout(session.timeout).extended(WhoAmI).await;
    let answer = asked.ok().filter(|a| a.1.rc == 0).and_then(|a| a.0.val).and_then(|v| String::from_utf8(v).ok());
    match answer {
        Some(who) if who.is_empty() => "anonymous".to_owned(),
        Some(who) => who.strip_prefix("dn:").map_or(who.clone(), str::to_owned),
        None => said,
    }
}
