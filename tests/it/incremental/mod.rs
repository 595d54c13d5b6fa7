//! Incremental reads of a real directory: the end state is that of a full read, whatever happened in between, and nobody is
//! taken away who is there.

mod cycles;
mod property;

use crate::support::directory::BASE;
use crate::support::slapd::Slapd;
use scim_sync::config::{Incremental, LdapBind, LdapConfig, LdapFlavor, NestedGroups, NetConfig, Secret};
use scim_sync::model::{Entry, ObjectKind, SourceKey};
use scim_sync::source::ldap::LdapSource;
use scim_sync::source::{Completeness, Cursor, Item, ReadDone, ReadRequest, Source, SourceError};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::sync::mpsc;

/// People whose employeeType is `hidden` take no part; those with `team` count as groups.
pub fn config(url: &str, bind_dn: &str, password: &str) -> LdapConfig {
    LdapConfig {
        urls: vec![url.parse().unwrap()],
        starttls: false,
        flavor: LdapFlavor::Auto,
        bind: LdapBind::Auto,
        bind_dn: Some(bind_dn.to_owned()),
        password: Some(Secret::Plain(password.to_owned().into())),
        base: BASE.to_owned(),
        user_filter: Some("(&(objectClass=inetOrgPerson)(!(employeeType=hidden))(!(employeeType=team)))".to_owned()),
        group_filter: Some("(|(objectClass=groupOfNames)(objectClass=groupOfUniqueNames)(employeeType=team))".to_owned()),
        nested_groups: NestedGroups::Flatten,
        also_inactive: Vec::new(),
        incremental: Incremental::Auto,
        page_size: 100,
        read_deadline: Duration::from_secs(60),
        max_message: 64 << 20,
        domains: Vec::new(),
        net: NetConfig { ca_file: None, proxy: None, timeout: Duration::from_secs(20), allow_plaintext: true },
    }
}

pub fn of(slapd: &Slapd) -> LdapConfig {
    config(&slapd.ldap_url, &slapd.bind_dn, &slapd.password)
}

/// What is known of a directory, by the rules of [`Item`].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Mirror {
    pub entries: BTreeMap<(ObjectKind, SourceKey), String>,
}

/// An entry in one spelling: the order of values and members means nothing.
fn canonical(entry: &Entry) -> String {
    let attrs: BTreeMap<String, BTreeSet<String>> = entry
        .attrs
        .iter()
        .map(|(name, values)| (name.to_lowercase(), values.iter().map(|v| format!("{v:?}")).collect()))
        .collect();
    let members: BTreeSet<String> = entry.members.iter().map(|m| format!("{m:?}")).collect();
    format!("{:?} {:?} {attrs:?} {members:?} {}", entry.dn, entry.names, entry.disabled)
}

impl Mirror {
    /// What a complete read says. `Err`: it speaks of somebody who is not known.
    fn take(&mut self, items: Vec<Item>, done: &ReadDone) -> Result<(), SourceKey> {
        let mut named = BTreeSet::new();
        let mut owed = BTreeSet::new();
        for item in items {
            match item {
                Item::Present(e) => {
                    named.insert((e.kind, e.key.clone()));
                    owed.remove(&(e.kind, e.key.clone()));
                    self.entries.insert((e.kind, e.key.clone()), canonical(&e));
                }
                Item::Kept(kind, key) => {
                    if !self.entries.contains_key(&(kind, key.clone())) {
                        owed.insert((kind, key.clone()));
                    }
                    named.insert((kind, key));
                }
                Item::Left(kind, key) => {
                    named.remove(&(kind, key.clone()));
                    self.entries.remove(&(kind, key));
                }
                other => panic!("{other:?}"),
            }
        }
        if let Some((_, key)) = owed.pop_first() {
            return Err(key);
        }
        if done.completeness != Completeness::Incremental {
            self.entries.retain(|key, _| named.contains(key));
        }
        Ok(())
    }
}

/// How a read came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// By changes alone.
    Changes,
    /// By changes, and by naming everybody who is still there.
    Names,
    /// Everything was read.
    Full,
}

/// A reader that goes on from its cursor.
pub struct Reader {
    source: LdapSource,
    pub mirror: Mirror,
    pub cursor: Option<Cursor>,
}

impl Reader {
    pub fn new(config: &LdapConfig) -> Self {
        Self { source: LdapSource::new("corp", config).unwrap(), mirror: Mirror::default(), cursor: None }
    }

    async fn once(&self, since: Option<Cursor>) -> Result<(Vec<Item>, ReadDone), SourceError> {
        let (sink, mut items) = mpsc::channel::<Vec<Item>>(2);
        let collect = tokio::spawn(async move {
            let mut all = Vec::new();
            while let Some(batch) = items.recv().await {
                all.extend(batch);
            }
            all
        });
        let attributes = ["title", "employeeType"].map(str::to_owned).into();
        let done = self.source.read(&ReadRequest { since, attributes, groups: true, seals: None }, &sink).await;
        drop(sink);
        let items = collect.await.unwrap();
        done.map(|done| (items, done))
    }

    /// Reads as a cycle does: from the cursor, and everything where that cannot be used. Returns how, and how many items came.
    pub async fn read(&mut self) -> (How, usize) {
        let mut why = String::new();
        if let Some(since) = self.cursor.clone() {
            match self.once(Some(since)).await {
                Ok((items, done)) => {
                    let (n, full) = (items.len(), done.completeness != Completeness::Incremental);
                    match self.mirror.take(items, &done) {
                        Ok(()) => {
                            self.cursor = done.cursor;
                            return (if full { How::Names } else { How::Changes }, n);
                        }
                        Err(key) => why = format!("{key} is not known"),
                    }
                }
                Err(SourceError::CursorExpired { message, .. }) => why = message,
                Err(e) => panic!("{e}"),
            }
        }
        let (items, done) = self.once(None).await.unwrap();
        let n = items.len();
        self.mirror = Mirror::default();
        self.mirror.take(items, &done).unwrap();
        self.cursor = done.cursor;
        println!("read in full: {why}");
        (How::Full, n)
    }

    /// What a full read says now.
    pub async fn truth(&self) -> Mirror {
        let (items, done) = self.once(None).await.unwrap();
        let mut mirror = Mirror::default();
        mirror.take(items, &done).unwrap();
        mirror
    }

    /// Panics where what was read bit by bit is not what is there.
    #[track_caller]
    pub fn expect(&self, truth: &Mirror, when: &str) {
        for (key, entry) in &truth.entries {
            assert_eq!(self.mirror.entries.get(key), Some(entry), "{when}: {key:?}");
        }
        let more: Vec<_> = self.mirror.entries.iter().filter(|(k, _)| !truth.entries.contains_key(*k)).collect();
        assert!(more.is_empty(), "{when}: not there any more: {more:?}");
    }
}
