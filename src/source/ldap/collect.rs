//! What comes from the server becomes items, in batches.

use super::entry::RawEntry;
use super::extended;
use super::flavor::{Flavor, OBJECT_SID};
use super::primary::PrimaryGroups;
use super::search::NotWhole;
use super::sent::SentEntry;
use crate::config::{LdapConfig, Passing};
use crate::model::{Entry, EntryChange, ObjectKind, Seal, Seals, SourceKey};
use crate::source::{BATCH, Item, Part, Sink, SourceError, account, dn};
use std::collections::HashSet;

/// Warnings of one kind that are given by name; of the others only the number.
pub const NAMED: u64 = 10;

/// What a glance at an entry tells.
pub enum Recognized {
    /// It is as it was; here it is kept.
    Unchanged(usize),
    /// It is not kept like this, and shall be under this seal.
    New(Seal),
    /// It has to be taken apart to know.
    Unclear,
}

/// Makes entries of what comes and passes them on in batches.
pub struct Collector<'a> {
    /// Name of the source.
    pub source: &'a str,
    /// The kind of server.
    pub flavor: Flavor,
    /// What is to be told at the end.
    pub warnings: Vec<String>,
    /// Who has which primary group, of those who were read.
    pub primary: PrimaryGroups,
    /// Keys of whoever was named, where somebody wants to know.
    pub named: Option<HashSet<SourceKey>>,
    /// Groups of other domains may name people by their SID.
    by_sid: bool,
    also_inactive: &'a [Passing],
    seals: Option<&'a dyn Seals>,
    sink: &'a Sink,
    batch: Vec<Item>,
    kind: ObjectKind,
    taken: u64,
    without_id: u64,
    first_without_id: Option<String>,
    odd_names: u64,
    not_whole: u64,
    has_people: bool,
}

impl<'a> Collector<'a> {
    /// For one read of one server.
    #[must_use]
    pub fn new(source: &'a str, flavor: Flavor, config: &'a LdapConfig, seals: Option<&'a dyn Seals>, sink: &'a Sink) -> Self {
        Self {
            source,
            flavor,
            warnings: Vec::new(),
            primary: PrimaryGroups::default(),
            named: None,
            by_sid: flavor.has_primary_groups() && !config.domains.is_empty(),
            also_inactive: &config.also_inactive,
            seals,
            sink,
            batch: Vec::with_capacity(BATCH),
            kind: ObjectKind::User,
            taken: 0,
            without_id: 0,
            first_without_id: None,
            odd_names: 0,
            not_whole: 0,
            has_people: false,
        }
    }

    /// What this server showed, as one of several.
    #[must_use]
    pub fn part(&self, config: &LdapConfig) -> Part {
        Part { name: config.base.clone(), has_people: self.has_people }
    }

    /// From here on come people, or groups.
    pub fn begin(&mut self, kind: ObjectKind) {
        self.kind = kind;
        self.taken = 0;
        self.without_id = 0;
        self.first_without_id = None;
        self.odd_names = 0;
        self.not_whole = 0;
        self.primary.sort();
    }

    /// Whether an entry with this key is kept of earlier reads.
    #[must_use]
    pub fn knows(&self, kind: ObjectKind, key: &SourceKey) -> bool {
        self.seals.is_some_and(|seals| seals.knows(kind, key.as_str()))
    }

    /// Whether the entry came octet for octet as it did before.
    pub fn recognize(&mut self, sent: &SentEntry) -> Recognized {
        if self.kind == ObjectKind::User && self.flavor.has_primary_groups() {
            self.primary.note(sent);
        }
        let Some(seals) = self.seals else { return Recognized::Unclear };
        let digest = self.primary_digest(sent);
        let also = digest.as_ref().map_or(&[][..], |d| d.as_slice());
        let by_sid: &[u8] = if self.by_sid { &[1] } else { &[] };
        let passing = self.also_inactive.iter().map(|p| if *p == Passing::Locked { 2 } else { 3 }).collect::<Vec<u8>>();
        let Some((key, seal)) = sent.glance(self.flavor, &[also, by_sid, &passing].concat()) else { return Recognized::Unclear };
        match seals.find(self.kind, key.as_str(), &seal) {
            Some(place) => {
                if let Some(named) = &mut self.named {
                    named.insert(key);
                }
                Recognized::Unchanged(place)
            }
            None => Recognized::New(seal),
        }
    }

