use super::{GROUP, USER, entry, mapper, row, spec, user};
use crate::mapping::{Mapper, Row, Spec};
use crate::model::{ObjectKind, Value};
use serde_json::json;

#[test]
fn the_generic_preset_maps_a_person() {
    let mapped = mapper(&spec()).user(
        &user(&[("cn", "Jane Doe"), ("mail", "Jane.Doe@Corp.Example"), ("givenName", "Jane"), ("sn", "Doe"), ("sn", "Roe")]),
        false,
    );
    assert_eq!(mapped.user_id.unwrap().address, "jane.doe@corp.example");
    let desired = mapped.attrs.unwrap();
    assert_eq!(desired.user_id.as_deref(), Some("jane.doe@corp.example"));
    assert!(desired.active && desired.clear.is_empty() && desired.create_only.is_empty());
    assert_eq!(
        serde_json::to_value(&desired.attrs).unwrap(),
        json!({
            "active": true, "displayName": "Jane Doe", "emails[type eq \"work\"].value": "Jane.Doe@Corp.Example",
            "externalId": "key-1", "name.familyName": "Doe", "name.givenName": "Jane", "userName": "jane.doe@corp.example"
        })
    );
}

#[test]
fn disabled_and_inactive_drive_active() {
    let mut jane = user(&[("mail", "jane@corp.example")]);
    assert!(!mapper(&spec()).user(&jane, true).attrs.unwrap().active);
    jane.disabled = true;
    let desired = mapper(&spec()).user(&jane, false).attrs.unwrap();
    assert_eq!((desired.active, &desired.attrs["active"]), (false, &json!(false)));
    let rooms = Spec { disabled_is_inactive: false, ..spec() };
    assert!(mapper(&rooms).user(&jane, false).attrs.unwrap().active);
    assert!(!mapper(&rooms).user(&jane, true).attrs.unwrap().active);
    let without_row = Spec { users: vec![row("active", "")], ..spec() };
    let desired = mapper(&without_row).user(&jane, false).attrs.unwrap();
    assert!(!desired.active && !desired.attrs.contains_key("active"));
    for expr in ["\"True\"", "[accountEnabled]", "CBool([mail])", "[nosuch]"] {
        let desired = mapper(&Spec { users: vec![row("active", expr)], ..super::spec() }).user(&jane, true).attrs.unwrap();
        assert_eq!((desired.active, &desired.attrs["active"]), (false, &json!(false)), "a leaver stays out: {expr}");
    }
}

#[test]
fn rows_replace_add_and_remove_by_canonical_path() {
    let spec = Spec {
        users: vec![
            row("USERNAME", "ToLower([userPrincipalName])"),
            row("EMAILS[Type EQ \"work\"].Value", ""),
            row("urn:ietf:params:scim:schemas:core:2.0:user:nickname", "[uid]"),
            row("urn:ietf:params:scim:schemas:extension:ENTERPRISE:2.0:user:costcenter", "[costCenter]"),
            row("phoneNumbers[type eq \"work\" and PRIMARY eq \"True\"].value", "[telephoneNumber]"),
            row("phoneNumbers[type eq \"work\"].primary", "\"true\""),
            row("urn:acme:ext:1.0:User:badgeNo", "[badge]"),
        ],
        ..spec()
    };
    let jane = user(&[
        ("userPrincipalName", "Jane@Corp.example"),
        ("uid", "jane"),
        ("mail", "x@y.example"),
        ("costCenter", "7"),
        ("businessPhones", "+45 1"),
        ("badge", "B1"),
    ]);
    let desired = mapper(&spec).user(&jane, false).attrs.unwrap();
    assert_eq!(
        serde_json::to_value(&desired.attrs).unwrap(),
        json!({
            "active": true, "externalId": "key-1", "nickName": "jane", "userName": "jane@corp.example",
            "phoneNumbers[type eq \"work\" and primary eq true].value": "+45 1",
            "phoneNumbers[type eq \"work\"].primary": true,
            "urn:acme:ext:1.0:User:badgeNo": "B1",
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:costCenter": "7",
        })
    );
    assert_eq!(desired.user_id.as_deref(), Some("jane@corp.example"));
}

