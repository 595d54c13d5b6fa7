//! Attributes that the source does not have are found by `check`, with their place and the nearest name.

use crate::support::world::{SandboxProcess, World};
use serde_json::Value;

const CSV: &str = "type = \"file\"\npath = \"people.csv\"";

fn world(source: &str, sync: &str) -> World {
    let w = World::new("https://app.example/scim/v2", "x", "", "");
    std::fs::write(w.path("people.csv"), "id,mail,givenName,sn,department\n1,a@corp.example,A,B,Sales\n").unwrap();
    w.configure(source, "https://app.example/scim/v2", "x", sync, "");
    w
}

fn found(w: &World, code: i32, what: &str) -> Vec<Value> {
    w.run(&["check", "--json"]).expect(code).json()[what].as_array().unwrap().clone()
}

#[test]
fn a_slip_is_a_mistake_with_its_place() {
    let w = world(CSV, "[sync.map.user]\ntitle = \"Append([departmnt], \\\"x\\\")\"\n[sync.scope]\nusers = 'Deparment pr'\n");
    let errors = found(&w, 3, "errors");
    assert_eq!(errors.len(), 2, "{errors:?}");
    assert_eq!(errors[0]["key"], "sync[0].map.user.title");
    assert!(errors[0]["message"].as_str().unwrap().contains("has no attribute [departmnt]"), "{errors:?}");
    assert_eq!(errors[0]["hint"], "is [department] meant?");
    let line = errors[0]["line"].as_u64().unwrap() as usize;
    let text = std::fs::read_to_string(w.path("config.toml")).unwrap();
    assert!(text.lines().nth(line - 1).unwrap().starts_with("title ="), "{errors:?}");
    assert_eq!(errors[1]["key"], "sync[0].scope.users");
    let plain = w.run(&["check"]).expect(3);
    assert!(plain.stderr.contains("is [department] meant?"), "{}", plain.stderr);
}

#[test]
fn what_is_only_not_there_is_worth_a_look() {
    let w = world(CSV, "[sync.map.user]\ntitle = \"[favouriteColour]\"\n");
    let warnings = found(&w, 0, "warnings");
    assert!(warnings.iter().any(|p| p["message"].as_str().unwrap().contains("no attribute [favouriteColour]")), "{warnings:?}");
    // Another directory's name for what is there, special names, and the preset's own rows are fine.
    let w = world(CSV, "[sync.map.user]\ntitle = \"Join([surname], [email], [userId], [objectId], [IsSoftDeleted], [dn])\"\n");
    let warnings = found(&w, 0, "warnings");
    assert!(!warnings.iter().any(|p| p["message"].as_str().unwrap().contains("no attribute")), "{warnings:?}");
}

#[test]
fn directories_may_have_attributes_of_their_own() {
    let ldap = "type = \"ldap\"\nurl = \"ldap://127.0.0.1:1\"\nbase = \"dc=x\"";
    let w = world(ldap, "[sync.map.user]\ntitle = \"[acmeBadge]\"\nnickName = \"[givenNmae]\"\n");
    let warnings = found(&w, 0, "warnings");
    let said: Vec<&str> = warnings.iter().filter_map(|p| p["hint"].as_str()).collect();
    assert!(said.contains(&"is [givenName] meant?"), "{warnings:?}");
    assert!(!warnings.iter().any(|p| p["message"].as_str().unwrap().contains("acmeBadge")), "{warnings:?}");
}

