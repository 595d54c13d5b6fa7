//! Plain values every other module speaks in: ids, entries, flat resources, kinds of fault. Pure: no I/O, no clock.

mod entry;
mod fault;
mod ids;
mod kept;
mod resource;
mod seal;
mod secret;

pub use entry::{Attrs, Entry, EntryChange, MemberRef, Value};
pub use fault::Fault;
pub use ids::{ObjectKind, SourceKey, TargetId};
pub use resource::{Flat, texts};
pub use seal::{Seal, Seals};
pub use secret::is_secret;
