//! Choices of an LDAP source.

use super::secret::Secret;
use super::types::LdapConfig;

/// What the bind to an LDAP server goes by.
#[derive(Debug, Clone, Default)]
pub enum LdapBind {
    /// `bind_dn` and `password`; without them anonymous, at `ldapi://` SASL EXTERNAL.
    #[default]
    Auto,
    /// A Kerberos ticket (SASL GSSAPI), inside TLS.
    Kerberos {
        /// Where the account's keys are; `None`: the ticket cache of the process has a ticket.
        keytab: Option<Secret>,
        /// The account; `None`: the keytab's first, or that of the ticket cache.
        principal: Option<String>,
    },
}

impl LdapConfig {
    /// Whom the bind is to be as, as far as the configuration says it.
    #[must_use]
    pub fn who(&self) -> &str {
        match &self.bind {
            LdapBind::Auto => self.bind_dn.as_deref().unwrap_or("anonymous"),
            LdapBind::Kerberos { principal: Some(principal), .. } => principal,
            LdapBind::Kerberos { keytab: Some(_), .. } => "the account of the keytab",
            LdapBind::Kerberos { keytab: None, .. } => "the account of the ticket cache",
        }
    }
}

/// How an LDAP source finds out what changed since its last read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Incremental {
    /// By what the server offers; it is read in full where it offers nothing.
    #[default]
    Auto,
    /// By the times of the entries' last changes.
    ModifyTimestamp,
    /// Not at all: everything is read in full.
    Off,
}

/// `flavor` of an LDAP server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LdapFlavor {
    /// Found from the rootDSE.
    Auto,
    /// Active Directory, Samba AD DC.
    ActiveDirectory,
    /// OpenLDAP.
    OpenLdap,
    /// 389 Directory Server.
    Ds389,
    /// FreeIPA.
    FreeIpa,
}
