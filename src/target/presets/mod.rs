//! Known applications, by name: one short file each, with its source and date. Plain data: what an application does
//! differently is a flag of [`Dialect`], a text that it answers with, or a default that the configuration overrides.

mod andmoney;
mod atlassian;
mod aws;
mod complete;
mod databricks;
mod datadog;
mod email_userid;
mod figma;
mod generic;
mod github;
mod gitlab;
mod grafana;
mod mews;
mod mezmo;
mod miro;
mod notion;
mod onepassword;
mod sentry;
mod slack;
mod snowflake;
mod zoom;

pub use complete::complete;

use super::Dialect;
use crate::model::Fault;

/// SCIM path and expression.
pub type Row = (&'static str, &'static str);

/// A known application's settings, limits and default mapping.
#[derive(Debug, Clone)]
pub struct Preset {
    /// Name in the configuration.
    pub name: &'static str,
    /// Name for people.
    pub application: &'static str,
    /// Where the facts are from.
    pub source: &'static str,
    /// When they were looked up (year-month-day).
    pub checked: &'static str,
    /// How it speaks.
    pub dialect: Dialect,
    /// Default mapping of users.
    pub map_user: &'static [Row],
    /// Default mapping of groups.
    pub map_group: &'static [Row],
    /// Defaults of the sync that yield to what the configuration says.
    pub defaults: Defaults,
    /// What it refuses besides.
    pub limits: Limits,
    /// Answers that mean something particular there.
    pub refusals: &'static [Refusal],
    /// What a `userName` is there, for messages.
    pub user_name: &'static str,
    /// What a group is there, for messages.
    pub group: &'static str,
    /// What people miss who are in no group there; such people are warned of.
    pub without_group: Option<&'static str>,
    /// Preset whose application must never get the same entry.
    pub apart_from: Option<&'static str>,
    /// Accounts named otherwise than by email have to be renamed before the first cycle.
    pub converts_user_ids: bool,
    /// The only attributes of users that can be changed later, lower case; empty: all.
    pub changeable: &'static [&'static str],
    /// Days after which a token ought to be replaced, where it never expires by itself or silently does.
    pub token_days: Option<u16>,
}

/// Defaults of a sync, where the configuration says nothing. `None`: the usual default.
#[derive(Debug, Clone, Copy, Default)]
pub struct Defaults {
    /// `match.users`.
    pub match_users: Option<&'static [&'static str]>,
    /// `match.groups`.
    pub match_groups: Option<&'static [&'static str]>,
    /// `match.legacy_external_id`.
    pub legacy_external_id: Option<&'static [&'static str]>,
    /// `user_id.from`.
    pub user_id_from: Option<&'static [&'static str]>,
    /// `scope.disabled = "ignore"`.
    pub ignores_disabled: bool,
}

/// What an application refuses that no client has to know before it asks: the sandbox refuses it too.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// Most characters of a userName before its `@`.
    pub user_name_local: Option<usize>,
    /// Most characters of a userName and of a person's displayName.
    pub name: Option<usize>,
    /// Most characters of a group's displayName.
    pub group_name: Option<usize>,
    /// Characters that no name may contain.
    pub illegal: &'static str,
    /// Attributes of users that are refused.
    pub refused: &'static [&'static str],
    /// Multi-valued attributes hold one value at most.
    pub one_of_each: bool,
    /// Members are neither replaced nor removed all at once; userName and active are written once in a request.
    pub members_by_parts: bool,
    /// Filters know `eq` and `and` only.
    pub eq_only: bool,
    /// Most members in one request, else 413.
    pub members: Option<usize>,
}

/// A text in the refusal of a write, and what it means there.
#[derive(Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Part of the text, lower case.
    pub text: &'static str,
    /// What kind of fault it is, where it is about one record.
    pub fault: Fault,
    /// What it means for one record.
    pub reason: &'static str,
    /// What to do then.
    pub advice: &'static str,
    /// What it means where every write is refused so: the sync stops, and nobody is marked as bad.
    pub everyone: Option<&'static str>,
}

