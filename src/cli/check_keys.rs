//! Keys and certificates that a source signs in with: whatever is there and cannot be used is a mistake. What cannot be read
//! from here is not judged: the service may be somebody else.

use crate::config::{GraphAuth, Loaded, OktaAuth, Problem, Secret, SourceConfig};
use crate::http::assertion::{AssertionError, SigningKey, Thumbprint};
use std::path::Path;

/// Keys and certificates that are none, or do not belong together.
pub(super) fn unusable(loaded: &Loaded) -> Vec<Problem> {
    let mut out = Vec::new();
    for (name, source) in &loaded.config.sources {
        let mut bad = |key: &str, message: String, hint: &str| {
            out.push(loaded.problem(&format!("source.{name}.{key}"), message, hint));
        };
        let private = match source {
            SourceConfig::Graph(c) => match &c.auth {
                GraphAuth::Certificate { certificate, private_key } => Some((Some(certificate), private_key)),
                GraphAuth::Secret(_) => None,
            },
            SourceConfig::Okta(c) => match &c.auth {
                OktaAuth::PrivateKey { private_key, .. } => Some((None, private_key)),
                OktaAuth::Token(_) => None,
            },
            SourceConfig::Ldap(_) | SourceConfig::File(_) => None,
        };
        let Some((certificate, secret)) = private else { continue };
        let key = look("private_key", key(secret), &mut bad);
        let Some(found) = certificate.and_then(|path| look("certificate", thumbprint(path), &mut bad)) else { continue };
        match key {
            Some(key) if !key.is_rsa() => bad("private_key", "Entra ID accepts RSA keys only".to_owned(), ""),
            Some(key) if found.is_of(&key).is_ok_and(|is| !is) => {
                bad(
                    "private_key",
                    "it does not belong to the certificate".to_owned(),
                    "name the key that the certificate was made with",
                );
            }
            _ => {}
        }
    }
    out
}

fn look<T>(key: &str, found: Option<Result<T, AssertionError>>, bad: &mut impl FnMut(&str, String, &str)) -> Option<T> {
    match found? {
        Ok(found) => Some(found),
        Err(e) => {
            bad(key, e.to_string(), "");
            None
        }
    }
}

fn key(secret: &Secret) -> Option<Result<SigningKey, AssertionError>> {
    let pem = secret.read().ok()?;
    Some(SigningKey::from_pem(&pem, &format!("{secret:?}")))
}

fn thumbprint(path: &Path) -> Option<Result<Thumbprint, AssertionError>> {
    std::fs::File::open(path).ok()?;
    Some(Thumbprint::of_file(path))
}