#[test]
fn null_keeps_clears_or_takes_the_default() {
    let spec = Spec {
        users: vec![
            Row { clear_when_null: true, ..row("title", "[jobTitle]") },
            Row { default: Some("Denmark".to_owned()), ..row("addresses[type eq \"work\"].country", "[country]") },
            Row { create_only: true, ..row("nickName", "[givenName]") },
            Row { create_only: true, ..row("locale", "[preferredLanguage]") },
        ],
        ..spec()
    };
    let jane = user(&[("mail", "jane@corp.example"), ("givenName", "Jane"), ("title", "")]);
    let desired = mapper(&spec).user(&jane, false).attrs.unwrap();
    assert_eq!(desired.clear, ["title"]);
    assert_eq!(desired.attrs["addresses[type eq \"work\"].country"], "Denmark");
    let create_only: Vec<&String> = desired.create_only.iter().collect();
    assert_eq!(create_only, ["addresses[type eq \"work\"].country", "nickName"]);
    assert!(!desired.attrs.contains_key("displayName") && !desired.attrs.contains_key("locale"));
    let with = user(&[("mail", "jane@corp.example"), ("title", "CEO"), ("c", "SE")]);
    let desired = mapper(&spec).user(&with, false).attrs.unwrap();
    assert!(desired.clear.is_empty() && desired.create_only.is_empty());
    assert_eq!(desired.attrs["addresses[type eq \"work\"].country"], "SE");
}

#[test]
fn what_must_be_there_is_asked_for() {
    let nobody = mapper(&spec()).user(&user(&[("proxyAddresses", "smtp:other@corp.example")]), false);
    assert_eq!(nobody.user_id, None);
    let unmapped = nobody.attrs.unwrap_err();
    assert_eq!(unmapped.reason, "no value for userName: mail is empty; proxyAddresses has no SMTP: value");
    assert!(unmapped.advice.contains("user_id.from"), "{}", unmapped.advice);

    let spec1 = Spec { users: vec![row("externalId", "[employeeId]"), row("active", "[state]")], ..spec() };
    let unmapped = mapper(&spec1).user(&user(&[("mail", "a@b.example"), ("state", "True")]), false).attrs.unwrap_err();
    assert_eq!(unmapped.reason, "no value for externalId: [employeeId] gives nothing");
    let odd = user(&[("mail", "a@b.example"), ("employeeId", "1"), ("state", "maybe")]);
    let unmapped = mapper(&spec1).user(&odd, false).attrs.unwrap_err();
    assert_eq!(unmapped.reason, "active: `maybe` is neither True nor False");
    assert!(unmapped.advice.contains("active = [state]"), "{}", unmapped.advice);

    let unmapped = mapper(&spec()).group(&entry(ObjectKind::Group, &[("description", "x")])).unwrap_err();
    assert_eq!(unmapped.reason, "no value for displayName: [displayName] gives nothing");
}

#[test]
fn tombstone_names_are_never_mapped() {
    let spec = Spec { users: vec![row("userName", "[userPrincipalName]")], ..spec() };
    let gone = user(&[("userPrincipalName", "0123456789abcdef0123456789abcdefjane@corp.example")]);
    let unmapped = mapper(&spec).user(&gone, true).attrs.unwrap_err();
    assert!(unmapped.reason.contains("mangled name of a deleted entry"), "{}", unmapped.reason);
    let gone = user(&[("mail", "jane@corp.example"), ("cn", "Jane Doe\nDEL:7c5a1f00-0000-4000-8000-000000000000")]);
    let unmapped = mapper(&super::spec()).user(&gone, true).attrs.unwrap_err();
    assert!(unmapped.reason.starts_with("displayName: ") && unmapped.reason.contains("deleted"), "{}", unmapped.reason);
}

