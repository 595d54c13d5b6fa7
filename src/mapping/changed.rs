//! What a changed configuration changed in the mapping, for reasons that an administrator understands.

use super::Mapper;
use crate::model::ObjectKind;
use std::collections::BTreeSet;

/// The difference between two configurations.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changed {
    /// Paths whose row is new or another one, people.
    pub users: BTreeSet<String>,
    /// The same, groups.
    pub groups: BTreeSet<String>,
    /// The scope filter of people is another one.
    pub scope_users: bool,
    /// The same, groups.
    pub scope_groups: bool,
}

impl Changed {
    /// The rows of one kind of object.
    #[must_use]
    pub fn rows(&self, object: ObjectKind) -> &BTreeSet<String> {
        match object {
            ObjectKind::User => &self.users,
            ObjectKind::Group => &self.groups,
        }
    }
}

impl Mapper {
    /// What differs from the mapping whose [`Mapper::fingerprint`] stands at the beginning of `before`.
    #[must_use]
    pub fn changed_since(&self, before: &str) -> Changed {
        let now = self.fingerprint();
        let old: BTreeSet<&str> = before.lines().collect();
        let mut found = Changed::default();
        // A table says nothing of the rows that use it; where one changed, any of them may give another value.
        let tables = now.lines().filter(|l| l.starts_with("table ")).any(|l| !old.contains(l));
        for line in now.lines() {
            let is_new = !old.contains(line);
            if let Some((object, row)) = [(ObjectKind::User, "user "), (ObjectKind::Group, "group ")]
                .into_iter()
                .find_map(|(object, prefix)| Some((object, line.strip_prefix(prefix)?)))
                && let Some((path, expr)) = row.split_once(" = ")
                && (is_new || (tables && expr.contains("Lookup(")))
            {
                let rows = if object == ObjectKind::User { &mut found.users } else { &mut found.groups };
                rows.insert(path.to_owned());
            }
            found.scope_users |= is_new && line.starts_with("scope users");
            found.scope_groups |= is_new && line.starts_with("scope groups");
            if is_new && line.starts_with("user_id ") {
                found.users.insert("userName".to_owned());
            }
        }
        found
    }
}
