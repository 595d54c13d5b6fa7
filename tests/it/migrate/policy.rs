//! User IDs that are made up from UPNs and account names: never an address that somebody else has, in scope or not.

use super::Old;
use crate::support::world::{World, changes, expected};
use serde_json::json;

const SYNC: &str = "[sync.user_id]\nfrom = [\"mail\", \"userPrincipalName\", \"sAMAccountName\"]\ndomains = { \"corp.local\" = \"corp.example\" }\n\
     [sync.scope]\nusers = 'department eq \"Sales\"'\n";

/// Somebody without mail.
fn nameless(w: &mut World, id: &str, attribute: &str, value: &str) {
    w.join(id);
    w.people.get_mut(id).unwrap().remove("mail");
    w.set(id, attribute, value);
}

#[test]
fn no_guess_an_address_that_another_entry_has_is_not_made_up() {
    let mut old = Old::start(SYNC, &[]);
    let w = &mut old.world;
    nameless(w, "made-up", "sAMAccountName", "free");
    nameless(w, "taken-by-mail", "sAMAccountName", "jane");
    nameless(w, "taken-by-alias", "userPrincipalName", "team@corp.local");
    w.join("jane");
    w.set("jane", "mail", "Jane@corp.example");
    w.set("jane", "department", "Legal");
    w.join("mailbox");
    w.set("mailbox", "proxyAddresses", json!(["SMTP:mailbox@corp.example", "smtp:Team@corp.example"]));
    let cycle = w.sync().expect(7).cycle();
    assert_eq!(changes(&cycle), expected(&[("create", 2)]), "{cycle}");
    let parked = cycle["parked"].as_array().unwrap();
    assert!(parked.iter().all(|p| p["reason"].as_str().unwrap().contains("has this address")) && parked.len() == 2, "{parked:?}");
    assert!(old.reader.user("free@corp.example").is_some());
    // The address becomes free: it is theirs then, without anything having changed about them.
    old.world.leave("jane");
    let cycle = old.world.sync().expect(7).cycle();
    assert_eq!(changes(&cycle), expected(&[("create", 1)]), "{cycle}");
    assert!(old.reader.user("jane@corp.example").is_some());
    // Whoever bears one keeps it when it is given to somebody else, who waits.
    old.world.join("new");
    old.world.set("new", "mail", "free@corp.example");
    let cycle = old.world.sync().expect(7).cycle();
    assert_eq!(changes(&cycle), expected(&[]), "{cycle}");
    assert_eq!(old.reader.user("free@corp.example").unwrap()["externalId"], "made-up");
}
