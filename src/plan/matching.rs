//! Which account at the target belongs to whom. Used where the target was read by pages and where a create met an
//! account that is there already: the same rules, in one place.

use super::render::quoted;
use crate::model::{Flat, ObjectKind, TargetId, texts};
use std::borrow::Cow;

/// An account or group at the target, as far as matching looks at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Its id.
    pub id: TargetId,
    /// userName or displayName, for messages.
    pub name: String,
    /// Its externalId; empty counts as none.
    pub external_id: Option<String>,
    /// Whom it is linked to already (source key), in this sync or in another one with the same target.
    pub linked_to: Option<String>,
}

/// Whom an account is sought for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person<'a> {
    /// User or group.
    pub object: ObjectKind,
    /// The entry's source key.
    pub source_key: &'a str,
    /// externalId that the mapping gives.
    pub external_id: Option<&'a str>,
    /// What earlier provisioning may have written to externalId.
    pub legacy: &'a [String],
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Match {
    /// Nobody: make a new one.
    None,
    /// This one.
    One(TargetId),
    /// Cannot be decided: park, with reason and advice.
    Park {
        /// Why.
        reason: String,
        /// What to do.
        advice: String,
    },
}

/// Whether an externalId at the target belongs to this person (or to nobody).
#[must_use]
pub fn is_own(external_id: Option<&str>, who: &Person<'_>) -> bool {
    match external_id {
        None | Some("") => true,
        Some(e) => e == who.source_key || Some(e) == who.external_id || who.legacy.iter().any(|l| l == e),
    }
}

/// A create that was sent and whose answer is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sent<'a> {
    /// externalId that was sent, if any.
    pub external_id: Option<&'a str>,
    /// userName or displayName that was sent.
    pub name: Option<&'a str>,
    /// Nothing that this create made can be older (Unix second, by the target's clock).
    pub not_before: i64,
}

/// Whether an account is the one that our own create made, rather than one that was there before. The externalId that we
/// sent says so, unless the account is older than the create, or nothing says how old it is and it shows something else than
/// was sent (`differs`): it had our id before, and bears another name perhaps. Where there is none (not mapped, or not kept
/// by the target), only an account of that name that is provably no older counts. `created`: Unix second, if the target says.
#[must_use]
pub fn is_our_making(
    sent: &Sent<'_>,
    external_id: Option<&str>,
    name: Option<&str>,
    created: Option<i64>,
    differs: bool,
) -> bool {
    let in_time = created.map(|c| c >= sent.not_before);
    match (sent.external_id, external_id.filter(|e| !e.is_empty())) {
        (Some(ours), Some(theirs)) => ours == theirs && in_time.unwrap_or(!differs),
        (None, Some(_)) => false,
        (_, None) => {
            let same_name = sent.name.zip(name).is_some_and(|(a, b)| a.to_lowercase() == b.to_lowercase());
            same_name && in_time == Some(true)
        }
    }
}

/// The values to look for at the target for a criterion: `externalId` (the mapping's, then the source key), any other
/// attribute as the mapping gives it, in whatever type it is sent. `emails.value` means every address, as
/// `phoneNumbers.value` means every number.
#[must_use]
pub fn values(criterion: &str, source_key: &str, desired: &Flat) -> Vec<String> {
    let at = |is_it: &dyn Fn(&str) -> bool| -> Vec<String> {
        desired.iter().filter(|(path, _)| is_it(path)).flat_map(|(_, value)| texts(value)).map(Cow::into_owned).collect()
    };
    let mut out: Vec<String> = match criterion.to_ascii_lowercase().as_str() {
        "externalid" => at(&|path| path == "externalId").into_iter().chain([source_key.to_owned()]).collect(),
        "emails.value" | "emails" => at(&|path| path.starts_with("emails") && path.ends_with("value")),
        lower => at(&|path| crate::mapping::criterion(path).to_ascii_lowercase() == lower),
    };
    out.retain(|v| !v.trim().is_empty());
    out.dedup();
    out
}

/// The last rule: what earlier provisioning wrote to externalId, where externalId is among the rules. It names an account
/// that kept another name; every rule of the configuration goes before.
#[must_use]
pub fn legacy(criteria: &[String], legacy: Vec<String>) -> Option<(String, Vec<String>)> {
    let asked = criteria.iter().any(|c| c.eq_ignore_ascii_case("externalId"));
    let values: Vec<String> = legacy.into_iter().filter(|v| !v.trim().is_empty()).collect();
    (asked && !values.is_empty()).then(|| ("externalId".to_owned(), values))
}

/// What to do where two match what only one can have.
#[must_use]
pub fn whose(kind: ObjectKind) -> &'static str {
    match kind {
        ObjectKind::User => "decide whose it is; give the other one another user ID, or move the link",
        ObjectKind::Group => "decide whose it is; rename the other group in the directory, or move the link",
    }
}

