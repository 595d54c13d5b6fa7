//! Full reads.

use super::{Ad, Domain, PASSWORD};
use crate::support::world::changes;

#[test]
fn two_thousand_people_reach_the_application_as_the_directory_shows_them() {
    let Some(samba) = (Domain { people: 2000, groups: 100 }).start() else { return };
    let ad = Ad::new(samba, "svc-plain", true);
    let cycle = ad.sync().expect(0).cycle();
    assert_eq!((cycle["read"].as_str(), cycle["result"].as_str()), (Some("full"), Some("ok")), "{cycle}");
    assert_eq!(cycle["counts"]["group_create"], 100);
    ad.expect_truth();
    // Nothing more to do, in full and incrementally.
    for args in [&["sync", "--json", "--full"][..], &["sync", "--json"]] {
        let cycle = ad.world.run(args).expect(0).cycle();
        assert_eq!(changes(&cycle), Default::default(), "{cycle}");
    }
}

#[test]
fn binding_says_what_is_wrong() {
    let Some(samba) = (Domain { people: 5, groups: 11 }).start() else { return };
    let ad = Ad::new(samba, "svc-plain", false);
    let source = |url: &str, extra: &str| {
        let usual = ad.samba.source("svc-plain");
        let (sandbox, rest) = (ad.sandbox.as_ref().unwrap(), usual.replace(&ad.samba.ldaps_url, url));
        ad.world.configure(&format!("{rest}\n{extra}"), &sandbox.base_url, &sandbox.token, super::SYNC, "");
    };
    let check = || ad.world.run(&["check", "--online", "--json"]);
    let error = || check().json()["online"][0]["error"].as_str().unwrap_or_default().to_owned();

    source(&ad.samba.ldap_url, "starttls = true");
    let online = check().expect(0).json()["online"][0].clone();
    assert_eq!(online["facts"]["flavor"], "active-directory", "{online}");
    assert_eq!(
        online["facts"]["dirsync"].as_str().unwrap().split([':', '(']).next().map(str::trim),
        Some("without the replication right"),
        "{online}"
    );
    assert_eq!(online["facts"]["incremental"], "DirSync", "{online}");
    // By what the syncs ask for: of this nobody says when it changes.
    let (sandbox, usual) = (ad.sandbox.as_ref().unwrap(), ad.samba.source("svc-plain"));
    let mapped = format!("{}\n[sync.map.user]\ntitle = \"[memberOf]\"\n", super::SYNC);
    ad.world.configure(&usual, &sandbox.base_url, &sandbox.token, &mapped, "");
    let facts = check().expect(0).json()["online"][0]["facts"].clone();
    assert!(facts["incremental"].as_str().unwrap().starts_with("no: memberOf is used"), "{facts}");
    source(&ad.samba.ldap_url, "starttls = true");
    ad.samba.tool(&["user", "disable", "svc-plain"]);
    assert!(error().contains("the account is disabled"), "{}", error());
    ad.samba.tool(&["user", "enable", "svc-plain"]);
    source(&ad.samba.ldap_url, "allow_plaintext = true");
    assert!(error().contains("use ldaps:// or starttls = true"), "{}", error());
    source(&ad.samba.ldaps_url, "");
    ad.world.write_secret("bind-password", "wrong");
    assert!(error().contains("wrong name or password"), "{}", error());
    ad.world.write_secret("bind-password", PASSWORD);
    check().expect(0);
}
