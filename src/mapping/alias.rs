//! Aliases: the same fact under the names of different directories. The attribute under the name that was written wins,
//! then the aliases in the order given here.

/// Name -> other names that are tried when an entry has no value under the first.
const ALIASES: &[(&str, &[&str])] = &[
    ("mailNickname", &["uid", "sAMAccountName"]),
    ("surname", &["sn", "lastName", "familyName"]),
    ("sn", &["surname", "lastName", "familyName"]),
    ("lastName", &["surname", "sn", "familyName"]),
    ("familyName", &["surname", "sn", "lastName"]),
    ("givenName", &["firstName"]),
    ("firstName", &["givenName"]),
    ("displayName", &["cn", "name"]),
    ("mail", &["email"]),
    ("email", &["mail"]),
    ("userPrincipalName", &["login"]),
    ("physicalDeliveryOfficeName", &["officeLocation"]),
    ("officeLocation", &["physicalDeliveryOfficeName"]),
    ("telephoneNumber", &["businessPhones", "primaryPhone"]),
    ("businessPhones", &["telephoneNumber", "primaryPhone"]),
    ("primaryPhone", &["telephoneNumber", "businessPhones"]),
    ("mobile", &["mobilePhone"]),
    ("mobilePhone", &["mobile"]),
    ("title", &["jobTitle"]),
    ("jobTitle", &["title"]),
    ("company", &["companyName", "organization"]),
    ("companyName", &["company", "organization"]),
    ("organization", &["company", "companyName"]),
    ("l", &["city"]),
    ("city", &["l"]),
    ("st", &["state"]),
    ("state", &["st"]),
    ("c", &["country", "countryCode"]),
    ("co", &["country"]),
    ("country", &["co", "c", "countryCode"]),
    ("postalCode", &["zipCode"]),
    ("zipCode", &["postalCode"]),
    ("streetAddress", &["street"]),
    ("street", &["streetAddress"]),
];

/// The other names of `name`, in order.
pub(super) fn of(name: &str) -> &'static [&'static str] {
    ALIASES.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map_or(&[], |(_, others)| others)
}
