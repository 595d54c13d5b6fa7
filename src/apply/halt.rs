//! Stops what is handed out already. The ledger books results in batches; until it sees that the target as a whole is at
//! fault, many more would be sent to be refused. So whoever sends counts too.

use super::outcome::{Outcome, Refused};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// So many records refused in a row, each after its own retries, are the target's fault and not theirs.
pub(super) const STORM: usize = 8;

/// Shared by worker and ledger.
#[derive(Debug, Default)]
pub(super) struct Halt {
    stopped: AtomicBool,
    /// Records refused one after another with a fault that may be the whole target's.
    streak: AtomicUsize,
    /// Records refused in a way that may be everybody's.
    denied: AtomicUsize,
    /// Something went through.
    any_done: AtomicBool,
    /// The refusal that was one too many.
    why: OnceLock<Refused>,
}

impl Halt {
    /// Nothing more is sent.
    pub(super) fn stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// From now on nothing more is sent.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// The refusal that stopped it, where no single answer did.
    pub(super) fn why(&self) -> Option<&Refused> {
        self.why.get()
    }

    /// An answer, in the order in which they come.
    pub(super) fn note(&self, outcome: &Outcome) {
        match outcome {
            Outcome::Fatal(_) => self.stop(),
            Outcome::Refused(r) if r.is_stormy() => self.one_more(&self.streak, r),
            Outcome::NotSent | Outcome::Abandoned | Outcome::Full(_) => {}
            Outcome::Refused(r) if r.everyone.is_some() => {
                self.streak.store(0, Ordering::Relaxed);
                if !self.any_done.load(Ordering::Relaxed) {
                    self.one_more(&self.denied, r);
                }
            }
            Outcome::Refused(_) | Outcome::Gone => self.streak.store(0, Ordering::Relaxed),
            Outcome::Done { .. } => self.went_through(),
            Outcome::Members { done, .. } if !done.is_empty() => self.went_through(),
            Outcome::Members { .. } => self.streak.store(0, Ordering::Relaxed),
        }
    }

    fn went_through(&self) {
        self.streak.store(0, Ordering::Relaxed);
        self.any_done.store(true, Ordering::Relaxed);
    }

    fn one_more(&self, count: &AtomicUsize, r: &Refused) {
        if count.fetch_add(1, Ordering::Relaxed) + 1 >= STORM {
            let _ = self.why.set(r.clone());
            self.stop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Fault;

    fn refused(status: u16, fault: Fault, everyone: Option<&'static str>) -> Outcome {
        let (reason, advice) = (String::new(), String::new());
        Outcome::Refused(Refused { fault, status: Some(status), reason, advice, ambiguous: false, everyone })
    }

    #[test]
    fn eight_in_a_row_stop_it_and_one_that_goes_through_begins_anew() {
        let halt = Halt::default();
        let done = Outcome::Members { done: vec![1], refused: None };
        for _ in 0..3 {
            (0..STORM - 1).for_each(|_| halt.note(&refused(503, Fault::Transient, None)));
            halt.note(&done);
        }
        (0..100).for_each(|_| halt.note(&refused(400, Fault::Invalid, None)));
        assert!(!halt.stopped(), "bad records are no storm");
        (0..STORM).for_each(|_| halt.note(&refused(503, Fault::Transient, None)));
        assert!(halt.stopped() && halt.why().is_some());
    }

    #[test]
    fn what_may_be_everybodys_counts_while_nothing_went_through() {
        let halt = Halt::default();
        (0..STORM).for_each(|_| halt.note(&refused(403, Fault::Permanent, Some("switched off"))));
        assert!(halt.stopped());
        let halt = Halt::default();
        halt.note(&Outcome::Members { done: vec![1], refused: None });
        (0..100).for_each(|_| halt.note(&refused(403, Fault::Permanent, Some("switched off"))));
        assert!(!halt.stopped());
    }
}
