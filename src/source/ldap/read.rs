//! A full read: people first, then groups, page by page.

use super::collect::{Collector, Recognized};
use super::extended;
use super::flavor::Flavor;
use super::rootdse::EXTENDED_DN;
use super::search::{NotWhole, Progress, Search, Session};
use super::sent::SentEntry;
use crate::config::LdapConfig;
use crate::model::ObjectKind;
use crate::source::{Completeness, ReadDone, ReadRequest, Sink, SourceError};
use ldap3::Scope;
use ldap3::controls::RawControl;

/// Reads everything into `sink`.
///
/// # Errors
/// Whatever keeps the read from being complete.
pub async fn full(
    session: &mut Session<'_>,
    config: &LdapConfig,
    request: &ReadRequest,
    sink: &Sink,
    now: i64,
) -> Result<ReadDone, SourceError> {
    let flavor = Flavor::choose(config.flavor, &session.root);
    let mut out = Collector::new(session.source, flavor, config, request.seals.as_deref(), sink);
    let mut references = 0;
    for kind in kinds(request) {
        let attributes = flavor.attributes(*kind, &request.attributes);
        let search = search(config, flavor, *kind, attributes);
        out.begin(*kind);
        references += read_kind(session, &search, &mut out).await?.references;
        out.end(config)?;
    }
    out.flush().await?;
    Ok(ReadDone {
        completeness: Completeness::Full,
        cursor: None,
        references,
        clock_skew_s: session.root.clock_skew(now),
        parts: vec![out.part(config)],
        warnings: out.warnings,
    })
}

/// What is wanted, people first.
#[must_use]
pub fn kinds(request: &ReadRequest) -> &'static [ObjectKind] {
    if request.groups { &[ObjectKind::User, ObjectKind::Group] } else { &[ObjectKind::User] }
}

/// The search for people or groups.
#[must_use]
pub fn search(config: &LdapConfig, flavor: Flavor, kind: ObjectKind, mut attributes: Vec<String>) -> Search<'_> {
    if kind == ObjectKind::User && !config.also_inactive.is_empty() {
        for name in flavor.passing_attributes() {
            if !attributes.iter().any(|a| a.eq_ignore_ascii_case(name)) {
                attributes.push((*name).to_owned());
            }
        }
    }
    let what = match kind {
        ObjectKind::User => "people",
        ObjectKind::Group => "groups",
    };
    // Members are named by id where the server does that: then a rename of the member does not matter.
    let by_id = kind == ObjectKind::Group && flavor == Flavor::ActiveDirectory;
    let extended = RawControl { ctype: EXTENDED_DN.to_owned(), crit: false, val: Some(extended::AS_TEXT.to_vec()) };
    let controls = if by_id { vec![extended] } else { Vec::new() };
    Search { what, base: &config.base, scope: Scope::Subtree, filter: filter(config, flavor, kind), attributes, controls }
}

/// The filter for people or groups.
#[must_use]
pub fn filter(config: &LdapConfig, flavor: Flavor, kind: ObjectKind) -> &str {
    let (configured, default) = match kind {
        ObjectKind::User => (&config.user_filter, flavor.user_filter()),
        ObjectKind::Group => (&config.group_filter, flavor.group_filter()),
    };
    configured.as_deref().unwrap_or(default)
}

/// Reads all pages of a search for people or groups.
///
/// # Errors
/// Whatever keeps it from being complete.
pub async fn read_kind(session: &mut Session<'_>, search: &Search<'_>, out: &mut Collector<'_>) -> Result<Progress, SourceError> {
    let mut progress = Progress::default();
    // Entries of which only a part came; the rest is read between two pages, on the same connection.
    let mut partial = Vec::new();
    loop {
        let more = session
            .page(search, &mut progress, async |sent: SentEntry| {
                let seal = match out.recognize(&sent) {
                    Recognized::Unchanged(place) => return out.unchanged(place).await,
                    Recognized::New(seal) => Some(seal),
                    Recognized::Unclear => None,
                };
                let entry = sent.decode(out.source)?;
                if entry.ranged().is_empty() {
                    return out.take(entry, seal).await;
                }
                partial.push(entry);
                Ok(())
            })
            .await?;
        'entries: for mut entry in partial.drain(..) {
            for attribute in entry.ranged() {
                let shown = entry.count(&attribute);
                let whole = match std::str::from_utf8(&entry.dn) {
                    Ok(dn) => session.all_values(dn, &attribute, shown, &search.controls).await?,
                    Err(_) => Err(NotWhole(format!("{attribute} comes in parts, and the name is not UTF-8"))),
                };
                match whole {
                    Ok(whole) => entry.complete(whole),
                    Err(why) => {
                        out.leave(&entry, &why).await?;
                        continue 'entries;
                    }
                }
            }
            out.take(entry, None).await?;
        }
        if !more {
            return Ok(progress);
        }
    }
}
