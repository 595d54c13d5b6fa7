//! Choices of an LDAP source.

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
