//! Entra's provisioning schema (Microsoft Graph, `synchronizationSchema`): rules, object mappings, attribute mappings.

use super::draft::{Draft, Side, slug};
use super::filter::ScopingFilter;
use super::{ImportError, Imported};
use crate::mapping::Row;
use crate::model::ObjectKind;
use serde::Deserialize;
use serde_json::Value;

/// How the directory calls itself in exports, with names of former years.
const DIRECTORY: [&str; 4] = ["azure active directory", "microsoft entra id", "microsoft entra", "azureactivedirectory"];

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct Schema {
    synchronization_rules: Vec<Rule>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Rule {
    name: Option<String>,
    #[serde(deserialize_with = "number")]
    priority: Option<i64>,
    source_directory_name: Option<String>,
    target_directory_name: Option<String>,
    object_mappings: Option<Vec<ObjectMapping>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ObjectMapping {
    name: Option<String>,
    enabled: Option<bool>,
    flow_types: Option<String>,
    scope: Option<ScopingFilter>,
    source_object_name: Option<String>,
    target_object_name: Option<String>,
    attribute_mappings: Option<Vec<AttributeMapping>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct AttributeMapping {
    default_value: Option<String>,
    flow_behavior: Option<String>,
    flow_type: Option<String>,
    #[serde(deserialize_with = "number")]
    matching_priority: Option<i64>,
    source: Option<Source>,
    target_attribute_name: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Source {
    expression: Option<String>,
    name: Option<String>,
    parameters: Option<Vec<Parameter>>,
    #[serde(rename = "type")]
    kind: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Parameter {
    value: Source,
}

/// The schema, wherever in the document it stands: alone, in a job or template, in the list of them.
pub(super) fn find(json: &Value) -> Option<&Value> {
    if json.get("synchronizationRules").is_some() {
        return Some(json);
    }
    let list = |name: &str| json.get(name).and_then(Value::as_array).into_iter().flatten();
    let inside = ["schema", "synchronization"].into_iter().filter_map(|name| json.get(name));
    inside.chain(list("value")).chain(list("jobs")).chain(list("templates")).find_map(find)
}

pub(super) fn import(schema: &Value) -> Result<Imported, ImportError> {
    let schema = Schema::deserialize(schema).map_err(|e| ImportError::NotJson(format!("the schema: {e}")))?;
    let (mut rules, others): (Vec<Rule>, Vec<Rule>) = schema.synchronization_rules.into_iter().partition(Rule::leads_out);
    if rules.is_empty() {
        let message = "the schema has no rule from Entra to an application: it is an inbound one (HR), or empty".to_owned();
        return Err(ImportError::Direction(message));
    }
    rules.sort_by_key(|r| r.priority.unwrap_or(i64::MAX));
    let target = rules.iter().find_map(|r| r.target_directory_name.clone()).unwrap_or_default();
    let mut draft = Draft {
        origin: format!("an Entra provisioning schema for {target:?}"),
        name: slug(&target),
        source: "entra",
        ..Draft::default()
    };
    for rule in others {
        let name = rule.name.unwrap_or_default();
        draft.leave_out(format!("rule {name:?}"), "it does not lead from Entra to the application");
    }
    for mapping in rules.into_iter().flat_map(|r| r.object_mappings.unwrap_or_default()) {
        mapping.carry(&mut draft);
    }
    Ok(draft.finish())
}

impl Rule {
    fn leads_out(&self) -> bool {
        let name = self.source_directory_name.as_deref().unwrap_or_default().to_lowercase();
        DIRECTORY.contains(&name.as_str())
    }
}

impl ObjectMapping {
    fn carry(self, draft: &mut Draft) {
        let of = self.source_object_name.clone().unwrap_or_default();
        let object = match of.to_lowercase().as_str() {
            "user" => ObjectKind::User,
            "group" => ObjectKind::Group,
            // Some schemas have an empty object at the end.
            "" if self.attribute_mappings.is_none() => return,
            _ => {
                let what = format!("mapping of {of} to {}", self.target_object_name.unwrap_or_default());
                return draft.leave_out(what, "only users and groups are provisioned");
            }
        };
        if side(draft, object).mapped {
            return draft.leave_out(
                format!("mapping {:?}", self.name.unwrap_or_default()),
                format!("there is another one for {object}s before it, and a sync has one"),
            );
        }
        side(draft, object).mapped = true;
        if self.enabled == Some(false) {
            let name = self.name.unwrap_or_default();
            side(draft, object).mapped = false;
            return draft.remarks.push(format!("The mapping {name:?} is switched off in Entra: no {object}s."));
        }
        if let Some(scope) = self.scope {
            scope.carry(draft, object);
        }
        let mappings = self.attribute_mappings.unwrap_or_default();
        let disables = mappings.iter().any(AttributeMapping::disables);
        for mapping in mappings {
            mapping.carry(draft, object);
        }
        let flows = self.flow_types.unwrap_or_else(|| "Add, Update, Delete".to_owned()).to_lowercase();
        let flows = |name: &str| flows.split(',').any(|f| f.trim() == name);
        let members = side(draft, object).members;
        let all: &[(&str, &str)] = match object {
            ObjectKind::User => &[("add", "create"), ("update", "update"), ("delete", "deactivate")],
            ObjectKind::Group => &[("add", "create"), ("update", "update"), ("delete", "delete"), ("update", "members")],
        };
        // An update that carries IsSoftDeleted disables, whether Delete is on or not.
        let allows = |flow: &str, action: &str| match action {
            "members" => flows(flow) && members,
            "deactivate" => flows(flow) || (flows("update") && disables),
            _ => flows(flow),
        };
        side(draft, object).actions =
            all.iter().filter(|(flow, action)| allows(flow, action)).map(|(_, action)| *action).collect();
        if object == ObjectKind::User && !flows("delete") && allows("delete", "deactivate") {
            draft.remarks.push(
                "Delete is switched off in Entra; leavers are deactivated all the same, because active is mapped from IsSoftDeleted."
                    .to_owned(),
            );
        }
        if object == ObjectKind::User && flows("delete") {
            draft.remarks.push(
                "Entra deletes an account when the user is purged there; here leavers are deactivated. Add \"delete\" to \
                 sync.actions.user to delete what stays deactivated for delete_after."
                    .to_owned(),
            );
        }
    }
}

fn side(draft: &mut Draft, object: ObjectKind) -> &mut Side {
    match object {
        ObjectKind::User => &mut draft.users,
        ObjectKind::Group => &mut draft.groups,
    }
}

impl AttributeMapping {
    /// Whether this is what makes an account inactive when the person leaves or is disabled.
    fn disables(&self) -> bool {
        let active = self.target_attribute_name.as_deref().is_some_and(|p| p.trim().eq_ignore_ascii_case("active"));
        let from = |s: &Source| {
            let written = s.expression.as_deref().unwrap_or_default().to_lowercase();
            ["issoftdeleted", "accountenabled"].iter().any(|name| written.contains(name))
        };
        active && self.source.as_ref().is_some_and(from)
    }

    fn carry(self, draft: &mut Draft, object: ObjectKind) {
        let Some(path) = self.target_attribute_name.filter(|p| !p.trim().is_empty()) else { return };
        if let Some(priority) = self.matching_priority.filter(|p| *p > 0) {
            side(draft, object).matched = true;
            if path.trim().eq_ignore_ascii_case("id") {
                draft.leave_out(format!("{object} matching by id"), "the application gives the id, and no directory knows it");
                return;
            }
            side(draft, object).matching.push((priority, path.clone()));
        }
        if object == ObjectKind::Group && path.eq_ignore_ascii_case("members") {
            side(draft, object).members = true;
            return;
        }
        let what = format!("{object} mapping of {path}");
        let default = self.default_value.filter(|d| !d.is_empty());
        let (expr, constant) = match self.source.map(|s| s.expression()) {
            Some(Ok(expr)) => (expr, false),
            Some(Err(why)) => return draft.leave_out(what, why),
            // No source: only filled where there is nothing.
            None => match &default {
                Some(default) => (quoted(default), true),
                None => return,
            },
        };
        let mut create_only = constant;
        match self.flow_type.as_deref().unwrap_or("Always") {
            "Always" => {}
            "ObjectAddOnly" => create_only = true,
            "AttributeAddOnly" => {
                create_only = true;
                draft.leave_out(
                    format!("{what}: AttributeAddOnly"),
                    "the target's value is not looked at; it is written at creation only",
                );
            }
            other @ ("MultiValueAddOnly" | "ValueAddOnly") => {
                draft.leave_out(format!("{what}: {other}"), "here the attribute follows the directory, also when a value goes");
            }
            other => draft.leave_out(format!("{what}: flow type {other}"), "it is not known; the attribute is always written"),
        }
        if self.flow_behavior.as_deref() == Some("FlowAlways") {
            draft.leave_out(
                format!("{what}: FlowAlways"),
                "a value is written when it changed; a verifying cycle (`verify`) puts back what was changed at the target",
            );
        }
        let default = default.filter(|_| !constant);
        draft.row(object, Row { path, expr, create_only, default, ..Row::default() });
    }
}

impl Source {
    /// The expression; built from its parts where it is not written.
    fn expression(self) -> Result<String, String> {
        let name = self.name.unwrap_or_default();
        let written = self.expression.map(|e| e.trim().to_owned()).filter(|e| !e.is_empty());
        match (self.kind.as_deref().unwrap_or("Attribute"), written) {
            ("Constant", Some(e)) if e.len() >= 2 && e.starts_with('"') && e.ends_with('"') => Ok(e),
            ("Constant", written) => Ok(quoted(if name.is_empty() { written.as_deref().unwrap_or_default() } else { &name })),
            ("Attribute" | "Function", Some(e)) => Ok(e),
            ("Attribute", None) if !name.is_empty() => Ok(format!("[{name}]")),
            ("Function", None) if !name.is_empty() => {
                let parts = self.parameters.unwrap_or_default().into_iter().map(|p| p.value.expression());
                Ok(format!("{name}({})", parts.collect::<Result<Vec<_>, _>>()?.join(", ")))
            }
            (kind, _) => Err(format!("a source of type {kind} without an expression")),
        }
    }
}

/// A constant as an expression.
pub(super) fn quoted(value: &str) -> String {
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
}

/// A number, also where it is written as text; what is neither is none.
fn number<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::Number(n) => n.as_i64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    })
}
