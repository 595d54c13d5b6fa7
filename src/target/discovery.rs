//! Discovery (RFC 7644 section 4), tolerant: what cannot be read is unknown, and the preset stands.

use super::client::{Call, Core, Counts};
use super::dialect::{Layered, Origin};
use super::error::{About, TargetError};
use super::pages::Pages;
use super::path::{boolean, field};
use super::{Dialect, presets};
use crate::config::TargetConfig;
use crate::mapping::Type;
use crate::model::{Fault, ObjectKind};
use crate::scim;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// More per page than this only makes pages slow to answer and large to hold.
const LARGEST_PAGE: u64 = 500;

/// How a target says that it speaks.
#[derive(Debug, Clone, PartialEq)]
pub struct Discovery {
    /// Preset, then discovery, then configuration.
    pub dialect: Dialect,
    /// What was found, for people: name and value, in order.
    pub facts: Vec<(String, String)>,
}

pub(super) async fn discover(core: &Core, config: &TargetConfig) -> Result<Discovery, TargetError> {
    let Found { mut said, mut facts, .. } = layers(core, config).await?;
    said.configure(config);
    if let Some(skew) = core.clock_skew_s() {
        facts.push(("clock".to_owned(), format!("{skew:+} s against ours")));
    }
    facts.extend(said.facts());
    Ok(Discovery { dialect: said.dialect, facts })
}

/// Preset and discovery, without the configuration's say.
pub(super) struct Found {
    pub said: Layered,
    /// For people.
    pub facts: Vec<(String, String)>,
    /// `/ResourceTypes` and `/Schemas` as they came.
    pub types: Option<Value>,
    pub schemas: Option<Value>,
}

/// Asks for the documents of RFC 7644 section 4.
pub(super) async fn layers(core: &Core, config: &TargetConfig) -> Result<Found, TargetError> {
    let mut said = presets::find(&config.preset).map(|p| Layered::of_preset(&p)).unwrap_or_default();
    let mut facts = Vec::new();
    let (provider, types, schemas) = tokio::join!(provider_config(core), read(core, "/ResourceTypes"), read(core, "/Schemas"));
    let (provider, types, schemas) = (provider?, types?, schemas?);
    note_provider(&mut said, &mut facts, provider.as_ref());
    note_types(&mut said, &mut facts, types.as_ref(), core.prefix());
    note_schemas(&mut said, &mut facts, schemas.as_ref());
    Ok(Found { said, facts, types, schemas })
}

pub(super) async fn check_access(core: &Core, dialect: &Dialect) -> Result<Vec<(String, String)>, TargetError> {
    let mut facts = Vec::new();
    for (kind, name) in [(ObjectKind::User, "users"), (ObjectKind::Group, "groups")] {
        if kind == ObjectKind::Group && !dialect.groups {
            continue;
        }
        let mut pages = Pages::sample(core, dialect, kind, 1);
        let rows = match pages.next().await {
            Ok(rows) => rows.map_or(0, |r| r.len() as u64),
            // A server that gives fewer than it promises is found by the real read.
            Err(e) if e.fault == Fault::Transient && e.status.is_none() && pages.total().is_some() => 0,
            Err(e) => return Err(e),
        };
        facts.push((name.to_owned(), pages.total().map_or_else(|| format!("at least {rows}"), |t| t.to_string())));
    }
    Ok(facts)
}

/// RFC 7644 section 4; SCIM 1.1 wrote the plural.
async fn provider_config(core: &Core) -> Result<Option<Value>, TargetError> {
    match read(core, "/ServiceProviderConfig").await? {
        Some(found) => Ok(Some(found)),
        None => read(core, "/ServiceProviderConfigs").await,
    }
}

/// One discovery document; `None` where it is unknown.
async fn read(core: &Core, path: &str) -> Result<Option<Value>, TargetError> {
    let call = Call { counts: Counts::Discovery, ..Call::get(path, About::Service) };
    match core.send(&call).await {
        Ok(reply) => Ok(core.json(&call, &reply).ok().filter(|v| !super::client::is_error(v))),
        Err(e) => match (e.fault, e.status) {
            (Fault::Auth | Fault::Throttled, _) | (_, None | Some(408 | 502..=504)) => Err(e),
            _ => Ok(None),
        },
    }
}

