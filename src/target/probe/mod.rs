//! Learns how a target really speaks by doing: makes a throwaway user, a second one and a group, tries every form that
//! servers differ in, judges each by reading back, and removes what it made, whatever happens.
//!
//! Names say what they are ([`PREFIX`]), so that the next probe finds and removes what a killed one left.

mod clean;
mod forms;
mod found;
mod groups;
mod lists;
mod people;
mod rename;
mod tries;

pub use found::{Fact, Left, Probed};

use super::client::Core;
use super::discovery;
use super::error::TargetError;
use super::read::TargetReader;
use super::required::required;
use super::write::TargetWriter;
use super::{Dialect, Target, dialect};
use crate::model::{Fault, ObjectKind, TargetId};
use found::Found;
use std::collections::BTreeSet;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Every name that a probe makes begins so.
pub const PREFIX: &str = "scim-sync-probe-";

/// Domain of the throwaway users' addresses: nothing is ever delivered there (RFC 2606 section 2).
pub const DOMAIN: &str = "example.invalid";

/// How long one step may take; it counts as not known then, and the next begins.
const STEP: Duration = Duration::from_secs(90);

/// One probe of one target.
struct Prober<'a> {
    core: &'a Core,
    reader: TargetReader,
    writer: TargetWriter,
    /// How the target speaks as far as is known beforehand, the configuration's say included.
    dialect: Dialect,
    found: Found,
    /// The prefix with what is random: names of this probe.
    tag: String,
    domains: Vec<String>,
    /// The domain was named: the target takes addresses in it.
    domain_given: bool,
    /// Paths without which a user is refused.
    required: Vec<String>,
    /// Paths that the sync writes; `None`: whatever the target takes.
    mapped: Option<&'a BTreeSet<String>>,
    made: Vec<Made>,
    /// A create may have been carried out that was not answered.
    doubt: bool,
    /// How long after a write a read shows it, where that was seen not to be at once.
    lag: Option<Duration>,
}

/// Something that the probe made and has to remove.
#[derive(Debug, Clone)]
struct Made {
    kind: ObjectKind,
    id: TargetId,
    name: String,
}

/// Runs a step within its time; `None`: it took too long.
macro_rules! step {
    ($prober:ident, $name:literal, $call:expr) => {
        match tokio::time::timeout(STEP, $call).await {
            Ok(done) => Some(done?),
            Err(_) => {
                $prober.found.note($name, format!("not known: no end within {} s", STEP.as_secs()));
                None
            }
        }
    };
}

impl Target {
    /// Learns how the target speaks with throwaway resources. `domain`: of their addresses, where [`DOMAIN`] will not do.
    /// `mapped`: the paths that a sync writes; no other is tried, but for those that the target demands.
    /// When `stop` is cancelled it stops learning and removes what it made. Failures are in the result, because what was found and left behind
    /// until then counts all the same.
    pub async fn probe(&self, domain: Option<&str>, mapped: Option<&BTreeSet<String>>, stop: &CancellationToken) -> Probed {
        let (layers, demanded) = match discovery::layers(&self.core, &self.config).await {
            Ok(found) => (found.said, required(found.types.as_ref(), found.schemas.as_ref())),
            Err(e) => return Probed { error: Some(e), ..Probed::default() },
        };
        let dialect = dialect::configured(layers.dialect.clone(), &self.config);
        let random = uuid::Uuid::new_v4().simple().to_string();
        let mut prober = Prober {
            core: &self.core,
            reader: self.reader(&dialect),
            writer: self.writer(&dialect),
            required: [dialect.required.as_slice(), &demanded].concat(),
            dialect,
            found: Found::new(layers),
            tag: format!("{PREFIX}{}", random.get(..12).unwrap_or(&random)),
            domains: domain.map_or_else(|| vec![DOMAIN.to_owned(), "example.com".to_owned()], |d| vec![d.to_owned()]),
            domain_given: domain.is_some(),
            mapped,
            made: Vec::new(),
            doubt: false,
            lag: None,
        };
        let learnt = tokio::select! {
            learnt = prober.learn() => learnt,
            () = stop.cancelled() => Err(self.core.error(Fault::Transient, "the probe was stopped before it was done")),
        };
        prober.clean().await;
        if self.core.speaks_plain_json() != prober.dialect.plain_json {
            prober.found.learnt("plain_json", |d| d.plain_json = true);
        }
        if self.core.learned.wants_versions() {
            prober.found.note("if_match", "wanted: changes without a version are refused, and get it by themselves");
        }
        prober.found.finish(&self.config, learnt.err())
    }
}

impl Prober<'_> {
    /// Every step, in an order in which each finds what it needs.
    async fn learn(&mut self) -> Result<(), TargetError> {
        let Some((mut one, two)) = step!(self, "users", self.people()) else {
            return Err(self.core.error(Fault::Transient, "the throwaway users were not made in time"));
        };
        step!(self, "leftovers", self.leftovers(ObjectKind::User, Some(&one.id)));
        step!(self, "duplicate", self.duplicates());
        step!(self, "filter", self.filters(ObjectKind::User, &one));
        step!(self, "paging", self.paging(&two));
        step!(self, "patch", self.forms(&one));
        step!(self, "rename", self.rename(&mut one));
        let group = if self.dialect.groups { step!(self, "group", self.groups(&one.id, &two.id)).flatten() } else { None };
        step!(self, "delete", self.deletion(&two, group.as_ref()));
        self.found.conclude_filters();
        Ok(())
    }
}
