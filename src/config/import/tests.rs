#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use serde_json::json;

fn schema(users: Value, groups: Value) -> Value {
    json!({"synchronizationRules": [{"name": "USER_TO_USER", "priority": 1, "sourceDirectoryName": "Azure Active Directory",
        "targetDirectoryName": "customappsso", "objectMappings": [users, groups]}]})
}

fn attribute(target: &str, source: Value) -> Value {
    json!({"targetAttributeName": target, "source": source, "flowType": "Always", "flowBehavior": "FlowWhenChanged",
        "matchingPriority": 0, "defaultValue": null, "exportMissingReferences": false})
}

fn plain(target: &str, source: &str) -> Value {
    attribute(target, json!({"expression": format!("[{source}]"), "name": source, "type": "Attribute", "parameters": []}))
}

fn users(scope: Value, mappings: Vec<Value>) -> Value {
    json!({"enabled": true, "flowTypes": "Add, Update, Delete", "name": "Provision users", "scope": scope,
        "sourceObjectName": "User", "targetObjectName": "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User",
        "attributeMappings": mappings})
}

fn imported(users: Value, groups: Value) -> Imported {
    let out = import(&schema(users, groups).to_string()).unwrap();
    valid(&out);
    out
}

/// The TOML is a configuration, once a source and a target stand beside it.
fn valid(out: &Imported) -> toml::Table {
    let text = format!(
        "version = 1\n[state]\npath = \"/tmp/x.db\"\n[source.entra]\ntype = \"graph\"\ntenant = \"t\"\nclient_id = \"c\"\n\
         client_secret = {{ env = \"X\" }}\n[source.okta]\ntype = \"okta\"\nurl = \"https://acme.okta.com\"\ntoken = {{ env = \"X\" }}\n\
         [target.app]\nurl = \"https://app.example/scim\"\n{}",
        out.toml
    );
    let loaded =
        crate::config::parse(std::path::Path::new("config.toml"), text.clone()).unwrap_or_else(|e| panic!("{e}\n{text}"));
    assert_eq!(loaded.config.syncs.len(), 1);
    out.toml.parse().unwrap()
}

#[test]
fn rows_keep_expression_flow_and_default() {
    let mut created = plain("preferredLanguage", "preferredLanguage");
    created["flowType"] = "ObjectAddOnly".into();
    let mut default = plain("title", "jobTitle");
    default["defaultValue"] = "none \"yet\"".into();
    let mut nothing = attribute("locale", Value::Null);
    nothing["defaultValue"] = "en-US".into();
    let mut name = plain("userName", "userPrincipalName");
    name["matchingPriority"] = 1.into();
    let out = imported(
        users(
            Value::Null,
            vec![
                name,
                attribute(
                    "active",
                    json!({"expression": "Switch([IsSoftDeleted], , \"False\", \"True\", \"True\", \"False\")",
                    "name": "Switch", "type": "Function"}),
                ),
                plain("externalId", "mailNickname"),
                plain("emails[type eq \"work\"].value", "mail"),
                attribute("userType", json!({"expression": "\"Person\"", "name": "Person", "type": "Constant"})),
                created,
                default,
                nothing,
                plain("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department", "department"),
            ],
        ),
        json!({"enabled": false, "name": "Provision groups", "sourceObjectName": "Group", "attributeMappings": []}),
    );
    assert_eq!(out.not_carried, []);
    let toml = valid(&out);
    let sync = toml["sync"][0].as_table().unwrap();
    let map = sync["map"]["user"].as_table().unwrap();
    assert_eq!(map["userName"].as_str(), Some("[userPrincipalName]"));
    assert_eq!(map["userType"].as_str(), Some("\"Person\""));
    assert_eq!(map["preferredLanguage"]["apply"].as_str(), Some("create"));
    assert_eq!(map["title"]["default"].as_str(), Some("none \"yet\""));
    assert_eq!((map["locale"]["expr"].as_str(), map["locale"]["apply"].as_str()), (Some("\"en-US\""), Some("create")));
    assert_eq!(map["displayName"].as_str(), Some(""), "the preset's row that the export does not have");
    assert!(!map.contains_key("active") || map["active"].as_str().unwrap().starts_with("Switch"));
    assert_eq!(sync["match"]["users"].as_array().unwrap().len(), 1);
    assert_eq!(sync["match"]["legacy_external_id"][0].as_str(), Some("mailNickname"));
    assert_eq!(sync["actions"]["group"].as_array().unwrap().len(), 0, "switched off");
}

