//! What differs between directories: the stable id, default filters, attributes to ask for. The only place that knows.

use crate::config::LdapFlavor;
use crate::model::{ObjectKind, SourceKey};
use crate::source::account::attr;
use crate::source::ldap::rootdse::RootDse;
use std::collections::BTreeSet;
use uuid::Uuid;

/// A kind of directory server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flavor {
    /// Active Directory, Samba AD DC.
    ActiveDirectory,
    /// OpenLDAP.
    OpenLdap,
    /// 389 Directory Server.
    Ds389,
    /// FreeIPA.
    FreeIpa,
    /// Any other LDAP server.
    Generic,
}

/// The RID of a person's primary group.
pub const PRIMARY_GROUP_ID: &str = "primaryGroupID";
/// The security identifier of a person or group.
pub const OBJECT_SID: &str = "objectSid";

/// LDAP_CAP_ACTIVE_DIRECTORY_OID (MS-ADTS section 3.1.1.3.4.3).
const ACTIVE_DIRECTORY: &str = "1.2.840.113556.1.4.800";

impl Flavor {
    /// The configured flavour, or what the rootDSE looks like.
    #[must_use]
    pub fn choose(configured: LdapFlavor, root: &RootDse) -> Self {
        match configured {
            LdapFlavor::ActiveDirectory => Self::ActiveDirectory,
            LdapFlavor::OpenLdap => Self::OpenLdap,
            LdapFlavor::Ds389 => Self::Ds389,
            LdapFlavor::FreeIpa => Self::FreeIpa,
            LdapFlavor::Auto => Self::detect(root),
        }
    }

    fn detect(root: &RootDse) -> Self {
        let vendor = root.vendor().to_lowercase();
        if root.contains("supportedCapabilities", ACTIVE_DIRECTORY) {
            Self::ActiveDirectory
        } else if root.has("ipaDomainLevel") || root.has("ipaTopologyPluginVersion") {
            Self::FreeIpa
        } else if vendor.contains("389") || vendor.contains("fedora project") {
            Self::Ds389
        } else if root.contains("objectClass", "OpenLDAProotDSE") || vendor.contains("openldap") {
            Self::OpenLdap
        } else {
            Self::Generic
        }
    }

