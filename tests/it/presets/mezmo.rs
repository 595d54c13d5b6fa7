//! Mezmo.

use super::{Known, parked, says};
use crate::support::admin::Admin;
use crate::support::world::{SandboxProcess, ScimReader, World, changes};
use serde_json::json;

#[test]
fn child_organisations_are_linked_by_name_and_never_made() {
    let directory = Known::directory();
    let (kept, other_case) = (directory.groups[0].cn.clone(), directory.groups[3].cn.to_uppercase());
    let args = ["--group", kept.as_str(), "--group", other_case.as_str()];
    let known = Known::with(directory, "mezmo", &args, "");
    // A query string stays with every request.
    let config = std::fs::read_to_string(known.world.path("config.toml")).unwrap();
    let with_query = config.replace("/scim/v2\"", "/scim/v2?aadOptscim062020\"");
    std::fs::write(known.world.path("config.toml"), with_query).unwrap();

    let cycle = known.sync().expect(7).cycle();
    assert_eq!(changes(&cycle)["create"], 200);
    assert_eq!(changes(&cycle)["group_adopt"], 1);
    assert!(!changes(&cycle).contains_key("group_create"));
    let missing: Vec<_> = cycle["parked"].as_array().unwrap().iter().collect();
    assert_eq!(missing.len(), 11, "every group that is no child organisation is reported: {missing:?}");
    let p = parked(&cycle, &known.directory.groups[3].cn);
    says(&p["reason"], &["there is no child organisation named", &known.directory.groups[3].cn, "Mezmo"]);
    says(&p["advice"], &["exactly this name"]);
    let last = known.sandbox.stats()["last"].clone();
    assert!(last.as_array().unwrap().iter().all(|r| r.to_string().contains("aadOptscim062020")), "{last}");

    let user = known.target.user(&known.mail(0)).unwrap();
    let person = &known.directory.people[0];
    assert_eq!(user["name"]["formatted"], format!("{} {}", person.given_name, person.surname));
    assert_eq!(user["emails"][0]["type"], "work");
    assert_eq!(user["displayName"], json!(person.display_name));
    assert!(user.get("externalId").is_none());
    assert!(!known.target.memberships()[&kept].is_empty(), "members are written");

    // Renamed in the directory: not there.
    use base64::Engine as _;
    let dn = base64::engine::general_purpose::STANDARD.encode(&known.directory.groups[0].dn);
    known.slapd.modify(&format!("dn:: {dn}\nchangetype: modrdn\nnewrdn: cn=renamed\ndeleteoldrdn: 1\n\n"));
    let cycle = known.sync().expect(7).cycle();
    says(&parked(&cycle, "renamed")["reason"], &["Mezmo cannot rename a child organisation", &kept, "renamed"]);
    // Gone from the directory: neither deleted, nor are others' members touched.
    let dn = base64::engine::general_purpose::STANDARD.encode(format!("cn=renamed,ou=groups,{}", known.slapd.base));
    known.slapd.modify(&format!("dn:: {dn}\nchangetype: delete\n\n"));
    known.sync();
    let names: Vec<String> = known.target.groups().iter().map(|g| g["displayName"].as_str().unwrap().to_owned()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
    assert!(names.contains(&kept));
}

#[test]
fn what_is_no_email_is_refused_before_anything_is_sent() {
    let known = Known::start("mezmo", &[], "[sync.scope]\ngroups = 'cn eq \"none\"'");
    known.modify(1, "mail", None);
    known.modify(2, "mail", Some("not-an-address"));
    let cycle = known.sync().expect(7).cycle();
    assert_eq!(changes(&cycle)["create"], 198);
    assert_eq!(cycle["parked"].as_array().unwrap().len(), 2, "{}", cycle["parked"]);
    assert_eq!(known.sandbox.stats()["requests"]["POST"], 198);
}

#[test]
fn a_child_organisation_that_was_made_anew_is_found_in_the_next_cycle() {
    // An administrator of Mezmo can do what the sandbox with that preset does for nobody.
    let sandbox = SandboxProcess::start(&[]);
    let (target, admin) = (ScimReader::new(&sandbox.base_url, &sandbox.token), Admin::of(&sandbox));
    let old = admin.create_group("Group g", &[]);
    let mut w = World::new(&sandbox.base_url, &sandbox.token, "", "preset = \"mezmo\"");
    w.populate(12);
    w.group("g", &["p00001", "p00002", "p00003"]);
    w.sync().expect(0);
    admin.delete_group(&old);
    admin.create_group("Group g", &[]);
    w.group("g", &["p00001", "p00002", "p00003", "p00004"]);
    let cycle = w.sync().expect(7).cycle();
    let p = parked(&cycle, "Group g");
    says(&p["reason"], &["gone at the target"]);
    says(&p["advice"], &["looks for another one of this name"]);
    let cycle = w.sync().expect(0).cycle();
    assert_eq!(changes(&cycle)["group_adopt"], 1, "{cycle}");
    assert_eq!(target.memberships()["Group g"].len(), 4);
    sandbox.reset_counters();
    w.sync().expect(0);
    assert_eq!(sandbox.requests(), 0, "converges");
}
