//! Paging: what the Link headers (RFC 8288) say about the next page, and whether it may be followed.

use http::HeaderMap;
use http::header::LINK;
use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use url::Url;

/// Lists whose answers carried links in this read. Not every list of Okta has them, so that one without says nothing by
/// itself; where there were some, their absence is a loss.
#[derive(Debug, Default)]
pub(super) struct Linked(Mutex<BTreeSet<String>>);

/// What kind of list an address is: the organisation, and the path without ids.
pub(super) fn list_of(url: &Url) -> String {
    let parts = url.path_segments().into_iter().flatten().skip(2).step_by(2);
    format!("{} {}", url.origin().ascii_serialization(), parts.collect::<Vec<_>>().join("/"))
}

impl Linked {
    /// Remembers that answers of this list carry links.
    pub(super) fn note(&self, list: &str) {
        let mut linked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !linked.contains(list) {
            linked.insert(list.to_owned());
        }
    }

    /// Whether an answer of this list carried links before.
    pub(super) fn has(&self, list: &str) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(list)
    }
}

/// What an answer says about the page after it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Paging {
    /// The address of the next page, as written.
    Next(String),
    /// Links of the page, and none to a next one: this was the last.
    Last,
    /// Not a word. A proxy may have taken the headers away.
    Untold,
    /// A header that cannot be read, and may have been the link to the next page.
    Garbled,
}

/// What the Link headers say. Okta sends one for each link; a proxy may have folded them into one with commas.
pub(super) fn paging(headers: &HeaderMap) -> Paging {
    let (mut told, mut garbled) = (false, false);
    for value in headers.get_all(LINK) {
        match value.to_str().ok().and_then(links_in) {
            None => garbled = true,
            Some(links) => {
                for (address, relations) in links {
                    let is = |wanted: &str| relations.iter().any(|r| r.eq_ignore_ascii_case(wanted));
                    if is("next") {
                        return Paging::Next(address.to_owned());
                    }
                    told |= is("self");
                }
            }
        }
    }
    match (garbled, told) {
        (true, _) => Paging::Garbled,
        (false, true) => Paging::Last,
        (false, false) => Paging::Untold,
    }
}

/// Address and relations of each link of one header; `None` where it is none of links.
fn links_in(header: &str) -> Option<Vec<(&str, Vec<&str>)>> {
    let mut rest = header.trim();
    let mut out = Vec::new();
    while !rest.is_empty() {
        // An address may hold commas and semicolons, so `<` and `>` lead.
        let (address, behind) = rest.strip_prefix('<')?.split_once('>')?;
        let end = end_of_parameters(behind);
        let relations = behind[..end]
            .split(';')
            .filter_map(|p| p.split_once('='))
            .filter(|(name, _)| name.trim().eq_ignore_ascii_case("rel"));
        let relations = relations.map(|(_, value)| value.trim().trim_matches('"').split_ascii_whitespace());
        out.push((address, relations.flatten().collect()));
        rest = behind[end..].trim_start_matches([',', ' ', '\t']);
    }
    Some(out)
}

/// Parameters end at the comma before the next link; a comma in quotes is part of them.
fn end_of_parameters(text: &str) -> usize {
    let mut quoted = false;
    text.find(|c| {
        quoted ^= c == '"';
        c == ',' && !quoted
    })
    .unwrap_or(text.len())
}

