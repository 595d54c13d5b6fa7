//! The sync that comes out: rows that the compiler of mappings takes, and their TOML.

use super::{Imported, NotCarried};
use crate::mapping::{Mapper, Row, Spec, criterion, toml_key};
use crate::model::ObjectKind;
use std::fmt::Write as _;

/// Rows that the generic preset has, besides those that nobody can do without. An export that does not map them does not
/// write them.
const PRESET_USER: [&str; 5] =
    ["externalId", "displayName", "name.givenName", "name.familyName", "emails[type eq \"work\"].value"];
const PRESET_GROUP: [&str; 1] = ["externalId"];

/// What anybody may be matched by, mapped or not.
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
    /// Rows that are not judged yet.
    pub pending: Vec<(ObjectKind, Row)>,
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
    /// The export says by what accounts are matched, be it by something that is not carried over.
    pub matched: bool,
    pub actions: Vec<&'static str>,
    /// Memberships are mapped (groups only).
    pub members: bool,
}

impl Draft {
    pub(super) fn leave_out(&mut self, what: impl Into<String>, reason: impl Into<String>) {
        self.not_carried.push(NotCarried { what: what.into(), reason: reason.into() });
    }

    pub(super) fn side(&mut self, object: ObjectKind) -> &mut Side {
        match object {
            ObjectKind::User => &mut self.users,
            ObjectKind::Group => &mut self.groups,
        }
    }

    /// A row, to be judged when everything else is known.
    pub(super) fn row(&mut self, object: ObjectKind, row: Row) {
        self.pending.push((object, row));
    }

    /// Takes the rows that the compiler of mappings takes. One path is mapped once.
    fn judge(&mut self, matched_by: &[String]) {
        for (object, row) in std::mem::take(&mut self.pending) {
            let what = format!("{object} mapping of {}", row.path);
            // What is matched by must not be chosen so that nobody has it; what is not mapped yet comes later.
            let here = |by: &&String| criterion(&row.path).eq_ignore_ascii_case(by) && row.expr.contains("SelectUniqueValue");
            let mut spec = Spec { matched_by: matched_by.iter().filter(here).cloned().collect(), ..Spec::default() };
            let rows = self.side(object).rows.iter().chain([&row]).cloned().collect();
            *(if object == ObjectKind::User { &mut spec.users } else { &mut spec.groups }) = rows;
            match Mapper::compile(&spec, &[("userName", "[userId]")], &[("displayName", "[displayName]")]) {
                Ok(_) => self.side(object).rows.push(row),
                Err(errors) => {
                    let why = errors.into_iter().map(|e| match e.hint {
                        Some(hint) => format!("{} ({hint})", e.message),
                        None => e.message,
                    });
                    let why = why.collect::<Vec<_>>().join("; ");
                    self.leave_out(what, format!("{why}; it was `{}`", row.expr));
                }
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
        let users = matching(&mut self.users.matching);
        let groups = matching(&mut self.groups.matching);
        let default = || ["externalId", "userName", "emails.value"].map(str::to_owned).to_vec();
        self.judge(&if users.is_empty() { default() } else { users.clone() });
        let mut users = by_rows(users, &self.users.rows, &MATCH_USER);
        let mut groups = by_rows(groups, &self.groups.rows, &MATCH_GROUP);
        for (object, unknown) in [("user", &users.1), ("group", &groups.1)] {
            for path in unknown {
                self.leave_out(
                    format!("{object} matching by {path}"),
                    "nothing is mapped to it here, so that nobody has a value to be matched by",
                );
            }
        }
        // Without a list the default one counts, which is wider than what the export says.
        for (object, side, by) in [("user", &self.users, &mut users.0), ("group", &self.groups, &mut groups.0)] {
            if side.matched && by.is_empty() {
                by.push("externalId".to_owned());
                self.remarks.push(format!(
                    "No {object} matching of the export is carried over: accounts that are there are found by externalId alone. \
                     Write by what else into sync.match.{object}s, or `plan` makes new ones beside them."
                ));
            }
        }
        let mut out = String::new();
        self.head(&mut out);
        self.body(&mut out, &users.0, &groups.0);
        Imported { toml: out, not_carried: self.not_carried }
    }

    fn head(&self, out: &mut String) {
        comment(out, &format!("Imported from {}.", self.origin));
        let around = "Put before it what a configuration begins with: version = 1, [source.NAME] and [target.NAME] as named below. Who \
                      is assigned (`assigned_to` of the source), the schedule and the credentials do not stand in an export.";
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

/// Attributes to match by, in order.
fn matching(found: &mut [(i64, String)]) -> Vec<String> {
    found.sort();
    let mut out: Vec<String> = Vec::new();
    for (_, path) in found.iter() {
        let by = criterion(path);
        if !out.iter().any(|o| o.eq_ignore_ascii_case(&by)) {
            out.push(by);
        }
    }
    out
}

/// Those by which accounts can be matched, because they are `known` or a row writes them; and the others.
fn by_rows(by: Vec<String>, rows: &[Row], known: &[&str]) -> (Vec<String>, Vec<String>) {
    let spelled = |by: String| known.iter().find(|k| k.eq_ignore_ascii_case(&by)).map_or(by, |k| (*k).to_owned());
    by.into_iter()
        .map(spelled)
        .partition(|by| known.contains(&by.as_str()) || rows.iter().any(|r| criterion(&r.path).eq_ignore_ascii_case(by)))
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
