//! The mapping tables of the applications this project was made for, as their own guides print them for Entra, and the
//! resources that they demand. What a guide does not name is not sent.

use super::{entry, row};
use crate::mapping::{Mapper, Row, Spec};
use crate::model::{Entry, ObjectKind};
use serde_json::{Value, json};

/// Entra's attributes of a person.
fn person() -> Entry {
    let mut jane = entry(
        ObjectKind::User,
        &[
            ("userPrincipalName", "jane.doe@contoso.com"),
            ("mail", "jane@contoso.com"),
            ("mailNickname", "janed"),
            ("displayName", "Jane Doe"),
            ("givenName", "Jane"),
            ("surname", "Doe"),
            ("jobTitle", "Adviser"),
            ("department", "Sales"),
            ("physicalDeliveryOfficeName", "Aarhus"),
            ("telephoneNumber", "+45 12345678"),
        ],
    );
    jane.key.0 = "7c5a1f00-0000-4000-8000-000000000001".to_owned();
    jane
}

fn rows(table: &[(&str, &str)]) -> Vec<Row> {
    table.iter().map(|(path, expr)| row(path, expr)).collect()
}

/// What the table makes of an entry, without any preset's rows.
fn mapped(table: &[(&str, &str)], entry: &Entry) -> Value {
    let group = [("displayName", "[displayName]")];
    let mut spec = Spec { disabled_is_inactive: true, ..Spec::default() };
    spec.users = if entry.kind == ObjectKind::User { rows(table) } else { rows(&[("userName", "[mail]")]) };
    spec.groups = if entry.kind == ObjectKind::Group { rows(table) } else { rows(&group) };
    let mapper = Mapper::compile(&spec, &[], &[]).unwrap_or_else(|e| panic!("{e:?}"));
    let desired = match entry.kind {
        ObjectKind::User => mapper.user(entry, false).attrs,
        ObjectKind::Group => mapper.group(entry),
    };
    serde_json::to_value(desired.unwrap_or_else(|e| panic!("{e:?}")).attrs).unwrap()
}

#[test]
fn mews_users() {
    let table = [
        ("userName", "[mail]"),
        ("active", "Switch([IsSoftDeleted], , \"False\", \"True\", \"True\", \"False\")"),
        ("name.givenName", "[givenName]"),
        ("name.familyName", "[surname]"),
        ("externalId", "[mailNickname]"),
    ];
    let want = json!({"userName": "jane@contoso.com", "active": true, "name.givenName": "Jane", "name.familyName": "Doe",
        "externalId": "janed"});
    assert_eq!(mapped(&table, &person()), want);
    let mut leaver = person();
    leaver.disabled = true;
    assert_eq!(mapped(&table, &leaver)["active"], false);
}

#[test]
fn mews_groups_without_external_id() {
    let mut group = entry(ObjectKind::Group, &[("displayName", "Front desk")]);
    group.key.0 = "7c5a1f00-0000-4000-8000-000000000002".to_owned();
    let table = [("displayName", "[displayName]"), ("externalId", ""), ("members", "[members]")];
    assert_eq!(mapped(&table, &group), json!({"displayName": "Front desk"}));
}

#[test]
fn mezmo() {
    let table = [
        ("userName", "[mail]"),
        ("active", "Switch([IsSoftDeleted], , \"False\", \"True\", \"True\", \"False\")"),
        ("displayName", "[displayName]"),
        ("emails[type eq \"work\"].value", "[mail]"),
        ("name.givenName", "[givenName]"),
        ("name.familyName", "[surname]"),
        ("name.formatted", "Join(\" \", [givenName], [surname])"),
    ];
    assert_eq!(
        mapped(&table, &person()),
        json!({"userName": "jane@contoso.com", "active": true, "displayName": "Jane Doe",
            "emails[type eq \"work\"].value": "jane@contoso.com", "name.givenName": "Jane", "name.familyName": "Doe",
            "name.formatted": "Jane Doe"})
    );
    let group = entry(ObjectKind::Group, &[("displayName", "Child organisation")]);
    assert_eq!(mapped(&[("displayName", "[displayName]")], &group), json!({"displayName": "Child organisation"}));
}