/// `address` resolved, if it belongs to the organisation at `org`: the same scheme, host and port. Okta's consoles live at
/// `acme-admin.okta.com`, and their links may name either host. To any other host the token would leak.
pub(super) fn own(org: &Url, address: &str) -> Option<Url> {
    let url = org.join(address).ok()?;
    let without_admin = |url: &Url| {
        let host = url.host_str()?.to_ascii_lowercase();
        let (first, rest) = host.split_once('.')?;
        let okta = ["okta.com", "oktapreview.com", "okta-emea.com", "okta-gov.com", "okta.mil"].contains(&rest);
        Some(if okta { format!("{}.{rest}", first.strip_suffix("-admin").unwrap_or(first)) } else { host })
    };
    let same_host = url.host_str() == org.host_str() || without_admin(&url).is_some_and(|h| Some(h) == without_admin(org));
    let same = url.scheme() == org.scheme() && url.port_or_known_default() == org.port_or_known_default() && same_host;
    (same && url.username().is_empty() && url.password().is_none()).then_some(url)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn headers(values: &[&str]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for value in values {
            map.append(LINK, value.parse().unwrap());
        }
        map
    }

    #[test]
    fn lists_are_told_apart_by_organisation_and_kind() {
        let list = |url: &str| list_of(&Url::parse(url).unwrap());
        assert_eq!(list("https://acme.okta.com/api/v1/groups/00g1/users?limit=2"), "https://acme.okta.com groups/users");
        assert_eq!(list("https://acme.okta.com/api/v1/users?filter=x"), "https://acme.okta.com users");
        let (linked, members) = (Linked::default(), list("https://link.example/api/v1/groups/00g1/users"));
        assert!(!linked.has(&members));
        linked.note(&members);
        assert!(linked.has(&list("https://link.example/api/v1/groups/00g2/users")));
        assert!(!linked.has(&list("https://link.example/api/v1/groups")));
        assert!(!Linked::default().has(&members), "another read begins anew");
    }

    #[test]
    fn the_next_link_is_found_wherever_it_stands() {
        let own = r#"<https://acme.okta.com/api/v1/users?limit=2>; rel="self""#;
        let next_one = r#"<https://acme.okta.com/api/v1/users?after=a,b;c&limit=2>; rel="next""#;
        let address = || Paging::Next("https://acme.okta.com/api/v1/users?after=a,b;c&limit=2".to_owned());
        let next = |map: &HeaderMap| paging(map);
        assert_eq!(next(&headers(&[own, next_one])), address());
        assert_eq!(next(&headers(&[next_one, own])), address(), "not the last header alone");
        assert_eq!(next(&headers(&[&format!("{own}, {next_one}")])), address(), "folded into one");
        assert_eq!(next(&headers(&[&format!("{next_one},{own}")])), address());
        assert_eq!(next(&headers(&[r#"</x>; title="a, b"; REL=Next"#])), Paging::Next("/x".to_owned()));
        assert_eq!(next(&headers(&["<", next_one])), address(), "whatever stands beside it");
    }

    #[test]
    fn the_end_is_told_by_links_without_a_next_one_and_by_nothing_else() {
        let own = r#"<https://acme.okta.com/api/v1/users?limit=2>; rel="self""#;
        assert_eq!(paging(&headers(&[own])), Paging::Last);
        assert_eq!(paging(&headers(&[r#"</style.css>; rel=preload"#, own])), Paging::Last);
        let untold: [&[&str]; 5] = [&[], &[""], &[r#"<x>; rel="nextish""#], &[r#"<x>; title="rel=next""#], &["<x>"]];
        for none in untold {
            assert_eq!(paging(&headers(none)), Paging::Untold, "{none:?}");
        }
        for garbled in ["<", "<unfinished", "https://acme.okta.com/x; rel=next", &format!("{own}, <https://acme")] {
            assert_eq!(paging(&headers(&[garbled])), Paging::Garbled, "{garbled}");
        }
        let mut octets = HeaderMap::new();
        octets.insert(LINK, http::HeaderValue::from_bytes(b"<https://acme.okta.com/\xff>; rel=next").unwrap());
        assert_eq!(paging(&octets), Paging::Garbled);
    }

    #[test]
    fn only_the_organisations_own_hosts_are_followed() {
        let org = Url::parse("https://acme.okta.com").unwrap();
        for good in ["https://acme.okta.com/api/v1/users?after=x", "/api/v1/users", "https://acme-admin.okta.com:443/x"] {
            assert!(own(&org, good).is_some(), "{good}");
        }
        for bad in [
            "https://evil.example/api/v1/users",
            "https://acme.okta.com.evil.example/x",
            "https://other.okta.com/x",
            "https://acme-admin.evil.example/x",
            "http://acme.okta.com/x",
            "https://acme.okta.com:8443/x",
            "https://user@acme.okta.com/x",
            "//evil.example/x",
            "file:///etc/passwd",
        ] {
            assert!(own(&org, bad).is_none(), "{bad}");
        }
        let custom = Url::parse("https://id-admin.acme.example").unwrap();
        assert!(own(&custom, "https://id.acme.example/x").is_none(), "-admin means something at Okta's own domains only");
        let local = Url::parse("http://127.0.0.1:8080").unwrap();
        assert!(own(&local, "http://127.0.0.1:8080/x").is_some() && own(&local, "http://127.0.0.1:8081/x").is_none());
    }
}
