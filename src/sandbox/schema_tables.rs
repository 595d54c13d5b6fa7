//! The schemas of RFC 7643 section 8.7.1 as tables.

use super::schema::{Attr, Mutability, Schema, Type};
use crate::scim;

use Mutability::{Immutable, ReadOnly, WriteOnly};

/// Attributes that every resource has (RFC 7643 section 3.1); no schema publishes them.
pub(super) static COMMON: [Attr; 4] = [
    Attr::text("id", "Identifier issued by the server.").case_exact().mutability(ReadOnly).always().unique(),
    Attr::text("externalId", "Identifier issued by the provisioning client.").case_exact(),
    Attr::complex("meta", META, "Metadata of the resource.").mutability(ReadOnly),
    Attr::new("schemas", Type::Reference, "Schemas of the resource.").mutability(ReadOnly).always(),
];

const META: &[Attr] = &[
    Attr::text("resourceType", "Name of the resource type.").case_exact().mutability(ReadOnly),
    Attr::new("created", Type::DateTime, "When the resource was created.").mutability(ReadOnly),
    Attr::new("lastModified", Type::DateTime, "When the resource was last changed.").mutability(ReadOnly),
    Attr::new("location", Type::Reference, "URI of the resource.").mutability(ReadOnly),
    Attr::text("version", "Version of the resource: its ETag.").case_exact().mutability(ReadOnly),
];

const PRIMARY: Attr = Attr::new("primary", Type::Boolean, "Whether this is the preferred value; at most one value may say true.");
const DISPLAY: Attr = Attr::text("display", "Human-readable name, for display.");
const KIND: Attr = Attr::text("type", "Label indicating the value's function.");

/// core:2.0:User
pub(super) static USER: Schema = Schema { id: scim::USER, name: "User", description: "User Account", attrs: USER_ATTRS };

const USER_ATTRS: &[Attr] = &[
    Attr::text("userName", "Unique name by which the user authenticates; unique without regard to case.").required().unique(),
    Attr::complex("name", NAME, "The components of the user's name."),
    Attr::text("displayName", "The name of the user, suitable for display."),
    Attr::text("nickName", "The casual way to address the user."),
    Attr::new("profileUrl", Type::Reference, "URI of the user's online profile.").refers(&["external"]),
    Attr::text("title", "The user's title, such as \"Vice President\"."),
    Attr::text("userType", "Relationship between the organisation and the user, such as \"Contractor\"."),
    Attr::text("preferredLanguage", "Preferred language, as in the HTTP Accept-Language header."),
    Attr::text("locale", "Default location for localising currency, dates and numbers."),
    Attr::text("timezone", "Time zone in IANA format, such as \"America/Los_Angeles\"."),
    Attr::new("active", Type::Boolean, "Whether the account may be used."),
    Attr::text("password", "Clear-text password; set only, never returned.").mutability(WriteOnly),
    Attr::many("emails", EMAIL, "E-mail addresses of the user."),
    Attr::many("phoneNumbers", PHONE, "Phone numbers of the user."),
    Attr::many("ims", IM, "Instant messaging addresses of the user."),
    Attr::many("photos", PHOTO, "URLs of photos of the user."),
    Attr::many("addresses", ADDRESS, "Mailing addresses of the user."),
    Attr::many("groups", GROUPS, "Groups to which the user belongs.").mutability(ReadOnly),
    Attr::many("entitlements", LABELLED, "Things the user has a right to."),
    Attr::many("roles", LABELLED, "Roles of the user, such as \"Student\"."),
    Attr::many("x509Certificates", CERTIFICATE, "Certificates issued to the user."),
];

const NAME: &[Attr] = &[
    Attr::text("formatted", "The full name, formatted for display."),
    Attr::text("familyName", "The family name, or last name."),
    Attr::text("givenName", "The given name, or first name."),
    Attr::text("middleName", "The middle name or names."),
    Attr::text("honorificPrefix", "Titles in front of the name, such as \"Ms.\"."),
    Attr::text("honorificSuffix", "Suffixes behind the name, such as \"III\"."),
];