    fn primary_digest(&self, sent: &SentEntry) -> Option<[u8; 32]> {
        let is_group = self.kind == ObjectKind::Group && self.flavor.has_primary_groups();
        if is_group { self.primary.digest(sent.first(OBJECT_SID)) } else { None }
    }

    /// Passes on that the entry at this place is unchanged.
    ///
    /// # Errors
    /// The reader went away.
    pub async fn unchanged(&mut self, place: usize) -> Result<(), SourceError> {
        self.taken += 1;
        self.push(Item::Unchanged(place)).await
    }

    /// Passes on an entry of which everything came.
    ///
    /// # Errors
    /// The reader went away.
    pub async fn take(&mut self, raw: RawEntry, seal: Option<Seal>) -> Result<(), SourceError> {
        let Some(key) = self.key(&raw) else { return self.unidentified(&raw).await };
        if self.kind == ObjectKind::Group
            && let Some(attribute) = raw.undecodable_members()
        {
            let why = NotWhole(format!("a value of {attribute} is not UTF-8"));
            return self.leave(&raw, &why).await;
        }
        let has_name = std::str::from_utf8(&raw.dn).is_ok_and(dn::is_dn);
        if !has_name {
            self.odd_names += 1;
            if self.odd_names <= NAMED {
                let label = raw.label();
                self.warnings.push(format!(
                    "{} {label}: the name is not UTF-8, or no DN: groups that refer to it cannot be told",
                    self.kind
                ));
            }
        }
        self.taken += 1;
        let sid = raw.first(OBJECT_SID).map(<[u8]>::to_vec);
        let mut entry = raw.into_entry(self.kind, key);
        if self.kind == ObjectKind::Group && self.flavor.has_primary_groups() {
            self.primary.add_to(sid.as_deref(), &mut entry.members);
        }
        if self.kind == ObjectKind::User && !entry.disabled {
            let (now, by_clock) = account::passing(&entry.attrs, self.also_inactive);
            entry.disabled = now;
            entry.due = if now { None } else { entry.due.into_iter().chain(by_clock).min() };
        }
        if self.by_sid {
            entry.names.extend(sid.as_deref().and_then(extended::sid_text).map(|sid| extended::sid_name(&sid)));
        }
        if let Some(named) = &mut self.named {
            named.insert(entry.key.clone());
        }
        self.push(match seal {
            // Groups name it as they did before, for all that can be known.
            _ if !has_name && self.knows(entry.kind, &entry.key) => Item::Changed(all_but_names(entry)),
            Some(seal) => Item::Sealed(entry, seal),
            None => Item::Present(entry),
        })
        .await
    }

    /// An entry of which not everything can be had stays as it is kept, and a new one waits: written shorter it would lose
    /// members.
    ///
    /// # Errors
    /// The reader went away.
    pub async fn leave(&mut self, raw: &RawEntry, why: &NotWhole) -> Result<(), SourceError> {
        let Some(key) = self.key(raw) else { return self.unidentified(raw).await };
        self.not_whole += 1;
        if self.not_whole <= NAMED {
            let (kind, label, why) = (self.kind, raw.label(), &why.0);
            self.warnings.push(format!(
                "{kind} {label}: skipped in this cycle and left as it was, because not all of it can be read: {why}"
            ));
        }
        self.taken += 1;
        if !self.knows(self.kind, &key) {
            return Ok(());
        }
        if let Some(named) = &mut self.named {
            named.insert(key.clone());
        }
        self.push(Item::Kept(self.kind, key)).await
    }