    /// The name used in the configuration.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ActiveDirectory => "active-directory",
            Self::OpenLdap => "openldap",
            Self::Ds389 => "389ds",
            Self::FreeIpa => "freeipa",
            Self::Generic => "generic",
        }
    }

    /// The most attributes that [`Flavor::id_attributes`] names.
    pub const MOST_IDS: usize = 5;

    /// Attributes that hold the immutable id, the best first: MS-ADTS section 3.1.1.1.4 (objectGUID), RFC 4530 (entryUUID),
    /// 389 DS nsUniqueId, FreeIPA ipaUniqueID, eDirectory GUID. All but the last two are operational: they are asked for by name.
    #[must_use]
    pub fn id_attributes(self) -> &'static [&'static str] {
        match self {
            Self::ActiveDirectory => &["objectGUID"],
            Self::OpenLdap => &["entryUUID"],
            Self::Ds389 => &["nsUniqueId"],
            Self::FreeIpa => &["ipaUniqueID", "nsUniqueId"],
            Self::Generic => &["entryUUID", "nsUniqueId", "objectGUID", "ipaUniqueID", "GUID"],
        }
    }

    /// Filter for people where none is configured. In Active Directory computers are users too, which `objectCategory` tells apart.
    #[must_use]
    pub fn user_filter(self) -> &'static str {
        match self {
            Self::ActiveDirectory => "(&(objectCategory=person)(objectClass=user))",
            // The compatibility tree repeats every person as a bare posixAccount.
            Self::FreeIpa => "(&(objectClass=inetOrgPerson)(objectClass=posixAccount))",
            // Samba's machine accounts are posixAccounts whose uid ends in a dollar sign.
            _ => {
                "(&(|(objectClass=inetOrgPerson)(objectClass=organizationalPerson)(objectClass=person)\
                 (objectClass=posixAccount))(!(uid=*$)))"
            }
        }
    }

    /// Filter for groups where none is configured.
    #[must_use]
    pub fn group_filter(self) -> &'static str {
        match self {
            Self::ActiveDirectory => "(objectClass=group)",
            // Not nested: FreeIPA's own bookkeeping (permissions, roles, privileges) is groupOfNames too.
            Self::FreeIpa => "(objectClass=ipaUserGroup)",
            _ => {
                "(|(objectClass=groupOfNames)(objectClass=groupOfUniqueNames)(objectClass=posixGroup)(objectClass=group)\
                 (objectClass=groupOfMembers))"
            }
        }
    }

    fn account_attributes(self) -> &'static [&'static str] {
        match self {
            Self::ActiveDirectory => &[attr::USER_ACCOUNT_CONTROL, attr::ACCOUNT_EXPIRES, "sAMAccountName", "userPrincipalName"],
            Self::OpenLdap => &[attr::PWD_ACCOUNT_LOCKED_TIME, attr::SHADOW_EXPIRE],
            Self::Ds389 => &[attr::NS_ACCOUNT_LOCK],
            Self::FreeIpa => &[attr::NS_ACCOUNT_LOCK, attr::KRB_PRINCIPAL_EXPIRATION],
            Self::Generic => &[attr::NS_ACCOUNT_LOCK, attr::PWD_ACCOUNT_LOCKED_TIME, attr::SHADOW_EXPIRE],
        }
    }

    /// Attributes that say what passes: see [`crate::config::LdapConfig::also_inactive`].
    #[must_use]
    pub fn passing_attributes(self) -> &'static [&'static str] {
        match self {
            Self::ActiveDirectory => &[attr::USER_ACCOUNT_CONTROL_COMPUTED],
            Self::OpenLdap => &[attr::PWD_ACCOUNT_LOCKED_TIME],
            Self::Ds389 => &[attr::PASSWORD_EXPIRATION_TIME],
            Self::FreeIpa => &[attr::PASSWORD_EXPIRATION_TIME, attr::KRB_PASSWORD_EXPIRATION],
            Self::Generic => &[attr::PWD_ACCOUNT_LOCKED_TIME, attr::PASSWORD_EXPIRATION_TIME],
        }
    }

    /// Attributes with the members of a group. In Active Directory `memberUid` is a leftover of Services for UNIX and decides
    /// nothing.
    fn member_attributes(self) -> &'static [&'static str] {
        match self {
            Self::ActiveDirectory => &["member"],
            _ => &["member", "uniqueMember", "memberUid"],
        }
    }

    /// Whether a person has one group that does not list its members (`primaryGroupID`; MS-ADTS section 3.1.1.2.4, MS-SAMR
    /// section 3.1.1.8.2).
    #[must_use]
    pub fn has_primary_groups(self) -> bool {
        self == Self::ActiveDirectory
    }

    /// Attributes to ask for: those that the request names (all user attributes if it names none), and those that the
    /// source itself needs.
    #[must_use]
    pub fn attributes(self, kind: ObjectKind, requested: &BTreeSet<String>) -> Vec<String> {
        let own: &[&str] = match kind {
            ObjectKind::User => &["cn", "displayName", "mail", "uid", "sn", "givenName"],
            ObjectKind::Group => &["cn", "displayName", "description", "mail"],
        };
        let more: &[&str] = match kind {
            ObjectKind::User => self.account_attributes(),
            ObjectKind::Group => self.member_attributes(),
        };
        let security: &[&str] = match kind {
            ObjectKind::User if self.has_primary_groups() => &[PRIMARY_GROUP_ID, OBJECT_SID],
            ObjectKind::Group if self.has_primary_groups() => &[OBJECT_SID, "sAMAccountName", "groupType"],
            _ => &[],
        };
        let mut names: Vec<String> = Vec::new();
        let mut add = |name: &str| {
            if is_attribute_name(name) && !names.iter().any(|n| n.eq_ignore_ascii_case(name)) {
                names.push(name.to_owned());
            }
        };
        requested.iter().for_each(|name| add(name));
        own.iter().chain(self.id_attributes()).chain(more).chain(security).for_each(|name| add(name));
        if requested.is_empty() {
            names.push("*".to_owned());
        }
        names
    }

    /// The immutable id of an entry, from the first id attribute that has one.
    pub fn key<'a>(self, mut values: impl FnMut(&str) -> Option<&'a [u8]>) -> Option<SourceKey> {
        self.id_attributes().iter().find_map(|name| key_text(name, values(name)?)).map(SourceKey)
    }
}

/// RFC 4512 section 1.4, without options: other names in a request (`sourceKey` is none of LDAP, but harmless) would make
/// some servers refuse the search.
fn is_attribute_name(name: &str) -> bool {
    name.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'))
}

