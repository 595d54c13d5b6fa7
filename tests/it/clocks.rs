//! What the clock alone takes away: not while clocks disagree.

use super::support::switch::Switch;
use super::support::world::{SandboxProcess, World, changes, expected};
use std::time::{Duration, SystemTime};

fn in_seconds(s: u64) -> String {
    httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(s))
}

#[test]
fn absence_confirmed_nothing_is_removed_by_a_clock_that_is_not_the_targets() {
    for (actions, kind) in [
        ("[sync.actions]\nuser = [\"create\", \"update\", \"deactivate\", \"delete\"]\ndelete_after = \"1s\"", "delete"),
        ("[sync.actions]\ndeactivate_after = \"1s\"", "deactivate"),
    ] {
        let sandbox = SandboxProcess::start(&[]);
        let front = Switch::before(&sandbox.base_url);
        let mut w = World::new(&front.url, &sandbox.token, actions, "");
        w.populate(12);
        w.sync().expect(0);
        w.leave("p00000");
        w.sync().expect(0);
        std::thread::sleep(Duration::from_millis(2100));

        // The target was not read in this cycle: its clock is asked for before anything goes.
        front.date(&in_seconds(400));
        for _ in 0..2 {
            let cycle = w.sync().expect(0).cycle();
            assert_eq!(changes(&cycle), expected(&[]), "{kind}");
            assert!(cycle["warnings"].to_string().contains("clocks disagree"), "it is said: {cycle}");
        }
        assert_eq!(changes(&w.plan().expect(0).plan()), expected(&[]), "{kind}");

        front.date(&in_seconds(200));
        assert_eq!(changes(&w.sync().expect(0).cycle()), expected(&[(kind, 1)]));
        sandbox.reset_counters();
        w.sync().expect(0);
        assert_eq!(sandbox.requests(), 0, "nothing is due any more: nobody is asked");
    }
}
