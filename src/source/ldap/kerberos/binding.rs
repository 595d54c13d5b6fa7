//! The channel binding of TLS: what ties a Kerberos ticket to this very connection, so that nobody between can pass it on.

use aws_lc_rs::digest::{self, Algorithm};
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::signature_algorithm::SignatureAlgorithm;

/// Type of the binding, and what stands before the hash (RFC 5056 section 2.1, RFC 5929 section 4).
const TLS_SERVER_END_POINT: &[u8] = b"tls-server-end-point:";

/// The binding `tls-server-end-point` by the server's certificate: its hash by the algorithm that its signature uses, with
/// SHA-256 in the place of MD5 and SHA-1 (RFC 5929 section 4.1). It is the one that Active Directory checks (MS-ADTS section
/// 5.1.1.1.1.2, `LdapEnforceChannelBinding`). `None`: the signature has no one hash (Ed25519), and there is no binding.
pub fn tls_server_end_point(certificate: &[u8]) -> Option<Vec<u8>> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let hash = match SignatureAlgorithm::try_from(&parsed.signature_algorithm).ok() {
        Some(SignatureAlgorithm::RSASSA_PSS(parameters)) => by_hash(&parameters.hash_algorithm_oid().to_id_string()),
        _ => by_signature(&parsed.signature_algorithm.algorithm.to_id_string()),
    }?;
    let mut binding = TLS_SERVER_END_POINT.to_vec();
    binding.extend_from_slice(digest::digest(hash, certificate).as_ref());
    Some(binding)
}

/// Signatures by RFC 8017 appendix A.2.4 and RFC 5758 section 3.2.
fn by_signature(oid: &str) -> Option<&'static Algorithm> {
    Some(match oid {
        // MD5 and SHA-1 with RSA, SHA-1 with ECDSA; SHA-256 with each.
        "1.2.840.113549.1.1.4" | "1.2.840.113549.1.1.5" | "1.2.840.10045.4.1" => &digest::SHA256,
        "1.2.840.113549.1.1.11" | "1.2.840.10045.4.3.2" => &digest::SHA256,
        "1.2.840.113549.1.1.12" | "1.2.840.10045.4.3.3" => &digest::SHA384,
        "1.2.840.113549.1.1.13" | "1.2.840.10045.4.3.4" => &digest::SHA512,
        _ => return None,
    })
}

/// Hashes that RSASSA-PSS names in its parameters (RFC 8017 appendix A.2.3; SHA-1 where it names none).
fn by_hash(oid: &str) -> Option<&'static Algorithm> {
    Some(match oid {
        "1.3.14.3.2.26" | "2.16.840.1.101.3.4.2.1" => &digest::SHA256,
        "2.16.840.1.101.3.4.2.2" => &digest::SHA384,
        "2.16.840.1.101.3.4.2.3" => &digest::SHA512,
        _ => return None,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair, SignatureAlgorithm as Signature};

    fn certificate(by: &'static Signature) -> Vec<u8> {
        crate::http::tls::install_provider();
        let key = KeyPair::generate_for(by).unwrap();
        CertificateParams::new(vec!["dc1.corp.example".to_owned()]).unwrap().self_signed(&key).unwrap().der().to_vec()
    }

    #[test]
    fn the_hash_is_that_of_the_signature() {
        for (by, hash) in [(&rcgen::PKCS_ECDSA_P256_SHA256, &digest::SHA256), (&rcgen::PKCS_ECDSA_P384_SHA384, &digest::SHA384)] {
            let certificate = certificate(by);
            let binding = tls_server_end_point(&certificate).unwrap();
            let token = binding.strip_prefix(b"tls-server-end-point:").unwrap();
            assert_eq!(token, digest::digest(hash, &certificate).as_ref());
        }
        assert_eq!(tls_server_end_point(&certificate(&rcgen::PKCS_ED25519)), None);
    }

    #[test]
    fn old_hashes_are_replaced() {
        for (oid, length) in [("1.2.840.113549.1.1.5", 32), ("1.2.840.113549.1.1.12", 48), ("1.2.840.113549.1.1.13", 64)] {
            assert_eq!(by_signature(oid).unwrap().output_len(), length);
        }
        assert_eq!(by_hash("1.3.14.3.2.26").unwrap().output_len(), 32);
        assert!(by_signature("1.3.101.112").is_none() && by_hash("1").is_none());
    }

    #[test]
    fn what_is_no_certificate_binds_nothing() {
        for octets in [&b""[..], b"\x30\x80", b"\x30\x03\x02\x01\x00"] {
            assert_eq!(tls_server_end_point(octets), None);
        }
    }
}
