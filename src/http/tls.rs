//! One TLS stack: rustls with aws-lc-rs. One place builds its client configuration, for HTTP and LDAP alike.

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why no TLS configuration could be made.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// `ca_file` cannot be read.
    #[error("ca_file {path}: {message}")]
    CaFile {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
    /// The platform's verifier or the protocol versions cannot be set up.
    #[error("TLS: {0}")]
    Setup(#[from] rustls::Error),
}

/// Makes aws-lc-rs the process-wide provider. Called first thing in `main` and by tests; a second call does nothing.
pub fn install_provider() {
    // An error only means that a provider is installed already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

/// A client configuration that trusts the system's CAs, or only those in `ca_file` where one is given.
///
/// # Errors
/// The file cannot be read or holds no certificate; the platform verifier cannot be set up.
pub fn client_config(ca_file: Option<&Path>) -> Result<Arc<ClientConfig>, TlsError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let Some(path) = ca_file else {
        return Ok(Arc::new(builder.with_platform_verifier()?.with_no_client_auth()));
    };
    let bad = |message: String| TlsError::CaFile { path: path.to_owned(), message };
    let mut roots = RootCertStore::empty();
    for cert in CertificateDer::pem_file_iter(path).map_err(|e| bad(e.to_string()))? {
        roots.add(cert.map_err(|e| bad(e.to_string()))?).map_err(|e| bad(e.to_string()))?;
    }
    if roots.is_empty() {
        return Err(bad("holds no PEM certificate (-----BEGIN CERTIFICATE-----)".to_owned()));
    }
    Ok(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))
}
