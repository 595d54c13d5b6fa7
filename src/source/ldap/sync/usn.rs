//! uSNChanged (Microsoft, "Polling for changes using USNChanged"): update numbers of one domain controller.

use super::changes::{Changes, MOST_CHANGES};
use crate::source::SourceError;
use crate::source::ldap::rootdse::RootDse;
use crate::source::ldap::search::{Failed, Progress, Search, Session};
use crate::source::ldap::sent::SentEntry;
use ldap3::Scope;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// How far one domain controller is. Its numbers mean nothing to another one, nor after it was put back from a backup: then it
/// has another invocation id (MS-ADTS section 3.1.1.1.9).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The controller's database.
    pub invocation: String,
    /// The highest update number at that time.
    pub usn: u64,
}

/// The server in use, by the name of its entry in the configuration, which it keeps where it is restored.
#[must_use]
pub fn controller(session: &Session<'_>) -> Option<String> {
    session.root.first("dsServiceName")
}

impl Position {
    /// Where the controller is now, as its rootDSE said when the connection was made; `None` where it does not show it.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn now(session: &mut Session<'_>) -> Result<Option<Self>, SourceError> {
        let (Some(service), Some(usn)) = (controller(session), highest(&session.root)) else { return Ok(None) };
        let search = Search::base(&service, vec!["invocationId".to_owned()]);
        let entry = match session.base(&search).await {
            Ok(entry) => entry,
            Err(Failed::Refused(..)) => None,
            Err(Failed::Broken(e)) => return Err(e),
        };
        let invocation = entry.as_ref().and_then(|e| Some(Uuid::from_slice_le(e.first("invocationId")?).ok()?.to_string()));
        Ok(invocation.map(|invocation| Self { invocation, usn }))
    }

    /// Why the numbers of `self` cannot be gone on from where the controller is at `now`.
    #[must_use]
    pub fn misfit(&self, now: &Self) -> Option<&'static str> {
        if self.invocation != now.invocation {
            Some("it is of another domain controller, or this one was put back from a backup")
        } else if now.usn < self.usn {
            Some("the domain controller's update numbers went back")
        } else {
            None
        }
    }
}

fn highest(root: &RootDse) -> Option<u64> {
    root.first("highestCommittedUSN")?.trim().parse().ok()
}

/// Gathers what changed after `usn`: which objects, not what of them. `false`: too much.
///
/// # Errors
/// Whatever keeps the search from being complete.
pub async fn changes(session: &mut Session<'_>, context: &str, usn: u64, into: &mut Changes) -> Result<bool, SourceError> {
    let filter = format!("(uSNChanged>={})", usn.saturating_add(1));
    let search = Search {
        what: "what changed (uSNChanged)",
        base: context,
        scope: Scope::Subtree,
        filter: &filter,
        attributes: vec!["objectGUID".to_owned()],
        controls: Vec::new(),
    };
    let source = session.source;
    let mut progress = Progress::default();
    loop {
        let mut each = async |sent: SentEntry| {
            let entry = sent.decode(source)?;
            into.note_whole(&entry);
            Ok(())
        };
        let more = session.page(&search, &mut progress, &mut each).await?;
        if into.len() > MOST_CHANGES {
            return Ok(false);
        }
        if !more {
            return Ok(true);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_of_one_controller_and_go_up() {
        let at = |id: u128, usn| Position { invocation: Uuid::from_u128(id).to_string(), usn };
        assert_eq!(at(1, 5).misfit(&at(1, 5)), None);
        assert_eq!(at(1, 5).misfit(&at(1, 6)), None);
        assert!(at(1, 5).misfit(&at(1, 4)).unwrap().contains("went back"));
        assert!(at(1, 5).misfit(&at(2, 9)).unwrap().contains("another domain controller"));
    }
}
