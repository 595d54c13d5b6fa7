//! Signed JWTs by which a client proves who it is without a shared secret (`private_key_jwt`, RFC 7523 section 2.2), and the
//! keys that sign them. The only file that knows `jsonwebtoken`.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{AlgorithmParameters, Jwk};
use jsonwebtoken::{Algorithm, AlgorithmFamily, EncodingKey, Header};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};
use std::path::Path;
use std::time::Duration;
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::public_key::PublicKey;

/// `client_assertion_type` of these assertions (RFC 7523 section 2.2).
pub const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// How long an assertion is good. Entra ID and Okta recommend 5 to 10 minutes and at most an hour.
const LIFE: Duration = Duration::from_secs(300);

/// Clocks disagree a little: an assertion is good from this long before it was made.
const BEFORE: i64 = 30;

/// Why an assertion cannot be made. Never contains the key.
#[derive(Debug, thiserror::Error)]
pub enum AssertionError {
    /// The private key cannot be used.
    #[error("the private key ({origin}) cannot be used: {message}")]
    Key {
        /// Where it is.
        origin: String,
        /// What is wrong and what to do.
        message: String,
    },
    /// The certificate cannot be used.
    #[error("certificate {path}: {message}")]
    Certificate {
        /// The file.
        path: String,
        /// What is wrong and what to do.
        message: String,
    },
    /// Signing failed.
    #[error("signing failed: {0}")]
    Sign(String),
}

/// A private key that signs.
pub struct SigningKey {
    key: EncodingKey,
    algorithm: Algorithm,
}

impl SigningKey {
    /// Reads a PEM key: RSA (PKCS#8 or PKCS#1) or a P-256 or P-384 key (PKCS#8). `origin` says in messages where it is.
    ///
    /// # Errors
    /// It is no such key, or is encrypted.
    pub fn from_pem(pem: &SecretString, origin: &str) -> Result<Self, AssertionError> {
        let text = pem.expose_secret();
        let bad = |message: &str| AssertionError::Key { origin: origin.to_owned(), message: message.to_owned() };
        if text.contains("BEGIN ENCRYPTED PRIVATE KEY") || text.contains("Proc-Type: 4,ENCRYPTED") {
            return Err(bad("it is encrypted; decrypt it (openssl pkey -in KEY -out PLAIN) and protect the file instead"));
        }
        if text.contains("BEGIN CERTIFICATE") && !text.contains("PRIVATE KEY") {
            return Err(bad("it is a certificate; the private key is in a file of its own"));
        }
        if let Ok(key) = EncodingKey::from_rsa_pem(text.as_bytes()) {
            let found = Self { key, algorithm: Algorithm::RS256 };
            return found.sign(found.header(), &Map::new()).map(|_| found).map_err(|e| bad(&e.to_string()));
        }
        let key = EncodingKey::from_ec_pem(text.as_bytes())
            .map_err(|_| bad("it is not a PEM private key: RSA (PKCS#8 or PKCS#1), or P-256 or P-384 (PKCS#8)"))?;
        Self::elliptic(key).ok_or_else(|| bad("its curve is neither P-256 nor P-384"))
    }

