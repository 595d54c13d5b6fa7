//! A service app: `private_key_jwt`, and DPoP with the nonce dance where the organisation demands it.

use super::{FREE, Setting};
use crate::support::fake_okta::sign_in::App;
use jsonwebtoken::{Algorithm, DecodingKey};
use rcgen::{KeyPair, PublicKeyData as _};
use serde_json::{Value, json};
use std::collections::BTreeSet;

const ALL: [&str; 3] = ["okta.users.read", "okta.groups.read", "okta.apps.read"];
const SERVICE: &str = "client_id = \"0oaService\"\nprivate_key = { file = \"key.pem\" }\nkey_id = \"kid-1\"\n";

fn setting(algorithm: Algorithm, dpop: bool, scopes: &[&'static str]) -> Setting {
    let s = Setting::with(SERVICE, FREE);
    let of = match algorithm {
        Algorithm::RS256 => &rcgen::PKCS_RSA_SHA256,
        Algorithm::ES384 => &rcgen::PKCS_ECDSA_P384_SHA384,
        _ => &rcgen::PKCS_ECDSA_P256_SHA256,
    };
    let pair = KeyPair::generate_for(of).unwrap();
    s.world.write_secret("key.pem", &pair.serialize_pem());
    let public = pair.public_key_pem();
    let key = match algorithm {
        Algorithm::RS256 => DecodingKey::from_rsa_pem(public.as_bytes()),
        _ => DecodingKey::from_ec_pem(public.as_bytes()),
    };
    assert!(!pair.subject_public_key_info().is_empty());
    s.okta.state().sign_in.token = None;
    s.okta.state().sign_in.app = Some(App {
        client_id: "0oaService".to_owned(),
        key_id: "kid-1".to_owned(),
        key: key.unwrap(),
        algorithm,
        scopes: scopes.to_vec(),
        dpop,
    });
    s.okta.org(|o| {
        let ada = o.join("ada");
        o.group("All", &[&ada]);
    });
    s
}

#[test]
fn a_service_app_signs_in_with_its_key() {
    for algorithm in [Algorithm::RS256, Algorithm::ES256, Algorithm::ES384] {
        let s = setting(algorithm, false, &ALL);
        s.sync(&[]);
        s.expect_in_step(None);
        let asked = s.okta.take_asked();
        let tokens: Vec<_> = asked.iter().filter(|a| a.method == "POST").collect();
        assert_eq!(tokens.len(), 1, "one token for everything");
        assert!(asked.iter().all(|a| a.method == "POST" || a.headers["authorization"].starts_with("Bearer ")));
        assert!(tokens[0].body.contains("scope=okta.users.read+okta.groups.read&"), "no more than is needed: {}", tokens[0].body);
    }
}

#[test]
fn okta_pitfall_8_the_nonce_is_answered_with_a_new_assertion_and_proof() {
    let s = setting(Algorithm::RS256, true, &ALL);
    s.sync(&[]);
    s.expect_in_step(None);
    let asked = s.okta.take_asked();
    let tokens: Vec<_> = asked.iter().filter(|a| a.method == "POST").collect();
    assert_eq!(tokens.iter().map(|t| t.status).collect::<Vec<_>>(), [400, 400, 200], "plain, with a proof, with the nonce");
    let assertions: BTreeSet<&str> = tokens.iter().map(|t| t.body.as_str()).collect();
    assert_eq!(assertions.len(), 3, "each with its own assertion");
    // The organisation refuses assertions and proofs that it has seen; here it is looked at once more.
    let proofs: BTreeSet<&String> = asked.iter().filter_map(|a| a.headers.get("dpop")).collect();
    assert_eq!(proofs.len(), asked.len() - 1, "one for each request but the first");
}

#[test]
fn okta_pitfall_9_a_proof_names_the_address_without_its_query() {
    let s = setting(Algorithm::ES256, true, &ALL);
    s.okta.org(|o| {
        (0..4).for_each(|i| drop(o.join(&format!("p{i}"))));
        o.page = Some(1);
    });
    s.sync(&[]);
    for asked in s.okta.take_asked().iter().filter(|a| a.method == "GET") {
        let proof = &asked.headers["dpop"];
        let claims = proof.split('.').nth(1).unwrap();
        let claims = base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, claims).unwrap();
        let claims: Value = serde_json::from_slice(&claims).unwrap();
        assert_eq!(claims["htu"], format!("{}{}", s.okta.url, asked.path));
        assert!(!asked.query.is_empty(), "there was one to leave out");
    }
}

