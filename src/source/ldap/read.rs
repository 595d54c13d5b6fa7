//! A full read: people first, then groups, page by page.

use super::entry::RawEntry;
use super::flavor::Flavor;
use super::search::{Progress, Search, Session};
use super::sent::SentEntry;
use crate::config::LdapConfig;
use crate::model::{ObjectKind, Seal, Seals};
use crate::source::{BATCH, Completeness, Item, ReadDone, ReadRequest, Sink, SourceError};
use ldap3::Scope;

/// Warnings of one kind that are given by name; of the others only the number.
const NAMED: u64 = 10;

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
    let mut out = Collector::new(session.source, flavor, request.seals.as_deref(), sink);
    let mut references = 0;
    let kinds: &[ObjectKind] = if request.groups { &[ObjectKind::User, ObjectKind::Group] } else { &[ObjectKind::User] };
    for kind in kinds {
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
        warnings: out.warnings,
    })
}

/// The search for people or groups.
#[must_use]
pub fn search(config: &LdapConfig, flavor: Flavor, kind: ObjectKind, attributes: Vec<String>) -> Search<'_> {
    let (what, configured, default) = match kind {
        ObjectKind::User => ("people", &config.user_filter, flavor.user_filter()),
        ObjectKind::Group => ("groups", &config.group_filter, flavor.group_filter()),
    };
    let filter = configured.as_deref().unwrap_or(default);
    Search { what, base: &config.base, scope: Scope::Subtree, filter, attributes }
}

async fn read_kind(session: &mut Session<'_>, search: &Search<'_>, out: &mut Collector<'_>) -> Result<Progress, SourceError> {
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
        for mut entry in partial.drain(..) {
            for attribute in entry.ranged() {
                let Ok(dn) = std::str::from_utf8(&entry.dn) else { continue };
                entry.complete(session.all_values(dn, &attribute).await?);
            }
            if let Some(attribute) = entry.ranged().first() {
                let why = format!("{}: {attribute} cannot be read whole, because the name is not UTF-8", entry.label());
                return Err(session.place(search, &progress).incomplete(&why));
            }
            out.take(entry, None).await?;
        }
        if !more {
            return Ok(progress);
        }
    }
}

/// What a glance at an entry tells.
enum Recognized {
    /// It is as it was; here it is kept.
    Unchanged(usize),
    /// It is not kept like this, and shall be under this seal.
    New(Seal),
    /// It has to be taken apart to know.
    Unclear,
}

/// Makes entries of what comes and passes them on in batches.
pub(super) struct Collector<'a> {
    source: &'a str,
    flavor: Flavor,
    seals: Option<&'a dyn Seals>,
    sink: &'a Sink,
    batch: Vec<Item>,
    kind: ObjectKind,
    taken: u64,
    without_id: u64,
    first_without_id: Option<String>,
    odd_names: u64,
    pub(super) warnings: Vec<String>,
}

impl<'a> Collector<'a> {
    pub(super) fn new(source: &'a str, flavor: Flavor, seals: Option<&'a dyn Seals>, sink: &'a Sink) -> Self {
        Self {
            source,
            flavor,
            seals,
            sink,
            batch: Vec::with_capacity(BATCH),
            kind: ObjectKind::User,
            taken: 0,
            without_id: 0,
            first_without_id: None,
            odd_names: 0,
            warnings: Vec::new(),
        }
    }

    pub(super) fn begin(&mut self, kind: ObjectKind) {
        self.kind = kind;
        self.taken = 0;
        self.without_id = 0;
        self.first_without_id = None;
        self.odd_names = 0;
    }

    /// Whether the entry came octet for octet as it did before.
    fn recognize(&self, sent: &SentEntry) -> Recognized {
        let Some(seals) = self.seals else { return Recognized::Unclear };
        let Some((key, seal)) = sent.glance(self.flavor) else { return Recognized::Unclear };
        seals.find(self.kind, key.as_str(), &seal).map_or(Recognized::New(seal), Recognized::Unchanged)
    }

    async fn unchanged(&mut self, place: usize) -> Result<(), SourceError> {
        self.taken += 1;
        self.push(Item::Unchanged(place)).await
    }

    pub(super) async fn take(&mut self, raw: RawEntry, seal: Option<Seal>) -> Result<(), SourceError> {
        if std::str::from_utf8(&raw.dn).is_err() {
            self.odd_names += 1;
            if self.odd_names <= NAMED {
                let label = raw.label();
                self.warnings.push(format!("{} {label}: the name is not UTF-8; groups cannot refer to it", self.kind));
            }
        }
        match raw.key(self.flavor) {
            Some(key) => {
                self.taken += 1;
                let entry = raw.into_entry(self.kind, key);
                self.push(match seal {
                    Some(seal) => Item::Sealed(entry, seal),
                    None => Item::Present(entry),
                })
                .await
            }
            None => {
                let label = raw.label();
                self.without_id += 1;
                if self.without_id <= NAMED {
                    let ids = self.flavor.id_attributes().join(", ");
                    self.warnings.push(format!("{} {label}: left out, because it shows no stable id ({ids})", self.kind));
                }
                self.first_without_id.get_or_insert(label);
                Ok(())
            }
        }
    }

    pub(super) async fn push(&mut self, item: Item) -> Result<(), SourceError> {
        self.batch.push(item);
        if self.batch.len() < BATCH { Ok(()) } else { self.flush().await }
    }

    pub(super) async fn flush(&mut self) -> Result<(), SourceError> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let batch = std::mem::replace(&mut self.batch, Vec::with_capacity(BATCH));
        self.sink.send(batch).await.map_err(|_| SourceError::Stopped { source_name: self.source.to_owned() })
    }

    /// Ends people or groups. That nobody shows an id is no directory, but a missing right.
    fn end(&mut self, config: &LdapConfig) -> Result<(), SourceError> {
        if self.taken == 0
            && let Some(first) = &self.first_without_id
        {
            let who = config.bind_dn.as_deref().unwrap_or("anonymous");
            let (kind, n, ids) = (self.kind, self.without_id, self.flavor.id_attributes().join(", "));
            return Err(SourceError::Malformed {
                source_name: self.source.to_owned(),
                message: format!(
                    "none of the {n} {kind}s shows a stable id ({ids}; the first is {first}): give {who} the right to read \
                     it, or set flavor"
                ),
            });
        }
        for (n, what) in
            [(self.without_id, "left out for want of a stable id"), (self.odd_names, "have a name that is not UTF-8")]
        {
            if n > NAMED {
                self.warnings.push(format!("{n} {}s in all {what}", self.kind));
            }
        }
        Ok(())
    }
}
