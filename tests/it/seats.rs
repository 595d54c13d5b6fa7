//! An application without a free seat: one fault, nobody's own.

use super::support::switch::{Asked, Switch};
use super::support::world::{SandboxProcess, ScimReader, World, changes, expected};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// In front of the sandbox: no more than `seats` creates go through; what is beyond is counted.
fn with_seats(front: &Switch, seats: usize) -> Arc<AtomicUsize> {
    let refused = Arc::new(AtomicUsize::new(0));
    let (count, mut left) = (Arc::clone(&refused), seats);
    front.rule(move |asked: &Asked| {
        if asked.method != "POST" || !asked.path.ends_with("/Users") {
            return None;
        }
        if left > 0 {
            left -= 1;
            return None;
        }
        count.fetch_add(1, Ordering::SeqCst);
        Some((403, r#"{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"],"status":"403","detail":"License limit reached: no seats available"}"#.to_owned()))
    });
    refused
}

#[test]
fn one_bad_record_is_nobody_where_no_seat_is_left() {
    let sandbox = SandboxProcess::start(&[]);
    let front = Switch::before(&sandbox.base_url);
    let mut w = World::new(&front.url, &sandbox.token, "", "concurrency = 2");
    w.populate(40);
    w.group("g", &["p00000", "p00039"]);
    let refused = with_seats(&front, 10);

    let first = w.sync().expect(7).cycle();
    assert_eq!(changes(&first)["create"], 10);
    assert!(refused.load(Ordering::SeqCst) <= 4, "who else waits is not tried: {}", refused.load(Ordering::SeqCst));
    let parked = first["parked"].as_array().unwrap();
    assert_eq!(parked.len(), 30, "everybody who waits is named");
    for p in parked {
        assert!(p["reason"].as_str().unwrap().contains("no seat left"), "{p}");
    }

    // Everything else goes on, and a seat that is freed is used in the next cycle: there is no wait of an hour.
    let refused = with_seats(&front, 5);
    w.leave("p00001");
    w.set("p00000", "displayName", "Changed");
    let second = w.sync().expect(7).cycle();
    let done = changes(&second);
    assert_eq!([done["create"], done["deactivate"], done["update"]], [5, 1, 1], "{done:?}");
    assert!(refused.load(Ordering::SeqCst) <= 4);

    with_seats(&front, 100);
    assert_eq!(changes(&w.sync().expect(0).cycle()), expected(&[("create", 25), ("members_add", 1)]));
    assert_eq!(ScimReader::new(&sandbox.base_url, &sandbox.token).users_by_name().len(), 40);
    sandbox.reset_counters();
    w.sync().expect(0);
    assert_eq!(sandbox.requests(), 0);
}

#[test]
fn one_bad_record_with_a_licence_in_its_text_stops_nobody_else() {
    let sandbox = SandboxProcess::start(&[]);
    let front = Switch::before(&sandbox.base_url);
    let mut w = World::new(&front.url, &sandbox.token, "", "concurrency = 1");
    w.populate(20);
    front.rule(|asked| {
        let says = |who: &str| asked.method == "POST" && asked.body.contains(who);
        if says("p00003@") {
            return Some((
                400,
                r#"{"status":"400","scimType":"invalidValue","detail":"carLicense exceeds the limit"}"#.to_owned(),
            ));
        }
        // In words like those of an application that is full: it is one record's all the same.
        says("p00007@").then(|| (403, r#"{"status":"403","detail":"this person's license limit is reached"}"#.to_owned()))
    });
    let cycle = w.sync().expect(7).cycle();
    assert_eq!(changes(&cycle), expected(&[("create", 18)]));
}