    /// A new P-256 key, for proofs of possession.
    ///
    /// # Errors
    /// The system has no randomness.
    pub fn generate() -> Result<Self, AssertionError> {
        use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
        let failed = || AssertionError::Sign("no key could be made".to_owned());
        let random = aws_lc_rs::rand::SystemRandom::new();
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).map_err(|_| failed())?;
        Self::elliptic(EncodingKey::from_ec_der(document.as_ref())).ok_or_else(failed)
    }

    fn elliptic(key: EncodingKey) -> Option<Self> {
        // The key itself does not say its curve; one of the two signs.
        [Algorithm::ES256, Algorithm::ES384].into_iter().find_map(|algorithm| {
            let found = Self { key: key.clone(), algorithm };
            found.sign(found.header(), &Map::new()).is_ok().then_some(found)
        })
    }

    /// The algorithm that fits the key: RS256, ES256 or ES384. An RSA key may sign PS256 as well.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Whether it is an RSA key.
    #[must_use]
    pub fn is_rsa(&self) -> bool {
        self.key.family() == AlgorithmFamily::Rsa
    }

    /// A header with the algorithm that fits the key, and `typ` JWT.
    #[must_use]
    pub fn header(&self) -> Header {
        Header::new(self.algorithm)
    }

    /// The public half (RFC 7517), as proofs of possession carry it.
    ///
    /// # Errors
    /// The key's numbers cannot be read.
    pub fn public(&self) -> Result<Jwk, AssertionError> {
        Jwk::from_encoding_key(&self.key, self.algorithm).map_err(|e| AssertionError::Sign(e.to_string()))
    }

    /// A signed JWT (RFC 7519) with these claims.
    ///
    /// # Errors
    /// The header's algorithm does not fit the key.
    pub fn sign(&self, header: Header, claims: &Map<String, Value>) -> Result<SecretString, AssertionError> {
        jsonwebtoken::encode(&header, claims, &self.key).map(SecretString::from).map_err(|e| AssertionError::Sign(e.to_string()))
    }

    /// A client assertion: `iss` and `sub` are the client, `aud` is the token endpoint, `jti` never repeats, good for five
    /// minutes. `now` is the Unix second.
    ///
    /// # Errors
    /// As [`SigningKey::sign`].
    pub fn client_assertion(
        &self,
        header: Header,
        client_id: &str,
        audience: &str,
        now: i64,
    ) -> Result<SecretString, AssertionError> {
        let life = i64::try_from(LIFE.as_secs()).unwrap_or(300);
        let claims = [
            ("aud", json!(audience)),
            ("iss", json!(client_id)),
            ("sub", json!(client_id)),
            ("jti", json!(uuid::Uuid::new_v4().to_string())),
            ("iat", json!(now)),
            ("nbf", json!(now.saturating_sub(BEFORE))),
            ("exp", json!(now.saturating_add(life))),
        ];
        self.sign(header, &claims.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "private key ({:?})", self.algorithm)
    }
}

/// A certificate, as far as it names a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thumbprint {
    /// base64url of the SHA-256 of the DER: `x5t#S256` (RFC 7515 section 4.1.8).
    pub sha256: String,
    /// base64url of the SHA-1 of the DER: `x5t` (RFC 7515 section 4.1.7). The Entra portal shows it in hexadecimal.
    pub sha1: String,
    /// Unix second after which it is not good any more.
    pub not_after: i64,
    /// Modulus of its RSA key, base64url; `None` where it has another kind of key.
    modulus: Option<String>,
}

