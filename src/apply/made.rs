//! Who made what a create was answered with. Some targets answer a POST with the account that was there already, and call
//! that a success: it must not be taken for one of our making, which may be deleted some day.

use super::Task;
use super::create::{Found, Why, done};
use super::outcome::{Outcome, Refused};
use super::worker::Worker;
use crate::model::{Fault, Flat, ObjectKind, TargetId};
use crate::plan::Change;
use crate::plan::matching::{self, Sent};
use crate::state::links::Origin;
use crate::target::{Alike, Made, Remote};
use serde_json::Value;

/// How much older than our request, in seconds, an account has to be that was called created or carries our own externalId: the
/// target's application and whoever puts the date on its answers may go by two clocks.
const CLOCKS_APART: i64 = 300;

/// The same where it was called created and carries our own externalId: local times are called UTC, and no two places are
/// further apart. Whoever is older was there, and had our id from an earlier state store or from somebody else.
const ZONES_APART: i64 = 26 * 3600;

/// Whether the account may have been there before the create that was answered with it. Whoever says 201 is believed, unless
/// something else that the answer shows speaks against it: targets rewrite ids and dates, and leave out what they like.
pub(super) fn was_there(sent: &Sent<'_>, made: &Made) -> bool {
    let older_by = made.created.map(|created| sent.not_before.saturating_sub(created));
    let is_old = older_by.map(|seconds| seconds > if made.says_created { CLOCKS_APART } else { 0 });
    // What a target fills in by itself says nothing.
    let theirs = made.external_id.as_deref().filter(|e| *e != made.id.as_str());
    match (sent.external_id, theirs) {
        (Some(ours), Some(theirs)) if ours.trim().to_lowercase() == theirs.trim().to_lowercase() => {
            let apart = if made.says_created { ZONES_APART } else { CLOCKS_APART };
            older_by.is_some_and(|seconds| seconds > apart)
        }
        // Ours in another form, or an account that is ours in all that it shows; an equal department is no proof.
        (Some(ours), Some(theirs)) => {
            let is_ours = holds(theirs, ours) || made.alike == Some(Alike::Wholly);
            !made.says_created || is_old.unwrap_or(!is_ours)
        }
        (None, Some(_)) => is_old.unwrap_or(!made.says_created),
        (_, None) => {
            is_old.unwrap_or(!made.says_created || made.has_members || made.silent || made.alike == Some(Alike::Nothing))
        }
    }
}

/// Whether `theirs` is `ours` with something around it: braces, a prefix, a realm.
fn holds(theirs: &str, ours: &str) -> bool {
    let (theirs, ours) = (theirs.trim().to_lowercase(), ours.trim().to_lowercase());
    let apart = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric());
    !ours.is_empty()
        && theirs.match_indices(&ours).any(|(at, found)| {
            apart(theirs.get(..at).and_then(|s| s.chars().next_back()))
                && apart(theirs.get(at + found.len()..).and_then(|s| s.chars().next()))
        })
}

impl Worker {
    /// A create was answered with an account that may have been there before: it is looked up like one that stood in the way.
    /// `looked`: nobody of these names was there a moment before.
    pub(super) async fn answered(&self, task: &Task, since: i64, made: Made, looked: bool) -> Outcome {
        let change = &task.change;
        let kind = change.kind.object();
        let why = Why { doubt: Some(since), ..Why::default() };
        match self.is_new(change, &made, looked).await {
            Ok(true) => return done(made.id, Origin::Created),
            Ok(false) => {}
            Err(outcome) => return outcome,
        }
        let found = match self.look_up(change, why).await {
            Ok(Found::Nothing) => match self.job.reader.get(kind, &made.id).await {
                Ok(Some(there)) => match self.whose(change, why, kind.name_attribute(), vec![there]).await {
                    Ok(Found::There(there)) if !self.fits_a_rule(change, &there) => {
                        Err(Outcome::Refused(answered_with_nobodys(kind, &there)))
                    }
                    found => found,
                },
                Ok(None) => Err(Outcome::Refused(answered_with_nothing(kind, &made.id))),
                Err(e) => Err(self.failed(kind, e).await),
            },
            found => found,
        };
        match found {
            Ok(found) => self.take(task, found).await,
            Err(outcome) => outcome,
        }
    }

