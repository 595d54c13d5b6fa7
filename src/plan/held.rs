//! What can be done about a change that is held: to approve it helps only where the guard may let it go.

/// How the reason begins for accounts that the configuration protects.
const PROTECTED: &str = "protected: ";
/// How the reason begins where the source may be another directory than before.
const ANOTHER_SOURCE: &str = "the source is ";
/// What to do about one change of an account that the configuration protects.
pub const STAYS: &str = "no approval releases it; to let it go, take it out of guard.protected";

/// The reason of a hold for an account that the configuration protects.
#[must_use]
pub fn protected(why: &str) -> String {
    format!("{PROTECTED}{why}")
}

/// The reason of a hold where the source is another directory, as far as anybody can see: `now`, and what else there is to say.
#[must_use]
pub fn another_source(now: &str, why: &str) -> String {
    format!("{ANOTHER_SOURCE}{now} now, {why}")
}

/// Held as long as the configuration names it in `guard.protected`, whoever approves it.
#[must_use]
pub fn is_protected(reason: &str) -> bool {
    reason.starts_with(PROTECTED)
}

/// Held because the source may be another directory: its reason says what to look at first.
#[must_use]
pub fn is_of_another_source(reason: &str) -> bool {
    reason.starts_with(ANOTHER_SOURCE)
}

/// What to do about the held changes of a sync, one line each, by their reasons.
pub fn advice<'a>(sync: &str, reasons: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let (mut free, mut protected, mut another) = (0_u64, 0_u64, None);
    for reason in reasons {
        match () {
            () if is_protected(reason) => protected += 1,
            () if is_of_another_source(reason) => another = Some(reason),
            () => free += 1,
        }
    }
    let mut out = Vec::new();
    if free > 0 {
        out.push(format!("{free} held by the guard: review, then `scim-sync approve {sync}` (or --who WHO)"));
    }
    if let Some(reason) = another {
        out.push(reason.to_owned());
    }
    if protected > 0 {
        out.push(format!(
            "{protected} protected: no approval releases them; whoever is to be let go is taken out of guard.protected"
        ));
    }
    out
}

/// The same of one change.
#[must_use]
pub fn advice_on(sync: &str, who: &str, reason: &str) -> Option<String> {
    match () {
        () if is_protected(reason) => Some(STAYS.to_owned()),
        () if is_of_another_source(reason) => None,
        () => Some(format!("release with `scim-sync approve {sync} --who {who}`")),
    }
}

#[cfg(test)]
mod tests {
    use super::{advice, advice_on, another_source, is_of_another_source, is_protected, protected};

    #[test]
    fn what_no_approval_releases_is_not_to_be_approved() {
        let kept = &*protected("admin stands in guard.protected");
        let (limit, moved) =
            ("9 would exceed guard.deactivate = 5%", &*another_source("file b", "and the entries came from file a"));
        assert!(is_protected(kept) && is_of_another_source(moved) && !is_protected(moved) && !is_of_another_source(limit));
        assert_eq!(advice("s", [kept]).join("; ").matches("approve s").count(), 0);
        assert_eq!(
            advice("s", [limit, kept, limit]).first().map(|l| l.starts_with("2 held") && l.contains("approve s")),
            Some(true)
        );
        assert_eq!(advice("s", [moved, moved]), [moved]);
        assert!(advice("s", []).is_empty());
        assert!(advice_on("s", "k", limit).is_some_and(|a| a.contains("approve s --who k")));
        assert!(advice_on("s", "k", kept).is_some_and(|a| !a.contains("scim-sync approve")));
        assert_eq!(advice_on("s", "k", moved), None);
    }
}
