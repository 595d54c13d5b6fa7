//! What was there before: accounts made by hand, a lost state store, changes made at the target, names that change hands.

use super::{Live, Server, directory};
use crate::support::directory::{GroupKind, Member};
use crate::support::truth::Truth;
use crate::support::world::{changes, expected};
use serde_json::{Value, json};

const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";

fn servers() -> impl Iterator<Item = Server> {
    [Server::scim2, Server::scimmy, || Some(Server::sandbox())].into_iter().filter_map(|start| start())
}

/// A request of somebody else's to the target; the answer's body.
fn by_hand(server: &Server, method: &str, path: &str, body: &Value) -> Value {
    let url = format!("{}/{path}", server.url());
    let request = reqwest::blocking::Client::new().request(method.parse().unwrap(), url).bearer_auth(server.token());
    let request = if body.is_null() { request } else { request.json(body) };
    let answer = request.send().unwrap();
    assert!(answer.status().is_success(), "{method} {path}: {} {body}", answer.status());
    serde_json::from_str(&answer.text().unwrap()).unwrap_or_default()
}

fn patch(server: &Server, path: &str, operations: &Value) {
    let body = json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": operations});
    by_hand(server, "PATCH", path, &body);
}

fn removal(dn: &str, attribute: &str, value: &str) -> String {
    use base64::Engine as _;
    let coded = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
    format!("dn:: {}\nchangetype: modify\ndelete: {attribute}\n{attribute}:: {}\n", coded(dn), coded(value))
}

fn id(v: &Value) -> &str {
    v["id"].as_str().unwrap()
}

#[test]
fn a_lost_state_store_is_made_again_without_a_create() {
    for server in servers() {
        let directory = directory(61, 150, 12, 500);
        let live = Live::start(&directory, server, "", "");
        live.sync().expect(0);
        let truth = live.snapshot().expected(true);
        truth.expect(&live.held());
        for name in ["state.db", "state.db-wal", "state.db-shm"] {
            let _ = std::fs::remove_file(live.world.path(name));
        }
        // Meanwhile somebody is taken out of a group: nobody remembers who put them in, the directory decides.
        let team = directory.groups.iter().find(|g| g.kind == GroupKind::UniqueNames).unwrap();
        let of_team = |m: &&Member| matches!(m, Member::Person(i) if !directory.people[*i].locked);
        let out = directory.dn(*team.members.iter().find(of_team).unwrap());
        live.slapd.modify(&removal(&team.dn, "uniqueMember", out));
        let truth = live.snapshot().expected(true);
        let cycle = live.sync().expect(0).cycle();
        let removed = changes(&cycle)["members_remove"];
        assert!(removed >= 1, "{cycle}");
        let want = [("adopt", truth.accounts.len() as u64), ("group_adopt", 12), ("members_remove", removed)];
        assert_eq!(changes(&cycle), expected(&want), "{}", live.server.name());
        assert!(live.recorder.requests().iter().all(|r| r.method == "GET" || r.method == "PATCH"), "one_account_per_person");
        truth.expect(&live.held());
        live.expect_quiet();
        // What was adopted is kept in step like the rest.
        let person = directory.people.iter().find(|p| !p.locked && p.dn.starts_with("uid=")).unwrap();
        live.slapd.modify(&format!("dn: {}\nchangetype: delete\n", person.dn));
        live.sync().expect(0);
        live.snapshot().expected(true).with_leavers_of(&truth).expect(&live.held());
    }
}

