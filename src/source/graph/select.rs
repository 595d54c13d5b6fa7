//! `$select`: what a sync needs, in Graph's own names and nothing else. A name that Graph does not know would be refused with
//! 400, properties outside the directory (aboutMe, skills, mailboxSettings) with 501.

use crate::model::ObjectKind;
use std::collections::BTreeSet;

/// Attributes that need no `$select` of their own: roles in the application of `assigned_to`.
pub const ROLES: &str = "appRoleAssignments";

/// The navigation property that can be asked for.
pub const MANAGER: &str = "manager";

/// When somebody leaves: null for everybody where the application lacks one of [`LEAVE_PERMISSIONS`] (Microsoft, "user resource
/// type", employeeLeaveDateTime).
pub const LEAVE: &str = "employeeLeaveDateTime";

/// Application permissions of which one shows [`LEAVE`], the least first; none that shows people includes them.
pub const LEAVE_PERMISSIONS: [&str; 2] = ["User-LifeCycleInfo.Read.All", "User-LifeCycleInfo.ReadWrite.All"];

/// What every person is read with.
const USER_ALWAYS: &[&str] = &["id", "accountEnabled", "displayName", "userPrincipalName"];

/// What every group is read with.
const GROUP_ALWAYS: &[&str] = &["id", "displayName"];

/// Properties of `user` in the directory itself (Graph v1.0 metadata, 2026-08).
const USER: &[&str] = &[
    "accountEnabled",
    "ageGroup",
    "assignedLicenses",
    "assignedPlans",
    "businessPhones",
    "city",
    "companyName",
    "consentProvidedForMinor",
    "country",
    "createdDateTime",
    "creationType",
    "department",
    "displayName",
    "employeeHireDate",
    "employeeId",
    LEAVE,
    "employeeOrgData",
    "employeeType",
    "externalUserState",
    "externalUserStateChangeDateTime",
    "faxNumber",
    "givenName",
    "id",
    "identities",
    "imAddresses",
    "isResourceAccount",
    "jobTitle",
    "lastPasswordChangeDateTime",
    "legalAgeGroupClassification",
    "mail",
    "mailNickname",
    "mobilePhone",
    "officeLocation",
    "onPremisesDistinguishedName",
    "onPremisesDomainName",
    "onPremisesExtensionAttributes",
    "onPremisesImmutableId",
    "onPremisesLastSyncDateTime",
    "onPremisesSamAccountName",
    "onPremisesSecurityIdentifier",
    "onPremisesSyncEnabled",
    "onPremisesUserPrincipalName",
    "otherMails",
    "passwordPolicies",
    "postalCode",
    "preferredDataLocation",
    "preferredLanguage",
    "proxyAddresses",
    "securityIdentifier",
    "showInAddressList",
    "state",
    "streetAddress",
    "surname",
    "usageLocation",
    "userPrincipalName",
    "userType",
];

/// Properties of `group` (Graph v1.0 metadata, 2026-08).
const GROUP: &[&str] = &[
    "classification",
    "createdDateTime",
    "description",
    "displayName",
    "expirationDateTime",
    "groupTypes",
    "id",
    "isAssignableToRole",
    "mail",
    "mailEnabled",
    "mailNickname",
    "membershipRule",
    "onPremisesDomainName",
    "onPremisesNetBiosName",
    "onPremisesSamAccountName",
    "onPremisesSecurityIdentifier",
    "onPremisesSyncEnabled",
    "preferredDataLocation",
    "preferredLanguage",
    "proxyAddresses",
    "renewedDateTime",
    "resourceProvisioningOptions",
    "securityEnabled",
    "securityIdentifier",
    "theme",
    "uniqueName",
    "visibility",
];

/// Every attribute that people or groups can have, but for extensions of applications (`extension_<id>_name`).
pub fn names() -> impl Iterator<Item = String> {
    let extensions = (1..=15).map(|n| format!("extensionAttribute{n}"));
    USER.iter().chain(GROUP).chain(&[MANAGER, ROLES]).map(|name| (*name).to_owned()).chain(extensions)
}

/// A part of a complex property, under the name by which it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Part {
    /// The property.
    pub property: &'static str,
    /// The name inside it, as Graph spells it.
    pub name: String,
    /// The attribute that it becomes.
    pub attribute: String,
}

/// What is asked of one kind of object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fields {
    /// Users or groups.
    pub kind: ObjectKind,
    /// Properties, as Graph spells them, `id` among them.
    pub properties: BTreeSet<String>,
    /// Properties that become attributes as a whole.
    pub whole: BTreeSet<String>,
    /// Parts of complex properties.
    pub parts: BTreeSet<Part>,
    /// The manager is wanted (people).
    pub manager: bool,
    /// Roles are wanted (people).
    pub roles: bool,
    /// Members of groups that hide them cannot be read: such groups have to be told (groups).
    pub hidden: bool,
}

