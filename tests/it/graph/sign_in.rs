//! Signing in: secret, certificate, tokens.

use super::Setup;
use crate::support::fake_graph::tenant::Tenant;
use jsonwebtoken::{Algorithm, DecodingKey};
use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256};
use scim_sync::http::assertion::SigningKey;
use secrecy::SecretString;
use std::time::Duration;

const CERTIFICATE: &str = "certificate = \"cert.pem\"\nprivate_key = { file = \"key.pem\" }\n";

/// A tenant that knows the certificate in the world's folder and accepts this algorithm.
fn with_certificate(algorithm: Algorithm) -> Setup {
    let s = Setup::new(Tenant::populated(5, 1), "", "");
    let key = KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap();
    let pem = key.serialize_pem();
    s.world.write_secret("key.pem", &pem);
    let certificate = CertificateParams::new(vec!["scim-sync".to_owned()]).unwrap().self_signed(&key).unwrap();
    std::fs::write(s.world.path("cert.pem"), certificate.pem()).unwrap();
    let public = SigningKey::from_pem(&SecretString::from(pem), "test").unwrap().public().unwrap();
    s.fake.tenant().key = Some((DecodingKey::from_jwk(&public).unwrap(), algorithm));
    let source = format!("{}{CERTIFICATE}", s.fake.source());
    s.world.configure(&source, &s.sandbox.base_url, &s.sandbox.token, "", "");
    s
}

#[test]
fn a_certificate_signs_in_with_ps256() {
    let s = with_certificate(Algorithm::PS256);
    s.cycle();
    s.expect_as_tenant();
    assert_eq!(s.fake.tenant().token_requests, 1);
    let form = s.fake.asked().into_iter().find(|a| a.is_token()).unwrap().body;
    assert!(!form.contains("client_secret"), "{form}");
}

#[test]
fn where_ps256_is_not_accepted_rs256_is_tried() {
    let s = with_certificate(Algorithm::RS256);
    s.cycle();
    s.expect_as_tenant();
    assert_eq!(s.fake.tenant().token_requests, 2);
}

#[test]
fn a_certificate_that_does_not_fit_is_explained() {
    let s = with_certificate(Algorithm::PS256);
    let other = KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap();
    s.world.write_secret("key.pem", &other.serialize_pem());
    let message = s.sync().expect(3).cycle()["error"]["message"].as_str().unwrap().to_owned();
    assert!(message.contains("does not belong to the certificate"), "{message}");
    // The right pair, which the application does not have.
    let certificate = CertificateParams::new(vec!["x".to_owned()]).unwrap().self_signed(&other).unwrap();
    std::fs::write(s.world.path("cert.pem"), certificate.pem()).unwrap();
    let message = s.sync().expect(4).cycle()["error"]["message"].as_str().unwrap().to_owned();
    assert!(message.contains("AADSTS700027") && message.contains("upload the certificate"), "{message}");
}

#[test]
fn a_revoked_secret_ends_the_cycle_in_clear_words_and_takes_nobody_away() {
    let s = Setup::new(Tenant::populated(20, 2), "", "");
    s.cycle();
    let before = s.reader.users();
    s.fake.tenant().secrets.clear();
    s.fake.tenant().tokens.clear();
    let run = s.sync().expect(4);
    let message = run.cycle()["error"]["message"].as_str().unwrap().to_owned();
    assert!(message.contains("AADSTS7000215"), "{message}");
    assert!(!run.stdout.contains("s3cret-of-client-1") && !run.stderr.contains("s3cret-of-client-1"));
    assert_eq!(s.reader.users(), before);
    assert_eq!(s.fake.tenant().token_requests, 2, "it does not go on asking");
    // A new secret in the file is all it takes.
    s.fake.tenant().secrets.insert("another-s3cret".to_owned());
    s.world.write_secret("graph-secret", "another-s3cret");
    s.cycle();
}

#[test]
fn a_token_is_renewed_before_it_ends_and_kept_until_then() {
    let mut tenant = Tenant::populated(30, 12);
    tenant.delta_page = 1;
    let s = Setup::new(tenant, "", "");
    s.cycle();
    assert_eq!(s.fake.tenant().token_requests, 1, "one token for {} requests", s.paths().len());
    s.fake.tenant().token_life = 1;
    s.fake.tenant().expire_links(410, "");
    s.fake.delay(Duration::from_millis(150));
    s.cycle();
    assert!(s.fake.tenant().token_requests > 2);
    assert!(s.fake.asked().iter().all(|a| a.status != 401), "none ended on the way");
}

#[test]
fn no_secret_leaks_from_a_graph_source() {
    let s = Setup::new(Tenant::populated(5, 1), "", "");
    let run = s.world.run(&["sync", "-vv", "--json"]).expect(0);
    let token = s.fake.tenant().tokens.iter().next().unwrap().clone();
    for secret in ["s3cret-of-client-1", token.as_str()] {
        assert!(!run.stdout.contains(secret) && !run.stderr.contains(secret));
        for (path, bytes) in s.world.files() {
            let holds = bytes.windows(secret.len()).any(|w| w == secret.as_bytes());
            assert!(!holds || path.ends_with("graph-secret"), "{}", path.display());
        }
    }
}