/// The id as text. Active Directory stores the first three fields of a GUID little-endian (MS-DTYP section 2.3.4.2).
#[must_use]
pub fn key_text(attribute: &str, value: &[u8]) -> Option<String> {
    let binary: Option<fn([u8; 16]) -> Uuid> = match attribute {
        guid if guid.eq_ignore_ascii_case("objectGUID") => Some(Uuid::from_bytes_le),
        guid if guid.eq_ignore_ascii_case("GUID") => Some(Uuid::from_bytes),
        _ => None,
    };
    if let (Some(uuid), Ok(octets)) = (binary, <[u8; 16]>::try_from(value)) {
        return Some(uuid(octets).to_string());
    }
    let text = std::str::from_utf8(value).ok()?.trim();
    // FreeIPA: "autogenerate" stands there until the plugin has made the id.
    (!text.is_empty() && !text.eq_ignore_ascii_case("autogenerate")).then(|| text.to_owned())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    fn root(pairs: &[(&str, &str)]) -> RootDse {
        RootDse::from_pairs(pairs)
    }

    #[test]
    fn the_root_dse_tells_servers_apart() {
        let detect = |pairs: &[(&str, &str)]| Flavor::choose(LdapFlavor::Auto, &root(pairs));
        assert_eq!(detect(&[("supportedCapabilities", ACTIVE_DIRECTORY)]), Flavor::ActiveDirectory);
        assert_eq!(detect(&[("objectClass", "OpenLDAProotDSE")]), Flavor::OpenLdap);
        assert_eq!(detect(&[("vendorVersion", "389-Directory/2.3.1 B2023")]), Flavor::Ds389);
        assert_eq!(detect(&[("vendorName", "389 Project"), ("ipaDomainLevel", "1")]), Flavor::FreeIpa);
        assert_eq!(detect(&[]), Flavor::Generic);
        assert_eq!(Flavor::choose(LdapFlavor::Ds389, &root(&[])), Flavor::Ds389);
    }

    #[test]
    fn object_guid_reads_as_active_directory_shows_it() {
        let octets = [0xf2, 0x23, 0x39, 0x95, 0xfc, 0xf7, 0xff, 0x41, 0x9d, 0xfb, 0x74, 0x4f, 0x51, 0x60, 0x9e, 0xc4];
        assert_eq!(key_text("objectguid", &octets).unwrap(), "953923f2-f7fc-41ff-9dfb-744f51609ec4");
        assert_eq!(
            key_text("nsUniqueId", b"e1976004-e5ed11f1-9286b6c1-8d6af9af").unwrap(),
            "e1976004-e5ed11f1-9286b6c1-8d6af9af"
        );
        assert_eq!(key_text("ipaUniqueID", b"autogenerate"), None);
        assert_eq!(key_text("objectGUID", &octets[..15]), None);
    }

    #[test]
    fn the_first_id_attribute_with_a_value_counts() {
        let key = Flavor::FreeIpa.key(|name| match name {
            "ipaUniqueID" => Some(b"autogenerate"),
            "nsUniqueId" => Some(b"1-2"),
            _ => None,
        });
        assert_eq!(key, Some(SourceKey("1-2".to_owned())));
    }

    #[test]
    fn requests_are_completed_and_cleaned() {
        let requested: BTreeSet<String> = ["Mail", "a b", "", "x;y", "employeeNumber", "sourceKey"].map(str::to_owned).into();
        let names = Flavor::OpenLdap.attributes(ObjectKind::User, &requested);
        for name in ["Mail", "employeeNumber", "sourceKey", "cn", "entryUUID", "pwdAccountLockedTime"] {
            assert!(names.iter().any(|n| n == name), "{name} in {names:?}");
        }
        for name in ["mail", "a b", "", "x;y", "*", "member"] {
            assert!(!names.iter().any(|n| n == name), "{name} in {names:?}");
        }
        assert!(Flavor::OpenLdap.attributes(ObjectKind::Group, &BTreeSet::new()).contains(&"*".to_owned()));
        for flavor in [Flavor::ActiveDirectory, Flavor::OpenLdap, Flavor::Ds389, Flavor::FreeIpa, Flavor::Generic] {
            assert!(ldap3::parse_filter(flavor.user_filter()).is_ok());
            assert!(ldap3::parse_filter(flavor.group_filter()).is_ok());
        }
    }
}
