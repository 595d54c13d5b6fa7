//! Source identity: entries and their keys belong to one directory. What another one lacks does not say that anybody left.

use super::Cycle;
use crate::config::SourceConfig;
use crate::plan::held;
use crate::source::dn::dn_name;
use crate::state::syncs::SyncRow;
use crate::state::{StateError, Store};
use url::Url;

/// Type, addresses (in whatever order they fail over) and base or path. No credentials, and no filters: those say who of the
/// directory is read, and not which directory.
pub(super) fn of(config: &SourceConfig) -> String {
    match config {
        SourceConfig::Ldap(c) => {
            let further = c.domains.iter().map(|d| domain(&d.urls, &d.base));
            let mut all: Vec<String> = std::iter::once(domain(&c.urls, &c.base)).chain(further).collect();
            all.sort();
            format!("ldap {}", all.join("; "))
        }
        // The same file, from wherever the program is started.
        SourceConfig::File(c) => format!("file {}", std::path::absolute(&c.path).unwrap_or_else(|_| c.path.clone()).display()),
        SourceConfig::Graph(c) => format!("graph {} tenant {}", super::identity::address(&c.graph_url), c.tenant.to_lowercase()),
        SourceConfig::Okta(c) => format!("okta {}", super::identity::address(&c.url)),
    }
}

fn domain(urls: &[Url], base: &str) -> String {
    let mut urls: Vec<String> = urls.iter().map(|u| super::identity::address(u).to_lowercase()).collect();
    urls.sort();
    urls.dedup();
    format!("{} {}", urls.join(" "), dn_name(base))
}

impl Cycle {
    pub(super) fn is_same_source(&self, row: &SyncRow) -> bool {
        row.source_identity.as_ref().is_none_or(|i| *i == self.source_identity)
    }

    /// Why this is not the directory that the entries came from, and what to do; `None` where it is.
    pub(super) fn another_source(&self, row: &SyncRow) -> Option<String> {
        let before = row.source_identity.as_ref().filter(|_| !self.is_same_source(row))?;
        let (name, now) = (&self.sync.name, &self.source_identity);
        // What the new entries say of the old ones: Entra keeps the objectGUID, others at least the number of the person.
        let by = if now.starts_with("graph ") { "[onPremisesImmutableId]" } else { "[employeeNumber]" };
        Some(held::another_source(
            now,
            &format!(
                "and the entries came from {before}: if this is another directory, move the links with \
             `scim-sync relink {name} --by '{by}'` (an expression over the new entries that gives the old key, or what both \
             have); if merely its address changed, release what is right with `scim-sync approve {name}`"
            ),
        ))
    }

    /// A complete read showed most of the people, or its plan kept nothing back: the source is the one from now on. Not while
    /// somebody whom another directory lacks still has grace, as what would be held is not planned yet.
    pub(super) fn accept_source(&self, store: &Store, row: &SyncRow, now: i64) -> Result<(), StateError> {
        let grace = i64::try_from(self.sync.actions.deactivate_after.as_secs()).unwrap_or(i64::MAX);
        if self.is_same_source(row)
            || (!store.has_most_people(row.id)? && store.has_gone_in_grace(row.id, now.saturating_sub(grace))?)
        {
            return Ok(());
        }
        tracing::info!(sync = self.sync.name, "the source is {} from now on", self.source_identity);
        store.set_source_identity(row.id, &self.source_identity)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::domain;
    use url::Url;

    fn urls(texts: &[&str]) -> Vec<Url> {
        texts.iter().map(|t| Url::parse(t).unwrap()).collect()
    }

    #[test]
    fn order_of_addresses_and_writing_of_the_base_do_not_matter_and_servers_and_bases_do() {
        let one = domain(&urls(&["ldaps://a.example", "ldaps://b.example"]), "dc=corp,dc=example");
        assert_eq!(one, domain(&urls(&["ldaps://b.example", "ldaps://A.example"]), "DC=Corp, DC=Example"));
        assert_ne!(one, domain(&urls(&["ldaps://a.example", "ldaps://b.example"]), "ou=x,dc=corp,dc=example"));
        assert_ne!(one, domain(&urls(&["ldaps://c.example"]), "dc=corp,dc=example"));
    }

    #[test]
    fn a_password_in_an_address_is_not_kept() {
        assert!(!domain(&urls(&["ldaps://me:hush@a.example"]), "dc=x").contains("hush"));
    }
}