fn clause(operator: &str, attribute: &str, values: &[&str]) -> Value {
    json!({"operatorName": operator, "sourceOperandName": attribute, "targetOperand": {"values": values}})
}

fn scope_of(groups: Value) -> (String, Vec<NotCarried>) {
    let out = imported(users(json!({"groups": groups}), vec![plain("userName", "mail")]), Value::Object(Default::default()));
    let toml = valid(&out);
    (toml["sync"][0]["scope"]["users"].as_str().unwrap().to_owned(), out.not_carried)
}

#[test]
fn scoping_filters_are_clauses_of_groups() {
    for (operator, values, filter) in [
        ("EQUALS", &["Sales"][..], "x eq \"Sales\""),
        ("NOT EQUALS", &["a\"b"], "x ne \"a\\\"b\""),
        ("IS TRUE", &[], "x eq true"),
        ("IS FALSE", &[], "x eq false"),
        ("IS NULL", &[], "x eq null"),
        ("IS NOT NULL", &[], "x pr"),
        ("REGEX MATCH", &["^A.*"], "x matches \"(?-i)^A.*\""),
        ("NOT REGEX MATCH", &["^A.*"], "x pr and not (x matches \"(?-i)^A.*\")"),
        ("Greater_Than", &["7"], "x gt 7"),
        ("Greater_Than_OR_EQUALS", &["7"], "x ge 7"),
        ("Includes", &["ell"], "x co \"ell\""),
        ("ENDS_WITH", &["z"], "x ew \"z\""),
    ] {
        let (found, left) = scope_of(json!([{"name": "g", "clauses": [clause(operator, "x", values)]}]));
        assert_eq!((found.as_str(), left.len()), (filter, 0), "{operator}");
    }
    let (all, _) = scope_of(json!([{"clauses": [clause("EQUALS", "a", &["1", "2"]), clause("IS NOT NULL", "b", &[])]},
        {"clauses": [clause("EQUALS", "c", &["3"])]}]));
    assert_eq!(all, "((a eq \"1\" or a eq \"2\") and b pr) or (c eq \"3\")");
}

#[test]
fn a_scope_never_becomes_wider() {
    let (found, left) = scope_of(json!([{"name": "Bits", "clauses": [clause("&", "x", &["2"]), clause("EQUALS", "y", &["1"])]}]));
    assert_eq!(found, filter::NOBODY);
    assert!(left[0].what.contains("Bits") && left[0].reason.contains("bits of x"), "{left:?}");
    let (found, left) =
        scope_of(json!([{"clauses": [clause("MAYBE", "x", &["2"])]}, {"clauses": [clause("EQUALS", "y", &["1"])]}]));
    assert_eq!((found.as_str(), left.len()), ("y eq \"1\"", 1));
    let (found, _) = scope_of(json!([{"clauses": [clause("REGEX MATCH", "x", &["("])]}]));
    assert_eq!(found, filter::NOBODY, "what the filter's own compiler refuses");
}

#[test]
fn what_cannot_be_carried_over_is_said_with_its_reason() {
    let mut add_only = plain("nickName", "mailNickname");
    add_only["flowType"] = "AttributeAddOnly".into();
    let out = imported(
        users(
            json!({"inputFilterGroups": [{"clauses": [clause("EQUALS", "x", &["1"])]}]}),
            vec![
                plain("userName", "mail"),
                plain("IsActive", "accountEnabled"),
                attribute("title", json!({"expression": "Levitate([jobTitle])", "name": "Levitate", "type": "Function"})),
                add_only,
            ],
        ),
        json!({"sourceObjectName": "Device", "targetObjectName": "Thing", "attributeMappings": []}),
    );
    let of = |what: &str| out.not_carried.iter().find(|n| n.what.contains(what)).unwrap_or_else(|| panic!("{what}: {out:?}"));
    assert!(of("title").reason.contains("Levitate"));
    assert!(of("IsActive").reason.contains("accountEnabled"));
    assert!(of("AttributeAddOnly").reason.contains("creation"));
    assert!(of("inputFilterGroups").reason.contains("by hand"));
    assert_eq!(valid(&out)["sync"][0]["scope"]["users"].as_str(), Some(filter::NOBODY), "never wider");
    assert!(of("Device").reason.contains("users and groups"));
    for n in &out.not_carried {
        let words: Vec<&str> =
            out.toml.lines().filter(|l| l.starts_with('#')).flat_map(str::split_whitespace).filter(|w| *w != "#").collect();
        assert!(words.join(" ").contains(&n.what.split_whitespace().collect::<Vec<_>>().join(" ")), "{}\n{}", n.what, out.toml);
    }
}

