//! Which attributes of the source a configuration names, and where: for whoever knows what the source can give.

use super::Expr;
use super::attr::{Context, SourceAttr};
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
}

/// Every attribute that rows, filters and policy of a sync name; what a preset names is not among them.
#[must_use]
pub fn named_attributes(spec: &Spec) -> Vec<Named> {
    let mut out = Vec::new();
    let mut add = |key: String, object: ObjectKind, attr: &SourceAttr| {
        let tried = if attr.is_known_everywhere() { Vec::new() } else { attr.names().to_vec() };
        let named = Named { key, object, attribute: attr.written().to_owned(), tried };
        if !out.contains(&named) {
            out.push(named);
        }
    };
    for (object, rows) in [(ObjectKind::User, &spec.users), (ObjectKind::Group, &spec.groups)] {
        for row in rows {
            let Ok(expr) = row.expr.parse::<Expr>() else { continue };
            let mut attrs = Vec::new();
            expr.0.attributes(&mut attrs);
            let is_members = object == ObjectKind::Group && row.path.eq_ignore_ascii_case("members");
            attrs
                .into_iter()
                .filter(|_| !is_members)
                .for_each(|a| add(format!("map.{object}.{}", toml_key(&row.path)), object, a));
        }
    }
    for (object, key, filter) in
        [(ObjectKind::User, "scope.users", &spec.scope_users), (ObjectKind::Group, "scope.groups", &spec.scope_groups)]
    {
        let Some(Ok(scope)) = filter.as_deref().map(Scope::compile) else { continue };
        scope.attributes().for_each(|a| add(key.to_owned(), object, a));
    }
    let legacy = spec.legacy_external_id.iter().map(|name| ("match.legacy_external_id", name));
    for (key, name) in spec.rehire.iter().map(|name| ("match.rehire", name)).chain(legacy) {
        add(key.to_owned(), ObjectKind::User, &SourceAttr::new(name));
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