#[test]
fn values_other_than_text() {
    let mut jane = user(&[("mail", "jane@corp.example"), ("displayName", "J")]);
    jane.attrs.set("displayName", vec![Value::Bytes(vec![0xff])]);
    jane.attrs.set("name", vec![Value::Json(json!(null)), Value::Json(json!(12))]);
    jane.attrs.set("flag", vec![Value::Json(json!(false))]);
    let spec = Spec { users: vec![row("active", "[flag]")], ..spec() };
    let desired = mapper(&spec).user(&jane, false).attrs.unwrap();
    assert_eq!(desired.attrs["displayName"], "12");
    assert!(!desired.active);
}

#[test]
fn groups_and_their_members_row() {
    let group = entry(ObjectKind::Group, &[("cn", "app-users")]);
    let desired = mapper(&spec()).group(&group).unwrap();
    assert_eq!(serde_json::to_value(&desired.attrs).unwrap(), json!({"displayName": "app-users", "externalId": "key-1"}));
    assert_eq!(desired.user_id, None);
    assert!(!mapper(&spec()).group_members_removed());
    let kept = Spec { groups: vec![row("Members", "[members]")], ..spec() };
    assert!(!mapper(&kept).group_members_removed());
    let other = Spec { groups: vec![row("members", "[displayName]")], ..spec() };
    let refused = Mapper::compile(&other, USER, GROUP).unwrap_err();
    assert_eq!((refused.len(), refused[0].key.as_str()), (1, "map.group.members"));
    assert!(refused[0].hint.as_ref().is_some_and(|h| h.contains("members = \"\"")), "{refused:?}");
    let gone = Spec { groups: vec![row("members", ""), row("externalId", "")], ..spec() };
    assert!(mapper(&gone).group_members_removed());
    assert_eq!(serde_json::to_value(mapper(&gone).group(&group).unwrap().attrs).unwrap(), json!({"displayName": "app-users"}));
}

#[test]
fn aliases_are_tried_after_the_own_name() {
    for (expr, attrs, value) in [
        ("[surname]", &[("sn", "A"), ("lastName", "B")][..], "A"),
        ("[surname]", &[("surname", "S"), ("sn", "A")], "S"),
        ("[sn]", &[("lastName", "B")], "B"),
        ("[mailNickname]", &[("sAMAccountName", "s"), ("uid", "u")], "u"),
        ("[givenName]", &[("firstName", "F")], "F"),
        ("[displayName]", &[("name", "N"), ("cn", "C")], "C"),
        ("[mail]", &[("email", "e@x.example")], "e@x.example"),
        ("[userPrincipalName]", &[("login", "l@x.example")], "l@x.example"),
        ("[physicalDeliveryOfficeName]", &[("officeLocation", "O")], "O"),
        ("[telephoneNumber]", &[("primaryPhone", "2"), ("businessPhones", "1")], "1"),
        ("[mobile]", &[("mobilePhone", "3")], "3"),
        ("[title]", &[("jobTitle", "T")], "T"),
        ("[company]", &[("organization", "O")], "O"),
        ("[l]", &[("city", "C")], "C"),
        ("[st]", &[("state", "S")], "S"),
        ("[co]", &[("country", "K")], "K"),
        ("[country]", &[("c", "DK")], "DK"),
        ("[postalCode]", &[("zipCode", "1")], "1"),
        ("[streetAddress]", &[("street", "S 1")], "S 1"),
        ("[objectId]", &[("mail", "x")], "key-1"),
        ("[objectId]", &[("objectId", "own")], "own"),
        ("[accountEnabled]", &[("mail", "x")], "True"),
        ("[dn]", &[("mail", "x")], "CN=x"),
    ] {
        let mut entry = user(attrs);
        entry.dn = Some("CN=x".to_owned());
        assert_eq!(super::eval(expr, &entry), Ok(Some(vec![value.to_owned()])), "{expr}");
    }
    assert_eq!(super::eval("[employeeId]", &user(&[("employeeNumber", "7")])), Ok(Some(vec!["7".to_owned()])));
}

