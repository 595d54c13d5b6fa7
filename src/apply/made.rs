//! Who made what a create was answered with. Some targets answer a POST with the account that was there already, and call
//! that a success: it must not be taken for one of our making, which may be deleted some day.

use crate::plan::matching::Sent;
use crate::target::Made;

/// How much older than our request, in seconds, an account has to be that was called created or carries our own externalId: the
/// target's application and whoever puts the date on its answers may go by two clocks.
const CLOCKS_APART: i64 = 300;

/// Whether the account may have been there before the create that was answered with it. Whoever says 201 is believed, unless
/// something else that the answer shows speaks against it: targets rewrite ids and dates, and leave out what they like.
pub(super) fn was_there(sent: &Sent<'_>, made: &Made) -> bool {
    let older_by = made.created.map(|created| sent.not_before.saturating_sub(created));
    let is_old = older_by.map(|seconds| seconds > if made.says_created { CLOCKS_APART } else { 0 });
    // What a target fills in by itself says nothing.
    let theirs = made.external_id.as_deref().filter(|e| *e != made.id.as_str());
    match (sent.external_id, theirs) {
        (Some(ours), Some(theirs)) if ours.trim().to_lowercase() == theirs.trim().to_lowercase() => {
            !made.says_created && older_by.is_some_and(|seconds| seconds > CLOCKS_APART)
        }
        (Some(_), Some(_)) => !made.says_created || is_old.unwrap_or(made.alike != Some(true)),
        (None, Some(_)) => is_old.unwrap_or(!made.says_created),
        (_, None) => is_old.unwrap_or(!made.says_created || made.has_members || made.silent || made.alike == Some(false)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::TargetId;

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
        assert!(shown(Made { alike: Some(false), ..answer(true, None, None) }));
        assert!(shown(Made { silent: true, ..answer(true, None, None) }));
        assert!(shown(Made { alike: Some(false), ..answer(true, Some("k9"), None) }));
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
        assert!(!was_there(&sent, &Made { alike: Some(true), ..answer(true, Some("{k1}"), None) }));
        assert!(!there(true, None, None), "externalId is not kept");
        assert!(!there(false, None, Some(10_001)), "new, whatever the status says");
        assert!(!there(true, Some("7"), None), "the target's own id");
        let made = Made { has_members: true, alike: Some(false), ..answer(true, None, Some(10_001)) };
        assert!(!was_there(&sent, &made), "whoever makes a group is put into it");
        let unmapped = Sent { external_id: None, ..sent };
        assert!(!was_there(&unmapped, &answer(true, Some("x"), None)) && was_there(&unmapped, &answer(false, Some("x"), None)));
    }
}
