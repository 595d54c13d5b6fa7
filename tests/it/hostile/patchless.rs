//! A target that takes no PATCH and says so nowhere.

use super::{quiet, world};
use crate::support::odd::Odd;
use crate::support::world::{changes, expected};

#[tokio::test(flavor = "multi_thread")]
async fn what_went_by_put_once_goes_by_put_in_every_later_cycle() {
    let (server, mut w) = world(Odd::KnowsNoPatch, "").await;
    w.sync().expect(0);
    for cycle in 0..3 {
        let id = |n: usize| format!("p{:05}", 10 + 3 * cycle + n);
        w.set(&id(0), "displayName", "New Name");
        w.set(&id(1), "mail", format!("renamed{cycle}@corp.example"));
        w.leave(&id(2));
        server.take_requests();
        let report = w.sync().expect(0).cycle();
        let done = expected(&[("update", 1), ("rename", 1), ("deactivate", 1)]);
        let written: std::collections::BTreeMap<_, _> =
            changes(&report).into_iter().filter(|(kind, _)| !kind.starts_with("members")).collect();
        assert_eq!(written, done, "{cycle}: {report}");
        let tried = server.take_requests().into_iter().filter(|(m, p)| m == "PATCH" && p.starts_with("/Users")).count();
        assert!(tried == 0 || cycle == 0, "{cycle}: {tried} of PATCH, which is known to be refused");
        let users = server.users();
        let of = |name: &str| users.iter().find(|u| u["userName"] == name).unwrap_or_else(|| panic!("{name}: {users:?}"));
        assert_eq!(of(&format!("{}@corp.example", id(0)))["displayName"], "New Name");
        assert_eq!(of(&format!("renamed{cycle}@corp.example"))["active"], true);
        assert_eq!(of(&format!("{}@corp.example", id(2)))["active"], false);
        quiet(&server, &w);
    }
}