#[test]
fn every_mistake_is_named_at_once() {
    let bad = Spec {
        users: vec![
            Row { line: 12, ..row("userNam", "[mail]") },
            row("name", "[cn]"),
            row("name.givename", "[cn]"),
            row("emails.value", "[mail]"),
            row("emails[type sw \"w\"].value", "[mail]"),
            row("emails[type eq \"work\"]", "[mail]"),
            row("id", "[sourceKey]"),
            row("groups", "[x]"),
            row("password", "\"x\""),
            row("title.x", "[x]"),
            row("displayName", "Upper([x])"),
            row("nickName", "[a]"),
            row("NICKNAME", "[b]"),
            row("userName", ""),
            row("locale[", "[x]"),
            row("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User", "[x]"),
            Row { default: Some("x".to_owned()), clear_when_null: true, ..row("title", "[title]") },
            Row { default: Some("x".to_owned()), ..row("active", "[a]") },
        ],
        scope_users: Some("department eq Sales".to_owned()),
        scope_groups: Some("urn:a:b:c pr".to_owned()),
        ..spec()
    };
    let errors = Mapper::compile(&bad, USER, GROUP).unwrap_err();
    let shown: Vec<String> = errors.iter().map(ToString::to_string).collect();
    for (i, words) in [
        "map.user.userNam: userNam is no attribute of this schema (is userName meant?)",
        "name is mapped by its sub-attributes (write name.formatted)",
        "name has no sub-attribute givename (is givenName meant?)",
        "say which one, and which sub-attribute (write emails[type eq \"work\"].value)",
        "only `eq` joined by `and`",
        "say which one",
        "id cannot be mapped: the server sets it",
        "memberships are written at the group",
        "passwords are not provisioned",
        "title has no sub-attributes (write title)",
        "is ToUpper meant?",
        "map.user.NICKNAME: nickName is mapped twice",
        "userName cannot be removed",
        "map.user.\"locale[\"",
        "names no attribute",
        "contradict each other",
        "default: `x` is neither True nor False",
        "scope.users: expected a value: text in double quotes",
        "scope.groups: urn:a:b:c is a SCIM path",
    ]
    .into_iter()
    .enumerate()
    {
        assert!(shown[i].contains(words), "{i}: {} should say {words}", shown[i]);
    }
    assert_eq!((shown.len(), errors[0].line), (19, 12));
    assert!(Mapper::compile(&spec(), &[], GROUP).is_err());
}

#[test]
fn attributes_and_fingerprint_follow_the_configuration() {
    let base = spec();
    let names = mapper(&base).attributes();
    for name in ["mail", "email", "proxyAddresses", "surname", "sn", "cn", "displayName", "givenName"] {
        assert!(names.contains(name), "{name}");
    }
    assert!(!names.iter().any(|n| n.eq_ignore_ascii_case("userId") || n.eq_ignore_ascii_case("IsSoftDeleted")));
    let more = Spec {
        users: vec![row("title", "IIF([a1] = \"x\", [a2], )")],
        scope_users: Some("Department eq \"S\" and not (a3 pr)".to_owned()),
        legacy_external_id: vec!["mailNickname".to_owned()],
        rehire: Some("employeeNumber".to_owned()),
        ..spec()
    };
    let names = mapper(&more).attributes();
    for name in ["a1", "a2", "a3", "Department", "mailNickname", "uid", "employeeNumber"] {
        assert!(names.contains(name), "{name}");
    }
    let same = Spec { users: vec![row("TITLE", "IIF( [a1]=\"x\" ,[a2], )")], ..more.clone() };
    assert_eq!(mapper(&more).fingerprint(), mapper(&same).fingerprint());
    let others = [
        base.clone(),
        Spec { disabled_is_inactive: false, ..more.clone() },
        Spec { users: vec![Row { create_only: true, ..more.users[0].clone() }], ..more.clone() },
        Spec { users: vec![Row { clear_when_null: true, ..more.users[0].clone() }], ..more.clone() },
        Spec { scope_users: None, ..more.clone() },
        Spec { groups: vec![row("members", "")], ..more.clone() },
        Spec { rehire: None, ..more.clone() },
        Spec { legacy_external_id: Vec::new(), ..more.clone() },
        Spec { user_id: crate::mapping::UserIdPolicy { lowercase: false, ..more.user_id.clone() }, ..more.clone() },
    ];
    let mut prints: Vec<String> = others.iter().chain([&more]).map(|s| mapper(s).fingerprint()).collect();
    prints.sort();
    prints.dedup();
    assert_eq!(prints.len(), others.len() + 1);
}

