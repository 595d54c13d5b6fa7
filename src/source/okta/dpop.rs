//! Proofs of possession (DPoP, RFC 9449): a key pair of this process, and a signed proof for each request.

use crate::http::assertion::{AssertionError, SigningKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::ExposeSecret as _;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use url::Url;

/// A key pair that never leaves the process; not the one that the client signs in with.
pub(super) struct ProofKey(SigningKey);

impl ProofKey {
    /// A fresh pair.
    ///
    /// # Errors
    /// The system has no randomness.
    pub(super) fn new() -> Result<Self, AssertionError> {
        SigningKey::generate().map(Self)
    }

    /// A proof for one request (claims: RFC 9449 section 4.2): never used twice, also not for a repetition. `htu` is the
    /// address without query and fragment.
    ///
    /// # Errors
    /// Signing failed.
    pub(super) fn proof(
        &self,
        method: &str,
        url: &Url,
        now: i64,
        token: Option<&str>,
        nonce: Option<&str>,
    ) -> Result<String, AssertionError> {
        let mut htu = url.clone();
        htu.set_query(None);
        htu.set_fragment(None);
        let mut claims: Map<String, Value> = Map::new();
        claims.insert("jti".to_owned(), uuid::Uuid::new_v4().to_string().into());
        claims.insert("htm".to_owned(), method.into());
        claims.insert("htu".to_owned(), htu.as_str().into());
        claims.insert("iat".to_owned(), now.into());
        if let Some(token) = token {
            claims.insert("ath".to_owned(), URL_SAFE_NO_PAD.encode(Sha256::digest(token.as_bytes())).into());
        }
        if let Some(nonce) = nonce {
            claims.insert("nonce".to_owned(), nonce.into());
        }
        let mut header = self.0.header();
        header.typ = Some("dpop+jwt".to_owned());
        header.jwk = Some(self.0.public()?);
        Ok(self.0.sign(header, &claims)?.expose_secret().to_owned())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use jsonwebtoken::{Algorithm, DecodingKey, Validation};

    #[test]
    fn a_proof_names_the_request_and_verifies_by_the_key_that_it_carries() {
        let key = ProofKey::new().unwrap();
        let url = Url::parse("https://acme.okta.com/api/v1/users?limit=200&filter=x#y").unwrap();
        let read = |proof: &str| {
            let header = jsonwebtoken::decode_header(proof).unwrap();
            assert_eq!((header.typ.as_deref(), header.alg), (Some("dpop+jwt"), Algorithm::ES256));
            let jwk = header.jwk.unwrap();
            assert!(!serde_json::to_string(&jwk).unwrap().contains("\"d\""), "the public half only");
            let mut rules = Validation::new(Algorithm::ES256);
            rules.required_spec_claims.clear();
            rules.validate_exp = false;
            jsonwebtoken::decode::<Value>(proof, &DecodingKey::from_jwk(&jwk).unwrap(), &rules).unwrap().claims
        };
        let first = read(&key.proof("GET", &url, 17, Some("token"), Some("n-1")).unwrap());
        assert_eq!(first["htu"], "https://acme.okta.com/api/v1/users", "no query, no fragment");
        assert_eq!((&first["htm"], &first["iat"], &first["nonce"]), (&"GET".into(), &17.into(), &"n-1".into()));
        assert_eq!(first["ath"], "PEaenWxYddN6Q_NT1PiOYfz4EsZu7jRXRlpAsNpBU-A", "SHA-256 of `token`");
        let second = read(&key.proof("GET", &url, 17, None, None).unwrap());
        assert_ne!(first["jti"], second["jti"]);
        assert!(second.get("ath").is_none() && second.get("nonce").is_none());
    }
}
