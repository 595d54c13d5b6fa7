//! Which attributes of the source a configuration names, and where: for whoever knows what the source can give.

use super::attr::{Context, SourceAttr};
use super::expr::{Expr, Node};
use super::scope::Scope;
use super::spec::{Spec, toml_key};
use crate::model::{Entry, ObjectKind};

/// An attribute as the configuration names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// Key below the `[[sync]]`, as in [`super::MappingError`].
    pub key: String,
    /// People or groups.
    pub object: ObjectKind,
    /// As written.
    pub attribute: String,
    /// The names that are tried for it: its own, then its aliases. None: it is no attribute of the source (`[userId]`).
    pub tried: Vec<String>,
    /// The function around it that goes on where it has no value.
    pub borne_by: Option<&'static str>,
}

/// Functions that go on where one of their arguments has no value: the gap is meant.
const BEARS_GAPS: &[&str] = &["Coalesce", "IIF", "IsNull", "IsNullOrEmpty", "IsPresent", "Join", "Switch"];

/// Every attribute of an expression, with the nearest function around it that bears a gap.
fn attributes<'a>(node: &'a Node, borne_by: Option<&'static str>, add: &mut impl FnMut(&'a SourceAttr, Option<&'static str>)) {
    match node {
        Node::Attr(attr) => add(attr, borne_by),
        Node::Text(_) | Node::Number(_) | Node::Empty => {}
        Node::Compare(left, _, right) => {
            attributes(left, borne_by, add);
            attributes(right, borne_by, add);
        }
        Node::Call(call) => {
            let name = call.function.name;
            let borne_by = if BEARS_GAPS.contains(&name) { Some(name) } else { borne_by };
            call.args.iter().for_each(|arg| attributes(arg, borne_by, add));
        }
    }
}

/// Every attribute that rows, filters and policy of a sync name; what a preset names is not among them.
#[must_use]
pub fn named_attributes(spec: &Spec) -> Vec<Named> {
    let mut out: Vec<Named> = Vec::new();
    let mut add = |key: &str, object: ObjectKind, attr: &SourceAttr, borne_by: Option<&'static str>| {
        let tried = if attr.is_known_everywhere() { Vec::new() } else { attr.names().to_vec() };
        let named = Named { key: key.to_owned(), object, attribute: attr.written().to_owned(), tried, borne_by };
        match out.iter_mut().find(|n| (&n.key, n.object, &n.attribute) == (&named.key, object, &named.attribute)) {
            // Where it stands twice, one of them may be where a gap is not borne.
            Some(before) => before.borne_by = before.borne_by.and(borne_by),
            None => out.push(named),
        }
    };
    for (object, rows) in [(ObjectKind::User, &spec.users), (ObjectKind::Group, &spec.groups)] {
        for row in rows {
            let Ok(expr) = row.expr.parse::<Expr>() else { continue };
            if object == ObjectKind::Group && row.path.eq_ignore_ascii_case("members") {
                continue;
            }
            let key = format!("map.{object}.{}", toml_key(&row.path));
            attributes(&expr.0, None, &mut |a, borne_by| add(&key, object, a, borne_by));
        }
    }
    for (object, key, filter) in
        [(ObjectKind::User, "scope.users", &spec.scope_users), (ObjectKind::Group, "scope.groups", &spec.scope_groups)]
    {
        let Some(Ok(scope)) = filter.as_deref().map(Scope::compile) else { continue };
        scope.attributes().for_each(|a| add(key, object, a, None));
    }
    let legacy = spec.legacy_external_id.iter().map(|name| ("match.legacy_external_id", name));
    for (key, name) in spec.rehire.iter().map(|name| ("match.rehire", name)).chain(legacy) {
        add(key, ObjectKind::User, &SourceAttr::new(name), None);
    }
    out
}

/// An attribute that somebody asks for outside of the configuration, by any name that a mapping would know it by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sought(SourceAttr);

impl Sought {
    /// By its name as written.
    #[must_use]
    pub fn new(written: &str) -> Self {
        Self(SourceAttr::new(written))
    }

    /// The name as written.
    #[must_use]
    pub fn written(&self) -> &str {
        self.0.written()
    }

    /// The names under which a source may have it.
    #[must_use]
    pub fn names(&self) -> &[String] {
        self.0.names()
    }

    /// Every entry has it, whatever the source is.
    #[must_use]
    pub fn is_known_everywhere(&self) -> bool {
        self.0.is_known_everywhere()
    }

    /// Its values in an entry.
    #[must_use]
    pub fn values(&self, entry: &Entry, user_id: Option<&str>) -> Vec<String> {
        let context = Context::new(entry, user_id, entry.disabled);
        self.0.read(&context).into_all().into_iter().map(|text| text.into_owned()).collect()
    }
}

/// The nearest of the names that a source has to one that it does not have, near enough to be meant.
#[must_use]
pub fn nearest_attribute<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    super::spec::nearest(name, known)
}