    /// The source key; who has none is counted.
    fn key(&mut self, raw: &RawEntry) -> Option<SourceKey> {
        let key = raw.key(self.flavor);
        if key.is_none() {
            let label = raw.label();
            self.without_id += 1;
            if self.without_id <= NAMED {
                let ids = self.flavor.id_attributes().join(", ");
                self.warnings.push(format!(
                    "{} {label}: shows no stable id ({ids}): left as it was where it is known by this name, else left out",
                    self.kind
                ));
            }
            self.first_without_id.get_or_insert(label);
        }
        key
    }

    /// Passes on that somebody is there who shows no id.
    async fn unidentified(&mut self, raw: &RawEntry) -> Result<(), SourceError> {
        self.push(Item::Unidentified(self.kind, dn::dn_name(&raw.label()))).await
    }

    /// Passes on the key of somebody who is there and of whom nothing else is read.
    ///
    /// # Errors
    /// The reader went away.
    pub async fn keep(&mut self, kind: ObjectKind, raw: &RawEntry) -> Result<(), SourceError> {
        match raw.key(self.flavor) {
            Some(key) => self.push(Item::Kept(kind, key)).await,
            None => {
                self.begin_as(kind);
                self.key(raw);
                self.unidentified(raw).await
            }
        }
    }

    fn begin_as(&mut self, kind: ObjectKind) {
        if self.kind != kind {
            self.begin(kind);
        }
    }

    /// Passes on an item.
    ///
    /// # Errors
    /// The reader went away.
    pub async fn push(&mut self, item: Item) -> Result<(), SourceError> {
        self.has_people |= match &item {
            Item::Present(entry) | Item::Sealed(entry, _) => entry.kind == ObjectKind::User,
            Item::Changed(change) => change.kind == ObjectKind::User,
            Item::Kept(kind, _) | Item::Unidentified(kind, _) => *kind == ObjectKind::User,
            Item::Unchanged(_) => self.kind == ObjectKind::User,
            Item::Deleted(_) | Item::Left(..) => false,
        };
        self.batch.push(item);
        if self.batch.len() < BATCH { Ok(()) } else { self.flush().await }
    }

    /// Passes on what is gathered.
    ///
    /// # Errors
    /// The reader went away.
    pub async fn flush(&mut self) -> Result<(), SourceError> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let batch = std::mem::replace(&mut self.batch, Vec::with_capacity(BATCH));
        self.sink.send(batch).await.map_err(|_| SourceError::Stopped { source_name: self.source.to_owned() })
    }

    /// Ends people or groups. That nobody shows an id is no directory, but a missing right.
    ///
    /// # Errors
    /// Nobody shows an id.
    pub fn end(&mut self, config: &LdapConfig) -> Result<(), SourceError> {
        if self.taken == 0
            && let Some(first) = &self.first_without_id
        {
            let who = config.who();
            let (kind, n, ids) = (self.kind, self.without_id, self.flavor.id_attributes().join(", "));
            return Err(SourceError::Malformed {
                source_name: self.source.to_owned(),
                message: format!(
                    "none of the {n} {kind}s shows a stable id ({ids}; the first is {first}): give {who} the right to read \
                     it, or set flavor"
                ),
            });
        }
        for (n, what) in [
            (self.without_id, "show no stable id"),
            (self.odd_names, "have a name that is not UTF-8, or no DN"),
            (self.not_whole, "left as they were, because not all of them can be read"),
        ] {
            if n > NAMED {
                self.warnings.push(format!("{n} {}s in all {what}", self.kind));
            }
        }
        Ok(())
    }
}

/// Everything that was read of an entry but its name.
fn all_but_names(entry: Entry) -> EntryChange {
    EntryChange {
        attrs: entry.attrs.iter().map(|(name, values)| (name.to_owned(), values.to_vec())).collect(),
        whole: true,
        disabled: Some((entry.disabled, entry.due)),
        members: Some(entry.members),
        ..EntryChange::of(entry.kind, entry.key)
    }
}
