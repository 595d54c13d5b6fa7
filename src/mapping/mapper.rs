//! The mapper: scope, user ID and rows of one sync, compiled once and asked for every entry.

use super::attr::{Context, SourceAttr};
use super::desired::{Desired, Unmapped, desired};
use super::matched;
use super::rows::{self, CompiledRow, REDACTED, Rows};
use super::schema::Kind;
use super::scope::{Scope, ScopeResult};
use super::spec::{MappingError, Spec};
use super::timed;
use super::user_id::{UserId, UserIds};
use super::world::{self, World};
use crate::model::{Entry, ObjectKind};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// Changes whenever the meaning of the language, an alias or the user-ID rules change, so that everything is mapped anew.
const LANGUAGE: u32 = 5;

/// One sync's mapping, compiled.
#[derive(Debug)]
pub struct Mapper {
    users: Rows,
    groups: Rows,
    user_ids: UserIds,
    scope_users: Option<Scope>,
    scope_groups: Option<Scope>,
    legacy: Vec<SourceAttr>,
    rehire: Option<SourceAttr>,
    disabled_is_inactive: bool,
    world: World,
    /// Paths whose value tells the time.
    pub(super) telling: BTreeSet<String>,
}

/// A person as mapped.
#[derive(Debug, Clone, PartialEq)]
pub struct Mapped {
    /// The user ID by policy, if there is one.
    pub user_id: Option<UserId>,
    /// Why there is none: what was tried.
    pub no_user_id: Option<String>,
    /// The resource.
    pub attrs: Result<Desired, Unmapped>,
}

/// One row of a mapping on one entry.
#[derive(Debug, Clone, PartialEq)]
pub struct Explained {
    /// Canonical path.
    pub path: String,
    /// The expression, in canonical print.
    pub expr: String,
    /// Every attribute the expression reads: null, a text, or an array of texts.
    pub inputs: BTreeMap<String, Value>,
    /// The result; null where there is none.
    pub value: Value,
    /// Why there is no result, where the expression fails.
    pub error: Option<String>,
}

impl Mapper {
    /// Compiles a specification with the preset's rows (SCIM path, expression).
    ///
    /// # Errors
    /// Every mistake at once: paths, expressions, filters, user-ID policy.
    pub fn compile(spec: &Spec, preset_user: &[(&str, &str)], preset_group: &[(&str, &str)]) -> Result<Self, Vec<MappingError>> {
        let mut errors = Vec::new();
        let world = World { now: spec.now, domains: world::domains(&spec.user_id.domains), tables: spec.tables.clone() };
        let users = rows::compile(ObjectKind::User, preset_user, &spec.users, &world, &mut errors);
        let groups = rows::compile(ObjectKind::Group, preset_group, &spec.groups, &world, &mut errors);
        matched::unique(&users, &spec.users, &spec.matched_by, &mut errors);
        for (object, rows, file, by) in [
            (ObjectKind::User, &users, &spec.users, &spec.matched_by),
            (ObjectKind::Group, &groups, &spec.groups, &spec.groups_matched_by),
        ] {
            matched::mapped(object, rows, file, by, &mut errors);
        }
        let user_ids = UserIds::compile(&spec.user_id, &mut errors);
        let mut scope = |key: &str, filter: Option<&String>| {
            let filter = filter.filter(|f| !f.trim().is_empty())?;
            Scope::compile(filter)
                .map_err(|(message, offset)| {
                    errors.push(MappingError { key: key.to_owned(), line: 0, offset, message, hint: None });
                })
                .ok()
        };
        let scope_users = scope("scope.users", spec.scope_users.as_ref());
        let scope_groups = scope("scope.groups", spec.scope_groups.as_ref());
        if !errors.is_empty() {
            return Err(errors);
        }
        Ok(Self {
            telling: timed::telling(&users.rows).chain(timed::telling(&groups.rows)).collect(),
            users,
            groups,
            user_ids,
            scope_users,
            scope_groups,
            legacy: spec.legacy_external_id.iter().map(|name| SourceAttr::new(name)).collect(),
            rehire: spec.rehire.as_deref().map(SourceAttr::new),
            disabled_is_inactive: spec.disabled_is_inactive,
            world,
        })
    }

    /// Whether the time is one of the things that a result depends on: then an entry that did not change may give another.
    #[must_use]
    pub fn depends_on_time(&self) -> bool {
        let mut calls = Vec::new();
        self.users.rows.iter().chain(&self.groups.rows).for_each(|row| row.expr.0.calls(&mut calls));
        calls.iter().any(|call| call.function.name == "Now")
    }

    /// Whether a row refers to another person (a manager).
    #[must_use]
    pub fn has_references(&self) -> bool {
        self.users.rows.iter().any(|row| row.kind == Kind::Reference)
    }