const EMAIL: &[Attr] = &[Attr::text("value", "E-mail address."), DISPLAY, KIND.canonical(&["work", "home", "other"]), PRIMARY];

const PHONE: &[Attr] = &[
    Attr::text("value", "Phone number."),
    DISPLAY,
    KIND.canonical(&["work", "home", "mobile", "fax", "pager", "other"]),
    PRIMARY,
];

const IM: &[Attr] = &[
    Attr::text("value", "Instant messaging address."),
    DISPLAY,
    KIND.canonical(&["aim", "gtalk", "icq", "xmpp", "msn", "skype", "qq", "yahoo"]),
    PRIMARY,
];

const PHOTO: &[Attr] = &[
    Attr::new("value", Type::Reference, "URL of a photo.").refers(&["external"]),
    DISPLAY,
    KIND.canonical(&["photo", "thumbnail"]),
    PRIMARY,
];

const ADDRESS: &[Attr] = &[
    Attr::text("formatted", "The full mailing address, formatted for display."),
    Attr::text("streetAddress", "Street, house number, P.O. box."),
    Attr::text("locality", "City or locality."),
    Attr::text("region", "State or region."),
    Attr::text("postalCode", "Postal code."),
    Attr::text("country", "Country."),
    KIND.canonical(&["work", "home", "other"]),
    PRIMARY,
];

const LABELLED: &[Attr] = &[Attr::text("value", "The value."), DISPLAY, KIND, PRIMARY];

const CERTIFICATE: &[Attr] = &[Attr::new("value", Type::Binary, "An X.509 certificate, DER, in base64."), DISPLAY, KIND, PRIMARY];

const GROUPS: &[Attr] = &[
    Attr::text("value", "Identifier of the group.").case_exact().mutability(ReadOnly),
    Attr::new("$ref", Type::Reference, "URI of the group.").refers(&["User", "Group"]).mutability(ReadOnly),
    DISPLAY.mutability(ReadOnly),
    KIND.canonical(&["direct", "indirect"]).mutability(ReadOnly),
];

/// core:2.0:Group. `displayName` is required: section 4.2 says so in words.
pub(super) static GROUP: Schema = Schema {
    id: scim::GROUP,
    name: "Group",
    description: "Group",
    attrs: &[
        Attr::text("displayName", "Human-readable name of the group.").required(),
        Attr::many("members", MEMBER, "The members of the group."),
    ],
};

const MEMBER: &[Attr] = &[
    Attr::text("value", "Identifier of the member.").case_exact().mutability(Immutable),
    Attr::new("$ref", Type::Reference, "URI of the member.").refers(&["User", "Group"]).mutability(Immutable),
    DISPLAY.mutability(ReadOnly),
    KIND.canonical(&["User", "Group"]).mutability(Immutable),
];

/// extension:enterprise:2.0:User
pub(super) static ENTERPRISE_USER: Schema = Schema {
    id: scim::ENTERPRISE,
    name: "EnterpriseUser",
    description: "Enterprise User",
    attrs: &[
        Attr::text("employeeNumber", "Identifier assigned to the person by the organisation."),
        Attr::text("costCenter", "Name of the cost center."),
        Attr::text("organization", "Name of the organisation."),
        Attr::text("division", "Name of the division."),
        Attr::text("department", "Name of the department."),
        Attr::complex("manager", MANAGER, "The user's manager."),
    ],
};

const MANAGER: &[Attr] = &[
    Attr::text("value", "Identifier of the manager's user resource.").case_exact(),
    Attr::new("$ref", Type::Reference, "URI of the manager's user resource.").refers(&["User"]),
    Attr::text("displayName", "Name of the manager, for display.").mutability(ReadOnly),
];
