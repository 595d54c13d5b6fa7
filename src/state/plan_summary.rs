//! What a plan amounts to, by mapping.

use super::{StateError, Store};
use crate::model::ObjectKind;

/// How many changes of known accounts or groups one path of the mapping is part of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ByPath {
    /// People or groups.
    pub object: ObjectKind,
    /// SCIM path.
    pub path: String,
    /// Changes.
    pub changes: u64,
}

impl Store {
    /// For every path, in how many updates, renames, reactivations and adoptions of the plan its value changes; the most
    /// frequent first.
    ///
    /// # Errors
    /// The temporary database cannot be read.
    pub fn plan_by_path(&self) -> Result<Vec<ByPath>, StateError> {
        self.run(|c| {
            let mut st = c.prepare(
                "SELECT p.object, t.key, count(*) AS n FROM temp.plan_change p CROSS JOIN temp.plan_body b USING (seq), json_each(b.body, '$.to') t
                 WHERE p.kind IN ('update', 'rename', 'reactivate', 'adopt', 'group_update', 'group_adopt')
                 GROUP BY p.object, t.key ORDER BY n DESC, p.object DESC, t.key",
            )?;
            let rows = st.query_map([], |r| {
                let object =
                    if r.get_ref(0)?.as_str()? == ObjectKind::Group.as_str() { ObjectKind::Group } else { ObjectKind::User };
                Ok(ByPath { object, path: r.get(1)?, changes: r.get(2)? })
            })?;
            rows.collect()
        })
    }
}
