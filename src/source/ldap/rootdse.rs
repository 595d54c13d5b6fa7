//! The rootDSE: what the server says of itself (RFC 4512 section 5.1).

use super::entry::RawEntry;
use crate::model::Value;

/// Paged results (RFC 2696).
pub const PAGED_RESULTS: &str = "1.2.840.113556.1.4.319";
/// "Who am I?" (RFC 4532).
pub const WHO_AM_I: &str = "1.3.6.1.4.1.4203.1.11.3";

/// Attributes to ask for.
pub const ATTRIBUTES: &[&str] = &[
    "objectClass",
    "vendorName",
    "vendorVersion",
    "supportedControl",
    "supportedExtension",
    "supportedCapabilities",
    "namingContexts",
    "currentTime",
    "dnsHostName",
    "ipaDomainLevel",
    "ipaTopologyPluginVersion",
];

/// What the server says of itself. Empty where it does not.
#[derive(Debug, Default)]
pub struct RootDse(Option<RawEntry>);

impl RootDse {
    /// From the entry with the empty name.
    #[must_use]
    pub fn new(entry: Option<RawEntry>) -> Self {
        Self(entry)
    }

    /// Whether the server let it be read at all.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.0.is_some()
    }

    fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = String> + 'a {
        let attributes = self.0.iter().flat_map(|e| &e.attributes);
        let values = attributes.filter(move |a| a.name.eq_ignore_ascii_case(name)).flat_map(|a| &a.values);
        values.filter_map(Value::to_text)
    }

    /// Whether the attribute is there.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.all(name).next().is_some()
    }

    /// Whether the attribute has this value, without regard to case.
    #[must_use]
    pub fn contains(&self, name: &str, value: &str) -> bool {
        self.all(name).any(|v| v.eq_ignore_ascii_case(value))
    }

    /// Whether paged results are offered. Where the rootDSE is hidden they are assumed: a server without them then
    /// refuses the critical control, which is an error and not a short read.
    #[must_use]
    pub fn paging(&self) -> bool {
        !self.is_known() || self.contains("supportedControl", PAGED_RESULTS)
    }

    /// Vendor name and version, or what else names the server.
    #[must_use]
    pub fn vendor(&self) -> String {
        let parts: Vec<String> = ["vendorName", "vendorVersion"].iter().filter_map(|n| self.all(n).next()).collect();
        if parts.is_empty() && self.contains("objectClass", "OpenLDAProotDSE") {
            return "OpenLDAP".to_owned();
        }
        parts.join(" ")
    }

    /// Naming contexts, for advice on a base that does not exist.
    #[must_use]
    pub fn naming_contexts(&self) -> Vec<String> {
        self.all("namingContexts").collect()
    }

    /// Seconds by which the server's clock is ahead of `now`, where it tells (Active Directory's currentTime).
    #[must_use]
    pub fn clock_skew(&self, now: i64) -> Option<i64> {
        let time = self.all("currentTime").next()?;
        Some(generalized_time(&time)? - now)
    }

    /// Made up for tests.
    #[cfg(test)]
    pub fn from_pairs(pairs: &[(&str, &str)]) -> Self {
        let attribute = |(name, value): &(&str, &str)| {
            let mut attribute = super::entry::RawAttribute::new(name).unwrap_or_else(|e| unreachable!("{e}"));
            attribute.push(value.as_bytes().to_vec());
            attribute
        };
        Self(Some(RawEntry { dn: Vec::new(), attributes: pairs.iter().map(attribute).collect() }))
    }
}

/// `YYYYMMDDHHMMSS[.f]Z` as Unix seconds (RFC 4517 section 3.3.13, the form servers use).
pub(super) fn generalized_time(text: &str) -> Option<i64> {
    let digits = text.strip_suffix('Z')?.split('.').next()?;
    let time = jiff::civil::DateTime::strptime("%Y%m%d%H%M%S", digits).ok()?;
    Some(time.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_second())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn clocks_are_compared() {
        let root = RootDse::from_pairs(&[("currentTime", "20231114221330.0Z")]);
        assert_eq!(root.clock_skew(1_700_000_000), Some(10));
        assert_eq!(RootDse::from_pairs(&[("currentTime", "soon")]).clock_skew(0), None);
        assert_eq!(RootDse::default().clock_skew(0), None);
    }

    #[test]
    fn paging_is_assumed_only_where_nothing_is_known() {
        assert!(RootDse::default().paging());
        assert!(!RootDse::from_pairs(&[("vendorName", "x")]).paging());
        assert!(RootDse::from_pairs(&[("supportedControl", PAGED_RESULTS)]).paging());
    }
}
