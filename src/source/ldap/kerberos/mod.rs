//! The bind by a Kerberos ticket: SASL GSSAPI (RFC 4752, RFC 4513 section 5.2) inside TLS, without a security layer, bound to the
//! TLS that is around (RFC 5929). On the stream itself, before `ldap3` gets it.

#[cfg(any(feature = "kerberos", test))]
mod binding;
#[cfg(feature = "kerberos")]
mod keytab;
#[cfg(feature = "kerberos")]
mod sasl;
#[cfg(feature = "kerberos")]
mod ticket;
#[cfg(any(feature = "kerberos", test))]
mod words;

#[cfg(feature = "kerberos")]
pub use sasl::bind;