/// The hint is one that can be followed at that place.
#[test]
fn what_to_do_about_it_fits_the_place() {
    let rows = "[sync.map.user]\ntitle = '[favourite]'\nnickName = 'Coalesce([nobody], [mail])'\nlocale = 'Append([nothing], \"x\")'\n\
                [sync.scope]\nusers = 'colour eq \"red\"'\n";
    let warnings = found(&world(CSV, rows), 0, "warnings");
    let hint = |key: &str| {
        let of = warnings.iter().find(|p| p["key"] == format!("sync[0].{key}")).unwrap_or_else(|| panic!("{key}: {warnings:?}"));
        of["hint"].as_str().unwrap().to_owned()
    };
    assert!(hint("map.user.title").contains("Coalesce([favourite], ..)"), "{warnings:?}");
    assert!(hint("map.user.locale").contains("Coalesce([nothing], ..)"), "{warnings:?}");
    assert!(hint("map.user.nickName").starts_with("Coalesce goes on without it"), "{warnings:?}");
    assert!(!hint("scope.users").contains("Coalesce"), "a filter has no functions: {warnings:?}");
    // In a file that may have it tomorrow, the gap is provided for.
    let w = World::new("https://app.example/scim/v2", "x", "[sync.map.user]\nnickName = 'Join(\" \", [nobody], [mail])'\n", "");
    std::fs::write(w.path("people.json"), r#"{"users": [{"id": "1", "mail": "a@corp.example"}]}"#).unwrap();
    let warnings = found(&w, 0, "warnings");
    assert!(!warnings.iter().any(|p| p["message"].as_str().unwrap().contains("nobody")), "{warnings:?}");
}

/// A directory may have any attribute; that nobody has this one is seen by reading it.
#[test]
fn what_nobody_has_is_told_online() {
    let sandbox = SandboxProcess::start(&[]);
    let mut w = World::new(
        &sandbox.base_url,
        &sandbox.token,
        "[sync.map.user]\ntitle = \"[favouriteColour]\"\nnickName = \"[givenName]\"\nlocale = \"Coalesce([nobody], [mail])\"\n",
        "",
    );
    w.populate(2);
    w.save();
    let document = w.run(&["check", "--online", "--json"]).expect(0).json();
    let said: Vec<String> = document["warnings"].as_array().unwrap().iter().map(|p| p["message"].to_string()).collect();
    assert_eq!(said.iter().filter(|m| m.contains("[favouriteColour]")).count(), 1, "told once: {said:?}");
    assert!(!said.iter().any(|m| m.contains("[givenName]") || m.contains("[nobody]")), "{said:?}");
}

#[test]
fn mistakes_of_every_kind_are_told_at_once() {
    let rows = "[sync.map.user]\ntitle = 'Swich([title], , \"a\", \"b\")'\nnickName = { expr = \"[a]\", aply = \"create\" }\n\
                [sync.scope]\nusers = 'department lk 3'\nuser = 'x pr'\n";
    let errors = found(&world(CSV, rows), 3, "errors");
    let keys: Vec<&str> = errors.iter().map(|e| e["key"].as_str().unwrap()).collect();
    assert_eq!(
        keys,
        ["sync[0].map.user.title", "sync[0].map.user.nickName.aply", "sync[0].scope.users", "sync[0].scope.user"],
        "in the order of the file: {errors:?}"
    );
}

#[test]
fn what_nobody_has_today_is_no_mistake() {
    let w = World::new(
        "https://app.example/scim/v2",
        "x",
        "[sync.map.user]\ntitle = '[extensionAttribute1]'\nnickName = '[departmnt]'\n",
        "",
    );
    let people = r#"{"users": [{"id": "1", "mail": "a@corp.example", "extensionAttribute2": "x", "department": "d"}]}"#;
    std::fs::write(w.path("people.json"), people).unwrap();
    let warnings = found(&w, 0, "warnings");
    let of = |key: &str| warnings.iter().find(|p| p["key"] == format!("sync[0].map.user.{key}")).unwrap().clone();
    assert!(!of("title")["hint"].as_str().unwrap().contains("meant"), "{warnings:?}");
    assert_eq!(of("nickName")["hint"], "is [department] meant?");
    // A table has its columns; a number more or less is no slip there either.
    let w = world(CSV, "[sync.map.user]\ntitle = '[mail2]'\n");
    assert!(found(&w, 0, "warnings").iter().any(|p| p["message"].as_str().unwrap().contains("[mail2]")));
}

#[test]
fn no_mistake_hides_another() {
    for wrong in ["drift = \"x\"", "timezone = \"Europe/Kopenhagen\"", "colour = \"x\"", "shedule = \"x\""] {
        let rows = "[sync.map.user]\ntitle = 'Swich([title], , \"a\", \"b\")'\nnickName = '[departmnt]'\n\
                    [sync.scope]\nusers = 'department lk 3'\n[sync.match]\nusers = [\"locale\"]\n[sync.guard]\ndeactivate = \"500%\"\n";
        let errors = found(&world(CSV, &format!("{wrong}\n{rows}")), 3, "errors");
        let keys: Vec<&str> = errors.iter().map(|e| e["key"].as_str().unwrap()).collect();
        let name = wrong.split(' ').next().unwrap();
        let want = [name, "map.user.title", "map.user.nickName", "scope.users", "match.users", "guard.deactivate"];
        assert_eq!(keys, want.map(|key| format!("sync[0].{key}")), "{errors:?}");
    }
}

#[test]
fn a_mistake_in_an_expression_says_where_and_what_to_write() {
    let w = world(
        CSV,
        "[sync.map.user]\ntitle = \"Join(\\\" \\\", [mail], Swich([mail]))\"\nnickName = { expr = 'Mid([mail])', match = 1 }\n",
    );
    let errors = found(&w, 3, "errors");
    let text = std::fs::read_to_string(w.path("config.toml")).unwrap();
    for (error, begins, hint) in [(&errors[0], "Swich(", "is Switch meant?"), (&errors[1], "Mid(", "write Mid(")] {
        let line = text.lines().nth(error["line"].as_u64().unwrap() as usize - 1).unwrap();
        let there: String = line.chars().skip(error["column"].as_u64().unwrap() as usize - 1).collect();
        assert!(there.starts_with(begins), "{error}");
        assert!(error["hint"].as_str().unwrap().starts_with(hint), "{error}");
    }
}
