//! `--migrate-userids`: the accounts that an application already has get the names that people go by from now on.
//!
//! Analyse, report, pilot, apply, verify. Whose each account is, and what is to become of it, [`crate::plan::userids`] decides;
//! [`analysis`] reads both sides for it. [`report`] is what people and programs look at, and what they give back. [`selection`]
//! says what of it is done now, [`order`] in which order names change hands, [`run`] does it ([`fresh`]: not to what changed since;
//! [`aside`]: nobody keeps a temporary name): plan and apply are those of a
//! cycle, a migration is a cycle in the store, and a killed one goes on where it was ([`resume`]).

mod adopt;
mod analysis;
mod aside;
mod change;
mod fresh;
mod only;
mod order;
mod report;
mod resume;
mod run;
mod selection;
mod turn;
mod verify;

pub use analysis::{Analysis, Syncs};
pub use fresh::FRESH;
pub use report::{Accepted, Line, Listing, Outcome, ReportError, write_csv, write_document};
pub use run::{Confirmed, confirmed, looked_at, unknown};
pub use selection::{Options, Pilot};
pub use turn::HOLD;

#[cfg(test)]
mod tests;