#[test]
fn okta_pitfall_14_the_organisations_own_authorisation_server_is_asked() {
    let s = setting(Algorithm::RS256, false, &ALL);
    s.sync(&[]);
    for asked in s.okta.take_asked().iter().filter(|a| a.method == "POST") {
        assert_eq!(asked.path, "/oauth2/v1/token", "not /oauth2/default/v1/token");
    }
}

#[test]
fn a_nonce_that_changes_meanwhile_is_learnt() {
    let s = setting(Algorithm::RS256, true, &ALL);
    s.sync(&[]);
    {
        let mut state = s.okta.state();
        state.sign_in.nonce = "nonce-2".to_owned();
        state.sign_in.end_tokens();
    }
    s.sync(&["--full"]);
}

#[test]
fn a_token_that_ends_in_between_is_replaced() {
    let s = setting(Algorithm::RS256, false, &ALL);
    s.okta.org(|o| {
        (0..30).for_each(|i| drop(o.join(&format!("p{i}"))));
        o.page = Some(1);
    });
    std::thread::scope(|scope| {
        let running = scope.spawn(|| s.world.run(&["sync", "--json"]));
        crate::support::service::eventually("some pages", || s.okta.state().asked.len() > 5);
        s.okta.state().sign_in.end_tokens();
        running.join().unwrap().expect(0);
    });
    s.expect_in_step(None);
}

#[test]
fn a_clock_that_goes_wrong_does_not_keep_the_app_out() {
    let s = setting(Algorithm::RS256, true, &ALL);
    s.okta.org(|o| o.ahead = 4000);
    s.sync(&[]);
    s.expect_in_step(None);
}

#[test]
fn a_missing_scope_is_named_and_removes_nobody() {
    let s = setting(Algorithm::RS256, false, &ALL);
    s.sync(&[]);
    s.okta.state().sign_in.app.as_mut().unwrap().scopes = vec!["okta.users.read"];
    let run = s.world.run(&["sync", "--full", "--json"]).expect(4);
    assert!(run.stdout.contains("okta.groups.read") && run.stdout.contains("Okta API Scopes"), "{}", run.stdout);
    s.okta.state().sign_in.app.as_mut().unwrap().scopes = ALL.to_vec();
    s.okta.state().trouble.forbidden = Some("groups");
    let run = s.world.run(&["sync", "--full", "--json"]).expect(4);
    for word in ["E0000006", "okta.groups.read", "Admin roles"] {
        assert!(run.stdout.contains(word), "{word}: {}", run.stdout);
    }
    s.okta.state().trouble.forbidden = None;
    s.sync(&[]);
    s.expect_in_step(None);
}

