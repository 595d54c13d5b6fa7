//! What became of a change.

use crate::model::{Fault, Flat, TargetId};
use crate::state::links::Origin;
use crate::target::TargetError;

/// What became of a change.
#[derive(Debug)]
pub(super) enum Outcome {
    /// Carried out. `link` is the account that was made or taken over, and then `written` is the whole resource as known;
    /// else `written` is what is there now of the change. `None`: all that was planned. What `refused` names is not in it.
    /// `instead`: what was there and what was sent, where it was not what the plan says (a create that met an account).
    Done { link: Option<(TargetId, Origin)>, written: Option<Flat>, refused: Option<Refused>, instead: Option<Box<(Flat, Flat)>> },
    /// Members that went through, and why the rest did not.
    Members { done: Vec<i64>, refused: Option<Refused> },
    /// The account is confirmed missing at the target.
    Gone,
    /// Carried out; the account is inactive, and is not shown any more.
    Hidden,
    /// A group that was to be made is there, and what is there is left alone.
    LeftAlone(TargetId),
    /// This record cannot be written now.
    Refused(Refused),
    /// The target as a whole failed: stop, and hold it against nobody.
    Fatal(TargetError),
    /// Not sent: somebody else's account was refused so, because no seat is left.
    Full(Refused),
    /// Not sent: we were asked to stop.
    NotSent,
    /// Sent, and given up while we were asked to stop: whether it arrived is looked up in the next cycle.
    Abandoned,
}

/// Why a record was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refused {
    pub fault: Fault,
    pub status: Option<u16>,
    pub reason: String,
    pub advice: String,
    /// Whether it was carried out is not known.
    pub ambiguous: bool,
    /// What it means where everybody is refused so.
    pub everyone: Option<&'static str>,
}

impl Refused {
    /// Many of these in a row are the whole target's fault.
    pub fn is_stormy(&self) -> bool {
        self.fault.is_retryable() && self.status.is_none_or(|s| s >= 500 || s == 429)
    }

    /// Whether it is about externalId, or the target took a value and did not keep it: it keeps none, or never another one.
    pub fn is_about_external_id(&self) -> bool {
        let reason = self.reason.to_lowercase();
        let words = ["externalid", "(mutability)", "(invalidpath)", "(notarget)", "(invalidvalue)"];
        self.status.is_none() || words.iter().any(|word| reason.contains(word))
    }
}

impl From<TargetError> for Refused {
    fn from(e: TargetError) -> Self {
        let advice = match e.fault {
            Fault::Transient | Fault::Throttled => "nothing to do: it is tried again in the next cycle",
            Fault::Auth => "check the credential and what it may do",
            Fault::Conflict => "find out who has this value at the target, and rename or remove the other one",
            Fault::Gone => "nothing to do: the next cycle proposes what is to be done",
            Fault::Invalid if e.status.is_none() => {
                "see what it says; it is tried again now and then, and at once when entry or configuration changed"
            }
            Fault::Invalid => {
                "correct the value at the source, or the mapping of the attribute; it is tried again at once when it changed"
            }
            Fault::Full => "buy seats there, or free some: nothing else is to be done, the next cycle tries again",
            Fault::Permanent => "the application does not offer this: take the action or the attribute out of the configuration",
        };
        let (reason, advice, everyone) = match e.known {
            Some(known) => (format!("{}: {}", known.reason, e.message), known.advice, known.everyone),
            None if e.fault == Fault::Full => (format!("the application has no seat left: {}", e.message), advice, None),
            None => (e.message, advice, None),
        };
        Self { fault: e.fault, status: e.status, reason, advice: advice.to_owned(), ambiguous: e.ambiguous, everyone }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_take_over_that_is_refused_is_told_from_an_external_id_that_is_not_kept() {
        let refused = |status, reason: &str| Refused {
            fault: Fault::Invalid,
            status,
            reason: reason.to_owned(),
            advice: String::new(),
            ambiguous: false,
            everyone: None,
        };
        assert!(refused(Some(400), "400: unknown attribute externalId").is_about_external_id());
        assert!(refused(None, "accepted and not applied").is_about_external_id());
        assert!(refused(Some(400), "PATCH /Users/1: 400 Bad Request (mutability): read-only").is_about_external_id());
        assert!(!refused(Some(400), "400: The user belongs to another subscription").is_about_external_id());
    }
}