#[test]
fn an_attribute_that_accounts_are_matched_by_keeps_to_its_rules() {
    let unique = |target: &str| {
        attribute(
            target,
            json!({"expression": "SelectUniqueValue([mail], [userPrincipalName])", "name": "SelectUniqueValue",
            "type": "Function"}),
        )
    };
    let mut name = unique("userName");
    name["matchingPriority"] = 1.into();
    name["flowType"] = "ObjectAddOnly".into();
    let out = imported(users(Value::Null, vec![name]), json!({}));
    assert!(out.not_carried.iter().any(|n| n.what.contains("userName")), "{out:?}");
}

#[test]
fn nothing_of_an_export_ends_a_comment_or_a_text() {
    let evil = "x\n[target.evil]\nurl = 'y' # '''";
    let mut mapping = attribute("title", json!({"expression": format!("\"{evil}\""), "name": evil, "type": "Constant"}));
    mapping["defaultValue"] = evil.into();
    let mut whole = schema(users(Value::Null, vec![plain("userName", "mail"), mapping, plain(evil, evil)]), json!({}));
    whole["synchronizationRules"][0]["targetDirectoryName"] = evil.into();
    let out = import(&whole.to_string()).unwrap();
    let toml = valid(&out);
    assert_eq!(toml.keys().collect::<Vec<_>>(), ["sync"]);
}

#[test]
fn the_schema_is_found_wherever_it_stands() {
    let bare = schema(users(Value::Null, vec![plain("userName", "mail")]), json!({}));
    let expected = import(&bare.to_string()).unwrap();
    for wrapped in [
        json!({"schema": bare}),
        json!({"value": [{"id": "job", "schema": bare}]}),
        json!({"synchronization": {"jobs": [{"schema": bare}]}}),
    ] {
        assert_eq!(import(&wrapped.to_string()).unwrap(), expected);
    }
    assert_eq!(import(&format!("\u{feff}{bare}")).unwrap(), expected);
}

#[test]
fn whatever_is_no_export_is_an_error() {
    assert!(matches!(import("no json"), Err(ImportError::NotJson(_))));
    for other in ["{}", "[]", "null", "{\"properties\": {}}", "[1, 2]"] {
        assert_eq!(import(other), Err(ImportError::Unknown), "{other}");
    }
    let mut inbound = schema(users(Value::Null, vec![]), json!({}));
    inbound["synchronizationRules"][0]["sourceDirectoryName"] = "Workday".into();
    assert!(matches!(import(&inbound.to_string()), Err(ImportError::Direction(_))));
    let back = json!({"source": {"type": "appuser"}, "target": {"type": "user"}, "properties": {}});
    assert!(matches!(import(&back.to_string()), Err(ImportError::Direction(_))));
}