impl Preset {
    /// What most applications have in common.
    fn base(name: &'static str, application: &'static str, source: &'static str, checked: &'static str) -> Self {
        Self {
            name,
            application,
            source,
            checked,
            dialect: Dialect::default(),
            map_user: generic::USER,
            map_group: generic::GROUP,
            defaults: Defaults::default(),
            limits: Limits::default(),
            refusals: &[],
            user_name: "userName",
            group: "group",
            without_group: None,
            apart_from: None,
            converts_user_ids: false,
            changeable: &[],
            token_days: None,
        }
    }
}

/// A list of lower-case paths.
fn list(paths: &[&str]) -> Vec<String> {
    paths.iter().map(|p| p.to_ascii_lowercase()).collect()
}

/// `active` as Entra ID's mappings write it.
const ACTIVE: Row = ("active", "Switch([IsSoftDeleted], , \"False\", \"True\", \"True\", \"False\")");

/// Makes a preset.
type Make = fn() -> Preset;

/// Every preset, in the order of `config::PRESETS`.
const ALL: &[(&str, Make)] = &[
    ("generic", generic::preset),
    ("mews", mews::preset),
    ("mezmo", mezmo::preset),
    ("andmoney-advisors", andmoney::advisors),
    ("andmoney-rooms", andmoney::rooms),
    ("email-userid", email_userid::preset),
    ("aws-identity-center", aws::preset),
    ("slack", slack::preset),
    ("github-enterprise", github::preset),
    ("gitlab", gitlab::preset),
    ("atlassian", atlassian::preset),
    ("zoom", zoom::preset),
    ("snowflake", snowflake::preset),
    ("databricks", databricks::preset),
    ("1password", onepassword::preset),
    ("grafana", grafana::preset),
    ("sentry", sentry::preset),
    ("datadog", datadog::preset),
    ("figma", figma::preset),
    ("notion", notion::preset),
    ("miro", miro::preset),
];

/// Names of all presets.
pub const NAMES: &[&str] = crate::config::PRESETS;

/// The preset of this name.
#[must_use]
pub fn find(name: &str) -> Option<Preset> {
    ALL.iter().find(|(known, _)| *known == name).map(|(_, make)| make())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{ALL, NAMES, find};
    use crate::mapping::{Mapper, Spec, UserIdPolicy};
    use crate::model::ObjectKind;

    #[test]
    fn configuration_and_presets_know_the_same_names() {
        assert_eq!(NAMES, ALL.iter().map(|(name, _)| *name).collect::<Vec<_>>());
        for name in NAMES {
            let name = *name;
            assert_eq!(find(name).unwrap().name, name);
        }
        assert!(find("Mews").is_none());
    }

    #[test]
    fn every_preset_says_where_its_facts_are_from_and_maps_what_it_may_send() {
        for preset in NAMES.iter().map(|n| find(n).unwrap()) {
            assert!(preset.source.len() > 10 && preset.checked.parse::<jiff::civil::Date>().is_ok(), "{}", preset.name);
            let user_id = UserIdPolicy { from: vec!["mail".to_owned()], ..UserIdPolicy::default() };
            let spec = Spec { user_id, ..Spec::default() };
            Mapper::compile(&spec, preset.map_user, preset.map_group).unwrap();
            for (kind, rows) in [(ObjectKind::User, preset.map_user), (ObjectKind::Group, preset.map_group)] {
                for (path, _) in rows {
                    assert!(preset.dialect.allows(kind, path), "{}: {path} is mapped and not allowed", preset.name);
                }
            }
            for path in &preset.dialect.required {
                assert!(preset.map_user.iter().any(|(p, _)| p == path), "{}: {path} is required and not mapped", preset.name);
            }
            for refusal in preset.refusals {
                assert_eq!(refusal.text, refusal.text.to_lowercase(), "texts are compared in lower case");
            }
        }
    }
}
