//! Reading the target: whole collections, one record, and [look-ups](super::find).

use super::client::{Call, Core};
use super::error::{About, TargetError, advice};
use super::pages::Pages;
use super::{Dialect, Remote};
use crate::model::{Fault, ObjectKind, TargetId};
use std::sync::Arc;
use tokio::sync::mpsc;

/// Reads from a target; cannot write. Cheap to clone.
#[derive(Clone)]
pub struct TargetReader {
    pub(super) core: Arc<Core>,
    pub(super) dialect: Arc<Dialect>,
}

impl TargetReader {
    /// Reads a whole collection into `sink`, page by page, and returns the number of resources. Groups come with their
    /// members where the target returns them ([`Remote::has_members`]). Each resource comes once.
    ///
    /// # Errors
    /// Any fault that keeps the list from being complete, the server's own count included (transient, "incomplete");
    /// what came before the error must not be used as the whole.
    pub async fn list(&self, kind: ObjectKind, sink: &mpsc::Sender<Vec<Remote>>) -> Result<u64, TargetError> {
        let mut pages = Pages::all(&self.core, &self.dialect, kind);
        let mut sent = 0;
        while let Some(rows) = pages.next().await.map_err(|e| without_groups(kind, e))? {
            if rows.is_empty() {
                continue;
            }
            if kind == ObjectKind::Group && rows.iter().any(Remote::shows_members) {
                self.core.learned.note_members_shown();
            }
            sent += rows.len() as u64;
            if sink.send(rows).await.is_err() {
                return Err(self
                    .core
                    .error(Fault::Transient, format!("GET {}: the read was stopped", self.dialect.endpoint(kind))));
            }
        }
        if pages.received() > sent {
            tracing::warn!(target_name = %self.core.name, rows = pages.received() - sent, "the target lists resources without an id; they are left alone");
        }
        Ok(sent)
    }

    /// Whether it can be told from this group who is in it: where not, nobody is not to be read out of it.
    #[must_use]
    pub fn tells_members(&self, group: &Remote) -> bool {
        self.dialect.tells_members(group, self.core.learned.shows_members())
    }

    /// Whether the target serves this collection at all. Asked when one record's answer (`doubt`) may be everybody's: SCIM
    /// switched off, a tenant gone, a page to sign in.
    ///
    /// # Errors
    /// What is wrong with the target as a whole.
    pub async fn serves(&self, kind: ObjectKind, doubt: &TargetError) -> Result<(), TargetError> {
        match Pages::sample(&self.core, &self.dialect, kind, 1).probe().await {
            // A server that lists nothing to anybody says nothing by that.
            Err(e) if matches!(e.status, Some(405 | 501)) && e.status != doubt.status => Ok(()),
            other => other,
        }
    }

    /// Asks for one account, whatever it is, so that [`Self::clock_skew_s`] has an answer to go by.
    ///
    /// # Errors
    /// The target does not answer, or refuses us.
    pub async fn ask_the_time(&self) -> Result<(), TargetError> {
        Pages::sample(&self.core, &self.dialect, ObjectKind::User, 1).probe().await
    }

    /// The target's clock minus ours, seconds, as its last answer said; `None` before the first.
    #[must_use]
    pub fn clock_skew_s(&self) -> Option<i64> {
        self.core.clock_skew_s()
    }

    /// The account behind our own credential (`/Me`, RFC 7644 section 3.11); `None` where the target does not say.
    pub async fn me(&self) -> Option<Remote> {
        let call = Call::get("/Me", About::Record);
        let reply = self.core.send(&call).await.ok()?;
        self.core.resource(&call, &reply).ok()
    }

    /// One resource; `None` where the target says that it is gone (404, 410).
    ///
    /// # Errors
    /// Anything that keeps the answer from being known.
    pub async fn get(&self, kind: ObjectKind, id: &TargetId) -> Result<Option<Remote>, TargetError> {
        let path = self.core.record_path(self.dialect.endpoint(kind), id)?;
        let call = Call::get(path, About::Record);
        match self.core.send(&call).await {
            Ok(reply) => match self.core.resource(&call, &reply) {
                Err(e) if e.fault == Fault::Gone => Ok(None),
                other => {
                    if kind == ObjectKind::Group && other.as_ref().is_ok_and(Remote::shows_members) {
                        self.core.learned.note_members_shown();
                    }
                    other.map(Some)
                }
            },
            Err(e) if e.fault == Fault::Gone => Ok(None),
            // One account that may not be read, or none.
            Err(e) if e.known.is_some_and(|known| known.everyone.is_some()) => {
                Err(self.serves(kind, &e).await.err().unwrap_or(e))
            }
            Err(e) => Err(e),
        }
    }
}

/// Where nothing answers for groups, the address is not to blame: users were asked for first.
fn without_groups(kind: ObjectKind, e: TargetError) -> TargetError {
    match (kind, e.status) {
        (ObjectKind::Group, Some(status @ (404 | 405 | 410 | 501))) => {
            let said = e.message.strip_suffix(advice(status, About::Service)).unwrap_or(&e.message);
            TargetError { message: format!("{said}; the target serves no groups: say groups = false for this target"), ..e }
        }
        _ => e,
    }
}
