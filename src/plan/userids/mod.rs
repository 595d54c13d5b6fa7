//! Whose an account is that bears a name from before (`jdoe`, `CORP\\jdoe`, `jdoe@corp.local`), and what is to become of
//! it. Pure.
//!
//! [`names`] takes such names apart, [`people`] knows everybody by every name, [`domains`] which domain is whose, [`proof`]
//! looks for a second fact, [`classify`] puts each account in its class, [`rivals`] sees to it that no user ID is given
//! twice, [`sought`] says who has anything to do with a few accounts. `--migrate-userids` reports and renames by these classes; where a preset asks for it, a first cycle waits for them.

mod classify;
mod domains;
mod names;
mod people;
mod proof;
mod rivals;
mod sought;

pub use classify::{Account, Class, IMMUTABLE, Row, Rules, classify};
pub(crate) use names::fold;
pub use people::{ATTRIBUTES, How, People, Person, Place, Standing, united};
pub use sought::Sought;