/// Judges the candidates that the first productive criterion gave (`criterion` is its SCIM attribute).
#[must_use]
pub fn judge(who: &Person<'_>, criterion: &str, candidates: &[Candidate]) -> Match {
    let noun = match who.object {
        ObjectKind::User => "account",
        ObjectKind::Group => "group",
    };
    let park = |reason: String, advice: String| Match::Park { reason, advice };
    match candidates {
        [] => Match::None,
        [one] => {
            if let Some(other) = &one.linked_to {
                return park(
                    format!(
                        "{noun} {} ({}) matches by {criterion}, but it is linked to {other} already",
                        quoted(&one.name),
                        one.id
                    ),
                    whose(who.object).to_owned(),
                );
            }
            if is_own(one.external_id.as_deref(), who) {
                return Match::One(one.id.clone());
            }
            park(
                format!(
                    "{noun} {} ({}) matches by {criterion}, but carries the externalId {:?} of somebody else",
                    quoted(&one.name),
                    one.id,
                    one.external_id.as_deref().unwrap_or("")
                ),
                match who.object {
                    ObjectKind::User => {
                        "check whose account it is: clear its externalId at the target, or name the source attribute \
                         that holds this value in match.legacy_external_id"
                            .to_owned()
                    }
                    // It may be the group of another one of this name, which would lose it.
                    ObjectKind::Group => {
                        "check which group of the directory it belongs to: if to another one, rename one of the two \
                         in the directory; if to none that is provisioned, clear its externalId at the target, or rename it there"
                            .to_owned()
                    }
                },
            )
        }
        many => park(
            format!(
                "{} {noun}s match by {criterion}: {}",
                many.len(),
                many.iter().take(5).map(|c| format!("{} ({})", quoted(&c.name), c.id)).collect::<Vec<_>>().join(", ")
            ),
            format!("remove or rename the surplus {noun}s at the target; none is picked by guess"),
        ),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn candidate(id: &str, ext: Option<&str>) -> Candidate {
        Candidate { id: TargetId(id.into()), name: "jane".into(), external_id: ext.map(Into::into), linked_to: None }
    }

    fn person(legacy: &[String]) -> Person<'_> {
        Person { object: ObjectKind::User, source_key: "k1", external_id: Some("k1"), legacy }
    }

    #[test]
    fn no_guess_among_several() {
        let got = judge(&person(&[]), "userName", &[candidate("1", None), candidate("2", None)]);
        assert!(matches!(got, Match::Park { reason, .. } if reason.contains("2 accounts match")));
    }

    #[test]
    fn whatever_type_a_value_is_sent_in_it_is_sought_by_its_text() {
        let desired = Flat::from([
            ("urn:x:User:badgeNo".to_owned(), serde_json::json!(417)),
            ("nickName".to_owned(), serde_json::json!(["Jane", "JJ", ""])),
        ]);
        assert_eq!(values("urn:x:User:BadgeNo", "k1", &desired), ["417"]);
        assert_eq!(values("nickName", "k1", &desired), ["Jane", "JJ"]);
        assert_eq!(values("externalId", "k1", &desired), ["k1"]);
    }

    #[test]
    fn no_guess_a_foreign_external_id_is_never_taken_over() {
        assert!(matches!(judge(&person(&[]), "userName", &[candidate("1", Some("x9"))]), Match::Park { .. }));
        assert_eq!(judge(&person(&["x9".into()]), "userName", &[candidate("1", Some("x9"))]), Match::One(TargetId("1".into())));
        assert_eq!(judge(&person(&[]), "userName", &[candidate("1", Some(""))]), Match::One(TargetId("1".into())));
        assert_eq!(judge(&person(&[]), "externalId", &[candidate("1", Some("k1"))]), Match::One(TargetId("1".into())));
    }

    #[test]
    fn no_guess_advice_for_a_group_takes_it_from_no_other_group_of_its_name() {
        let group = Person { object: ObjectKind::Group, ..person(&[]) };
        let advice = |candidate| match judge(&group, "displayName", &[candidate]) {
            Match::Park { advice, .. } => advice,
            _ => String::new(),
        };
        let foreign = advice(candidate("1", Some("g9")));
        assert!(foreign.contains("if to another one, rename") && foreign.contains("if to none"), "{foreign}");
        let linked = advice(Candidate { linked_to: Some("g9".into()), ..candidate("1", None) });
        assert!(linked.contains("rename the other group") && !linked.contains("user ID"), "{linked}");
    }

    #[test]
    fn own_only_what_was_there_before_our_create_is_not_our_making() {
        let sent = |ext| Sent { external_id: ext, name: Some("Jane"), not_before: 100 };
        let ours = |ext, their_ext, name, created| is_our_making(&sent(ext), their_ext, Some(name), created, name == "other");
        assert!(ours(Some("k1"), Some("k1"), "other", Some(100)));
        assert!(ours(Some("k1"), Some("k1"), "jane", None), "the id that only we give");
        assert!(!ours(Some("k1"), Some("k1"), "other", None), "it had that id before, and nobody knows since when");
        assert!(!ours(Some("k1"), Some("k1"), "jane", Some(99)), "it carried our id before we sent anything");
        assert!(!ours(Some("k1"), Some("k2"), "jane", Some(200)));
        assert!(ours(Some("k1"), None, "jane", Some(101)), "the target does not keep externalId");
        assert!(ours(None, Some(""), "JANE", Some(101)), "externalId is not mapped");
        assert!(!ours(None, None, "jane", None), "nothing proves it");
        assert!(!ours(None, None, "jane", Some(99)) && !ours(None, None, "joan", Some(101)));
        assert!(!ours(None, Some("k9"), "jane", Some(101)), "somebody else's");
    }

    #[test]
    fn one_account_per_person_a_linked_account_is_not_linked_twice() {
        let mut c = candidate("1", Some("k1"));
        c.linked_to = Some("k2".into());
        assert!(matches!(judge(&person(&[]), "externalId", &[c]), Match::Park { reason, .. } if reason.contains("k2")));
    }
}