#[test]
fn okta_expressions_become_ours() {
    for (theirs, ours) in [
        ("user.email", "[email]"),
        ("appuser.role", "[appuser.role]"),
        ("\"it's\"", "\"it's\""),
        ("'say \"x\"'", "\"say \\\"x\\\"\""),
        ("user.firstName + \" \" + user.lastName", "Join(\" \", [firstName], [lastName])"),
        ("user.lastName + \", \" + user.firstName + \", \" + user.title", "Join(\", \", [lastName], [firstName], [title])"),
        (
            "user.lastName + \", \" + user.firstName + \" \" + user.title",
            "Join(\"\", [lastName], \", \", [firstName], \" \", [title])",
        ),
        ("user.login + \"@\" + user.organization", "Join(\"\", [login], \"@\", [organization])"),
        ("\"Dr.\" + \" \" + user.lastName", "Join(\"\", \"Dr.\", \" \", [lastName])"),
        ("String.toLowerCase(user.login)", "ToLower([login])"),
        ("String.substringBefore(user.email, \"@\")", "Item(Split([email], \"@\"), 1)"),
        ("String.substringAfter(user.email, \"@\")", "Replace([email], , \"^.*?@\", , \"\", , )"),
        ("String.substring(user.firstName, 0, 1) + user.lastName", "Join(\"\", Mid([firstName], 1, 1), [lastName])"),
        ("user.type == \"x\" ? \"A\" : \"B\"", "Switch([type], \"B\", \"x\", \"A\")"),
        (
            "user.nickName != null ? user.nickName : user.firstName",
            "Switch(IsNullOrEmpty([nickName]), [nickName], \"True\", [firstName])",
        ),
        ("String.replace(user.login, \"old\", \"new\")", "Replace([login], \"old\", , , \"new\", , )"),
        ("(user.city)", "[city]"),
        ("user.nickName ?: user.firstName", "Switch(IsNullOrEmpty([nickName]), [nickName], \"True\", [firstName])"),
        ("String.len(user.login)", "Len([login])"),
    ] {
        assert_eq!(expression::translate(theirs).as_deref(), Ok(ours), "{theirs}");
    }
    let deep = "(".repeat(100_000);
    for bad in [
        "",
        "user.",
        "session.amr",
        "String.fly(user.email)",
        "user.a +",
        "\"open",
        "user.a == 1",
        "user.a ? 1 : 2",
        "a b",
        &deep,
    ] {
        assert!(expression::translate(bad).is_err(), "{}", &bad[..bad.len().min(20)]);
    }
}

#[test]
fn an_okta_mapping_becomes_a_sync() {
    let out = import(
        &json!({"id": "prm1", "source": {"id": "otys1", "name": "user", "type": "user"},
            "target": {"id": "otya1", "name": "acme_app_1", "type": "appuser"},
            "properties": {
                "userName": {"expression": "user.login", "pushStatus": "PUSH"},
                "givenName": {"expression": "user.firstName", "pushStatus": "PUSH"},
                "email": {"expression": "String.toLowerCase(user.email)", "pushStatus": "PUSH"},
                "title": {"expression": "user.title", "pushStatus": "DONT_PUSH"},
                "department": {"expression": "user.department", "pushStatus": "PUSH"},
                "badge": {"expression": "user.badge", "pushStatus": "PUSH"},
                "locale": {"expression": "Convert.toInt(user.locale)", "pushStatus": "PUSH"}},
            "_links": {}})
        .to_string(),
    )
    .unwrap();
    let toml = valid(&out);
    let sync = &toml["sync"][0];
    assert_eq!((sync["name"].as_str(), sync["source"].as_str()), (Some("acme-app-1"), Some("okta")));
    let map = sync["map"]["user"].as_table().unwrap();
    assert_eq!(map["name.givenName"].as_str(), Some("[firstName]"));
    assert_eq!(map["title"]["apply"].as_str(), Some("create"));
    assert_eq!(map["urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department"].as_str(), Some("[department]"));
    assert_eq!(out.not_carried.len(), 3);
    assert!(sync["actions"]["group"].as_array().unwrap().is_empty(), "which groups are pushed stands elsewhere");
    assert!(out.not_carried.iter().any(|n| n.what == "group push" && n.reason.contains("sync.actions")));
    assert!(out.not_carried.iter().any(|n| n.what.contains("badge")));
    assert!(out.not_carried.iter().any(|n| n.reason.contains("Convert.toInt")));
}