impl Fields {
    /// What these attributes need of this kind of object. Names that Graph does not have (those of other directories, which
    /// come along as aliases) are left out.
    #[must_use]
    pub fn new(kind: ObjectKind, attributes: &BTreeSet<String>) -> Self {
        let (known, always) = match kind {
            ObjectKind::User => (USER, USER_ALWAYS),
            ObjectKind::Group => (GROUP, GROUP_ALWAYS),
        };
        let of = |name: &str| known.iter().copied().find(|k| k.eq_ignore_ascii_case(name));
        let mut fields = Self {
            kind,
            properties: always.iter().map(|n| (*n).to_owned()).collect(),
            whole: always.iter().filter(|n| **n != "id").map(|n| (*n).to_owned()).collect(),
            parts: BTreeSet::new(),
            manager: false,
            roles: false,
            hidden: false,
        };
        for name in attributes {
            if let Some(property) = of(name) {
                fields.properties.insert(property.to_owned());
                fields.whole.insert(property.to_owned());
            } else if is_directory_extension(name) {
                fields.properties.insert(name.clone());
                fields.whole.insert(name.clone());
            } else if let Some(part) = (kind == ObjectKind::User).then(|| part(name)).flatten() {
                fields.properties.insert(part.property.to_owned());
                fields.parts.insert(part);
            } else if kind == ObjectKind::User {
                fields.manager |= name.eq_ignore_ascii_case(MANAGER);
                fields.roles |= name.eq_ignore_ascii_case(ROLES);
            }
        }
        fields
    }

    /// Whether it is asked when somebody leaves, and `granted`, the permissions of the application, do not show it.
    #[must_use]
    pub fn lacks_leave(&self, granted: &BTreeSet<String>) -> bool {
        self.properties.contains(LEAVE) && !LEAVE_PERMISSIONS.iter().any(|p| granted.contains(*p))
    }

    /// Asks for what tells groups that hide their members.
    pub fn tell_hidden(&mut self) {
        self.hidden = true;
        self.properties.insert("visibility".to_owned());
    }

    /// The value of `$select` for a list or a single object.
    #[must_use]
    pub fn select(&self) -> String {
        self.properties.iter().map(String::as_str).collect::<Vec<_>>().join(",")
    }

    /// The value of `$select` for a change feed: the relations that are tracked are named there as well (Microsoft, "Use delta
    /// query to track changes").
    #[must_use]
    pub fn delta_select(&self) -> String {
        match (self.kind, self.manager) {
            (ObjectKind::User, false) => self.select(),
            (ObjectKind::User, true) => format!("{},{MANAGER}", self.select()),
            (ObjectKind::Group, _) => format!("{},members", self.select()),
        }
    }

    /// `$expand` for a list or a single object, where one is needed.
    #[must_use]
    pub fn expand(&self) -> Option<&'static str> {
        self.manager.then_some("manager($select=id)")
    }

    /// Whether a list of members shows everything that is asked of people: a manager cannot be had there.
    #[must_use]
    pub fn is_whole_as_member(&self) -> bool {
        !self.manager
    }
}

/// `extension_`, the application id as 32 hexadecimal digits, `_`, a name.
fn is_directory_extension(name: &str) -> bool {
    let Some((id, own)) = name.strip_prefix("extension_").and_then(|rest| rest.split_once('_')) else { return false };
    id.len() == 32
        && id.bytes().all(|b| b.is_ascii_hexdigit())
        && !own.is_empty()
        && own.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// Parts of complex properties: `extensionAttribute7`, `division`, also with the property in front.
fn part(attribute: &str) -> Option<Part> {
    let (property, name) = attribute.split_once('.').map_or((None, attribute), |(p, n)| (Some(p), n));
    let fits = |own: &str| property.is_none_or(|p| p.eq_ignore_ascii_case(own));
    let lower = name.to_ascii_lowercase();
    let made = |property, name: String| Some(Part { property, name, attribute: attribute.to_owned() });
    if let Some(number) = lower.strip_prefix("extensionattribute").and_then(|n| n.parse::<u8>().ok())
        && (1..=15).contains(&number)
        && fits("onPremisesExtensionAttributes")
    {
        return made("onPremisesExtensionAttributes", format!("extensionAttribute{number}"));
    }
    let of_org = ["division", "costCenter"].into_iter().find(|n| n.eq_ignore_ascii_case(name));
    of_org.filter(|_| fits("employeeOrgData")).and_then(|n| made("employeeOrgData", n.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(kind: ObjectKind, names: &[&str]) -> Fields {
        Fields::new(kind, &names.iter().map(|n| (*n).to_owned()).collect())
    }

    #[test]
    fn pitfall_9_what_the_active_rule_needs_is_always_selected() {
        assert_eq!(fields(ObjectKind::User, &[]).select(), "accountEnabled,displayName,id,userPrincipalName");
    }

    #[test]
    fn pitfall_2_members_are_named_in_the_select_of_the_change_feed() {
        assert_eq!(fields(ObjectKind::Group, &["description"]).delta_select(), "description,displayName,id,members");
        assert_eq!(fields(ObjectKind::Group, &["description"]).select(), "description,displayName,id");
    }

    #[test]
    fn names_of_other_directories_are_not_asked_for() {
        let some = fields(ObjectKind::User, &["sn", "surname", "MAIL", "cn", "sAMAccountName", "aboutMe", "extension_x_y", "1"]);
        assert_eq!(some.select(), "accountEnabled,displayName,id,mail,surname,userPrincipalName");
    }

    #[test]
    fn extensions_and_parts_of_complex_properties_are_found() {
        let own = "extension_0123456789abcdef0123456789ABCDEF_badge_no";
        let some = fields(ObjectKind::User, &["extensionAttribute7", "employeeOrgData.division", "costcenter", "manager", own]);
        assert_eq!(
            some.select(),
            format!("accountEnabled,displayName,employeeOrgData,{own},id,onPremisesExtensionAttributes,userPrincipalName")
        );
        let names: Vec<&str> = some.parts.iter().map(|p| p.name.as_str()).collect();
        assert_eq!(names, ["costCenter", "division", "extensionAttribute7"]);
        assert!(some.delta_select().ends_with(",manager") && some.expand().is_some());
        assert!(fields(ObjectKind::User, &["extensionAttribute16", "wrong.division"]).parts.is_empty());
    }
}
