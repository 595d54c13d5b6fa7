//! `probe`: what it finds is what the server does, and nothing stays behind.

use crate::support::odd::{Odd, OddServer};
use crate::support::scim_servers::{ScimServer, TOKEN};
use crate::support::switch::{Asked, Switch};
use crate::support::world::{Run, SandboxProcess, ScimReader, World};
use serde_json::{Value, json};
use std::process::Stdio;
use std::time::{Duration, Instant};

fn world(sandbox: &SandboxProcess, target: &str) -> World {
    let w = World::new(&sandbox.base_url, &sandbox.token, "", target);
    w.save();
    w
}

/// The one probe of a document.
fn of(run: &Run) -> Value {
    run.json()["probes"][0].clone()
}

/// The value of a fact; null where there is none.
fn fact(probe: &Value, name: &str) -> Value {
    let facts = probe["facts"].as_array().unwrap();
    facts.iter().find(|f| f["name"] == name).map_or(Value::Null, |f| f["value"].clone())
}

#[track_caller]
fn finds(probe: &Value, expected: &[(&str, Value)]) {
    for (name, value) in expected {
        assert_eq!(fact(probe, name), *value, "{name} in {}", probe["facts"]);
    }
}

/// Nothing of a probe is at the target.
#[track_caller]
fn clean(target: &ScimReader) {
    let of = |rows: Vec<Value>, name: &str| {
        let names: Vec<String> = rows.iter().map(|r| r[name].as_str().unwrap_or_default().to_lowercase()).collect();
        names.into_iter().filter(|n| n.starts_with("scim-sync-probe-")).collect::<Vec<_>>()
    };
    assert_eq!(of(target.users(), "userName"), Vec::<String>::new());
    assert_eq!(of(target.groups(), "displayName"), Vec::<String>::new());
}

#[test]
fn the_sandbox_speaks_as_discovery_says() {
    let sandbox = SandboxProcess::start(&[]);
    let w = world(&sandbox, "");
    let probe = of(&w.run(&["probe", "s", "--yes", "--json"]).expect(0));
    assert_eq!((&probe["sync"], &probe["target"], &probe["error"]), (&json!("s"), &json!("app"), &Value::Null));
    finds(
        &probe,
        &[
            ("patch.path", json!("works")),
            ("patch.no_path", json!("works")),
            ("boolean.json", json!("works")),
            ("put", json!("works")),
            ("rename", json!("works")),
            ("user.id", json!("uuid")),
            ("user.duplicate", json!("refused as it should be (409)")),
            ("user.dropped_attributes", json!([])),
            ("filter.user.userName", json!("works, whatever the letter case")),
            ("filter.user.externalId", json!("works")),
            ("filter.group.displayName", json!("works, whatever the letter case")),
            ("paging.count", json!("obeyed")),
            ("paging.index", json!("works")),
            ("paging.past_the_end", json!("no rows")),
            ("members.at_creation", json!("kept")),
            ("members.add", json!("works")),
            ("members.remove_one_by_one", json!("works")),
            ("members.kept_twice", json!(false)),
            ("group.rename", json!("works")),
            ("delete.user", json!("removes the account")),
            ("delete.group", json!("removes the group")),
            ("dialect.delete_removes", json!(true)),
        ],
    );
    assert_eq!((&probe["config"], &probe["left_behind"], &probe["removed"]), (&json!({}), &json!([]), &json!([])));
    let seen = probe["facts"].as_array().unwrap().iter().find(|f| f["name"] == "dialect.patch").unwrap().clone();
    assert_eq!(seen["from"], "probe");
    clean(&ScimReader::new(&sandbox.base_url, &sandbox.token));
    let text = w.run(&["probe", "--yes"]).expect(0);
    assert!(
        text.stdout.contains("nothing was left behind") && text.stdout.contains("nothing has to be configured"),
        "{}",
        text.stdout
    );
}

