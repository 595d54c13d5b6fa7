//! What somebody changed at the target, where that is only reported (`drift = "report"`).

use super::diff::{diff, have};
use super::user::{Linked, Standing, is_identifier};
use crate::mapping::Desired;
use crate::model::Flat;
use serde_json::Value;

/// An attribute that is not as it was pushed.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// SCIM path.
    pub path: String,
    /// What is there.
    pub there: Value,
    /// What was pushed, and would be put back.
    pub pushed: Value,
}

/// What would be put back, were it not only reported. What this cycle writes for its own reasons is no drift.
#[must_use]
pub fn of(pushed: &Flat, there: &Flat, desired: &Desired, leave_out: &dyn Fn(&str) -> bool) -> Vec<Difference> {
    let (mut from, to) = diff(there, desired, false, leave_out);
    let (_, own) = diff(pushed, desired, false, leave_out);
    let drifted = to.into_iter().filter(|(path, _)| !own.contains_key(path));
    drifted.map(|(path, pushed)| Difference { there: from.remove(&path).unwrap_or_default(), path, pushed }).collect()
}

/// The same for a person's account that was read in this cycle.
#[must_use]
pub fn of_user(link: &Linked, standing: Standing, desired: &Desired) -> Vec<Difference> {
    let leaves = standing != Standing::Active;
    of(&link.pushed, &have(&link.pushed, link.observed.as_ref(), &desired.case_exact), desired, &|path| {
        leaves && (is_identifier(path) || path == "active")
    })
}

/// What of an account counts as observed all the same: leavers who are active again are deactivated again.
#[must_use]
pub fn not_left_alone(link: &Linked, standing: Standing) -> Option<Flat> {
    let seen = link.observed.as_ref().filter(|_| standing != Standing::Active)?;
    let mut out = link.pushed.clone();
    out.extend(seen.get_key_value("active").map(|(k, v)| (k.clone(), v.clone())));
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::TargetId;
    use serde_json::json;

    fn flat(of: &[(&str, Value)]) -> Flat {
        of.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect()
    }

    #[test]
    fn what_was_changed_there_is_told_and_what_changes_anyway_is_not() {
        let link = Linked {
            target_id: TargetId("t".into()),
            created: true,
            pushed: flat(&[
                ("userName", json!("a@x")),
                ("title", json!("T")),
                ("displayName", json!("A")),
                ("active", json!(true)),
            ]),
            active: true,
            inactive_since: None,
            gone: false,
            hidden: false,
            observed: Some(flat(&[("userName", json!("A@x")), ("displayName", json!("hand")), ("active", json!(false))])),
        };
        let attrs = flat(&[
            ("userName", json!("a@x")),
            ("title", json!("T")),
            ("displayName", json!("A")),
            ("active", json!(true)),
            ("locale", json!("new in this cycle")),
        ]);
        let desired = Desired { attrs, ..Desired::default() };
        let told = of_user(&link, Standing::Active, &desired);
        let told: Vec<(&str, &Value, &Value)> = told.iter().map(|d| (d.path.as_str(), &d.there, &d.pushed)).collect();
        assert_eq!(
            told,
            [
                ("active", &json!(false), &json!(true)),
                ("displayName", &json!("hand"), &json!("A")),
                ("title", &Value::Null, &json!("T")),
            ]
        );
        assert_eq!(not_left_alone(&link, Standing::Active), None);
        let seen = not_left_alone(&link, Standing::Inactive);
        assert_eq!(seen, Some(Flat::from_iter(link.pushed.clone().into_iter().chain([("active".to_owned(), json!(false))]))));
    }
}