#[test]
fn and_money_advisers_and_rooms() {
    let table = [
        ("active", "Switch([IsSoftDeleted], , \"False\", \"True\", \"True\", \"False\")"),
        ("userName", "[userPrincipalName]"),
        ("displayName", "[displayName]"),
        ("name.givenName", "[givenName]"),
        ("name.familyName", "[surname]"),
        ("addresses[type eq \"work\"].formatted", "[physicalDeliveryOfficeName]"),
        ("externalId", "[objectId]"),
    ];
    assert_eq!(
        mapped(&table, &person()),
        json!({"active": true, "userName": "jane.doe@contoso.com", "displayName": "Jane Doe", "name.givenName": "Jane",
            "name.familyName": "Doe", "addresses[type eq \"work\"].formatted": "Aarhus",
            "externalId": "7c5a1f00-0000-4000-8000-000000000001"})
    );
    // Rooms are the same without names.
    let mut room = entry(ObjectKind::User, &[("userPrincipalName", "room1@contoso.com"), ("displayName", "Room 1")]);
    room.key.0 = "7c5a1f00-0000-4000-8000-000000000003".to_owned();
    let without_names: Vec<(&str, &str)> = table.into_iter().filter(|(path, _)| !path.starts_with("name.")).collect();
    assert_eq!(
        mapped(&without_names, &room),
        json!({"active": true, "userName": "room1@contoso.com", "displayName": "Room 1",
            "externalId": "7c5a1f00-0000-4000-8000-000000000003"})
    );
}

#[test]
fn a_platform_whose_user_ids_are_addresses() {
    let table = [
        ("userName", "[mail]"),
        ("active", "Not([IsSoftDeleted])"),
        ("displayName", "[displayName]"),
        ("emails[type eq \"work\"].value", "[mail]"),
        ("externalId", "[objectId]"),
    ];
    assert_eq!(
        mapped(&table, &person()),
        json!({"userName": "jane@contoso.com", "active": true, "displayName": "Jane Doe",
            "emails[type eq \"work\"].value": "jane@contoso.com", "externalId": "7c5a1f00-0000-4000-8000-000000000001"})
    );
}

/// Entra's default table for an application outside the gallery.
#[test]
fn entras_default_table() {
    let table = [
        ("userName", "[userPrincipalName]"),
        ("active", "Switch([IsSoftDeleted], , \"False\", \"True\", \"True\", \"False\")"),
        ("displayName", "[displayName]"),
        ("title", "[jobTitle]"),
        ("emails[type eq \"work\"].value", "[mail]"),
        ("preferredLanguage", "[preferredLanguage]"),
        ("name.givenName", "[givenName]"),
        ("name.familyName", "[surname]"),
        ("name.formatted", "Join(\" \", [givenName], [surname])"),
        ("addresses[type eq \"work\"].formatted", "[physicalDeliveryOfficeName]"),
        ("addresses[type eq \"work\"].streetAddress", "[streetAddress]"),
        ("addresses[type eq \"work\"].locality", "[city]"),
        ("addresses[type eq \"work\"].region", "[state]"),
        ("addresses[type eq \"work\"].postalCode", "[postalCode]"),
        ("addresses[type eq \"work\"].country", "[country]"),
        ("phoneNumbers[type eq \"work\"].value", "[telephoneNumber]"),
        ("phoneNumbers[type eq \"mobile\"].value", "[mobile]"),
        ("phoneNumbers[type eq \"fax\"].value", "[facsimileTelephoneNumber]"),
        ("externalId", "[mailNickname]"),
        ("roles[primary eq \"True\"].value", "SingleAppRoleAssignment([appRoleAssignments])"),
        ("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:employeeNumber", "[employeeId]"),
        ("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department", "[department]"),
        ("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager", "[manager]"),
    ];
    let mut jane = person();
    jane.attrs.add("manager", vec!["7c5a1f00-0000-4000-8000-000000000009".into()]);
    jane.attrs.add("appRoleAssignments", vec!["Reader".into()]);
    assert_eq!(
        mapped(&table, &jane),
        json!({"userName": "jane.doe@contoso.com", "active": true, "displayName": "Jane Doe", "title": "Adviser",
            "emails[type eq \"work\"].value": "jane@contoso.com", "name.givenName": "Jane", "name.familyName": "Doe",
            "name.formatted": "Jane Doe", "addresses[type eq \"work\"].formatted": "Aarhus",
            "phoneNumbers[type eq \"work\"].value": "+45 12345678", "externalId": "janed",
            "roles[primary eq true].value": "Reader",
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department": "Sales"}),
        "the manager's account is put in when it is known"
    );
}
