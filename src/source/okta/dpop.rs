//! Proofs of possession (DPoP, RFC 9449): a key pair of this process, and a signed proof for each request.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use url::Url;

/// A key pair that never leaves the process; not the one that the client signs in with.
pub(super) struct ProofKey {
    key: EncodingKey,
    header: Header,
}

/// Claims of a proof (RFC 9449 section 4.2).
#[derive(Serialize)]
struct Claims<'a> {
    jti: String,
    htm: &'a str,
    htu: String,
    iat: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    ath: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<&'a str>,
}

impl ProofKey {
    /// A fresh pair; `None` where no key can be made.
    pub(super) fn new() -> Option<Self> {
        let pair = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).ok()?;
        let key = EncodingKey::from_ec_der(pair.as_ref());
        let mut header = Header::new(Algorithm::ES256);
        header.typ = Some("dpop+jwt".to_owned());
        header.jwk = Some(Jwk::from_encoding_key(&key, Algorithm::ES256).ok()?);
        Some(Self { key, header })
    }

    /// A proof for one request: never used twice, also not for a repetition. `htu` is the address without query and fragment.
    pub(super) fn proof(&self, method: &str, url: &Url, now: i64, token: Option<&str>, nonce: Option<&str>) -> Option<String> {
        let mut htu = url.clone();
        htu.set_query(None);
        htu.set_fragment(None);
        let claims = Claims {
            jti: uuid::Uuid::new_v4().to_string(),
            htm: method,
            htu: htu.into(),
            iat: now,
            ath: token.map(|t| URL_SAFE_NO_PAD.encode(Sha256::digest(t.as_bytes()))),
            nonce,
        };
        jsonwebtoken::encode(&self.header, &claims, &self.key).ok()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use jsonwebtoken::{DecodingKey, Validation};
    use serde_json::Value;

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
