//! Which attributes a source can give, as far as that is known without asking it: what a configuration names and no
//! source has is found before it runs.

use super::{file, graph};
use crate::config::SourceConfig;
use std::collections::BTreeMap;

/// The attributes that a source has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    /// Names in lower case -> as the source writes them.
    pub names: BTreeMap<String, String>,
    /// Whether there may be others.
    pub others: Others,
}

/// Whether a source may have attributes beside those that are known of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Others {
    /// There are none: a service with a schema of its own, the columns of a table.
    None,
    /// Nobody has any today: what a file happens to hold.
    Unseen,
    /// Organisations have their own.
    Some,
}

/// Okta's base profile of users and groups; organisations add their own.
const OKTA: &str = "login email secondEmail firstName lastName middleName honorificPrefix honorificSuffix title displayName nickName \
    profileUrl primaryPhone mobilePhone streetAddress city state zipCode countryCode postalAddress preferredLanguage locale \
    timezone userType employeeNumber costCenter organization division department managerId manager status id created \
    activated lastLogin lastUpdated statusChanged name description";

/// What people and groups in LDAP directories usually have (RFC 2798, RFC 4519, RFC 4524, Active Directory, FreeIPA);
/// organisations add their own.
const LDAP: &str = "accountExpires adminCount businessCategory c carLicense cn co company countryCode country createTimestamp department \
    departmentNumber description destinationIndicator displayName displayNamePrintable distinguishedName division dn \
    employeeID employeeNumber employeeType entryDN entryUUID extensionAttribute1 extensionAttribute2 extensionAttribute3 \
    extensionAttribute4 extensionAttribute5 extensionAttribute6 extensionAttribute7 extensionAttribute8 extensionAttribute9 \
    extensionAttribute10 extensionAttribute11 extensionAttribute12 extensionAttribute13 extensionAttribute14 \
    extensionAttribute15 facsimileTelephoneNumber gecos generationQualifier gidNumber givenName groupType homeDirectory \
    homePhone homePostalAddress houseIdentifier info initials ipaUniqueID ipPhone jpegPhoto krbPrincipalName l labeledURI \
    lastLogon lastLogonTimestamp legacyExchangeDN loginShell mail mailAlternateAddress mailNickname manager managedBy member \
    memberOf memberUid middleName mobile modifyTimestamp msDS-cloudExtensionAttribute1 msDS-PrincipalName name nsAccountLock \
    nsUniqueId o objectCategory objectClass objectGUID objectSid otherMailbox otherMobile otherTelephone ou pager \
    personalTitle photo physicalDeliveryOfficeName postalAddress postalCode postOfficeBox preferredLanguage primaryGroupID \
    proxyAddresses pwdLastSet roomNumber sAMAccountName sAMAccountType secretary seeAlso serialNumber servicePrincipalName \
    shadowExpire sn st street streetAddress surname targetAddress telephoneNumber thumbnailPhoto title uid uidNumber \
    uniqueMember url userAccountControl userPrincipalName userWorkstations uSNChanged uSNCreated whenChanged whenCreated \
    wWWHomePage";

/// What is known of a source without asking it. `None` where nothing is.
#[must_use]
pub fn known(config: &SourceConfig) -> Option<Names> {
    let open = |names: &str| {
        let names = names.split_whitespace().map(|name| (name.to_lowercase(), name.to_owned())).collect();
        Names { names, others: Others::Some }
    };
    match config {
        SourceConfig::Graph(_) => {
            Some(Names { names: graph::attributes().map(|name| (name.to_lowercase(), name)).collect(), others: Others::None })
        }
        SourceConfig::Okta(_) => Some(open(OKTA)),
        SourceConfig::Ldap(_) => Some(open(LDAP)),
        SourceConfig::File(c) => file::attributes(&c.path).map(|(names, columns)| {
            // A column that a table does not have is none; an attribute that nobody has today somebody may have tomorrow.
            Names { names, others: if columns { Others::None } else { Others::Unseen } }
        }),
    }
}