    /// Paths that refer to another person, and whether a reference to nobody clears them.
    pub fn references(&self) -> impl Iterator<Item = (&str, bool)> {
        let rows = self.users.rows.iter().filter(|row| row.kind == Kind::Reference);
        rows.map(|row| (row.path.as_str(), row.clear_when_null))
    }

    /// Paths whose value is for nobody's eyes (`Redact`).
    #[must_use]
    pub fn redacted(&self) -> BTreeSet<String> {
        self.users.rows.iter().chain(&self.groups.rows).filter(|row| row.redacted).map(|row| row.path.clone()).collect()
    }

    /// Every source attribute that anything here reads, aliases included.
    #[must_use]
    pub fn attributes(&self) -> BTreeSet<String> {
        let mut attrs: Vec<&SourceAttr> = Vec::new();
        self.users.rows.iter().chain(&self.groups.rows).for_each(|row| row.expr.0.attributes(&mut attrs));
        attrs.extend(self.scope_users.iter().chain(&self.scope_groups).flat_map(Scope::attributes));
        attrs.extend(self.user_ids.attributes().chain(&self.legacy).chain(&self.rehire));
        // Names compare without case: of two spellings one is asked for.
        let names: BTreeMap<String, &String> =
            attrs.iter().flat_map(|a| a.names()).map(|name| (name.to_lowercase(), name)).collect();
        names.into_values().cloned().collect()
    }

    /// A text that stays the same as long as every entry gives the same result, and changes when one could give another.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let mut out = format!("language {LANGUAGE}\ndisabled_is_inactive {}\n", self.disabled_is_inactive);
        for (kind, rows) in [(ObjectKind::User, &self.users), (ObjectKind::Group, &self.groups)] {
            let mut lines: Vec<String> = rows.rows.iter().map(CompiledRow::print).collect();
            lines.sort_unstable();
            for line in lines {
                let _ = writeln!(out, "{kind} {line}");
            }
        }
        out.push_str(&self.world.print());
        let print = |scope: &Option<Scope>| scope.as_ref().map_or(String::new(), |s| s.print().to_owned());
        let _ = writeln!(out, "scope users {}\nscope groups {}", print(&self.scope_users), print(&self.scope_groups));
        let legacy: Vec<&str> = self.legacy.iter().map(SourceAttr::written).collect();
        let rehire = self.rehire.as_ref().map(SourceAttr::written);
        let _ = writeln!(out, "{}\nlegacy {legacy:?} rehire {rehire:?}", self.user_ids.print());
        let _ = write!(out, "members {}", !self.groups.members_removed);
        out
    }

    /// Whether the attributes of the entry put it in scope; memberships are decided elsewhere.
    #[must_use]
    pub fn in_scope(&self, entry: &Entry) -> bool {
        self.scope_of(entry).is_none_or(|scope| {
            let user_id = self.scope_user_id(scope, entry);
            scope.holds(&self.context(entry, user_id.as_deref(), false))
        })
    }

    /// The same, clause by clause.
    #[must_use]
    pub fn scope_explain(&self, entry: &Entry) -> ScopeResult {
        let Some(scope) = self.scope_of(entry) else { return ScopeResult { in_scope: true, clauses: Vec::new() } };
        let user_id = self.scope_user_id(scope, entry);
        let context = self.context(entry, user_id.as_deref(), false);
        ScopeResult { in_scope: scope.holds(&context), clauses: scope.explain(&context) }
    }

    /// Maps a person. `inactive`: the caller knows that the account must not be active (out of scope, deleted); an entry
    /// that is disabled at the source is inactive by itself, unless the sync ignores that.
    #[must_use]
    pub fn user(&self, entry: &Entry, inactive: bool) -> Mapped {
        let (user_id, no_user_id) = match self.user_ids.of(entry) {
            Ok(id) => (Some(id), None),
            Err(tried) => (None, Some(tried)),
        };
        let context = self.context(entry, user_id.as_ref().map(|id| id.address.as_str()), inactive);
        let attrs = desired(ObjectKind::User, &self.users, &context, no_user_id.as_deref());
        Mapped { user_id, no_user_id, attrs }
    }

    /// Whether user IDs are made up from UPNs or account names: those count only where nobody else has the address.
    #[must_use]
    pub fn constructs_user_ids(&self) -> bool {
        self.user_ids.constructs()
    }

    /// The addresses that an entry has of its own, folded.
    #[must_use]
    pub fn own_addresses(&self, entry: &Entry) -> BTreeSet<String> {
        self.user_ids.own_addresses(entry)
    }

    /// Maps a group, without its members.
    ///
    /// # Errors
    /// A path that must have a value has none, or an expression fails.
    pub fn group(&self, entry: &Entry) -> Result<Desired, Unmapped> {
        desired(ObjectKind::Group, &self.groups, &self.context(entry, None, false), None)
    }

    /// Every row on one entry, for people to read.
    #[must_use]
    pub fn explain(&self, entry: &Entry, inactive: bool) -> Vec<Explained> {
        let (rows, user_id) = match entry.kind {
            ObjectKind::User => (&self.users, self.user_ids.of(entry).ok()),
            ObjectKind::Group => (&self.groups, None),
        };
        let context = self.context(entry, user_id.as_ref().map(|id| id.address.as_str()), inactive);
        rows.rows.iter().map(|row| explained(row, &context)).collect()
    }

    /// The value that names the person across re-hiring.
    #[must_use]
    pub fn rehire(&self, entry: &Entry) -> Option<String> {
        let attr = self.rehire.as_ref()?;
        attr.read(&self.context(entry, None, false)).into_first().map(std::borrow::Cow::into_owned)
    }

    /// Values that earlier provisioning may have written to externalId.
    #[must_use]
    pub fn legacy_external_ids(&self, entry: &Entry) -> Vec<String> {
        let context = self.context(entry, None, false);
        // A guest's name may stand there as it is, or as the address that a mapping makes of it.
        let both = |attr: &SourceAttr| [attr.read(&context).into_all(), attr.mapped(&context).into_all()].concat();
        let mut values: Vec<String> = self.legacy.iter().flat_map(both).map(std::borrow::Cow::into_owned).collect();
        let mut seen = BTreeSet::new();
        values.retain(|value| seen.insert(value.clone()));
        values
    }

    /// Every path of users that is written.
    #[must_use]
    pub fn user_paths(&self) -> BTreeSet<String> {
        self.users.rows.iter().map(|row| row.path.clone()).collect()
    }

    /// Whether the configuration takes the members of groups out of the mapping (`members = ""`).
    #[must_use]
    pub fn group_members_removed(&self) -> bool {
        self.groups.members_removed
    }

    /// The rows for people or for groups.
    pub(super) fn rows_of(&self, kind: ObjectKind) -> &Rows {
        match kind {
            ObjectKind::User => &self.users,
            ObjectKind::Group => &self.groups,
        }
    }

    fn context<'a>(&'a self, entry: &'a Entry, user_id: Option<&'a str>, inactive: bool) -> Context<'a> {
        Context::new(entry, user_id, inactive || (entry.disabled && self.disabled_is_inactive)).within(&self.world)
    }

    fn scope_of(&self, entry: &Entry) -> Option<&Scope> {
        match entry.kind {
            ObjectKind::User => self.scope_users.as_ref(),
            ObjectKind::Group => self.scope_groups.as_ref(),
        }
    }

    /// The user ID, where the filter asks for it.
    fn scope_user_id(&self, scope: &Scope, entry: &Entry) -> Option<String> {
        scope.attributes().any(SourceAttr::is_user_id).then(|| self.user_ids.of(entry).ok())?.map(|id| id.address)
    }
}

