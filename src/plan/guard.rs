//! The guard: limits that a plan must keep. Judged over all changes of the cycle before any of them is applied.

use super::Kind;
use crate::model::ObjectKind;
use std::collections::BTreeMap;

/// One limit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Limit {
    /// No limit.
    Unlimited,
    /// At most so many in a rolling 24 h; 0 = never without approval.
    Count(u64),
    /// At most this share, in percent, of the base in a rolling 24 h.
    Percent(f64),
}

impl std::fmt::Display for Limit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unlimited => f.write_str("unlimited"),
            Self::Count(n) => write!(f, "{n}"),
            Self::Percent(p) => write!(f, "{p}%"),
        }
    }
}

impl Limit {
    /// How many are allowed for this base; `None`: any number (unlimited, or a base too small to judge a share by).
    ///
    /// A share is breached by n > max(2, floor(share x base)); bases below `minimum` are not judged.
    #[must_use]
    pub fn allowed(self, base: u64, minimum: u64) -> Option<u64> {
        match self {
            Self::Unlimited => None,
            Self::Count(n) => Some(n),
            Self::Percent(_) if base < minimum => None,
            Self::Percent(p) => {
                #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
                // In hundredths of a percent, so that 5 % of 60 is 3 and not 2.999.
                let share = {
                    let hundredths = (p * 100.0).round().clamp(0.0, 1e9) as u128;
                    (u128::from(base) * hundredths / 10_000) as u64
                };
                Some(share.max(2))
            }
        }
    }
}

/// The limits of a sync.
#[derive(Debug, Clone)]
pub struct Limits {
    /// New accounts.
    pub create: Limit,
    /// Deactivations.
    pub deactivate: Limit,
    /// Deletions of accounts.
    pub delete: Limit,
    /// Deletions of groups.
    pub group_delete: Limit,
    /// Members removed from one group.
    pub members_remove_per_group: Limit,
    /// Renames.
    pub rename: Limit,
    /// Accounts that we linked and that are gone at the target.
    pub recreate: Limit,
    /// Fewer entries than the last accepted complete read.
    pub source_shrink: Limit,
    /// Shares are not judged below so many.
    pub minimum: u64,
}

impl Limits {
    /// Whether changes of this kind are counted over the day: there is a limit to them.
    #[must_use]
    pub fn counts(&self, kind: Kind) -> bool {
        self.of_kinds().into_iter().any(|(k, _, limit)| k == kind && limit != Limit::Unlimited)
    }

    /// Kind, key of the configuration, limit.
    fn of_kinds(&self) -> [(Kind, &'static str, Limit); 5] {
        [
            (Kind::Create, "create", self.create),
            (Kind::Deactivate, "deactivate", self.deactivate),
            (Kind::Delete, "delete", self.delete),
            (Kind::Rename, "rename", self.rename),
            (Kind::GroupDelete, "group_delete", self.group_delete),
        ]
    }
}

/// What a limit is judged on: unapproved changes of this plan, and what was done without approval in the last 24 h.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// In this plan.
    pub planned: u64,
    /// Done in the last 24 h.
    pub done: u64,
}

/// Everything the guard looks at, but for groups.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// Per kind; recreations are counted under `recreate`, not under their kind.
    pub tally: BTreeMap<Kind, Tally>,
    /// Accounts to be made anew.
    pub recreate: Tally,
    /// Links of people before the cycle plus adoptions planned (accounts inactive for longer than the window left out).
    pub base_users: u64,
    /// The same for groups.
    pub base_groups: u64,
    /// (last accepted, now): people in a complete read.
    pub users: Option<(u64, u64)>,
    /// (last accepted, now): groups in a complete read.
    pub groups: Option<(u64, u64)>,
    /// Why this is not the directory that the entries came from, where it is not.
    pub another_source: Option<String>,
    /// Why whoever is missing in the last complete read may be there all the same.
    pub doubt: Option<String>,
    /// Canaries that were not found.
    pub missing_canaries: Vec<String>,
    /// Nobody of the directory takes part any more, and so many active accounts would be deactivated for it, unapproved.
    pub left_by_all: Option<u64>,
    /// One of these was held before, and nobody approved it: others were.
    pub held_before: bool,
}

/// What the guard says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Kinds that are held, with the reason.
    pub kinds: BTreeMap<Kind, String>,
    /// Recreations are held.
    pub recreate: Option<String>,
    /// Everything that takes something away is held: the read cannot be trusted.
    pub distrust: Option<String>,
    /// There is no group where there were several: whatever takes groups or memberships away is held.
    pub no_groups: Option<String>,
    /// This is another directory: nobody of it is new before it is known who is who.
    pub another_source: bool,
}