#[test]
fn the_log_has_a_token_of_its_own_and_no_other_waits_for_its_scope() {
    for dpop in [false, true] {
        let s = setting(Algorithm::ES256, dpop, &ALL);
        s.okta.org(|o| drop(o.group("Other", &[])));
        s.sync(&[]);
        s.configure(&format!("{SERVICE}system_log = true"), FREE);
        s.sync(&[]);
        let asked = |s: &Setting| s.okta.take_asked().into_iter().filter(|a| a.method == "POST").collect::<Vec<_>>();
        assert!(asked(&s).iter().all(|a| !a.body.contains("okta.logs.read")), "a full read needs no log");
        let group = s.okta.org(|o| o.groups.keys().next().unwrap().clone());
        s.okta.org(|o| o.delete_group(&group));
        let cycle = s.sync(&[]);
        assert_eq!((&cycle["read"], &cycle["counts"]["group_delete"]), (&json!("incremental"), &json!(0)));
        let warnings = cycle["warnings"].to_string();
        for words in ["invalid_scope", "okta.logs.read", "Okta API Scopes"] {
            assert!(warnings.contains(words), "{words}: {warnings}");
        }
        let bodies: Vec<String> = asked(&s).into_iter().map(|a| a.body).collect();
        assert!(bodies.iter().any(|b| b.contains("scope=okta.users.read+okta.groups.read&")), "{bodies:?}");
        assert!(bodies.iter().any(|b| b.contains("scope=okta.logs.read&")), "{bodies:?}");
        // The scope alone is not enough: without a role it is a 403.
        s.okta.state().sign_in.app.as_mut().unwrap().scopes.push("okta.logs.read");
        s.okta.state().trouble.forbidden = Some("logs");
        let warnings = s.sync(&[])["warnings"].to_string();
        for words in ["E0000006", "okta.logs.read", "Admin roles"] {
            assert!(warnings.contains(words), "{words}: {warnings}");
        }
        s.okta.state().trouble.forbidden = None;
        assert_eq!(s.sync(&[])["counts"]["group_delete"], 1, "nothing was lost");
        s.expect_in_step(None);
    }
}

#[test]
fn a_wrong_key_is_told_in_clear_words() {
    let s = setting(Algorithm::RS256, false, &ALL);
    s.world.write_secret("key.pem", &KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap().serialize_pem());
    let run = s.world.run(&["sync", "--json"]).expect(4);
    assert!(run.stdout.contains("invalid_client") && run.stdout.contains("key_id"), "{}", run.stdout);
    s.world.write_secret("key.pem", "{\"kty\": \"RSA\", \"d\": \"very-secret\"}");
    let run = s.world.run(&["sync", "--json"]).expect(3);
    assert!(run.stdout.contains("PKCS#8") && !run.stdout.contains("very-secret"), "{}", run.stdout);
}

#[test]
fn the_api_has_a_nonce_of_its_own() {
    for status in [400, 401] {
        let s = setting(Algorithm::ES256, true, &ALL);
        s.okta.state().sign_in.api_nonce = Some((status, "api-1"));
        s.sync(&[]);
        s.expect_in_step(None);
        let asked = s.okta.take_asked();
        let of = |method: &str| asked.iter().filter(|a| a.method == method).map(|a| a.status).collect::<Vec<_>>();
        assert_eq!(of("POST"), [400, 400, 200], "the token was good");
        let gets = of("GET");
        assert_eq!((gets[0], gets.iter().filter(|g| **g != 200).count()), (status, 1), "learnt once");
        // A demand that no nonce satisfies ends.
        s.okta.state().sign_in.api_nonce = Some((status, "api-2"));
        s.sync(&["--full"]);
    }
}

#[test]
fn a_key_that_is_none_is_a_mistake_before_anything_is_asked() {
    let s = setting(Algorithm::RS256, false, &ALL);
    s.world.run(&["check"]).expect(0);
    s.world.write_secret("key.pem", "no key at all");
    let document = s.world.run(&["check", "--json"]).expect(3).json();
    let error = &document["errors"][0];
    assert_eq!(error["key"], "source.dir.private_key", "{document}");
    assert!(error["message"].as_str().unwrap().contains("not a PEM private key"), "{document}");
    assert!(!document.to_string().contains("no key at all"));
}

#[test]
fn a_clock_that_is_far_off_is_warned_of() {
    let s = Setting::new();
    s.okta.org(|o| o.ahead = 4000);
    let document = s.world.run(&["check", "--online", "--json"]).expect(0).json();
    let found = document["online"].as_array().unwrap().iter().find(|p| p["name"] == "dir").unwrap().clone();
    assert!(found["facts"]["warning"].as_str().unwrap().contains("behind the source's"), "{found}");
    assert!(found["facts"]["warning"].as_str().unwrap().contains("nobody is shown"), "one warning hides no other: {found}");
}
