//! The sync that comes out: rows that the compiler of mappings takes, and their TOML.

use super::{Imported, NotCarried};
use crate::mapping::{Mapper, Row, Spec, toml_key};
use crate::model::ObjectKind;
use std::fmt::Write as _;

/// Rows that the generic preset has, besides those that nobody can do without. An export that does not map them does not
/// write them.
const PRESET_USER: [&str; 5] =
    ["externalId", "displayName", "name.givenName", "name.familyName", "emails[type eq \"work\"].value"];
const PRESET_GROUP: [&str; 1] = ["externalId"];

/// What both directories may match by.
const MATCH_USER: [&str; 4] = ["externalId", "userName", "emails.value", "id"];
const MATCH_GROUP: [&str; 3] = ["externalId", "displayName", "id"];

/// A sync in the making.
#[derive(Debug, Default)]
pub(super) struct Draft {
    /// Where it comes from, for the comment at the top.
    pub origin: String,
    pub name: String,
    /// Name of the `[source.NAME]` to write beside it.
    pub source: &'static str,
    pub users: Side,
    pub groups: Side,
    pub not_carried: Vec<NotCarried>,
    /// What is carried over and means something else here, for the comment at the top.
    pub remarks: Vec<String>,
}

/// People or groups.
#[derive(Debug, Default)]
pub(super) struct Side {
    /// Whether the export has a mapping for this kind at all.
    pub mapped: bool,
    pub rows: Vec<Row>,
    pub scope: Option<String>,
    /// Priority and target attribute.
    pub matching: Vec<(i64, String)>,
    pub actions: Vec<&'static str>,
    /// Memberships are mapped (groups only).
    pub members: bool,
}

impl Draft {
    pub(super) fn leave_out(&mut self, what: impl Into<String>, reason: impl Into<String>) {
        self.not_carried.push(NotCarried { what: what.into(), reason: reason.into() });
    }

    fn side(&mut self, object: ObjectKind) -> &mut Side {
        match object {
            ObjectKind::User => &mut self.users,
            ObjectKind::Group => &mut self.groups,
        }
    }

    /// Takes a row, if the compiler of mappings does. One path is mapped once.
    pub(super) fn row(&mut self, object: ObjectKind, row: Row) {
        let what = format!("{object} mapping of {}", row.path);
        let mut spec = Spec::default();
        let rows = self.side(object).rows.iter().chain([&row]).cloned().collect();
        *(if object == ObjectKind::User { &mut spec.users } else { &mut spec.groups }) = rows;
        match Mapper::compile(&spec, &[("userName", "[userId]")], &[("displayName", "[displayName]")]) {
            Ok(_) => self.side(object).rows.push(row),
            Err(errors) => {
                let why: Vec<String> = errors
                    .into_iter()
                    .map(|e| e.hint.map_or(e.message.clone(), |hint| format!("{} ({hint})", e.message)))
                    .collect();
                self.leave_out(what, format!("{}; it was `{}`", why.join("; "), row.expr));
            }
        }
    }

    /// Takes a scope filter, if the compiler does.
    pub(super) fn scope(&mut self, object: ObjectKind, filter: String) {
        let mut spec = Spec::default();
        *(if object == ObjectKind::User { &mut spec.scope_users } else { &mut spec.scope_groups }) = Some(filter.clone());
        match Mapper::compile(&spec, &[("userName", "[userId]")], &[("displayName", "[displayName]")]) {
            Ok(_) => self.side(object).scope = Some(filter),
            Err(errors) => {
                let why = errors.first().map(|e| e.message.clone()).unwrap_or_default();
                self.leave_out(format!("scoping filter for {object}s"), format!("{why}; nobody takes part until it is written"));
                self.side(object).scope = Some(super::filter::NOBODY.to_owned());
            }
        }
    }

    /// The TOML, with everything that was left out as comments.
    pub(super) fn finish(mut self) -> Imported {
        let users = matching(&mut self.users.matching, &MATCH_USER);
        let groups = matching(&mut self.groups.matching, &MATCH_GROUP);
        for (object, unknown) in [("user", users.1), ("group", groups.1)] {
            for path in unknown {
                self.leave_out(format!("{object} matching by {path}"), "accounts are not matched by this attribute");
            }
        }
        let mut out = String::new();
        self.head(&mut out);
        self.body(&mut out, &users.0, &groups.0);
        Imported { toml: out, not_carried: self.not_carried }
    }

    fn head(&self, out: &mut String) {
        comment(out, &format!("Imported from {}.", self.origin));
        let around = "Write beside it: [source.NAME] and [target.NAME], named below; who is assigned (`assigned_to` of the source), \
                      the schedule and the credentials do not stand in an export.";
        comment(out, around);
        for remark in &self.remarks {
            comment(out, remark);
        }
        if !self.not_carried.is_empty() {
            comment(out, "");
            comment(out, "Not carried over:");
            for n in &self.not_carried {
                comment(out, &format!("- {}: {}", n.what, n.reason));
            }
        }
    }

