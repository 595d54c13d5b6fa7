//! The last ones of a sync, and its last groups.

use crate::support::world::{SandboxProcess, ScimReader, World, changes, expected};
use serde_json::Value;

fn active(target: &ScimReader) -> usize {
    target.users().iter().filter(|u| u["active"] == true).count()
}

fn held(cycle: &Value, kind: &str) -> usize {
    cycle["held"].as_array().unwrap().iter().filter(|h| h["kind"] == kind).count()
}

/// Three at once are a mistake of the scope; whoever of them nobody named is not let go when the others have gone.
#[test]
fn absence_confirmed_the_last_one_of_several_goes_when_somebody_names_it() {
    let sandbox = SandboxProcess::start(&[]);
    let source = "type = \"file\"\npath = \"people.json\"";
    let mut w = World::new(&sandbox.base_url, &sandbox.token, "[sync.scope]\nusers = 'department eq \"Sales\"'", "");
    w.populate(3);
    let all: Vec<String> = w.people.keys().cloned().collect();
    for id in &all {
        w.set(id, "department", "Sales");
    }
    w.sync().expect(0);
    let target = ScimReader::new(&sandbox.base_url, &sandbox.token);
    w.configure(source, &sandbox.base_url, &sandbox.token, "[sync.scope]\nusers = 'department eq \"Salse\"'", "");
    assert_eq!(held(&w.sync().expect(6).cycle(), "deactivate"), 3);
    for (i, who) in ["p00000", "p00001"].into_iter().enumerate() {
        w.run(&["approve", "s", "--who", &format!("{who}@corp.example")]).expect(0);
        for deactivated in [1, 0] {
            let cycle = w.sync().expect(6).cycle();
            assert_eq!(changes(&cycle).get("deactivate").copied().unwrap_or(0), deactivated, "{cycle}");
            assert_eq!((held(&cycle, "deactivate"), active(&target)), (2 - i, 2 - i), "{cycle}");
        }
    }
    w.run(&["approve", "s", "--who", "p00002@corp.example"]).expect(0);
    assert_eq!(changes(&w.sync().expect(0).cycle()), expected(&[("deactivate", 1)]));
}

/// Groups that are gone from a read make nobody's leaving a shrunk directory, however long it takes until somebody looks.
#[test]
fn held_groups_do_not_keep_people_from_being_counted() {
    let sandbox = SandboxProcess::start(&[]);
    let mut w = World::new(&sandbox.base_url, &sandbox.token, "[sync.guard]\ndeactivate = \"unlimited\"\n", "");
    w.populate(30);
    w.group("a", &["p00000", "p00001"]);
    w.group("b", &["p00002"]);
    w.sync().expect(0);
    w.groups.clear();
    for i in 0..4 {
        for k in 0..2 {
            w.leave(&format!("p{:05}", 10 + 2 * i + k));
        }
        let cycle = w.sync().expect(6).cycle();
        assert_eq!(changes(&cycle), expected(&[("deactivate", 2)]), "{i}: {cycle}");
        assert_eq!(held(&cycle, "group_delete"), 2, "{cycle}");
    }
}
