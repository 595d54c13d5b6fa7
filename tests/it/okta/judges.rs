//! Others' code judges both sides: our requests and our organisation's answers.

use super::{FREE, Setting};
use crate::support::fake_okta::FakeOkta;
use crate::support::fake_okta::org::Status;
use crate::support::fake_okta::sign_in::App;
use crate::support::judges::{free_port, oidc_provider, prism, sdk, spec};
use jsonwebtoken::{Algorithm, DecodingKey};
use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256, PublicKeyData as _};
use scim_sync::http::assertion::SigningKey;
use secrecy::SecretString;
use serde_json::{Value, json};

#[test]
fn oktas_own_sdk_reads_our_organisation_as_it_is() {
    let port = free_port();
    let okta = FakeOkta::start_behind("unused", Some(format!("https://localhost:{port}")));
    let (tls, own) = (KeyPair::generate().unwrap(), KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap());
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        std::fs::write(dir.path().join(name), text).unwrap();
        dir.path().join(name).to_str().unwrap().to_owned()
    };
    let certificate = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&tls).unwrap();
    okta.state().sign_in.app = Some(App {
        client_id: "0oaService".to_owned(),
        key_id: "kid-1".to_owned(),
        key: DecodingKey::from_rsa_pem(own.public_key_pem().as_bytes()).unwrap(),
        algorithm: Algorithm::RS256,
        scopes: vec!["okta.users.read", "okta.groups.read", "okta.apps.read"],
        dpop: true,
    });
    let app = okta.org(|o| {
        o.page = Some(3);
        let people: Vec<String> = (0..8).map(|i| o.join(&format!("p{i}"))).collect();
        o.status(&people[5], Status::LockedOut);
        let group = o.group("Engineering", &people.iter().take(5).collect::<Vec<_>>());
        o.group("Empty", &[]);
        let app = o.app();
        let a = o.apps.get_mut(&app).unwrap();
        a.users.insert(people[7].clone(), json!({"role": "editor"}));
        a.groups.insert(group);
        o.status(&people[6], Status::Deprovisioned);
        app
    });
    let upstream = okta.port().to_string();
    let arguments = [
        &*upstream,
        &port.to_string(),
        &file("cert.pem", &certificate.pem()),
        &file("tls.pem", &tls.serialize_pem()),
        &file("key.pem", &own.serialize_pem()),
        &app,
    ];
    let Some(read) = sdk("okta", "okta_sdk.py", &arguments) else { return };
    let state = okta.state();
    let users: Value = state.org.users.iter().map(|(id, u)| (id.clone(), json!([u.status.word(), u.profile["login"]]))).collect();
    assert_eq!(read["users"], users);
    let groups: Value = state.org.groups.iter().map(|(id, g)| (id.clone(), json!([g.name, g.members]))).collect();
    assert_eq!(read["groups"], groups);
    assert_eq!(read["assigned"], json!(state.org.assigned(&app)));
}

#[test]
fn prism_finds_nothing_wrong_between_us_and_okta() {
    let Some(api) = spec("okta-management-subset.json") else { return };
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("api.json");
    std::fs::write(&path, api.to_string()).unwrap();
    for assigned in [false, true] {
        let port = free_port();
        let s = Setting::behind(Some(format!("http://127.0.0.1:{port}")));
        let (app, people) = s.okta.org(|o| {
            o.page = Some(3);
            let people: Vec<String> = (0..10).map(|i| o.join(&format!("p{i}"))).collect();
            let group = o.group("Engineering", &people.iter().collect::<Vec<_>>());
            let app = o.app();
            o.apps.get_mut(&app).unwrap().groups.insert(group);
            (app, people)
        });
        let source = if assigned { format!("assigned_to = \"{app}\"\n") } else { String::new() };
        s.configure(&source, FREE);
        let Some(_proxy) = prism(&path, &format!("http://127.0.0.1:{}", s.okta.port()), port) else { return };
        s.sync(&[]);
        s.okta.org(|o| (o.set(&people[1], "firstName", "New"), o.status(&people[2], Status::Suspended)));
        s.sync(&[]);
        s.expect_in_step(assigned.then_some(&*app));
    }
}

#[test]
fn a_certified_authorisation_server_accepts_our_assertions_and_proofs() {
    let key = KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap();
    assert!(!key.subject_public_key_info().is_empty());
    let public = SigningKey::from_pem(&SecretString::from(key.serialize_pem()), "test").unwrap().public().unwrap();
    let mut jwk = serde_json::to_value(public).unwrap();
    jwk.as_object_mut().unwrap().retain(|name, _| ["kty", "n", "e"].contains(&name.as_str()));
    jwk["kid"] = json!("kid-1");
    let client = json!({"client_id": "0oaService", "token_endpoint_auth_method": "private_key_jwt",
        "token_endpoint_auth_signing_alg": "RS256", "jwks": {"keys": [jwk]}});
    let nonce = "use_dpop_nonce: nonce is required in the DPoP proof";
    for (demand, key_id, expected) in
        [(false, "kid-1", &["ok"][..]), (true, "kid-1", &["no proof", nonce, "ok"]), (false, "kid-2", &["invalid_client"])]
    {
        let Some(judge) = oidc_provider(&json!({"path": "/oauth2/v1/token", "demand": demand, "client": client})) else { return };
        let s = Setting::new();
        s.world.write_secret("key.pem", &key.serialize_pem());
        let source = format!(
            "type = \"okta\"\nurl = \"{}\"\nclient_id = \"0oaService\"\nprivate_key = {{ file = \"key.pem\" }}\nkey_id = \"{key_id}\"\n",
            judge.url
        );
        s.world.configure(&source, &s.sandbox.base_url, &s.sandbox.token, FREE, "");
        let run = s.world.run(&["check", "--online", "--json"]);
        let ok = run.json()["online"].as_array().unwrap().iter().any(|o| o["kind"] == "source" && o["ok"] == true);
        let verdicts: Vec<String> = reqwest::blocking::get(format!("{}/judged", judge.url)).unwrap().json().unwrap();
        assert_eq!(ok, key_id == "kid-1", "{verdicts:?}");
        assert!(verdicts.iter().zip(expected).all(|(v, e)| v.starts_with(e)) && verdicts.len() >= expected.len(), "{verdicts:?}");
    }
}