#[test]
fn properties_of_an_applications_own_are_known_by_its_schema() {
    let mapping = json!({"source": {"name": "user", "type": "user"}, "target": {"name": "acme", "type": "appuser"}, "properties": {
        "userName": {"expression": "user.login"},
        "badge": {"expression": "user.badge"},
        "role": {"expression": "user.role"},
        "email": {"expression": "user.email"},
        "cost": {"expression": "user.costCenter"},
        "nowhere": {"expression": "user.x"}}});
    let schema = json!({"definitions": {
        "base": {"properties": {"userName": {"type": "string"}, "email": {"externalName": "emails.^[primary==true].value",
            "externalNamespace": "urn:ietf:params:scim:schemas:core:2.0:User"}}},
        "custom": {"properties": {
            "badge": {"externalName": "badge", "externalNamespace": "urn:ietf:params:scim:schemas:extension:acme:2.0:User"},
            "role": {"externalName": "roles.^[type=='app'].value", "externalNamespace": "urn:ietf:params:scim:schemas:core:2.0:User"},
            "cost": {"externalName": "costCenter", "externalNamespace": "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"}}}}});
    let out = import(&json!([mapping, schema]).to_string()).unwrap();
    let toml = valid(&out);
    let map = toml["sync"][0]["map"]["user"].as_table().unwrap();
    for (path, expr) in [
        ("userName", "[login]"),
        ("urn:ietf:params:scim:schemas:extension:acme:2.0:User:badge", "[badge]"),
        ("roles[type eq \"app\"].value", "[role]"),
        ("emails[primary eq \"true\"].value", "[email]"),
        ("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:costCenter", "[costCenter]"),
        ("externalId", "[sourceKey]"),
    ] {
        assert_eq!(map[path].as_str(), Some(expr), "{path}");
    }
    assert_eq!(out.not_carried.len(), 2, "{:?}", out.not_carried);
    assert!(out.not_carried[0].what.contains("nowhere") && out.not_carried[0].reason.contains("schema"));
    // The schema alone is no mapping.
    assert_eq!(import(&schema.to_string()), Err(ImportError::Unknown));
}

#[test]
fn a_leaver_is_deactivated_also_where_nothing_may_be_deleted() {
    let actions = |flows: &str, active: Value| {
        let mut mapping = users(Value::Null, vec![plain("userName", "mail"), active]);
        mapping["flowTypes"] = flows.into();
        let toml = valid(&imported(mapping, json!({})));
        let list = toml["sync"][0]["actions"]["user"].as_array().unwrap();
        list.iter().map(|a| a.as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let soft = || attribute("active", json!({"expression": "Not([IsSoftDeleted])", "name": "Not", "type": "Function"}));
    assert_eq!(actions("Add, Update, Delete", soft()), ["create", "update", "deactivate"]);
    assert_eq!(actions("Add, Update", soft()), ["create", "update", "deactivate"]);
    assert_eq!(actions("Add, Update", plain("title", "jobTitle")), ["create", "update"]);
    assert_eq!(actions("Add", soft()), ["create"]);
}

#[test]
fn matching_by_any_mapped_attribute_is_carried_over_also_where_its_priority_is_text() {
    let number = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:employeeNumber";
    let mut employee = plain(number, "employeeId");
    employee["matchingPriority"] = "2".into();
    let mut name = plain("userName", "userPrincipalName");
    name["matchingPriority"] = 1.into();
    let mut reference = plain("nickName", "mailNickname");
    reference["matchingPriority"] = json!({"odd": true});
    let mut id = plain("id", "objectId");
    id["matchingPriority"] = 3.into();
    let out = imported(
        users(Value::Null, vec![employee, name, reference, id]),
        json!({"enabled": false, "name": "g", "sourceObjectName": "Group"}),
    );
    assert!(out.not_carried.iter().any(|n| n.what.contains("matching by id")), "{out:?}");
    assert_eq!(valid(&out)["sync"][0]["match"]["users"], toml::Value::from(vec!["userName", number]));
}

#[test]
fn no_guess_matching_that_cannot_be_carried_over_does_not_become_wider() {
    let mut lost = attribute("nickName", json!({"expression": "Levitate([mail])", "name": "Levitate", "type": "Function"}));
    lost["matchingPriority"] = 1.into();
    let mut id = plain("id", "objectId");
    id["matchingPriority"] = 1.into();
    for by in [lost, id] {
        let groups = json!({"enabled": true, "name": "g", "sourceObjectName": "Group", "attributeMappings": [by]});
        let out = imported(users(Value::Null, vec![plain("userName", "mail"), by]), groups);
        let matching = &valid(&out)["sync"][0]["match"];
        for kind in ["users", "groups"] {
            assert_eq!(matching[kind], toml::Value::from(vec!["externalId"]), "{}", out.toml);
        }
        assert!(out.toml.contains("by externalId alone"), "{}", out.toml);
    }
    // What says nothing of matching is matched as always.
    let out = imported(users(Value::Null, vec![plain("userName", "mail")]), json!({}));
    assert!(valid(&out)["sync"][0].get("match").is_none(), "{}", out.toml);
}