impl Verdict {
    /// Why a change of this kind is held, if it is.
    #[must_use]
    pub fn holds(&self, kind: Kind, recreate: bool) -> Option<&str> {
        let makes = matches!(kind, Kind::Create | Kind::GroupCreate);
        let distrust = self.distrust.as_deref().filter(|_| kind.takes_away() || makes && self.another_source);
        if recreate {
            return distrust.filter(|_| makes).or(self.recreate.as_deref());
        }
        let no_groups = self.no_groups.as_deref().filter(|_| kind.takes_away() && kind.object() == ObjectKind::Group);
        distrust.or(no_groups).or_else(|| self.kinds.get(&kind).map(String::as_str))
    }
}

/// Judges.
#[must_use]
pub fn judge(l: &Limits, f: &Facts) -> Verdict {
    let mut v = Verdict::default();
    for (kind, name, limit) in l.of_kinds() {
        let base = if kind == Kind::GroupDelete { f.base_groups } else { f.base_users };
        let t = f.tally.get(&kind).copied().unwrap_or_default();
        if let Some(why) = breach(name, limit, t, base, l.minimum) {
            v.kinds.insert(kind, why);
        }
    }
    v.recreate = breach("recreate", l.recreate, f.recreate, f.base_users, l.minimum);
    v.distrust = distrust(l, f);
    v.no_groups = f
        .groups
        // A single group that is deleted is no more than that.
        .filter(|(before, now)| *before > 1 && *now == 0)
        .map(|(before, _)| format!("the directory shows no group, where the last accepted read had {before}"));
    v.another_source = f.another_source.is_some();
    v
}

/// Judges the members that leave one group; `base` is its number of pushed members.
#[must_use]
pub fn judge_group(l: &Limits, t: Tally, base: u64) -> Option<String> {
    breach("members_remove_per_group", l.members_remove_per_group, t, base, l.minimum)
}

fn breach(name: &str, limit: Limit, t: Tally, base: u64, minimum: u64) -> Option<String> {
    let allowed = limit.allowed(base, minimum)?;
    let n = t.planned + t.done;
    if t.planned == 0 || n <= allowed {
        return None;
    }
    let before = if t.done > 0 { format!(" ({} in the last 24 h, {} now)", t.done, t.planned) } else { String::new() };
    let of = match limit {
        Limit::Percent(_) => format!("guard.{name} = {limit} of {base}, that is {allowed}"),
        _ => format!("guard.{name} = {limit}"),
    };
    Some(format!("{n}{before} would exceed {of}"))
}