fn note_provider(layers: &mut Layered, facts: &mut Vec<(String, String)>, provider: Option<&Value>) {
    let Some(provider) = provider.and_then(first_object) else {
        facts.push(("service provider configuration".to_owned(), "unknown: the preset stands".to_owned()));
        return;
    };
    let mut said = |name: &str, value: String| facts.push((name.to_owned(), value));
    let feature = |name: &str| field(provider, name).and_then(Value::as_object);
    let supported = |name: &str| feature(name).and_then(|f| flag(f, "supported"));
    let word = |on: Option<bool>| match on {
        Some(true) => "supported",
        Some(false) => "not supported",
        None => "unknown",
    };
    if let Some(patch) = supported("patch") {
        layers.set("patch", Origin::Discovery, |d| d.patch = patch);
    }
    said("patch", word(supported("patch")).to_owned());
    if let Some(filter) = supported("filter") {
        layers.set("filter", Origin::Discovery, |d| d.filter = filter);
    }
    let max = feature("filter").and_then(|f| count(f, "maxResults")).filter(|m| *m > 0);
    said(
        "filter",
        max.map_or_else(
            || word(supported("filter")).to_owned(),
            |m| format!("{}, at most {m} results", word(supported("filter"))),
        ),
    );
    let pagination = feature("pagination");
    if let Some(cursor) = pagination.and_then(|p| flag(p, "cursor")) {
        layers.set("cursor", Origin::Discovery, |d| d.cursor = cursor);
    }
    let page = pagination.and_then(|p| count(p, "maxPageSize")).filter(|m| *m > 0).or(max);
    if let Some(page) = page.and_then(|p| u32::try_from(p.min(LARGEST_PAGE)).ok()) {
        layers.set("page_size", Origin::Discovery, |d| d.page_size = page);
    }
    if let Some(bulk) = feature("bulk").filter(|b| flag(b, "supported") == Some(true)) {
        let most = count(bulk, "maxOperations").and_then(|m| u32::try_from(m).ok()).unwrap_or(0);
        layers.set("bulk", Origin::Discovery, |d| d.bulk = most);
    }
    if let Some(etag) = supported("etag") {
        layers.set("etag", Origin::Discovery, |d| d.etag = etag);
    }
    let dialect = &layers.dialect;
    said("paging", format!("by {}, {} a page", if dialect.cursor { "cursor" } else { "index" }, dialect.page_size));
    for name in ["bulk", "sort", "etag"] {
        said(name, word(supported(name)).to_owned());
    }
    if let Some(Value::Array(schemes)) = field(provider, "authenticationSchemes") {
        let names: Vec<&str> = schemes.iter().filter_map(|s| field(s.as_object()?, "type")?.as_str()).collect();
        said("authentication", names.join(", "));
    }
}

fn note_types(layers: &mut Layered, facts: &mut Vec<(String, String)>, types: Option<&Value>, prefix: &str) {
    let rows = types.map(resources).unwrap_or_default();
    if rows.is_empty() {
        facts.push(("resource types".to_owned(), "unknown".to_owned()));
        return;
    }
    let mut has = (false, false);
    for row in rows {
        let text = |name: &str| field(row, name).and_then(Value::as_str).unwrap_or_default();
        let is = |urn: &str, name: &str| {
            text("schema").eq_ignore_ascii_case(urn) || (text("schema").is_empty() && text("name").eq_ignore_ascii_case(name))
        };
        let endpoint = endpoint(text("endpoint"), prefix);
        if is(scim::USER, "User") {
            has.0 = true;
            if let Some(endpoint) = endpoint {
                layers.set("users_endpoint", Origin::Discovery, |d| d.users_endpoint = endpoint);
            }
        } else if is(scim::GROUP, "Group") {
            has.1 = true;
            if let Some(endpoint) = endpoint {
                layers.set("groups_endpoint", Origin::Discovery, |d| d.groups_endpoint = endpoint);
            }
        }
    }
    // A list that does not even name users says nothing about groups; where groups are known to be none, one that names them
    // does not make any.
    if has.0 && (layers.dialect.groups || !has.1) {
        layers.set("groups", Origin::Discovery, |d| d.groups = has.1);
    }
    let dialect = &layers.dialect;
    let groups = if dialect.groups { dialect.groups_endpoint.as_str() } else { "none" };
    facts.push(("resource types".to_owned(), format!("users at {}, groups: {groups}", dialect.users_endpoint)));
}

/// A relative endpoint with a leading slash, without the base path where it was repeated; an absolute address only where
/// it lies under the base URL (the token goes there).
fn endpoint(text: &str, prefix: &str) -> Option<String> {
    let text = text.trim().trim_end_matches('/');
    let base_path = prefix.split_once("://").and_then(|(_, rest)| rest.find('/').map(|at| &rest[at..])).unwrap_or_default();
    let relative = if text.contains("://") { text.strip_prefix(prefix)? } else { text.strip_prefix(base_path).unwrap_or(text) };
    let path = format!("/{}", relative.trim_start_matches('/'));
    let plain = path.len() > 1 && path.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '/' | '-' | '_' | '.' | '~'));
    (plain && !path.contains("..")).then_some(path)
}