/// A server whose answers say that it did what it did not do, or that refuses one form.
#[test]
fn what_a_server_pretends_is_found_out() {
    let nothing = r#"{"totalResults": 0, "Resources": []}"#;
    let takes = |asked: &Asked, part: &str| asked.method == "PATCH" && asked.body.contains(part);
    type Rule = fn(&Asked, &dyn Fn(&Asked, &str) -> bool, &str) -> Option<(u16, String)>;
    let cases: [(&str, Rule, Value); 6] = [
        // Every PATCH is answered with success, and none is carried out.
        ("patch.path", |a, _, _| (a.method == "PATCH").then(|| (204, String::new())), json!({"patch": false})),
        // Every filter finds nothing.
        ("filter", |a, _, nothing| a.path.contains("filter=").then(|| (200, nothing.to_owned())), json!({"filter": false})),
        // One filter finds nothing.
        (
            "filter.externalId",
            |a, _, nothing| a.path.contains("filter=externalId").then(|| (200, nothing.to_owned())),
            json!({"filters": ["displayname", "emails.value", "id", "username"]}),
        ),
        // Plain attributes only without a path.
        (
            "patch_path",
            |a, takes, _| (takes(a, r#""path":"displayName""#) || takes(a, r#""path":"active""#)).then(|| (400, String::new())),
            json!({"patch_path": false}),
        ),
        // Only Entra's spelling.
        ("op_case", |a, takes, _| takes(a, r#""op":"re"#).then(|| (400, String::new())), json!({"op_case": "capital"})),
        // No value filter for members.
        (
            "remove_members",
            |a, takes, _| takes(a, "members[value eq").then(|| (501, String::new())),
            json!({"remove_members": "replace"}),
        ),
    ];
    for (case, rule, config) in cases {
        let sandbox = SandboxProcess::start(&[]);
        let switch = Switch::before(&sandbox.base_url);
        switch.rule(move |asked| rule(asked, &takes, nothing));
        let w = World::new(&switch.url, &sandbox.token, "", "");
        w.save();
        let run = w.run(&["probe", "s", "--yes", "--json"]);
        assert_eq!(run.code, 0, "{case}: {}", run.stderr);
        let probe = of(&run);
        assert_eq!(probe["config"], config, "{case}: {}", probe["facts"]);
        clean(&ScimReader::new(&sandbox.base_url, &sandbox.token));
    }
}

/// Nothing can be deleted: what stays is named, and that is a failure.
#[test]
fn what_cannot_be_removed_is_named() {
    let sandbox = SandboxProcess::start(&[]);
    let switch = Switch::before(&sandbox.base_url);
    switch.rule(|asked| (asked.method == "DELETE").then(|| (503, String::new())));
    let w = World::new(&switch.url, &sandbox.token, "", "");
    w.save();
    let run = w.run(&["probe", "s", "--yes", "--json"]).expect(5);
    let probe = of(&run);
    let names: Vec<&str> = probe["left_behind"].as_array().unwrap().iter().map(|l| l["name"].as_str().unwrap()).collect();
    let target = ScimReader::new(&sandbox.base_url, &sandbox.token);
    assert_eq!(names.len(), target.users().len() + target.groups().len(), "{probe:#}");
    assert!(run.stderr.contains("is left behind"), "{}", run.stderr);
    switch.pass();
    let probe = of(&w.run(&["probe", "s", "--yes", "--json"]).expect(0));
    assert_eq!(probe["removed"].as_array().unwrap().len(), names.len());
    clean(&target);
}

/// Nobody said yes: it says what it would do, and does nothing.
#[test]
fn without_a_yes_nothing_is_sent() {
    let sandbox = SandboxProcess::start(&[]);
    let w = world(&sandbox, "");
    sandbox.reset_counters();
    let run = w.run(&["probe", "s"]).expect(2);
    assert!(run.stderr.contains("throwaway users") && run.stderr.contains("--yes"), "{}", run.stderr);
    let run = w.run(&["probe", "s", "--json"]).expect(2);
    assert_eq!(run.json()["error"]["kind"], "usage");
    assert_eq!(sandbox.requests(), 0);
    w.run(&["probe", "nobody", "--yes"]).expect(2);
    std::fs::write(w.path("config.toml"), "version = 2").unwrap();
    w.run(&["probe", "s", "--yes"]).expect(3);
}

/// A server that does it otherwise than its preset and discovery say.
#[test]
fn what_differs_is_a_line_for_the_configuration() {
    let sandbox = SandboxProcess::start(&["--preset", "mews"]);
    let w = world(&sandbox, "");
    let probe = of(&w.run(&["probe", "s", "--yes", "--json"]).expect(0));
    assert_eq!(probe["config"]["user_name_immutable"], true, "{probe:#}");
    clean(&ScimReader::new(&sandbox.base_url, &sandbox.token));
    let text = w.run(&["probe", "s", "--yes"]).expect(0);
    let (_, lines) = text.stdout.split_once("[target.app]\n").unwrap();
    assert!(lines.contains("user_name_immutable = true"), "{}", text.stdout);
    // With its lines there is nothing left to say, and it is the configuration that says so.
    let source = "type = \"file\"\npath = \"people.json\"";
    w.configure(source, &sandbox.base_url, &sandbox.token, "", lines);
    let again = of(&w.run(&["probe", "s", "--yes", "--json"]).expect(0));
    assert_eq!((fact(&again, "dialect.user_name_immutable"), &again["warnings"]), (json!(true), &json!([])), "{again:#}");
}

#[test]
fn a_configuration_that_the_target_contradicts_is_warned_of() {
    let sandbox = SandboxProcess::start(&[]);
    let w = world(&sandbox, "patch = false\nremove_members = \"list\"");
    let probe = of(&w.run(&["probe", "s", "--yes", "--json"]).expect(0));
    let warnings = probe["warnings"].to_string();
    assert!(warnings.contains("patch = false") && warnings.contains("remove_members"), "{warnings}");
    clean(&ScimReader::new(&sandbox.base_url, &sandbox.token));
}

/// What a preset forbids is not tried.
#[test]
fn presets_are_honoured() {
    let sandbox = SandboxProcess::start(&["--preset", "mews"]);
    let w = world(&sandbox, "preset = \"mews\"");
    let probe = of(&w.run(&["probe", "s", "--yes", "--json"]).expect(0));
    finds(&probe, &[("rename", json!("not tried: a userName cannot be changed there")), ("user.dropped_attributes", json!([]))]);
    assert_eq!(fact(&probe, "members.at_creation"), "kept");
    clean(&ScimReader::new(&sandbox.base_url, &sandbox.token));

    let sandbox = SandboxProcess::start(&["--preset", "mezmo", "--group", "Child"]);
    let w = world(&sandbox, "preset = \"mezmo\"");
    sandbox.reset_counters();
    let probe = of(&w.run(&["probe", "s", "--yes", "--json"]).expect(0));
    finds(&probe, &[("group.create", json!("not tried: groups cannot be made there")), ("rename", json!("works"))]);
    let target = ScimReader::new(&sandbox.base_url, &sandbox.token);
    assert_eq!(target.groups().len(), 1, "the child organisation is as it was");
    clean(&target);
}

/// An application that keeps deleted accounts: they are inactive, and named.
#[test]
fn accounts_that_are_never_removed_are_left_inactive_and_named() {
    let keeps =
        ["slack", "zoom", "github-enterprise", "atlassian", "datadog", "figma", "sentry", "1password", "snowflake", "notion"];
    let preset = keeps.into_iter().find(|p| !scim_sync::target::presets::find(p).unwrap().dialect.delete_removes);
    let preset = preset.expect("some preset keeps deleted accounts");
    let sandbox = SandboxProcess::start(&["--preset", preset]);
    let w = world(&sandbox, "");
    let probe = of(&w.run(&["probe", "s", "--yes", "--json"]).expect(0));
    finds(&probe, &[("delete.user", json!("only deactivates the account")), ("dialect.delete_removes", json!(false))]);
    assert_eq!(probe["config"]["delete_removes"], false);
    let users = ScimReader::new(&sandbox.base_url, &sandbox.token).users();
    assert_eq!(users.len(), probe["left_behind"].as_array().unwrap().len());
    assert!(users.iter().all(|u| u["active"] == false), "{users:?}");
}

#[test]
fn real_servers_are_understood() {
    for server in ScimServer::all() {
        let w = World::new(server.url.as_str(), TOKEN, "", "");
        w.save();
        let probe = of(&w.run(&["probe", "s", "--yes", "--json"]).expect(0));
        let scim2 = server.name == "scim2-server";
        finds(
            &probe,
            &[
                ("patch.path", json!("works")),
                ("patch.no_path", json!("works")),
                ("boolean.json", json!("works")),
                ("patch.path_op_capital", json!("works")),
                ("boolean.True", json!(if scim2 { "works" } else { "refused (400)" })),
                ("rename", json!("works")),
                ("user.id", json!("uuid")),
                ("user.duplicate", json!("refused as it should be (409)")),
                ("paging.index", json!("works")),
                ("paging.past_the_end", json!(if scim2 { "no rows" } else { "starts over with the first page" })),
                ("members.kept_twice", json!(!scim2)),
                ("members.remove_one_by_one", json!("works")),
                ("members.remove_list", json!(if scim2 { "refused (400)" } else { "works" })),
                ("delete.user", json!("removes the account")),
                ("delete.again", json!(404)),
                ("delete.leaves_groups", json!(false)),
                ("filter.user.externalId", json!("works")),
            ],
        );
        let case = if scim2 { "works, whatever the letter case" } else { "works, only in the stored letter case" };
        assert_eq!(fact(&probe, "filter.user.userName"), case, "{}", server.name);
        assert_eq!(probe["left_behind"], json!([]), "{}", server.name);
        clean(&ScimReader::new(server.url.as_str(), TOKEN));
    }
}

/// scim2-server announces and enforces features: the probe finds them also where discovery says nothing of them.
#[test]
fn features_that_are_switched_off_are_found() {
    let provider = |more: Value| {
        let mut spc = json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"],
            "patch": {"supported": true}, "bulk": {"supported": false, "maxOperations": 0, "maxPayloadSize": 0},
            "filter": {"supported": true, "maxResults": 1000}, "changePassword": {"supported": false},
            "sort": {"supported": true}, "etag": {"supported": false}, "authenticationSchemes": [],
        });
        for (k, v) in more.as_object().unwrap() {
            spc[k] = v.clone();
        }
        spc
    };
    for (off, field) in
        [(json!({"patch": {"supported": false}}), "patch"), (json!({"filter": {"supported": false, "maxResults": 0}}), "filter")]
    {
        let Some(server) = ScimServer::scim2_with(Some(provider(off))) else { return };
        let w = World::new(server.url.as_str(), TOKEN, "", "");
        w.save();
        let probe = of(&w.run(&["probe", "s", "--yes", "--json"]).expect(0));
        finds(&probe, &[(&format!("dialect.{field}"), json!(false)), ("put", json!("works"))]);
        clean(&ScimReader::new(server.url.as_str(), TOKEN));
    }
}

fn started(w: &World, sandbox: &SandboxProcess, users: u64) -> std::process::Child {
    let child = w.command(&["probe", "s", "--yes", "--json"]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let until = Instant::now() + Duration::from_secs(60);
    while sandbox.stats()["users"].as_u64().unwrap() < users {
        assert!(Instant::now() < until, "the probe makes nobody");
        std::thread::sleep(Duration::from_millis(5));
    }
    child
}

#[test]
fn what_a_killed_probe_left_the_next_one_removes() {
    let sandbox = SandboxProcess::start(&["--latency", "25"]);
    let w = world(&sandbox, "");
    let target = ScimReader::new(&sandbox.base_url, &sandbox.token);
    let mut child = started(&w, &sandbox, 2);
    // While it works nobody else may write.
    w.run(&["probe", "s", "--yes"]).expect(8);
    child.kill().unwrap();
    child.wait().unwrap();
    let left = target.users().len() + target.groups().len();
    assert!(left >= 2, "killed in the middle");
    let probe = of(&w.run(&["probe", "s", "--yes", "--json"]).expect(0));
    assert_eq!(probe["removed"].as_array().unwrap().len(), left, "{probe:#}");
    clean(&target);

    // Killed while its group is there.
    let mut child = started(&w, &sandbox, 2);
    while sandbox.stats()["groups"].as_u64().unwrap() == 0 {
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(target.groups().len(), 1);
    let text = w.run(&["probe", "s", "--yes"]).expect(0);
    assert!(text.stdout.contains("removed what an earlier probe had left"), "{}", text.stdout);
    clean(&target);
}

#[cfg(unix)]
#[test]
fn asked_to_stop_it_cleans_up() {
    for name in ["INT", "TERM"] {
        let sandbox = SandboxProcess::start(&["--latency", "25"]);
        let w = world(&sandbox, "");
        let child = started(&w, &sandbox, 1);
        let pid = child.id().to_string();
        assert!(std::process::Command::new("kill").args([&format!("-{name}"), &pid]).status().unwrap().success());
        let run = Run::from(child.wait_with_output().unwrap()).expect(5);
        assert!(of(&run)["error"]["message"].as_str().unwrap().contains("stopped"), "{name}");
        clean(&ScimReader::new(&sandbox.base_url, &sandbox.token));
    }
}

/// Answers that never come, and refusals in the middle.
#[test]
fn faults_leave_nothing_behind() {
    for seed in ["1", "2", "3"] {
        let sandbox =
            SandboxProcess::start(&["--fault-seed", seed, "--fault-lost", "0.05", "--fault-5xx", "0.05", "--fault-html", "0.03"]);
        let w = world(&sandbox, "");
        // Some end early. The one that says that it is done has removed everything, also what the others left.
        let done = (0..20).any(|_| w.run(&["probe", "s", "--yes", "--json"]).code == 0);
        assert!(done, "seed {seed}");
        clean(&ScimReader::new(&sandbox.base_url, &sandbox.token));
    }
}

#[test]
fn a_target_that_lets_nobody_in_is_told() {
    let sandbox = SandboxProcess::start(&[]);
    let w = World::new(&sandbox.base_url, "wrong", "", "");
    w.save();
    let run = w.run(&["probe", "s", "--yes", "--json"]).expect(5);
    assert!(of(&run)["error"]["message"].as_str().unwrap().contains("401"), "{}", run.stdout);
}

/// Some applications know PATCH for users only: groups are renamed all the same.
#[test]
fn groups_that_are_changed_by_put_only_can_be_changed() {
    let sandbox = SandboxProcess::start(&[]);
    let switch = Switch::before(&sandbox.base_url);
    let w = World::new(&switch.url, &sandbox.token, "", "");
    w.save();
    switch.rule(|asked: &Asked| (asked.method == "PATCH" && asked.path.contains("/Groups/")).then(|| (501, String::new())));
    let probe = of(&w.run(&["probe", "s", "--yes", "--json"]).expect(0));
    finds(&probe, &[("group.patch", json!("refused (501)")), ("group.rename", json!("works")), ("members.put", json!("works"))]);
    assert_eq!(probe["config"], json!({}), "{probe}");
    clean(&ScimReader::new(&sandbox.base_url, &sandbox.token));
}

#[test]
fn one_fault_that_passes_is_no_answer() {
    let sandbox = SandboxProcess::start(&[]);
    let switch = Switch::before(&sandbox.base_url);
    let w = World::new(&switch.url, &sandbox.token, "", "");
    w.save();
    let mut patches = 0;
    switch.rule(move |asked: &Asked| {
        patches += usize::from(asked.method == "PATCH");
        (asked.method == "PATCH" && patches % 5 == 1).then(|| (404, String::new()))
    });
    let probe = of(&w.run(&["probe", "s", "--yes", "--json"]).expect(0));
    finds(&probe, &[("patch.path", json!("works"))]);
    assert_eq!(probe["config"], json!({}), "{probe}");
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_that_need_a_version_are_understood() {
    let server = OddServer::start(Odd::RequiresIfMatch).await;
    let w = World::new(&server.url(), "t", "", "");
    w.save();
    let probe = of(&w.run(&["probe", "s", "--yes", "--json"]).expect(0));
    finds(&probe, &[("patch.path", json!("works")), ("rename", json!("works")), ("delete.group", json!("removes the group"))]);
    assert!(fact(&probe, "if_match").is_string(), "{probe}");
    assert_eq!((server.users().len(), &probe["left_behind"]), (0, &json!([])));
}

#[tokio::test(flavor = "multi_thread")]
async fn paging_that_loses_rows_is_told() {
    for (odd, said) in [(Odd::CountsFromZero, "counts from 0"), (Odd::CountsPages, "counts pages")] {
        let server = OddServer::start(odd).await;
        for n in 0..5 {
            server.seed(json!({"userName": format!("u{n}@x.example"), "active": true}));
        }
        let w = World::new(&server.url(), "t", "", "");
        w.save();
        let probe = of(&w.run(&["probe", "s", "--yes", "--json"]));
        assert!(fact(&probe, "paging.index").as_str().is_some_and(|f| f.contains(said)), "{odd:?}: {probe}");
        assert!(probe["warnings"].to_string().contains(said), "{odd:?}: {probe}");
    }
}

/// A new name may be refused for what it is: only a word on mutability means every name.
#[test]
fn a_refused_rename_alone_is_no_name_that_never_changes() {
    for (detail, kind, domain, fixed) in [
        ("domain of the new userName is not verified", "invalidValue", None, false),
        ("userName is read-only", "invalidValue", None, false),
        ("userName is read-only", "invalidValue", Some("corp.example"), true),
        ("no", "mutability", None, true),
    ] {
        let sandbox = SandboxProcess::start(&[]);
        let switch = Switch::before(&sandbox.base_url);
        let w = World::new(&switch.url, &sandbox.token, "", "");
        w.save();
        let said = json!({"status": "400", "scimType": kind, "detail": detail}).to_string();
        switch.rule(move |asked: &Asked| {
            let renames = asked.body.contains("-renamed@") || asked.body.contains("-c@");
            (matches!(asked.method.as_str(), "PATCH" | "PUT") && renames).then(|| (400, said.clone()))
        });
        let more = domain.map(|d| vec!["--domain", d]).unwrap_or_default();
        let probe = of(&w.run(&[&["probe", "s", "--yes", "--json"], more.as_slice()].concat()).expect(0));
        let expected = if fixed { json!({"user_name_immutable": true}) } else { json!({}) };
        assert_eq!(probe["config"], expected, "{detail} {kind} {domain:?}: {probe}");
        assert_eq!(fact(&probe, "rename.immutable").is_string(), !fixed, "{probe}");
    }
}

/// The throwaway users are made of what the sync writes, and of what the target demands.
#[test]
fn nothing_is_sent_that_the_sync_never_sends() {
    use std::sync::{Arc, Mutex};
    let sandbox = SandboxProcess::start(&[]);
    let switch = Switch::before(&sandbox.base_url);
    let w = World::new(&switch.url, &sandbox.token, "", "preset = \"andmoney-rooms\"");
    w.save();
    let schemas = json!({"Resources": [{"id": "urn:ietf:params:scim:schemas:core:2.0:User", "attributes": [
        {"name": "userName"}, {"name": "displayName"}, {"name": "title", "required": true}, {"name": "name", "subAttributes": [{"name": "givenName"}]},
        {"name": "active", "type": "boolean"},
    ]}]});
    let (schemas, bodies) = (schemas.to_string(), Arc::new(Mutex::new(Vec::new())));
    let seen = Arc::clone(&bodies);
    switch.rule(move |asked: &Asked| {
        if asked.method == "POST" {
            seen.lock().unwrap().push(serde_json::from_str::<Value>(&asked.body).unwrap());
        }
        asked.path.ends_with("/Schemas").then(|| (200, schemas.clone()))
    });
    w.run(&["probe", "s", "--yes", "--json"]).expect(0);
    for body in bodies.lock().unwrap().iter() {
        let mut keys: Vec<&str> = body.as_object().unwrap().keys().map(String::as_str).filter(|k| *k != "externalId").collect();
        keys.sort_unstable();
        assert_eq!(keys, ["active", "displayName", "schemas", "title", "userName"], "{body}");
    }
}