#[test]
fn accounts_made_by_hand_are_adopted_and_foreign_ones_left_alone() {
    for server in servers() {
        let directory = directory(67, 60, 6, 120);
        let live = Live::start(&directory, server, "", "");
        let server = &live.server;
        let people: Vec<_> = directory.people.iter().filter(|p| !p.locked).take(6).collect();
        let mail = |i: usize| people[i].mail.clone().unwrap();
        let user = |fields: Value| {
            let mut body = json!({"schemas": [USER], "active": true});
            body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
            by_hand(server, "POST", "Users", &body)
        };
        // By userName in other letters; by an address; by externalId under another name; inactive.
        let a = user(json!({"userName": mail(0).to_uppercase()}));
        let b = user(json!({"userName": "legacy.b", "emails": [{"value": mail(1), "type": "work"}]}));
        let c = user(json!({"userName": "legacy.c", "externalId": people[2].uuid}));
        let d = user(json!({"userName": mail(3), "active": false}));
        // Nobody's, and somebody else's.
        let admin = user(json!({"userName": "admin@example.org", "displayName": "The Admin"}));
        let other = user(json!({"userName": mail(4), "externalId": "other-system-4711"}));
        // Nothing at the target would refuse a second account for this one: only the address says who it is.
        let email = json!([{"value": mail(5), "type": "work"}]);
        let hidden = user(json!({"userName": "legacy.f", "externalId": "other-system-0815", "emails": email}));
        let team = &directory.groups[0];
        let members = json!([{"value": id(&admin)}, {"value": id(&a)}]);
        let group = json!({"schemas": [GROUP], "displayName": team.cn, "members": members});
        let group = by_hand(server, "POST", "Groups", &group);

        let cycle = live.sync().expect(7).cycle();
        let counts = changes(&cycle);
        assert_eq!((counts["adopt"], counts["group_adopt"], counts["group_create"]), (4, 1, 5), "{} {cycle}", server.name());
        let parked = &cycle["parked"].as_array().unwrap()[..];
        assert_eq!(parked.len(), 2);
        for (i, whose) in [(4, "other-system-4711"), (5, "other-system-0815")] {
            let found = parked.iter().find(|p| p["source_key"] == json!(people[i].uuid)).unwrap();
            assert!(found["reason"].as_str().unwrap().contains(whose), "no_guess: {found}");
        }

        let users = live.reader.users();
        for (account, i) in [(&a, 0), (&b, 1), (&c, 2), (&d, 3)] {
            let now = users.iter().find(|u| u["id"] == account["id"]).unwrap();
            assert_eq!((&now["userName"], &now["externalId"]), (&json!(mail(i)), &json!(people[i].uuid)));
            assert_eq!(now["active"], true);
            assert_eq!(now["emails"].as_array().unwrap().len(), 1, "{now}");
        }
        let foreign = [&admin, &other, &hidden];
        for foreign in foreign {
            let now = users.iter().find(|u| u["id"] == foreign["id"]).unwrap();
            assert_eq!((&now["userName"], &now["active"]), (&foreign["userName"], &json!(true)), "own_only");
            assert_eq!(now["meta"]["lastModified"], foreign["meta"]["lastModified"], "own_only: it was written to");
        }
        // The foreign member stays.
        let groups = live.reader.groups();
        let now = groups.iter().find(|g| g["id"] == group["id"]).unwrap();
        assert!(now["members"].to_string().contains(id(&admin)));
        // But for these two, and the member, all is as the directory says.
        let ours: Vec<Value> = users.into_iter().filter(|u| foreign.iter().all(|f| f["id"] != u["id"])).collect();
        let groups: Vec<Value> = groups
            .into_iter()
            .map(|mut g| {
                if let Some(members) = g["members"].as_array_mut() {
                    members.retain(|m| m["value"] != admin["id"]);
                }
                g
            })
            .collect();
        let mut wanted = live.snapshot().expected(true);
        for parked in [people[4], people[5]] {
            wanted.accounts.remove(&parked.uuid);
            wanted.teams.values_mut().for_each(|t| t.members.retain(|m| *m != parked.uuid));
        }
        wanted.expect(&Truth::held(&ours, &groups));
        // However often it is tried: nobody is made a second account.
        for _ in 0..3 {
            live.sync().expect(7);
            assert!(live.recorder.writes().is_empty(), "one_account_per_person");
        }
        // The foreign mark is taken away: now it is theirs.
        let path = format!("Users/{}", id(&hidden));
        patch(server, &path, &json!([{"op": "remove", "path": "externalId"}]));
        let cycle = live.sync().expect(7).cycle();
        assert_eq!(changes(&cycle)["adopt"], 1, "{cycle}");
        assert_eq!(live.reader.user(&mail(5)).unwrap()["id"], hidden["id"]);
    }
}