#[test]
fn rehire_legacy_and_explain() {
    let spec = Spec {
        legacy_external_id: vec!["mailNickname".to_owned(), "objectId".to_owned(), "nosuch".to_owned()],
        rehire: Some("employeeNumber".to_owned()),
        ..spec()
    };
    let jane = user(&[("mail", "jane@corp.example"), ("uid", "jane"), ("employeeNumber", "7"), ("sn", "A"), ("sn", "B")]);
    let mapper = mapper(&spec);
    assert_eq!(mapper.rehire(&jane).as_deref(), Some("7"));
    assert_eq!(mapper.legacy_external_ids(&jane), ["jane", "key-1"]);
    let explained = mapper.explain(&jane, false);
    let family = explained.iter().find(|e| e.path == "name.familyName").unwrap();
    assert_eq!((&family.inputs["surname"], &family.value, family.expr.as_str()), (&json!(["A", "B"]), &json!("A"), "[surname]"));
    let name = explained.iter().find(|e| e.path == "userName").unwrap();
    assert_eq!((&name.inputs["userId"], &name.value), (&json!("jane@corp.example"), &json!("jane@corp.example")));
}

#[test]
fn keys_of_mistakes_are_spelled_as_toml_spells_them() {
    let bad = Spec { users: vec![row("locale", "da"), row("name.givenName", "da")], ..spec() };
    let errors = Mapper::compile(&bad, USER, GROUP).unwrap_err();
    let keys: Vec<&str> = errors.iter().map(|e| e.key.as_str()).collect();
    assert_eq!(keys, ["map.user.locale", "map.user.\"name.givenName\""]);
}

#[test]
fn a_guests_user_principal_name_is_the_address_that_it_was_made_of() {
    let raw = "jane_ann_partner.example#EXT#@contoso.onmicrosoft.com";
    let guest = user(&[("userPrincipalName", raw)]);
    let spec = Spec {
        users: vec![
            row("userName", "[userPrincipalName]"),
            row("nickName", "[originalUserPrincipalName]"),
            row("title", "Word([UserPrincipalName], 1, \"@\")"),
        ],
        scope_users: Some("userPrincipalName co \"#EXT#\" and originalUserPrincipalName co \"#EXT#\"".to_owned()),
        legacy_external_id: vec!["userPrincipalName".to_owned()],
        ..spec()
    };
    let mapper = mapper(&spec);
    let attrs = mapper.user(&guest, false).attrs.unwrap().attrs;
    assert_eq!(attrs["userName"], "jane_ann@partner.example");
    assert_eq!(attrs["nickName"], raw);
    assert_eq!(attrs["title"], "jane_ann");
    assert!(mapper.in_scope(&guest), "a scope that keeps guests out sees the name as it is");
    assert_eq!(mapper.legacy_external_ids(&guest), [raw, "jane_ann@partner.example"]);
    assert!(!mapper.attributes().contains("originalUserPrincipalName"), "no source has it");
    for plain in ["jane@corp.example", "x#EXT#@t.example", "a_b@corp.example"] {
        let attrs = mapper.user(&user(&[("userPrincipalName", plain)]), false).attrs.unwrap().attrs;
        assert_eq!(attrs["userName"], plain);
    }
}

#[test]
fn several_values_go_along_for_applications_that_keep_them_all() {
    let mapped = mapper(&Spec {
        users: vec![row("urn:acme:2.0:User:tags", "[tags]"), row("phoneNumbers[type eq \"work\"].value", "[tags]")],
        ..spec()
    })
    .user(&user(&[("mail", "jane@corp.example"), ("tags", "x"), ("tags", "y")]), false);
    let desired = mapped.attrs.unwrap();
    assert_eq!(desired.attrs["urn:acme:2.0:User:tags"], "x");
    assert_eq!(desired.lists.keys().collect::<Vec<_>>(), ["urn:acme:2.0:User:tags"]);
    assert_eq!(desired.lists["urn:acme:2.0:User:tags"], ["x", "y"]);
}
