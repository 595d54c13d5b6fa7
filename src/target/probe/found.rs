//! What a probe found: facts, and what of it has to stand in the configuration.

use crate::config::TargetConfig;
use crate::model::ObjectKind;
use crate::target::TargetError;
use crate::target::dialect::{Dialect, Layered, Origin, line};
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Something that is known about the target, and from where.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Fact {
    /// What it is about, such as `patch.no_path`; values of the dialect begin with `dialect.`.
    pub name: String,
    /// What was found.
    pub value: Value,
    /// `probe`, or which of default, preset, discovery and configuration said it.
    pub from: &'static str,
}

/// A throwaway resource that is still there.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Left {
    /// `user` or `group`.
    pub object: &'static str,
    /// userName or displayName.
    pub name: String,
    /// SCIM `id`.
    pub id: String,
    /// Why it is still there.
    pub reason: String,
    /// The target does not remove accounts: this one is inactive, and that is all that can be done.
    #[serde(skip)]
    pub only_inactive: bool,
}

/// What a probe came to.
#[derive(Debug, Default)]
pub struct Probed {
    /// In the order in which they were found, then every value of the dialect.
    pub facts: Vec<Fact>,
    /// Keys of `[target.NAME]` by which the target differs from what preset and discovery say.
    pub config: Map<String, Value>,
    /// Keys that the configuration has and the target contradicts; and what no key mends.
    pub warnings: Vec<String>,
    /// Names of what an earlier probe had left and this one removed.
    pub removed: Vec<String>,
    /// What could not be removed.
    pub left_behind: Vec<Left>,
    /// Why it ended early.
    pub error: Option<TargetError>,
}

/// Facts as they come in.
pub(super) struct Found {
    /// What preset and discovery say.
    base: Layered,
    layers: Layered,
    facts: Vec<Fact>,
    /// Attributes whose filter was tried, and whether it works wherever it was.
    filters: BTreeMap<String, bool>,
    pub removed: Vec<String>,
    pub left: Vec<Left>,
    /// What no line of the configuration mends.
    pub warnings: Vec<String>,
}

impl Found {
    pub fn new(layers: Layered) -> Self {
        let (facts, filters) = (Vec::new(), BTreeMap::new());
        Self { base: layers.clone(), layers, facts, filters, removed: Vec::new(), left: Vec::new(), warnings: Vec::new() }
    }

    /// A fact that was seen.
    pub fn note(&mut self, name: &str, value: impl Into<Value>) {
        self.facts.push(Fact { name: name.to_owned(), value: value.into(), from: Origin::Probe.as_str() });
    }

    /// A value of the dialect that was seen.
    pub fn learnt(&mut self, field: &str, change: impl FnOnce(&mut Dialect)) {
        self.layers.set(field, Origin::Probe, change);
    }

    /// The dialect as far as it is known by now.
    pub fn dialect(&self) -> &Dialect {
        &self.layers.dialect
    }

    /// Whether a filter on this attribute does what it should.
    pub fn filter(&mut self, attribute: &str, works: bool) {
        let known = self.filters.entry(attribute.to_ascii_lowercase()).or_insert(true);
        *known &= works;
    }

    /// What the tried filters mean for the rest.
    pub fn conclude_filters(&mut self) {
        if self.filters.is_empty() {
            return;
        }
        let works: Vec<String> = self.filters.iter().filter(|(_, w)| **w).map(|(a, _)| a.clone()).collect();
        let any = !works.is_empty();
        self.learnt("filter", |d| d.filter = any);
        let all = works.len() == self.filters.len();
        let same_as_known = {
            let mut known = self.base.dialect.filters.clone();
            known.sort();
            known == works
        };
        if any && !same_as_known && !(all && self.base.dialect.filters.is_empty()) {
            self.learnt("filters", |d| d.filters = works);
        }
    }

    /// A resource that stays.
    pub fn stays(&mut self, kind: ObjectKind, name: &str, id: &str, reason: impl Into<String>, only_inactive: bool) {
        let object = match kind {
            ObjectKind::User => "user",
            ObjectKind::Group => "group",
        };
        self.left.push(Left { object, name: name.to_owned(), id: id.to_owned(), reason: reason.into(), only_inactive });
    }