#[test]
fn what_is_changed_at_the_target_is_repaired_by_a_verifying_cycle() {
    for server in servers() {
        let directory = directory(71, 80, 8, 240);
        let live = Live::start(&directory, server, "", "");
        live.sync().expect(0);
        let truth = live.snapshot().expected(true);
        let (users, groups) = (live.reader.users(), live.reader.groups());
        let server = &live.server;
        let stranger = by_hand(server, "POST", "Users", &json!({"schemas": [USER], "userName": "stranger@example.org"}));
        let path = |collection: &str, v: &Value| format!("{collection}/{}", id(v));
        patch(server, &path("Users", &users[0]), &json!([{"op": "replace", "path": "displayName", "value": "By Hand"}]));
        patch(server, &path("Users", &users[1]), &json!([{"op": "replace", "path": "userName", "value": "by.hand@example.org"}]));
        patch(server, &path("Users", &users[2]), &json!([{"op": "replace", "path": "active", "value": false}]));
        patch(server, &path("Users", &users[3]), &json!([{"op": "replace", "path": "nickName", "value": "theirs"}]));
        let full: Vec<&Value> = groups.iter().filter(|g| g["members"].as_array().is_some_and(|m| m.len() > 3)).collect();
        let first = full[0]["members"][0]["value"].as_str().unwrap();
        let taken = format!("members[value eq \"{first}\"]");
        patch(server, &path("Groups", full[0]), &json!([{"op": "remove", "path": taken}]));
        let inside = full[0]["members"].to_string();
        let outside = users[4..].iter().find(|u| !inside.contains(id(u))).unwrap();
        let added = json!([{"value": id(&stranger)}, {"value": id(outside)}]);
        patch(server, &path("Groups", full[0]), &json!([{"op": "add", "path": "members", "value": added}]));
        patch(server, &path("Groups", full[1]), &json!([{"op": "replace", "path": "displayName", "value": "By Hand"}]));
        live.expect_quiet();

        live.recorder.clear();
        let cycle = live.world.run(&["sync", "--verify", "--json"]).expect(0).cycle();
        let want =
            [("update", 1), ("rename", 1), ("reactivate", 1), ("members_add", 1), ("members_remove", 1), ("group_update", 1)];
        assert_eq!(changes(&cycle), expected(&want), "{}", server.name());
        assert_eq!(live.recorder.writes().len(), 6);
        let users: Vec<Value> = live.reader.users().into_iter().filter(|u| u["id"] != stranger["id"]).collect();
        assert!(users.iter().any(|u| u["nickName"] == "theirs"), "what is not mapped is not ours");
        let mut groups = live.reader.groups();
        for g in &mut groups {
            if let Some(members) = g["members"].as_array_mut() {
                members.retain(|m| m["value"] != stranger["id"]);
            }
        }
        truth.expect(&Truth::held(&users, &groups));
        live.recorder.clear();
        live.world.run(&["sync", "--verify", "--json"]).expect(0);
        assert!(live.recorder.writes().is_empty(), "converges");
    }
}

#[test]
fn names_change_hands_along_a_chain() {
    for server in servers() {
        let directory = directory(73, 40, 3, 40);
        let live = Live::start(&directory, server, "", "[sync.guard]\nrename = \"unlimited\"");
        live.sync().expect(0);
        let truth = live.snapshot().expected(true);
        // Everyone gets the address of the next, the last a new one: all but one are taken at first.
        let people: Vec<_> = directory.people.iter().filter(|p| p.dn.starts_with("uid=") && !p.locked).take(6).collect();
        let mut ldif = String::new();
        for (i, p) in people.iter().enumerate() {
            let mail = people.get(i + 1).map_or("brand.new@example.org".to_owned(), |n| n.mail.clone().unwrap());
            ldif += &format!("dn: {}\nchangetype: modify\nreplace: mail\nmail: {mail}\n\n", p.dn);
        }
        live.slapd.modify(&ldif);
        let cycle = live.sync().expect(0).cycle();
        assert_eq!(changes(&cycle), expected(&[("rename", 6)]), "{}", live.server.name());
        let now = live.snapshot().expected(true);
        now.expect(&live.held());
        assert_eq!(now.teams.keys().collect::<Vec<_>>(), truth.teams.keys().collect::<Vec<_>>());
        live.expect_quiet();
    }
}

#[test]
fn two_people_swap_their_names() {
    for server in servers() {
        let directory = directory(79, 40, 3, 40);
        let live = Live::start(&directory, server, "", "[sync.guard]\nrename = \"unlimited\"");
        live.sync().expect(0);
        let p: Vec<_> = directory.people.iter().filter(|p| p.dn.starts_with("uid=") && !p.locked).take(2).collect();
        let mail = |i: usize| p[i].mail.clone().unwrap();
        let change = |i: usize, mail: &str| format!("dn: {}\nchangetype: modify\nreplace: mail\nmail: {mail}\n\n", p[i].dn);
        live.slapd.modify(&(change(0, &mail(1)) + &change(1, &mail(0))));
        let counts = changes(&live.sync().expect(0).cycle());
        assert_eq!(counts, expected(&[("rename", 2)]), "{}", live.server.name());
        live.snapshot().expected(true).expect(&live.held());
        live.expect_quiet();
    }
}
