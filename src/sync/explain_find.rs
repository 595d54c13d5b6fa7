//! Whom a text names: by user ID, mail, UPN, sAMAccountName (also as `NETBIOS\name`), DN, display name, source key, target id,
//! or the name at the target, in any letter case.

use super::{Cycle, CycleError};
use crate::model::{Entry, ObjectKind};
use crate::source::dn::dn_name;
use crate::state::syncs::SyncRow;
use crate::state::{StateError, Store};

/// Attributes that name somebody.
const NAMING: [&str; 16] = [
    "mail",
    "userPrincipalName",
    "sAMAccountName",
    "uid",
    "login",
    "email",
    "secondEmail",
    "displayName",
    "cn",
    "name",
    "proxyAddresses",
    "mailNickname",
    "employeeNumber",
    "employeeID",
    "krbPrincipalName",
    "msDS-PrincipalName",
];

/// Names proposed where nobody is called so.
const NEAREST: usize = 5;
/// How similar a name has to be (Jaro-Winkler; 1 is the same).
const SIMILAR: f64 = 0.82;

/// What is looked for, prepared once.
pub(super) struct Names {
    folded: String,
    /// The name behind `NETBIOS\`.
    bare: Option<String>,
    dn: Option<String>,
}

impl Names {
    fn of(who: &str) -> Self {
        let who = who.trim();
        Self {
            folded: who.to_lowercase(),
            bare: who.rsplit_once('\\').map(|(_, name)| name.to_lowercase()).filter(|n| !n.is_empty()),
            dn: who.contains('=').then(|| dn_name(who)),
        }
    }

    /// Whether the stored text can hold it at all: cheaper than taking the entry apart.
    fn may_be_in(&self, data: &[u8]) -> bool {
        let Ok(text) = std::str::from_utf8(data) else { return true };
        // A DN may be written in many ways.
        if self.dn.is_some() {
            return true;
        }
        let needle = self.bare.as_ref().unwrap_or(&self.folded);
        // JSON writes quotes and backslashes with another backslash.
        needle.contains(['"', '\\']) || text.to_lowercase().contains(needle.as_str())
    }

    fn names(&self, entry: &Entry) -> bool {
        if let (Some(dn), Some(own)) = (&self.dn, &entry.dn)
            && dn_name(own) == *dn
        {
            return true;
        }
        NAMING.iter().any(|name| {
            entry.attrs.all(name).iter().filter_map(|v| v.as_text()).any(|text| {
                let text = text.trim().to_lowercase();
                let address = text.strip_prefix("smtp:").unwrap_or(&text);
                address == self.folded || (*name == "sAMAccountName" && self.bare.as_deref() == Some(address))
            })
        })
    }

    /// Who is called similarly.
    pub(super) fn nearest(store: &Store, sync: i64, who: &str) -> Result<Vec<String>, StateError> {
        let folded = who.trim().to_lowercase();
        let mut best: Vec<(f64, String)> = Vec::new();
        store.entries_each(sync, |seen| {
            let near = strsim::jaro_winkler(&folded, &seen.label.to_lowercase());
            if near < SIMILAR || best.iter().any(|(_, label)| label == seen.label) {
                return;
            }
            best.push((near, seen.label.to_owned()));
            best.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
            best.truncate(NEAREST);
        })?;
        Ok(best.into_iter().map(|(_, label)| label).collect())
    }
}

impl Cycle {
    /// The entries that a text names. A source key names exactly one of a kind, whoever else is called like that.
    pub(super) fn find_named(&self, store: &Store, row: &SyncRow, who: &str) -> Result<Vec<i64>, CycleError> {
        let exact = store.named(row.id, who)?;
        let by_key: Vec<i64> = exact.iter().filter(|e| e.key == who.trim()).map(|e| e.id).collect();
        if !by_key.is_empty() {
            return Ok(by_key);
        }
        let mut out: Vec<i64> = exact.into_iter().map(|e| e.id).collect();
        let names = Names::of(who);
        if names.folded.is_empty() {
            return Ok(Vec::new());
        }
        store.entries_each(row.id, |seen| {
            if out.contains(&seen.id) {
                return;
            }
            if seen.key.to_lowercase() == names.folded {
                return out.push(seen.id);
            }
            if !names.may_be_in(seen.data) {
                return;
            }
            let Some(entry) = seen.entry() else { return };
            let by_user_id = seen.kind == ObjectKind::User
                && self.mapper.user(&entry, false).user_id.is_some_and(|id| id.address.to_lowercase() == names.folded);
            if names.names(&entry) || by_user_id {
                out.push(seen.id);
            }
        })?;
        Ok(out)
    }
}