    /// Everything together.
    pub fn finish(mut self, config: &TargetConfig, error: Option<TargetError>) -> Probed {
        let mut configured = self.layers.clone();
        configured.configure(config);
        let (mut lines, mut warnings) = (Map::new(), std::mem::take(&mut self.warnings));
        let base = self.base.values();
        let layers = self.layers.values();
        let seen_before = self.facts.len();
        for (((name, seen, origin), (_, said, by)), (_, before, _)) in layers.into_iter().zip(configured.values()).zip(base) {
            let seen_here = origin == Origin::Probe;
            if seen_here && seen != before {
                let (key, value) = line(&name, seen.clone());
                lines.insert(key, value);
            }
            if seen_here && by == Origin::Config && said != seen {
                let ((key, is), (_, says)) = (line(&name, seen.clone()), line(&name, said.clone()));
                warnings.push(format!("the configuration says {key} = {says}, and the target was seen to do {is}"));
            }
            let (value, from) = if seen_here { (seen, origin) } else { (said, by) };
            let (key, value) = line(&name, value);
            self.facts.push(Fact { name: format!("dialect.{key}"), value, from: from.as_str() });
        }
        if let Some(dialect) = self.facts.get_mut(seen_before..) {
            dialect.sort_by(|a, b| a.name.cmp(&b.name));
        }
        Probed { facts: self.facts, config: lines, warnings, removed: self.removed, left_behind: self.left, error }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::target::dialect::{Booleans, RemoveMembers};
    use serde_json::json;
    use std::path::Path;

    fn target(more: &str) -> TargetConfig {
        let text = format!("version = 1\n[target.a]\nurl = \"https://a.example\"\n{more}");
        crate::config::parse(Path::new("c.toml"), text).unwrap().config.targets.remove("a").unwrap()
    }

    #[test]
    fn only_what_differs_has_to_be_configured_and_it_can_be() {
        let mut found = Found::new(Layered::default());
        found.learnt("patch", |d| d.patch = true);
        found.learnt("op_capital", |d| d.op_capital = true);
        found.learnt("booleans", |d| d.booleans = Booleans::Capital);
        found.learnt("remove_members", |d| d.remove_members = RemoveMembers::List);
        found.learnt("cursor", |d| d.cursor = true);
        found.learnt("plain_json", |d| d.plain_json = true);
        found.learnt("page_size", |d| d.page_size = 20);
        found.filter("userName", true);
        found.filter("externalId", false);
        found.conclude_filters();
        let probed = found.finish(&target("page_size = 50"), None);
        let expected = json!({
            "booleans": "True", "filters": ["username"], "media_type": "application/json", "op_case": "capital",
            "page_size": 20, "paging": "cursor", "remove_members": "list",
        });
        assert_eq!(Value::Object(probed.config.clone()), expected);
        assert_eq!(probed.warnings, ["the configuration says page_size = 50, and the target was seen to do 20"]);
        let patch = probed.facts.iter().find(|f| f.name == "dialect.patch").unwrap();
        assert_eq!((&patch.value, patch.from), (&json!(true), "probe"));
        let etag = probed.facts.iter().find(|f| f.name == "dialect.etag").unwrap();
        assert_eq!(etag.from, "default");
        // Every line is one that the configuration takes.
        target(&toml::to_string(&probed.config).unwrap());
    }

    #[test]
    fn filters_that_all_work_need_no_line_and_none_that_works_is_none() {
        let mut found = Found::new(Layered::default());
        found.filter("userName", true);
        found.conclude_filters();
        assert_eq!(found.finish(&target(""), None).config, Map::new());
        let mut found = Found::new(Layered::default());
        found.filter("userName", true);
        found.filter("userName", false);
        found.conclude_filters();
        assert_eq!(Value::Object(found.finish(&target(""), None).config), json!({"filter": false}));
    }
}