impl Mapped {
    /// The user ID, where it was made up and became the userName: somebody else may have that address.
    #[must_use]
    pub fn constructed(&self) -> Option<&UserId> {
        let id = self.user_id.as_ref().filter(|id| id.constructed)?;
        let name = self.attrs.as_ref().map_or_else(|u| u.rest.user_id.as_ref(), |d| d.user_id.as_ref())?;
        (*name == id.address).then_some(id)
    }

    /// Somebody else has the address that was made up: it is not this person's.
    #[must_use]
    pub fn address_of_another(self, other: &str) -> Self {
        let Some((address, origin)) = self.constructed().map(|id| (id.address.clone(), id.origin.clone())) else { return self };
        let mut rest = self.attrs.unwrap_or_else(|u| *u.rest);
        rest.attrs.remove("userName");
        rest.user_id = None;
        let reason = format!("no value for userName: {address} is made from {origin}, and {other} has this address");
        let advice = "give the person an address of their own at the source (mail)".to_owned();
        Self { attrs: Err(Unmapped { reason, advice, rest: Box::new(rest) }), ..self }
    }
}

fn explained(row: &CompiledRow, context: &Context<'_>) -> Explained {
    let mut attrs = Vec::new();
    row.expr.0.attributes(&mut attrs);
    let inputs = attrs
        .into_iter()
        .map(|attr| {
            let mut values: Vec<Value> =
                attr.mapped(context).into_all().into_iter().map(|v| Value::String(v.into_owned())).collect();
            let value = match values.len() {
                0 => Value::Null,
                _ if row.redacted => Value::String(REDACTED.to_owned()),
                1 => values.swap_remove(0),
                _ => Value::Array(values),
            };
            (attr.written().to_owned(), value)
        })
        .collect();
    let (value, error) = match row.shown(context) {
        Ok(Value::Null) => (row.default.clone().unwrap_or(Value::Null), None),
        Ok(_) if row.redacted => (Value::String(REDACTED.to_owned()), None),
        Ok(value) => (value, None),
        Err(_) if row.redacted => (Value::Null, Some("the expression fails; its values are not shown".to_owned())),
        Err(e) => (Value::Null, Some(e.to_string())),
    };
    Explained { path: row.path.clone(), expr: row.expr.to_string(), inputs, value, error }
}