fn distrust(l: &Limits, f: &Facts) -> Option<String> {
    if f.another_source.is_some() {
        return f.another_source.clone();
    }
    if f.doubt.is_some() {
        return f.doubt.clone();
    }
    if !f.missing_canaries.is_empty() {
        return Some(format!("canary not found: {}", f.missing_canaries.join(", ")));
    }
    if let Some((before, 0)) = f.users
        && before > 0
    {
        return Some(format!("the directory shows nobody, where the last accepted read had {before} people"));
    }
    // Below `minimum` too: one who leaves may have been the last one, several at once are a mistake of the scope.
    if let Some(leaving) = f.left_by_all.filter(|n| *n > 1 || f.held_before) {
        let all = if leaving == 1 { "its last active account".to_owned() } else { format!("all {leaving} active accounts") };
        return Some(format!(
            "nobody of the directory is in the scope any more, and {all} would be deactivated: \
             [sync.scope] names an attribute, a value or a group that nobody has, or whoever was in it is gone"
        ));
    }
    for (what, counts) in [("people", f.users), ("groups", f.groups)] {
        if let Some((before, now)) = counts
            && now < before
            && let Some(allowed) = l.source_shrink.allowed(before, l.minimum)
            && before - now > allowed
        {
            return Some(format!(
                "the directory shows {now} {what}, {} fewer than the last accepted read ({before}); guard.source_shrink = {} allows {allowed}",
                before - now,
                l.source_shrink
            ));
        }
    }
    None
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn limits() -> Limits {
        Limits {
            create: Limit::Unlimited,
            deactivate: Limit::Percent(5.0),
            delete: Limit::Count(10),
            group_delete: Limit::Count(2),
            members_remove_per_group: Limit::Percent(30.0),
            rename: Limit::Percent(2.0),
            recreate: Limit::Count(0),
            source_shrink: Limit::Percent(10.0),
            minimum: 10,
        }
    }

    fn leaving(n: u64, done: u64, base: u64) -> Verdict {
        let tally = BTreeMap::from([(Kind::Deactivate, Tally { planned: n, done })]);
        judge(&limits(), &Facts { tally, base_users: base, ..Facts::default() })
    }

    #[test]
    fn a_share_is_floored_and_never_below_two() {
        assert!(leaving(50, 0, 1000).kinds.is_empty());
        assert!(leaving(51, 0, 1000).kinds.contains_key(&Kind::Deactivate));
        assert!(leaving(2, 0, 10).kinds.is_empty());
        assert!(leaving(3, 0, 10).kinds.contains_key(&Kind::Deactivate));
        assert!(leaving(3, 0, 60).kinds.is_empty(), "5 % of 60 is 3");
        assert!(leaving(9, 0, 9).kinds.is_empty(), "below minimum");
    }

    #[test]
    fn the_window_counts_what_was_done() {
        assert!(leaving(40, 0, 1000).kinds.is_empty());
        let v = leaving(40, 40, 1000);
        assert_eq!(
            v.holds(Kind::Deactivate, false),
            Some("80 (40 in the last 24 h, 40 now) would exceed guard.deactivate = 5% of 1000, that is 50")
        );
        assert!(leaving(0, 80, 1000).kinds.is_empty(), "nothing planned, nothing held");
    }

    #[test]
    fn zero_means_never() {
        let f = Facts { recreate: Tally { planned: 1, done: 0 }, ..Facts::default() };
        let v = judge(&limits(), &f);
        assert!(v.holds(Kind::Create, true).is_some());
        assert!(v.holds(Kind::Create, false).is_none());
    }

    #[test]
    fn a_shrunk_or_empty_read_holds_what_takes_away_only() {
        for (users, held) in [((100, 90), false), ((100, 89), true), ((9, 1), false), ((3, 0), true), ((0, 0), false)] {
            let v = judge(&limits(), &Facts { users: Some(users), ..Facts::default() });
            for kind in super::super::KINDS {
                assert_eq!(v.holds(kind, false).is_some(), held && kind.takes_away(), "{users:?} {kind:?}");
            }
        }
    }

    #[test]
    fn a_scope_in_which_nobody_is_holds_what_takes_away_however_few_there_are() {
        for (leaving, held) in [(None, false), (Some(1), false), (Some(2), true), (Some(9), true)] {
            let v = judge(&limits(), &Facts { left_by_all: leaving, base_users: 9, ..Facts::default() });
            assert_eq!(v.holds(Kind::Deactivate, false).is_some(), held, "{leaving:?}");
            assert!(v.holds(Kind::Update, false).is_none());
        }
        // The rest of several that were held is held, whoever else was approved.
        let rest = Facts { left_by_all: Some(1), held_before: true, base_users: 9, ..Facts::default() };
        assert!(judge(&limits(), &rest).holds(Kind::Deactivate, false).is_some());
    }

    #[test]
    fn a_read_without_any_group_holds_what_takes_groups_and_memberships_away() {
        for (groups, held) in [((1, 0), false), ((2, 0), true), ((3, 0), true), ((2, 1), false), ((0, 0), false), ((0, 2), false)]
        {
            let v = judge(&limits(), &Facts { users: Some((9, 9)), groups: Some(groups), ..Facts::default() });
            for kind in super::super::KINDS {
                let of_groups = matches!(kind, Kind::GroupDelete | Kind::MembersRemove);
                assert_eq!(v.holds(kind, false).is_some(), held && of_groups, "{groups:?} {kind:?}");
            }
        }
    }

    #[test]
    fn nobody_of_another_directory_is_new() {
        let v = judge(&limits(), &Facts { another_source: Some("relink".into()), ..Facts::default() });
        for kind in super::super::KINDS {
            let held = kind.takes_away() || matches!(kind, Kind::Create | Kind::GroupCreate);
            assert_eq!(v.holds(kind, false), held.then_some("relink"), "{kind:?}");
        }
        assert_eq!(v.holds(Kind::Create, true), Some("relink"));
    }

    #[test]
    fn a_missing_canary_holds() {
        let v = judge(&limits(), &Facts { missing_canaries: vec!["breakglass@x.example".into()], ..Facts::default() });
        assert!(v.holds(Kind::Deactivate, false).unwrap().contains("breakglass@x.example"));
        assert!(v.holds(Kind::Create, false).is_none());
    }
}