    /// Whether an account of which the answer tells nothing is of our making: it bears our name, nothing else of it speaks against
    /// that, and it was not there when the target was read in this cycle, or looked at before the request.
    async fn is_new(&self, change: &Change, made: &Made, looked: bool) -> Result<bool, Outcome> {
        let kind = change.kind.object();
        if kind != ObjectKind::User || made.created.is_some() || made.external_id.is_some() {
            return Ok(false);
        }
        if !looked {
            let id = made.id.clone();
            let listed = if self.job.users_listed { self.ask(move |store| store.remote_json(kind, &id)).await } else { None };
            if !matches!(listed, Some(Ok(None))) {
                return Ok(false);
            }
        }
        let there = match self.job.reader.get(kind, &made.id).await {
            Ok(Some(there)) => there,
            Ok(None) => return Ok(false),
            Err(e) => return Err(self.failed(kind, e).await),
        };
        let ours = change.to.get("userName").and_then(|v| v.as_str()).map(str::to_lowercase);
        let bears_it = ours.is_some() && there.user_name().map(str::to_lowercase) == ours;
        let free = self.facts(change, std::slice::from_ref(&there)).await;
        let is_free = matches!(free, Some(Ok((candidates, _))) if candidates.iter().all(|c| c.linked_to.is_none()));
        Ok(bears_it && there.external_id().is_none() && is_free && !contradicts(&change.to, &there))
    }

    /// Whether a rule of matching leads to this account.
    fn fits_a_rule(&self, change: &Change, there: &Remote) -> bool {
        let mut criteria = match change.kind.object() {
            ObjectKind::User => self.job.match_users.iter(),
            ObjectKind::Group => self.job.match_groups.iter(),
        };
        criteria.any(|criterion| {
            let ours = matching::values(criterion, change.source_key.as_str(), &change.to);
            there.texts(criterion).iter().any(|theirs| ours.iter().any(|o| o.to_lowercase() == theirs.to_lowercase()))
        })
    }
}

/// Whether an account shows that it was not made with these values: it is inactive where it was to be active, or nothing of what
/// it shows besides its name is as it was sent. A list may leave out whoever is inactive.
fn contradicts(sent: &Flat, there: &Remote) -> bool {
    let seen = there.flat(sent.keys().map(String::as_str));
    let differs = |path: &String, want: &Value| seen.get(path).map(|has| !is_as_sent(has, want));
    if sent.get("active").is_some_and(|want| seen.get("active").is_some_and(|has| has != want)) {
        return true;
    }
    // An address that is the name says no more than the name.
    let name = sent.get("userName");
    let tells = |(path, want): &(&String, &Value)| !matches!(path.as_str(), "externalId" | "active") && name != Some(want);
    let mut shown = sent.iter().filter(tells).filter_map(|(path, want)| differs(path, want)).peekable();
    shown.peek().is_some() && shown.all(|differs| differs)
}

fn is_as_sent(has: &Value, sent: &Value) -> bool {
    match (has.as_str(), sent.as_str()) {
        (Some(has), Some(sent)) => has.trim().to_lowercase() == sent.trim().to_lowercase(),
        _ => has == sent,
    }
}

fn answered_with_nothing(kind: ObjectKind, id: &TargetId) -> Refused {
    Refused {
        fault: Fault::Conflict,
        status: None,
        reason: format!("the target answered the create with a {kind} ({id}) that was there before, and does not show it"),
        advice: "ask the application's administrator whose it is: this credential may not see it".to_owned(),
        ambiguous: false,
        everyone: None,
    }
}

