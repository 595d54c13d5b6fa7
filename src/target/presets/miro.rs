//! Miro. developers.miro.com, rate limits: in 30 s 200 reads or creates, 100 changes, 20 deletions of users, 5 of groups;
//! at most 8,000 members or 800 kB in a request, else 413.

use super::{Limits, Preset};
use crate::target::Dialect;

pub(super) fn preset() -> Preset {
    Preset {
        dialect: Dialect { rate: Some(3.0), members_per_patch: 1000, ..Dialect::default() },
        limits: Limits { members: Some(8000), ..Limits::default() },
        ..Preset::base("miro", "Miro", "developers.miro.com: SCIM rate limits", "2026-11-21")
    }
}
