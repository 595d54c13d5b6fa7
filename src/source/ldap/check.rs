//! `check --online`: what the source sees, in facts.

use super::flavor::Flavor;
use super::incremental;
use super::read;
use super::rootdse::WHO_AM_I;
use super::search::{Progress, Session};
use super::sent::SentEntry;
use crate::config::LdapConfig;
use crate::model::ObjectKind;
use crate::source::{Facts, SourceError};
use ldap3::exop::WhoAmI;

/// Looks around; reads names and mail addresses of everybody once, so that what is said is true of a read as well.
///
/// # Errors
/// Whatever would keep a read from being complete.
pub async fn facts(session: &mut Session<'_>, config: &LdapConfig, now: i64) -> Result<Facts, SourceError> {
    let flavor = Flavor::choose(config.flavor, &session.root);
    let mut facts = Facts::new();
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
    say("incremental", incremental::way(session, config, now).await?.to_owned());

    let mut references = 0;
    for kind in [ObjectKind::User, ObjectKind::Group] {
        let mut attributes: Vec<String> = flavor.id_attributes().iter().map(|a| (*a).to_owned()).collect();
        attributes.push("mail".to_owned());
        let search = read::search(config, flavor, kind, attributes);
        let mut progress = Progress::default();
        let (mut without_mail, mut without_id) = (0u64, 0u64);
        let source = session.source;
        let mut each = async |entry: SentEntry| {
            let entry = entry.decode(source)?;
            without_mail += u64::from(entry.first("mail").is_none());
            without_id += u64::from(entry.key(flavor).is_none());
            Ok(())
        };
        while session.page(&search, &mut progress, &mut each).await? {}
        references += progress.references;
        say(search.what, progress.entries.to_string());
        if kind == ObjectKind::User {
            say("people_without_mail", without_mail.to_string());
        }
        if progress.entries == 0 {
            warnings.push(format!("no {} match {} under {}", search.what, search.filter, config.base));
        }
        if without_id > 0 {
            let ids = flavor.id_attributes().join(", ");
            warnings.push(format!("{without_id} {} show no stable id ({ids}) and would be left out", search.what));
        }
    }
    if references > 0 {
        say("references_not_followed", references.to_string());
    }
    facts.extend(warnings.into_iter().map(|w| ("warning".to_owned(), w)));
    Ok(facts)
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