    fn body(&self, out: &mut String, match_users: &[String], match_groups: &[String]) {
        // Writing to a string cannot fail.
        let _ = write!(out, "\n[[sync]]\nname = {}\nsource = {}\ntarget = \"app\"\n", text(&self.name), text(self.source));
        if self.users.scope.is_some() || self.groups.scope.is_some() {
            out.push_str("\n[sync.scope]\n");
            for (key, scope) in [("users", &self.users.scope), ("groups", &self.groups.scope)] {
                if let Some(scope) = scope {
                    let _ = writeln!(out, "{key} = {}", text(scope));
                }
            }
        }
        let legacy = self.legacy();
        if !match_users.is_empty() || !match_groups.is_empty() || legacy.is_some() {
            out.push_str("\n[sync.match]\n");
            for (key, list) in [("users", match_users), ("groups", match_groups)] {
                if !list.is_empty() {
                    let _ = writeln!(out, "{key} = {}", texts(list));
                }
            }
            if let Some(legacy) = legacy {
                let _ = writeln!(out, "legacy_external_id = {}", texts(&[legacy]));
            }
        }
        rows(out, "user", &self.users, &PRESET_USER);
        rows(out, "group", &self.groups, &PRESET_GROUP);
        let actions = |side: &Side| texts(&side.actions.iter().map(|&a| a.to_owned()).collect::<Vec<_>>());
        let _ = write!(out, "\n[sync.actions]\nuser = {}\ngroup = {}\n", actions(&self.users), actions(&self.groups));
    }

    /// The attribute whose values earlier provisioning wrote to externalId: they are not foreign.
    fn legacy(&self) -> Option<String> {
        let row = self.users.rows.iter().find(|r| r.path.eq_ignore_ascii_case("externalId"))?;
        let name = row.expr.strip_prefix('[')?.strip_suffix(']')?;
        let plain = !name.contains(['[', ']']) && !["objectId", "sourceKey", "id"].iter().any(|k| k.eq_ignore_ascii_case(name));
        plain.then(|| name.to_owned())
    }
}

/// Attributes to match by, in order, and those that nobody is matched by here.
fn matching(found: &mut [(i64, String)], known: &[&str]) -> (Vec<String>, Vec<String>) {
    found.sort();
    let (mut carried, mut unknown) = (Vec::new(), Vec::new());
    for (_, path) in found.iter() {
        let plain = if path.to_ascii_lowercase().starts_with("emails") { "emails.value" } else { path.as_str() };
        match known.iter().find(|k| k.eq_ignore_ascii_case(plain)) {
            Some(&k) if !carried.iter().any(|c| c == k) => carried.push(k.to_owned()),
            Some(_) => {}
            None => unknown.push(path.clone()),
        }
    }
    (carried, unknown)
}

fn rows(out: &mut String, table: &str, side: &Side, preset: &[&str]) {
    let has = |path: &str| side.rows.iter().any(|r| same(&r.path, path));
    let removed: Vec<&str> = preset.iter().copied().filter(|p| side.mapped && !has(p)).collect();
    if side.rows.is_empty() && removed.is_empty() {
        return;
    }
    let _ = write!(out, "\n[sync.map.{table}]\n");
    for row in &side.rows {
        let key = toml_key(&row.path);
        if !row.create_only && row.default.is_none() {
            let _ = writeln!(out, "{key} = {}", text(&row.expr));
            continue;
        }
        let _ = write!(out, "{key} = {{ expr = {}", text(&row.expr));
        if row.create_only {
            out.push_str(", apply = \"create\"");
        }
        if let Some(default) = &row.default {
            let _ = write!(out, ", default = {}", text(default));
        }
        out.push_str(" }\n");
    }
    for path in removed {
        let _ = writeln!(out, "{} = \"\"", toml_key(path));
    }
}

/// Whether two paths are the same, as far as they are written alike.
fn same(a: &str, b: &str) -> bool {
    let plain =
        |p: &str| p.trim_start_matches("urn:ietf:params:scim:schemas:core:2.0:User:").replace([' ', '\''], "").to_lowercase();
    plain(a) == plain(b)
}

/// A TOML string: literal where that reads better.
fn text(value: &str) -> String {
    let literal = value.contains(['"', '\\']) && !value.chars().any(|c| c == '\'' || (c.is_control() && c != '\t'));
    if literal { format!("'{value}'") } else { toml::Value::String(value.to_owned()).to_string() }
}

fn texts(list: &[String]) -> String {
    format!("[{}]", list.iter().map(|t| text(t)).collect::<Vec<_>>().join(", "))
}

/// A comment, broken into lines; nothing of the export ends it.
fn comment(out: &mut String, content: &str) {
    let mut line = String::from("#");
    for word in content.split(|c: char| c.is_whitespace() || c.is_control()).filter(|w| !w.is_empty()) {
        if line.len() + word.len() > 110 {
            out.push_str(&line);
            out.push('\n');
            line = String::from("#  ");
        }
        line.push(' ');
        line.push_str(word);
    }
    out.push_str(&line);
    out.push('\n');
}

/// A name for the sync: lower case, digits and dashes.
pub(super) fn slug(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars().flat_map(char::to_lowercase).take(60) {
        match c {
            c if c.is_ascii_alphanumeric() => out.push(c),
            _ if !out.is_empty() && !out.ends_with('-') => out.push('-'),
            _ => {}
        }
    }
    let out = out.trim_end_matches('-');
    if out.is_empty() { "imported".to_owned() } else { out.to_owned() }
}
