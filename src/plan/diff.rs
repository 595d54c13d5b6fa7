//! What differs between a resource as it is and as it should be.

use crate::mapping::Desired;
use crate::model::Flat;
use serde_json::Value;
use std::collections::BTreeSet;

/// What differs between what the target has and what it should have. `leave_out` says which paths do not count.
#[must_use]
pub fn diff(have: &Flat, desired: &Desired, creating: bool, leave_out: &dyn Fn(&str) -> bool) -> (Flat, Flat) {
    let (mut from, mut to) = (Flat::new(), Flat::new());
    for (path, want) in &desired.attrs {
        let is_same = |old: &Value| old == want || alike(old, want, desired.ignore_case.contains(path));
        if leave_out(path) || (!creating && desired.create_only.contains(path)) || have.get(path).is_some_and(is_same) {
            continue;
        }
        if let Some(old) = have.get(path) {
            from.insert(path.clone(), old.clone());
        }
        to.insert(path.clone(), want.clone());
    }
    for path in &desired.clear {
        if let Some(old) = have.get(path).filter(|v| !v.is_null() && !leave_out(path)) {
            from.insert(path.clone(), old.clone());
            to.insert(path.clone(), Value::Null);
        }
    }
    // Roles that are not assigned any more.
    let goes = |path: &str| {
        let of_one = path.split_once('[').is_some_and(|(name, _)| desired.whole.contains(name));
        of_one && !desired.attrs.contains_key(path) && !leave_out(path)
    };
    for (path, old) in have.iter().filter(|(path, old)| goes(path) && !old.is_null()) {
        from.insert(path.clone(), old.clone());
        to.insert(path.clone(), Value::Null);
    }
    (from, to)
}

/// What becomes of an account that was there and is taken over.
#[derive(Debug, Clone, PartialEq)]
pub struct Taken {
    /// What is there, of what is written.
    pub from: Flat,
    /// What is written.
    pub to: Flat,
    /// What is known of it afterwards.
    pub pushed: Flat,
}

/// An account that has `seen` is taken over. What is given once stays as it is there; so does everything unless `update`.
#[must_use]
pub fn take_over(seen: &Flat, desired: &Desired, update: bool, leave_out: &dyn Fn(&str) -> bool) -> Taken {
    let (mut from, mut to) = if update { diff(seen, desired, false, leave_out) } else { (Flat::new(), Flat::new()) };
    // Something is written even where nothing differs: some applications pass ownership only then.
    let is_there = |path: &str| seen.get(path).and_then(Value::as_str).is_some_and(|text| !text.is_empty());
    let kept = desired.create_only.contains("externalId") && is_there("externalId");
    if let Some(ext) = desired.attrs.get("externalId").filter(|_| !kept) {
        to.insert("externalId".to_owned(), ext.clone());
    } else if to.is_empty() {
        to.extend(desired.attrs.iter().filter(|(k, _)| *k == "active").map(|(k, v)| (k.clone(), v.clone())));
    }
    from.extend(to.keys().filter_map(|k| Some((k.clone(), seen.get(k)?.clone()))));
    let mut pushed = after(seen, &to);
    pushed.retain(|k, _| desired.attrs.contains_key(k));
    Taken { from, to, pushed }
}

/// Whether two values are the same: of several the order does not count, with `fold` neither do letter case and blanks
/// around.
fn alike(a: &Value, b: &Value, fold: bool) -> bool {
    let one = |a: &Value, b: &Value| match (a, b) {
        (Value::String(a), Value::String(b)) if fold => a.trim().to_lowercase() == b.trim().to_lowercase(),
        _ => a == b,
    };
    let (Value::Array(x), Value::Array(y)) = (a, b) else { return one(a, b) };
    let within = |x: &[Value], y: &[Value]| x.iter().all(|a| y.iter().any(|b| one(a, b)));
    within(x, y) && within(y, x)
}

/// The resource as known after `to` was written over it.
#[must_use]
pub fn after(have: &Flat, to: &Flat) -> Flat {
    let mut out = have.clone();
    for (k, v) in to {
        if v.is_null() {
            out.remove(k);
        } else {
            out.insert(k.clone(), v.clone());
        }
    }
    out
}

/// `changed: displayName; mapping changed: title`. A row that changed explains its values, whatever the source did.
#[must_use]
pub fn changed_words(to: &Flat, remapped: &BTreeSet<String>) -> String {
    // The values of several roles belong to one row.
    let row = |path: &str| remapped.contains(path) || path.split_once('[').is_some_and(|(name, _)| remapped.contains(name));
    let (mapped, changed): (Vec<&str>, Vec<&str>) = to.keys().map(String::as_str).partition(|path| row(path));
    let part = |words: &str, paths: Vec<&str>| (!paths.is_empty()).then(|| format!("{words}: {}", paths.join(", ")));
    let parts: Vec<String> = [part("changed", changed), part("mapping changed", mapped)].into_iter().flatten().collect();
    parts.join("; ")
}

/// What the target has. `case_exact`: paths in which letter case counts.
pub(super) fn have(pushed: &Flat, observed: Option<&Flat>, case_exact: &BTreeSet<String>) -> Flat {
    let mut out = pushed.clone();
    if let Some(seen) = observed {
        // What was read wins for every path that we ever pushed; a path that is missing there is missing.
        out.retain(|k, _| seen.contains_key(k));
        for (k, v) in seen {
            // A server that keeps a value in another letter case or trimmed has what was pushed, unless it is known not to.
            let case = |old: &Value| match (old, v) {
                (Value::String(old), Value::String(new)) if case_exact.contains(k) => old.trim() == new.trim(),
                _ => alike(old, v, !case_exact.contains(k)),
            };
            if !out.get(k).is_some_and(case) {
                out.insert(k.clone(), v.clone());
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn flat(pairs: &[(&str, Value)]) -> Flat {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect()
    }

    fn to(seen: &[(&str, Value)], desired: &Desired) -> Flat {
        let have = have(&desired.attrs, Some(&flat(seen)), &desired.case_exact);
        diff(&have, desired, false, &|_| false).1
    }

    #[test]
    fn another_letter_case_at_the_target_is_repaired_only_where_case_counts() {
        let attrs = flat(&[("title", json!("ABC"))]);
        let folds = Desired { attrs: attrs.clone(), ..Desired::default() };
        assert!(to(&[("title", json!(" abc"))], &folds).is_empty(), "some keep everything so");
        assert_eq!(to(&[("title", json!("xyz"))], &folds), attrs);
        let exact = Desired { case_exact: ["title".to_owned()].into(), ..folds };
        assert_eq!(to(&[("title", json!("abc"))], &exact), attrs);
        assert!(to(&[("title", json!("ABC "))], &exact).is_empty());
    }

    #[test]
    fn several_values_are_a_set() {
        let attrs = flat(&[("tags", json!(["x", "Y"])), ("nums", json!([1, 2]))]);
        let desired = Desired { attrs: attrs.clone(), ..Desired::default() };
        assert!(to(&[("tags", json!(["y", "x"])), ("nums", json!([2, 1]))], &desired).is_empty());
        for other in [json!(["x"]), json!(["x", "y", "z"]), json!("x"), Value::Null] {
            let seen = [("tags", other.clone()), ("nums", json!([1, 2]))];
            assert_eq!(to(&seen, &desired), flat(&[("tags", json!(["x", "Y"]))]), "{other}");
        }
        assert!(diff(&flat(&[("tags", json!(["Y", "x"])), ("nums", json!([2, 1]))]), &desired, false, &|_| false).1.is_empty());
    }
}
