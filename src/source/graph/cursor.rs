//! Where the next incremental read starts: the delta links, whole, and what they are bound to.

use super::fault::GraphError;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Version of this text.
const VERSION: u32 = 1;

/// The cursor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GraphCursor {
    version: u32,
    /// `$select` of people: the link watches exactly these.
    pub user_select: String,
    /// `$select` of groups, where groups are read.
    pub group_select: Option<String>,
    /// Delta link of people.
    pub users: String,
    /// Delta link of groups, where they are read.
    pub groups: Option<String>,
    /// People who were in the recycle bin at the last full read: their memberships were not shown then, and nothing reports
    /// them when they come back.
    #[serde(default)]
    pub deleted: BTreeSet<String>,
}

impl GraphCursor {
    /// A new one.
    #[must_use]
    pub fn new(user_select: String, group_select: Option<String>, users: String, groups: Option<String>) -> Self {
        Self { version: VERSION, user_select, group_select, users, groups, deleted: BTreeSet::new() }
    }

    /// As text.
    #[must_use]
    pub fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads one, if it fits what is asked for now.
    ///
    /// # Errors
    /// It does not: everything has to be read.
    pub fn parse(text: &str, user_select: &str, group_select: Option<&str>) -> Result<Self, GraphError> {
        let found: Self = serde_json::from_str(text).map_err(|e| GraphError::Expired(format!("it cannot be read: {e}")))?;
        let fits = found.version == VERSION
            && found.user_select == user_select
            && found.group_select.as_deref() == group_select
            && found.groups.is_some() == group_select.is_some();
        if fits { Ok(found) } else { Err(GraphError::Expired("it was made for other attributes".to_owned())) }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_fits_what_it_was_made_for_and_nothing_else() {
        let made = GraphCursor::new(
            "id,mail".into(),
            Some("id".into()),
            "https://g.example/u".into(),
            Some("https://g.example/g".into()),
        );
        assert_eq!(GraphCursor::parse(&made.text(), "id,mail", Some("id")).unwrap(), made);
        for (text, users, groups) in [
            (made.text(), "id", Some("id")),
            (made.text(), "id,mail", None),
            (made.text(), "id,mail", Some("id,mail")),
            (made.text().replace("\"version\":1", "\"version\":2"), "id,mail", Some("id")),
            (String::new(), "id,mail", Some("id")),
            ("https://g.example".to_owned(), "id,mail", Some("id")),
        ] {
            assert!(matches!(GraphCursor::parse(&text, users, groups), Err(GraphError::Expired(_))), "{text}");
        }
    }
}