fn note_schemas(layers: &mut Layered, facts: &mut Vec<(String, String)>, schemas: Option<&Value>) {
    let rows = schemas.map(resources).unwrap_or_default();
    let mut said = Said::default();
    let mut core_user = false;
    for row in rows {
        let Some(urn) = field(row, "id").and_then(Value::as_str) else { continue };
        let Some(Value::Array(attributes)) = field(row, "attributes") else { continue };
        let lower = urn.to_ascii_lowercase();
        let prefix = if urn.eq_ignore_ascii_case(scim::USER) {
            core_user = !attributes.is_empty();
            name_mutability(layers, attributes);
            String::new()
        } else if urn.eq_ignore_ascii_case(scim::GROUP) {
            group_schema(layers, attributes);
            continue;
        } else if lower.starts_with("urn:ietf:params:scim:schemas:core:") {
            continue;
        } else {
            format!("{lower}:")
        };
        for attribute in attributes.iter().filter_map(Value::as_object) {
            said.collect(&prefix, attribute);
        }
    }
    let Said { mut known, types, lists } = said;
    if !types.is_empty() {
        layers.set("types", Origin::Discovery, |d| d.types = types);
    }
    if !lists.is_empty() {
        layers.set("lists", Origin::Discovery, |d| d.lists = lists);
    }
    // A target that does not describe its users at all takes what it takes.
    if !core_user {
        facts.push(("user attributes".to_owned(), "unknown: all are sent".to_owned()));
        return;
    }
    // Common attributes (RFC 7643 section 3.1) stand in no schema.
    known.extend(["externalid", "username", "active"].map(str::to_owned));
    known.sort();
    known.dedup();
    facts.push(("user attributes".to_owned(), format!("{} known", known.len())));
    // What a preset allows is what the application really keeps; a schema names more than that.
    if layers.dialect.user_attributes.is_empty() {
        layers.set("user_attributes", Origin::Discovery, |d| d.user_attributes = known);
    }
}

/// A userName that is declared immutable or read-only (RFC 7643 section 7) is given once and never changed. Where a preset
/// knows what the application does, that stands.
fn name_mutability(layers: &mut Layered, attributes: &[Value]) {
    let of_name = |a: &&Map<String, Value>| {
        field(a, "name").and_then(Value::as_str).is_some_and(|name| name.eq_ignore_ascii_case("userName"))
    };
    let declared = attributes.iter().filter_map(Value::as_object).find(of_name).and_then(|a| field(a, "mutability")?.as_str());
    let fixed = declared.is_some_and(|m| m.eq_ignore_ascii_case("immutable") || m.eq_ignore_ascii_case("readOnly"));
    if fixed && layers.origin("user_name_immutable") != Origin::Preset {
        layers.set("user_name_immutable", Origin::Discovery, |d| d.user_name_immutable = true);
    }
}

/// What may be sent of groups, as far as the schema says so.
fn group_schema(layers: &mut Layered, attributes: &[Value]) {
    let mut said = Said::default();
    attributes.iter().filter_map(Value::as_object).for_each(|a| said.collect("", a));
    let mut known = said.known;
    if known.is_empty() || !layers.dialect.group_attributes.is_empty() {
        return;
    }
    known.push("externalid".to_owned());
    known.sort();
    known.dedup();
    layers.set("group_attributes", Origin::Discovery, |d| d.group_attributes = known);
}

/// What schemas say of attributes, by lower-case path.
#[derive(Default)]
struct Said {
    known: Vec<String>,
    types: BTreeMap<String, Type>,
    lists: Vec<String>,
}

impl Said {
    fn collect(&mut self, prefix: &str, attribute: &Map<String, Value>) {
        let is = |a: &Map<String, Value>, name: &str, word: &str| {
            field(a, name).and_then(Value::as_str).is_some_and(|m| m.eq_ignore_ascii_case(word))
        };
        let name = field(attribute, "name").and_then(Value::as_str).filter(|_| !is(attribute, "mutability", "readOnly"));
        let Some(name) = name else { return };
        let name = format!("{prefix}{}", name.to_ascii_lowercase());
        if let Some(Value::Array(subs)) = field(attribute, "subAttributes") {
            for sub in subs.iter().filter_map(Value::as_object).filter(|s| !is(s, "mutability", "readOnly")) {
                if let Some(sub_name) = field(sub, "name").and_then(Value::as_str) {
                    self.note(format!("{name}.{}", sub_name.to_ascii_lowercase()), sub);
                }
            }
        } else if flag(attribute, "multiValued") == Some(true) && !is(attribute, "type", "complex") {
            // Several plain values; those made of parts are written element by element.
            self.lists.push(name.clone());
        }
        self.note(name, attribute);
    }

