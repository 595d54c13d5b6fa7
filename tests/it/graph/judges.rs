//! Others' code judges both sides: our requests and the fake's answers.

use super::{FREE, Setup};
use crate::support::fake_graph::{
    FakeGraph,
    tenant::{APPLICATION, Tenant, group_id, user_id},
};
use crate::support::judges::{Judge, free_port, oidc_provider, prism, sdk, spec};
use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256};
use scim_sync::http::assertion::SigningKey;
use secrecy::SecretString;
use serde_json::{Value, json};
use std::collections::BTreeMap;

#[test]
fn microsofts_own_sdk_reads_the_fake_as_it_is() {
    let mut tenant = Tenant::populated(60, 6);
    tenant.unruly = true;
    tenant.delta_page = 5;
    tenant.set(&user_id(3), "accountEnabled", false);
    tenant.soft_delete(&user_id(4));
    let fake = FakeGraph::start(tenant);
    let Some(read) = sdk("msgraph", "graph_sdk.py", &[&fake.url, "s3cret-of-client-1"]) else { return };
    let tenant = fake.tenant();
    let live = tenant.users.iter().filter(|(_, u)| !u.deleted);
    let users: BTreeMap<&String, Value> =
        live.map(|(id, u)| (id, json!([u.props["displayName"], u.props["accountEnabled"]]))).collect();
    assert_eq!((&read["users"], &read["delta"]), (&json!(users), &json!(users)));
    let groups: BTreeMap<&String, Value> = tenant
        .groups
        .iter()
        .map(|(id, g)| {
            let members: Vec<&String> = g.members.iter().filter(|m| tenant.is_live(m)).collect();
            (id, json!({"name": g.props["displayName"], "members": members}))
        })
        .collect();
    assert_eq!(read["groups"], json!(groups));
    assert_eq!((&read["again"], &read["refused"]), (&json!(0), &json!([404, "Request_ResourceNotFound"])));
    drop(tenant);
    fake.expect_no_offence();
}

#[test]
fn prism_finds_nothing_wrong_between_us_and_graph() {
    let Some(mut api) = spec("graph-v1.0-subset.openapi.json") else { return };
    // Its paths are below the version, and prism goes by the path alone. The application's roles are not in the subset.
    let paths = api["paths"].as_object().unwrap().iter().map(|(p, o)| (format!("/v1.0{p}"), o.clone())).collect();
    api["paths"] = Value::Object(paths);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("api.json");
    std::fs::write(&path, api.to_string()).unwrap();
    for source in [String::new(), format!("assigned_to = \"{APPLICATION}\"\n")] {
        let mut tenant = Tenant::populated(130, 25);
        tenant.delta_page = 9;
        tenant.set_manager(&user_id(1), Some(&user_id(2)));
        (0..25).for_each(|n| tenant.assign(&group_id(n), ""));
        let port = free_port();
        let s = Setup::behind(tenant, &format!("http://127.0.0.1:{port}"), &source, FREE);
        let Some(_proxy) = prism(&path, &s.fake.direct(), port) else { return };
        s.cycle();
        s.expect_as_tenant();
        {
            let mut tenant = s.fake.tenant();
            tenant.set(&user_id(8), "givenName", json!(null));
            tenant.leave(&group_id(9), &user_id(9));
            tenant.join(&group_id(10), &user_id(9));
            tenant.purge(&user_id(10));
        }
        s.cycle();
        s.expect_as_tenant();
    }
}

/// A client as oidc-provider knows it, and the keys of `[source.dir]` for it.
#[track_caller]
fn judged(client: &Value, credential: &str, prepare: impl Fn(&Setup)) -> Option<(bool, Value)> {
    let path = "/contoso.example/oauth2/v2.0/token";
    let judge: Judge = oidc_provider(&json!({"path": path, "demand": false, "client": client}))?;
    let s = Setup::new(Tenant::populated(1, 0), "", "");
    prepare(&s);
    let source = s.fake.source().replace(&s.fake.url, &judge.url) + credential;
    s.world.configure(&source, &s.sandbox.base_url, &s.sandbox.token, "", "");
    let run = s.world.run(&["check", "--online", "--json"]);
    let ok = run.json()["online"].as_array().unwrap().iter().any(|o| o["kind"] == "source" && o["ok"] == true);
    Some((ok, reqwest::blocking::get(format!("{}/judged", judge.url)).unwrap().json().unwrap()))
}

#[test]
fn a_certified_authorisation_server_accepts_our_token_requests() {
    let secret = "s3cret-of-client-1-that-is-long-enough";
    let client = json!({"client_id": "client-1", "client_secret": secret, "token_endpoint_auth_method": "client_secret_post"});
    let by_secret = "client_secret = { file = \"long-secret\" }\n";
    let Some((ok, verdicts)) = judged(&client, by_secret, |s| s.world.write_secret("long-secret", secret)) else { return };
    assert!(ok && verdicts.as_array().unwrap().iter().all(|v| v == "ok") && verdicts[0] == "ok", "{verdicts}");
    let wrong = judged(&client, by_secret, |s| s.world.write_secret("long-secret", "another"));
    assert!(wrong.is_some_and(|(ok, verdicts)| !ok && verdicts[0].as_str().unwrap().starts_with("invalid_client")));

    let key = KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap();
    let certificate = CertificateParams::new(vec!["scim-sync".to_owned()]).unwrap().self_signed(&key).unwrap();
    let public = SigningKey::from_pem(&SecretString::from(key.serialize_pem()), "test").unwrap().public().unwrap();
    let mut jwk = serde_json::to_value(public).unwrap();
    jwk.as_object_mut().unwrap().retain(|name, _| ["kty", "n", "e"].contains(&name.as_str()));
    for (algorithm, first) in [("PS256", "ok"), ("RS256", "invalid_client: alg mismatch")] {
        let client = json!({"client_id": "client-1", "token_endpoint_auth_method": "private_key_jwt",
            "token_endpoint_auth_signing_alg": algorithm, "jwks": {"keys": [jwk]}});
        let by_certificate = "certificate = \"cert.pem\"\nprivate_key = { file = \"key.pem\" }\n";
        let (ok, verdicts) = judged(&client, by_certificate, |s| {
            s.world.write_secret("key.pem", &key.serialize_pem());
            std::fs::write(s.world.path("cert.pem"), certificate.pem()).unwrap();
        })
        .unwrap();
        assert!(ok && verdicts[0] == first && verdicts.as_array().unwrap().contains(&json!("ok")), "{algorithm}: {verdicts}");
    }
}
