//! Aliases: the same fact under the names of different directories. The attribute under the name that was written wins,
//! then the aliases in the order given here.

/// Name -> other names that are tried when an entry has no value under the first.
const ALIASES: &[(&str, &[&str])] = &[
    ("mailNickname", &["uid", "sAMAccountName", "onPremisesSamAccountName"]),
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
    ("sAMAccountName", &["onPremisesSamAccountName"]),
    ("onPremisesSamAccountName", &["sAMAccountName"]),
    ("employeeId", &["employeeNumber"]),
    ("employeeNumber", &["employeeId"]),
    ("cn", &["displayName", "name"]),
    ("name", &["displayName", "cn"]),
    ("login", &["userPrincipalName"]),
    ("facsimileTelephoneNumber", &["faxNumber"]),
    ("faxNumber", &["facsimileTelephoneNumber"]),
    ("otherMails", &["secondEmail"]),
    ("secondEmail", &["otherMails"]),
    ("countryCode", &["country", "c"]),
    ("appRoles", &["appRoleAssignments"]),
];

/// The other names of `name`, in order.
pub(super) fn of(name: &str) -> &'static [&'static str] {
    ALIASES.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map_or(&[], |(_, others)| others)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// The page lists every alias, and nothing else.
    #[test]
    fn the_page_is_the_table() {
        let page = include_str!("../../docs/attributes.md");
        let rows: Vec<String> = ALIASES
            .iter()
            .map(|(name, others)| {
                let others: Vec<String> = others.iter().map(|o| format!("`{o}`")).collect();
                format!("| `{name}` | {} |", others.join(", "))
            })
            .collect();
        let written: Vec<&str> =
            page.lines().skip_while(|l| !l.starts_with("| where this")).skip(2).take_while(|l| l.starts_with("| `")).collect();
        assert_eq!(written, rows);
    }

    #[test]
    fn no_name_is_there_twice_nor_its_own_alias() {
        for (at, (name, others)) in ALIASES.iter().enumerate() {
            assert!(ALIASES.iter().skip(at + 1).all(|(n, _)| !n.eq_ignore_ascii_case(name)), "{name}");
            assert!(others.iter().all(|o| !o.eq_ignore_ascii_case(name)), "{name}");
        }
    }
}
