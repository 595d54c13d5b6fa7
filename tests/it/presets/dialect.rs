//! Where a target's peculiarities come from, and that the configuration has the last word.

use crate::support::world::{SandboxProcess, ScimReader, World};
use serde_json::Value;

fn facts(w: &World) -> Value {
    w.save();
    let document = w.run(&["check", "--online", "--json"]).expect(0).json();
    document["online"].as_array().unwrap().iter().find(|p| p["kind"] == "target").unwrap()["facts"].clone()
}

#[test]
fn check_online_says_where_each_value_came_from() {
    let sandbox = SandboxProcess::start(&["--preset", "mews"]);
    let target = "preset = \"mews\"\nmembers_per_patch = 7\nop_case = \"capital\"";
    let w = World::new(&sandbox.base_url, &sandbox.token, "", target);
    let facts = facts(&w);
    assert_eq!(facts["dialect.user_name_immutable"], "true (preset)");
    assert_eq!(facts["dialect.patch"], "true (discovery)");
    assert_eq!(facts["dialect.members_per_patch"], "7 (configuration)");
    assert_eq!(facts["dialect.op_case"], "capital (configuration)");
    assert_eq!(facts["dialect.remove_members"], "one-by-one (default)");
    assert_eq!(facts["dialect.required"], "userName, active, name.givenName, name.familyName (preset)");
}

/// Every form of writing reaches a server that understands it.
#[test]
fn the_configuration_says_how_things_are_written() {
    for (target, sandbox_args) in [
        ("patch_path = false", [].as_slice()),
        ("remove_members = \"list\"", &["--remove-with-value"]),
        ("remove_members = \"replace\"", &[]),
        ("media_type = \"application/json\"\nfilter = false\npage_size = 3", &[]),
        ("op_case = \"capital\"", &[]),
        ("preset = \"gitlab\"", &["--preset", "gitlab"]),
    ] {
        let sandbox = SandboxProcess::start(sandbox_args);
        let mut w =
            World::new(&sandbox.base_url, &sandbox.token, "[sync.guard]\nmembers_remove_per_group = \"unlimited\"", target);
        w.populate(12);
        let groups = !target.contains("gitlab");
        if groups {
            w.group("g", &["p00001", "p00002", "p00003"]);
        }
        w.sync().expect(0);
        w.set("p00001", "sn", "Changed");
        w.set("p00001", "displayName", "Changed");
        w.set("p00002", "accountEnabled", false);
        if groups {
            w.groups.get_mut("g").unwrap().1.remove(0);
        }
        w.sync().expect(0);
        let reader = ScimReader::new(&sandbox.base_url, &sandbox.token);
        let user = reader.user("p00001@corp.example").unwrap();
        // Names are given to GitLab at creation only.
        let names = if groups { ("Changed", "Changed") } else { ("Family p00001", "Given p00001 Family") };
        assert_eq!((&user["name"]["familyName"], &user["displayName"]), (&names.0.into(), &names.1.into()), "{target}");
        assert_eq!(reader.user("p00002@corp.example").unwrap()["active"], false, "{target}");
        if groups {
            assert_eq!(reader.memberships()["Group g"].len(), 2, "{target}");
        }
    }
}
