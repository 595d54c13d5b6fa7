//! 1Password. support.1password.com, provisioning: groups that may recover accounts or manage all groups are not managed;
//! suspended accounts are not deleted.

use super::Preset;
use crate::target::Dialect;

pub(super) fn preset() -> Preset {
    Preset {
        dialect: Dialect { delete_removes: false, ..Dialect::default() },
        ..Preset::base("1password", "1Password", "support.1password.com: provisioning", "2026-11-21")
    }
}