fn answered_with_nobodys(kind: ObjectKind, there: &Remote) -> Refused {
    let (name, id) = (there.name(kind).unwrap_or_default(), &there.id);
    let rules = if kind == ObjectKind::User { "match.users" } else { "match.groups" };
    Refused {
        fault: Fault::Conflict,
        status: None,
        reason: format!("the target answered the create with the {kind} {name:?} ({id}), and by {rules} it is nobody's here"),
        advice: format!(
            "if it is theirs, name in {rules} what they have in common, or link it: scim-sync link set; if not, find out why the application gives it away"
        ),
        ambiguous: false,
        everyone: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(says_created: bool, external_id: Option<&str>, created: Option<i64>) -> Made {
        Made {
            id: TargetId("7".into()),
            says_created,
            external_id: external_id.map(str::to_owned),
            created,
            has_members: false,
            alike: None,
            silent: false,
        }
    }

    #[test]
    fn own_only_what_was_there_is_known_by_what_the_answer_shows() {
        let sent = Sent { external_id: Some("k1"), name: Some("jane"), not_before: 10_000 };
        let there = |created, ext, at| was_there(&sent, &answer(created, ext, at));
        assert!(there(true, Some("k9"), None) && there(false, Some("k9"), Some(10_001)), "somebody else's");
        assert!(there(true, Some("k9"), Some(9_000)));
        assert!(there(false, Some("k1"), Some(9_000)), "it carried our id before we came");
        assert!(there(false, None, None), "nothing says that it is new");
        assert!(there(true, None, Some(9_000)) && there(false, None, Some(9_990)));
        let shown = |made: Made| was_there(&sent, &made);
        assert!(shown(Made { has_members: true, ..answer(true, None, None) }));
        assert!(shown(Made { alike: Some(Alike::Nothing), ..answer(true, None, None) }));
        assert!(shown(Made { silent: true, ..answer(true, None, None) }));
        for alike in [Alike::Nothing, Alike::Partly] {
            assert!(shown(Made { alike: Some(alike), ..answer(true, Some("k9"), None) }), "an equal department is no proof");
        }
        let old = Sent { not_before: 1_000_000, ..sent };
        let from_before = |created, at| was_there(&old, &answer(created, Some("k1"), Some(at)));
        assert!(from_before(true, 1_000_000 - 27 * 3600), "it carried our id long before: a store that was lost, or an upsert");
        assert!(!from_before(true, 1_000_000 - 14 * 3600), "local time");
        assert!(shown(answer(true, Some("ak1"), None)), "another id that ends like ours");
    }

    #[test]
    fn own_only_an_account_that_contradicts_what_was_sent_was_there() {
        let sent: Flat = [("userName", "jane@x"), ("emails[type eq \"work\"].value", "jane@x"), ("displayName", "Jane")]
            .map(|(path, value)| (path.to_owned(), value.into()))
            .into_iter()
            .chain([("active".to_owned(), true.into())])
            .collect();
        let is_theirs = |raw: Value| contradicts(&sent, &Remote::of(TargetId("7".into()), raw));
        assert!(is_theirs(serde_json::json!({"userName": "jane@x", "displayName": "jane", "active": false})));
        let mail = serde_json::json!([{"type": "work", "value": "jane@x"}]);
        assert!(is_theirs(serde_json::json!({"userName": "jane@x", "displayName": "By hand", "active": true, "emails": mail})));
        assert!(!is_theirs(serde_json::json!({"userName": "jane@x", "displayName": "JANE ", "active": true})));
        assert!(!is_theirs(serde_json::json!({"userName": "jane@x"})), "nothing is shown");
    }

    #[test]
    fn what_servers_make_of_a_create_is_still_ours() {
        let sent = Sent { external_id: Some("k1"), name: Some("jane"), not_before: 10_000 };
        let there = |created, ext, at| was_there(&sent, &answer(created, ext, at));
        assert!(!there(true, Some("k1"), None) && !there(false, Some("k1"), None), "200 to every POST");
        assert!(!there(true, Some("K1"), Some(10_000)), "another case");
        assert!(!there(true, Some("k1"), Some(9_800)) && !there(true, None, Some(9_980)), "two clocks");
        assert!(!there(true, Some("k1"), Some(0)), "local time that is called UTC");
        assert!(!there(true, Some("{k1}"), Some(10_001)), "an id in the target's own form");
        assert!(!was_there(&sent, &Made { alike: Some(Alike::Wholly), ..answer(true, Some("{k1}"), None) }));
        assert!(!there(true, None, None), "externalId is not kept");
        assert!(!there(false, None, Some(10_001)), "new, whatever the status says");
        assert!(!there(true, Some("7"), None), "the target's own id");
        let made = Made { has_members: true, alike: Some(Alike::Nothing), ..answer(true, None, Some(10_001)) };
        assert!(!was_there(&sent, &made), "whoever makes a group is put into it");
        let unmapped = Sent { external_id: None, ..sent };
        assert!(!was_there(&unmapped, &answer(true, Some("x"), None)) && was_there(&unmapped, &answer(false, Some("x"), None)));
    }
}