    fn note(&mut self, path: String, attribute: &Map<String, Value>) {
        let kind = Type::of_schema(field(attribute, "type").and_then(Value::as_str).unwrap_or_default());
        self.types.extend(kind.map(|kind| (path.clone(), kind)));
        self.known.push(path);
    }
}

/// The rows of a list response, of a bare array, or a single object.
pub(super) fn resources(raw: &Value) -> Vec<&Map<String, Value>> {
    let rows = match raw {
        Value::Array(a) => a.as_slice(),
        Value::Object(o) => match field(o, "Resources") {
            Some(Value::Array(a)) => a.as_slice(),
            _ => std::slice::from_ref(raw),
        },
        _ => &[],
    };
    rows.iter().filter_map(Value::as_object).collect()
}

/// The document, also where it came inside a list response.
fn first_object(raw: &Value) -> Option<&Map<String, Value>> {
    resources(raw).into_iter().next()
}

fn flag(object: &Map<String, Value>, name: &str) -> Option<bool> {
    boolean(field(object, name)?).as_bool()
}

fn count(object: &Map<String, Value>, name: &str) -> Option<u64> {
    match field(object, name)? {
        Value::Number(n) => n.as_u64(),
        Value::String(s) => s.trim().parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::mapping::Shape;
    use serde_json::json;

    const BASE: &str = "https://app.example/scim/v2";

    fn layered() -> Layered {
        Layered::default()
    }

    #[test]
    fn endpoints_stay_under_the_base() {
        for good in ["/Users", "Users", "/Users/", "/scim/v2/Users", "https://app.example/scim/v2/Users"] {
            assert_eq!(endpoint(good, BASE).as_deref(), Some("/Users"), "{good}");
        }
        for bad in ["", "/", "https://evil.example/Users", "/../Users", "/Users?x=1", "/Us ers"] {
            assert_eq!(endpoint(bad, BASE), None, "{bad}");
        }
        assert_eq!(endpoint("/v2/People", "https://app.example").as_deref(), Some("/v2/People"));
    }

    #[test]
    fn the_provider_configuration_sets_the_dialect() {
        let mut d = layered();
        let mut facts = Vec::new();
        let spc = json!({
            "patch": {"supported": "False"}, "filter": {"supported": true, "maxResults": 200},
            "pagination": {"cursor": true, "maxPageSize": 50},
        });
        note_provider(&mut d, &mut facts, Some(&spc));
        assert!(!d.dialect.patch && d.dialect.filter && d.dialect.cursor);
        assert_eq!((d.dialect.page_size, d.origin("page_size")), (50, Origin::Discovery));
        let mut d = layered();
        note_provider(&mut d, &mut facts, Some(&json!({"filter": {"supported": true, "maxResults": 1_000_000}})));
        assert_eq!((d.dialect.page_size, d.dialect.patch, d.dialect.cursor), (500, true, false), "what is not said stays");
        let mut d = layered();
        for nonsense in
            [json!([]), json!("x"), json!({"patch": true, "filter": [], "pagination": 7, "authenticationSchemes": {}})]
        {
            note_provider(&mut d, &mut facts, Some(&nonsense));
        }
        assert_eq!(d.dialect, Dialect::default());
    }

    #[test]
    fn resource_types_say_where_things_are() {
        let mut d = layered();
        let types = json!({"Resources": [{"name": "User", "endpoint": "/People", "schema": scim::USER}]});
        note_types(&mut d, &mut Vec::new(), Some(&types), BASE);
        assert_eq!((d.dialect.users_endpoint.as_str(), d.dialect.groups), ("/People", false));
        let mut d = layered();
        note_types(&mut d, &mut Vec::new(), Some(&json!({"Resources": [{"name": "Device"}]})), BASE);
        assert_eq!(d.dialect, Dialect::default(), "a list without users says nothing");
    }

    #[test]
    fn schemas_say_what_is_no_text() {
        let mut d = layered();
        let schemas = json!({"Resources": [
            {"id": scim::USER, "attributes": [
                {"name": "userName", "type": "string"},
                {"name": "phoneNumbers", "type": "complex", "subAttributes": [{"name": "primary", "type": "boolean"}]},
            ]},
            {"id": "urn:acme:2.0:User", "attributes": [
                {"name": "badgeNo", "type": "Integer"}, {"name": "share", "type": "decimal"},
                {"name": "seen", "type": "boolean", "mutability": "readOnly"},
                {"name": "tags", "type": "string", "multiValued": true},
                {"name": "nums", "type": "integer", "multiValued": true},
                {"name": "parts", "type": "complex", "multiValued": true, "subAttributes": [{"name": "value"}]},
            ]},
        ]});
        note_schemas(&mut d, &mut Vec::new(), Some(&schemas));
        let d = d.dialect;
        for (path, kind) in [
            ("userName", None),
            ("urn:acme:2.0:User:badgeNo", Some(Type::Integer)),
            ("urn:acme:2.0:User:share", Some(Type::Decimal)),
            ("urn:acme:2.0:User:seen", None),
            ("phoneNumbers[type eq \"work\"].primary", Some(Type::Boolean)),
            ("phoneNumbers[type eq \"work\"].value", None),
        ] {
            assert_eq!(d.shape_of(path).kind, kind, "{path}");
        }
        let shape = |path: &str| d.shape_of(&format!("urn:acme:2.0:User:{path}"));
        assert_eq!(shape("Tags"), Shape { kind: None, many: true });
        assert_eq!(shape("nums"), Shape { kind: Some(Type::Integer), many: true });
        assert!(!shape("parts").many);
        let desired = |value: &str| crate::mapping::Desired {
            attrs: [("urn:acme:2.0:User:badgeNo".to_owned(), Value::from(value))].into(),
            ..Default::default()
        };
        let typed = |value: &str| desired(value).typed(&|path| d.shape_of(path));
        assert_eq!(typed("0042").unwrap().attrs["urn:acme:2.0:User:badgeNo"], 42);
        let unmapped = typed("B 42").unwrap_err();
        assert!(unmapped.reason.contains("`B 42` is no whole number"), "{}", unmapped.reason);
        assert!(unmapped.rest.attrs.is_empty());
    }

    #[test]
    fn a_schema_says_whether_a_user_name_can_be_changed() {
        for (said, fixed) in [("immutable", true), ("READONLY", true), ("readWrite", false), ("writeOnly", false)] {
            let mut d = layered();
            let schemas = json!({"Resources": [
                {"id": scim::USER, "attributes": [{"name": "UserName", "mutability": said}, {"name": "displayName"}]},
                {"id": "urn:acme:2.0:User", "attributes": [{"name": "userName", "mutability": "immutable"}]},
            ]});
            note_schemas(&mut d, &mut Vec::new(), Some(&schemas));
            assert_eq!(d.dialect.user_name_immutable, fixed, "{said}");
            assert_eq!(d.origin("user_name_immutable") == Origin::Discovery, fixed, "{said}");
            assert!(d.dialect.allows(ObjectKind::User, "userName"), "a new account is given one: {said}");
        }
    }

    #[test]
    fn schemas_say_what_may_be_sent() {
        let mut d = layered();
        let schemas = json!({"Resources": [
            {"id": scim::USER, "attributes": [
                {"name": "userName"}, {"name": "groups", "mutability": "readOnly"},
                {"name": "emails", "subAttributes": [{"name": "value"}, {"name": "type"}]},
                {"name": "name", "subAttributes": [{"name": "givenName"}]},
            ]},
            {"id": scim::ENTERPRISE, "attributes": [{"name": "department"}]},
            {"id": scim::GROUP, "attributes": [{"name": "displayName"}]},
        ]});
        note_schemas(&mut d, &mut Vec::new(), Some(&schemas));
        for yes in ["userName", "externalId", "active", "name.givenName", "emails[type eq \"work\"].value"] {
            assert!(d.dialect.allows(ObjectKind::User, yes), "{yes}");
        }
        assert!(d.dialect.allows(ObjectKind::User, &format!("{}:department", scim::ENTERPRISE)));
        for no in ["displayName", "groups", "name.familyName", "title", "emails[type eq \"work\"].display", "nonsense["] {
            assert!(!d.dialect.allows(ObjectKind::User, no), "{no}");
        }
        let mut d = layered();
        note_schemas(&mut d, &mut Vec::new(), Some(&json!({"Resources": [{"id": scim::USER, "attributes": []}]})));
        assert!(d.dialect.allows(ObjectKind::User, "anything"), "an empty description is none");
    }
}