impl Thumbprint {
    /// Reads the first certificate of a PEM file.
    ///
    /// # Errors
    /// The file cannot be read or holds no certificate.
    pub fn of_file(path: &Path) -> Result<Self, AssertionError> {
        let bad = |message: String| AssertionError::Certificate { path: path.display().to_string(), message };
        let der = CertificateDer::from_pem_file(path).map_err(|e| bad(format!("no PEM certificate can be read: {e}")))?;
        let (_, parsed) = X509Certificate::from_der(&der).map_err(|e| bad(format!("it is no X.509 certificate: {e}")))?;
        let modulus = match parsed.public_key().parsed() {
            Ok(PublicKey::RSA(key)) => {
                let leading = key.modulus.iter().take_while(|b| **b == 0).count();
                Some(URL_SAFE_NO_PAD.encode(&key.modulus[leading..]))
            }
            _ => None,
        };
        Ok(Self {
            sha256: URL_SAFE_NO_PAD.encode(digest(&SHA256, &der)),
            sha1: URL_SAFE_NO_PAD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, &der)),
            not_after: parsed.validity().not_after.timestamp(),
            modulus,
        })
    }

    /// Whether the private key is this certificate's.
    ///
    /// # Errors
    /// The key's numbers cannot be read.
    pub fn is_of(&self, key: &SigningKey) -> Result<bool, AssertionError> {
        Ok(match key.public()?.algorithm {
            AlgorithmParameters::RSA(rsa) => self.modulus.as_ref() == Some(&rsa.n),
            _ => false,
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_RSA_SHA256};

    fn key(pair: &KeyPair) -> SigningKey {
        SigningKey::from_pem(&SecretString::from(pair.serialize_pem()), "test").unwrap()
    }

    fn part(token: &SecretString, index: usize) -> Value {
        let text = token.expose_secret().split('.').nth(index).unwrap();
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).unwrap()).unwrap()
    }

    #[test]
    fn an_assertion_says_who_to_whom_and_for_how_long_and_never_the_same_twice() {
        let key = SigningKey::generate().unwrap();
        let now = 1_800_000_000;
        let one = key.client_assertion(key.header(), "me", "https://login.example/token", now).unwrap();
        let claims = part(&one, 1);
        assert_eq!(
            (&claims["iss"], &claims["sub"], &claims["aud"]),
            (&json!("me"), &json!("me"), &json!("https://login.example/token"))
        );
        assert_eq!(claims["exp"], now + 300);
        assert!(claims["nbf"].as_i64().unwrap() < now);
        let two = key.client_assertion(key.header(), "me", "https://login.example/token", now).unwrap();
        assert_ne!(part(&two, 1)["jti"], claims["jti"]);
    }

    #[test]
    fn each_kind_of_key_signs_what_its_public_half_verifies() {
        for (pair, algorithms) in [
            (KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap(), vec![Algorithm::RS256, Algorithm::PS256]),
            (KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap(), vec![Algorithm::ES256]),
            (KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap(), vec![Algorithm::ES384]),
        ] {
            let key = key(&pair);
            assert_eq!(key.algorithm(), algorithms[0]);
            for algorithm in algorithms {
                let header = Header { kid: Some("k1".to_owned()), ..Header::new(algorithm) };
                let token = key.client_assertion(header, "me", "https://t.example", jiff::Timestamp::now().as_second()).unwrap();
                assert_eq!(part(&token, 0)["kid"], "k1");
                let decoding = jsonwebtoken::DecodingKey::from_jwk(&key.public().unwrap()).unwrap();
                let mut rules = jsonwebtoken::Validation::new(algorithm);
                rules.set_audience(&["https://t.example"]);
                jsonwebtoken::decode::<Value>(token.expose_secret(), &decoding, &rules).unwrap();
            }
        }
    }

    #[test]
    fn a_certificate_is_named_by_its_thumbprints_and_knows_its_key() {
        let dir = tempfile::tempdir().unwrap();
        let (ours, other) = (KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap(), KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap());
        let cert = CertificateParams::new(vec!["x".to_owned()]).unwrap().self_signed(&ours).unwrap();
        let path = dir.path().join("cert.pem");
        std::fs::write(&path, cert.pem()).unwrap();
        let found = Thumbprint::of_file(&path).unwrap();
        assert_eq!(URL_SAFE_NO_PAD.decode(&found.sha256).unwrap(), digest(&SHA256, cert.der()).as_ref());
        assert_eq!(URL_SAFE_NO_PAD.decode(&found.sha1).unwrap().len(), 20);
        assert!(found.is_of(&key(&ours)).unwrap());
        assert!(!found.is_of(&key(&other)).unwrap() && !found.is_of(&SigningKey::generate().unwrap()).unwrap());
        std::fs::write(&path, ours.serialize_pem()).unwrap();
        assert!(Thumbprint::of_file(&path).unwrap_err().to_string().contains("cert.pem"));
    }

    #[test]
    fn what_is_no_key_is_refused_in_words_without_showing_it() {
        for (text, says) in [
            ("hunter2", "not a PEM private key"),
            ("-----BEGIN ENCRYPTED PRIVATE KEY-----\naHVudGVyMg==\n-----END ENCRYPTED PRIVATE KEY-----\n", "encrypted"),
            ("-----BEGIN CERTIFICATE-----\naHVudGVyMg==\n-----END CERTIFICATE-----\n", "a certificate"),
            ("-----BEGIN PRIVATE KEY-----\naHVudGVyMg==\n-----END PRIVATE KEY-----\n", "not a PEM private key"),
        ] {
            let error = SigningKey::from_pem(&SecretString::from(text), "file key.pem").unwrap_err().to_string();
            assert!(error.contains(says) && error.contains("key.pem"), "{error}");
            assert!(!error.contains("hunter2") && !error.contains("aHVudGVyMg"), "{error}");
        }
    }
}
