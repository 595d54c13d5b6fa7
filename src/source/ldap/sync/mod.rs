//! Ways to read only what changed, one file each. `control` and `exchange` are content synchronisation (RFC 4533) itself,
//! which two of them use; `follow` reads entries that are known to have changed. Active Directory's ways are `dirsync` and
//! `usn`, which gather `changes` that are read `again`.

pub(super) mod active_directory;
mod again;
pub(super) mod changelog;
mod changes;
pub mod control;
mod dirsync;
pub(super) mod ds389;
mod exchange;
mod follow;
pub(super) mod modify_timestamp;
pub(super) mod syncrepl;
mod usn;

use super::collect::Collector;
use super::flavor::Flavor;
use super::read;
use super::search::{Failed, Progress, Search, Session};
use super::sent::SentEntry;
use crate::config::LdapConfig;
use crate::model::{ObjectKind, SourceKey};
use crate::source::{ReadRequest, SourceError};
use std::collections::HashSet;

/// Most entries that are looked at one by one; where more changed, a full read costs less.
const MOST: usize = 10_000;

/// What is read, the same in full and incremental reads.
pub(super) struct Job<'a> {
    /// Settings of the source.
    pub config: &'a LdapConfig,
    /// Kind of server.
    pub flavor: Flavor,
    /// What the read is asked for.
    pub request: &'a ReadRequest,
}

impl<'a> Job<'a> {
    /// People, and groups where they are wanted.
    pub fn kinds(&self) -> &'static [ObjectKind] {
        if self.request.groups { &[ObjectKind::User, ObjectKind::Group] } else { &[ObjectKind::User] }
    }

    /// The search of a full read.
    pub fn search(&self, kind: ObjectKind) -> Search<'a> {
        read::search(self.config, self.flavor, kind, self.flavor.attributes(kind, &self.request.attributes))
    }

    /// The search for ids only.
    pub fn ids(&self, kind: ObjectKind) -> Search<'a> {
        let attributes = self.flavor.id_attributes().iter().map(|a| (*a).to_owned()).collect();
        read::search(self.config, self.flavor, kind, attributes)
    }
}

/// A filter that can be part of another: servers take `uid=x` alone, but not in a list.
fn bracketed(filter: &str) -> String {
    if filter.starts_with('(') { filter.to_owned() } else { format!("({filter})") }
}

/// A read that goes on from a cursor.
pub(super) struct Delta<'a, 'b> {
    /// The connection.
    pub session: &'a mut Session<'b>,
    /// What is read.
    pub job: Job<'a>,
    /// Where it goes.
    pub out: Collector<'a>,
}

impl Delta<'_, '_> {
    /// The cursor is of no use: everything is read in full.
    fn expired(&self, why: impl Into<String>) -> SourceError {
        expired(self.session.source, why)
    }

    /// Names everybody of this kind who was not read whole: whoever is not there is gone.
    async fn enumerate(&mut self, kind: ObjectKind, taken: &Taken) -> Result<(), SourceError> {
        let Self { session, job, out } = self;
        let (source, flavor, search) = (session.source, job.flavor, job.ids(kind));
        let mut each = async |sent: SentEntry| {
            let entry = sent.decode(source)?;
            if entry.key(flavor).is_some_and(|key| taken.contains(&(kind, key))) { Ok(()) } else { out.keep(kind, &entry).await }
        };
        let mut progress = Progress::default();
        while session.page(&search, &mut progress, &mut each).await? {}
        Ok(())
    }
}

/// Entries that were read whole.
type Taken = HashSet<(ObjectKind, SourceKey)>;

/// The cursor is of no use: everything is read in full.
pub(super) fn expired(source: &str, why: impl Into<String>) -> SourceError {
    SourceError::CursorExpired { source_name: source.to_owned(), message: why.into() }
}

/// Some attributes of one entry; `None` where it is not there or not to be seen.
///
/// # Errors
/// The connection broke.
async fn look(session: &mut Session<'_>, base: &str, names: &[&str]) -> Result<Option<super::entry::RawEntry>, SourceError> {
    let attributes = names.iter().map(|n| (*n).to_owned()).collect();
    let search = Search { what: "where changes are known", ..Search::base(base, attributes) };
    match session.base(&search).await {
        Ok(found) => Ok(found),
        Err(Failed::Refused(..)) => Ok(None),
        Err(Failed::Broken(e)) => Err(e),
    }
}

/// The naming context that the base is in: the longest that it ends with.
fn suffix_of(session: &Session<'_>, base: &str) -> Option<String> {
    let base = crate::source::dn::normal_form(base);
    let holds = |context: &String| {
        let context = crate::source::dn::normal_form(context);
        base == context || base.strip_suffix(context.as_str()).is_some_and(|rest| context.is_empty() || rest.ends_with(','))
    };
    session.root.naming_contexts().into_iter().filter(holds).max_by_key(String::len)
}
