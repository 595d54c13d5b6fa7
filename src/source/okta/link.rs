//! Paging: the `next` link among the Link headers (RFC 8288), and whether it may be followed.

use http::HeaderMap;
use http::header::LINK;
use url::Url;

/// The address of the next page, as written; `None`: this was the last one. Okta sends one header for each link; a proxy
/// may have folded them into one with commas.
pub(super) fn next(headers: &HeaderMap) -> Option<String> {
    headers.get_all(LINK).iter().filter_map(|value| value.to_str().ok()).find_map(next_in)
}

fn next_in(header: &str) -> Option<String> {
    let mut rest = header;
    // An address may hold commas and semicolons, so `<` and `>` lead.
    while let Some((_, behind)) = rest.split_once('<') {
        let (address, behind) = behind.split_once('>')?;
        let parameters = &behind[..end_of_parameters(behind)];
        let is_next = parameters.split(';').any(|p| {
            p.split_once('=').is_some_and(|(name, value)| {
                name.trim().eq_ignore_ascii_case("rel")
                    && value.trim().trim_matches('"').split_ascii_whitespace().any(|rel| rel.eq_ignore_ascii_case("next"))
            })
        });
        if is_next {
            return Some(address.to_owned());
        }
        rest = behind;
    }
    None
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
    fn the_next_link_is_found_wherever_it_stands() {
        let own = r#"<https://acme.okta.com/api/v1/users?limit=2>; rel="self""#;
        let next_one = r#"<https://acme.okta.com/api/v1/users?after=a,b;c&limit=2>; rel="next""#;
        let address = Some("https://acme.okta.com/api/v1/users?after=a,b;c&limit=2".to_owned());
        assert_eq!(next(&headers(&[own, next_one])), address);
        assert_eq!(next(&headers(&[next_one, own])), address, "not the last header alone");
        assert_eq!(next(&headers(&[&format!("{own}, {next_one}")])), address, "folded into one");
        assert_eq!(next(&headers(&[&format!("{next_one},{own}")])), address);
        assert_eq!(next(&headers(&[r#"</x>; title="a, b"; REL=Next"#])), Some("/x".to_owned()));
        for none in [own, "", "<", "<unfinished", r#"<x>; rel="nextish""#, r#"<x>; title="rel=next""#] {
            assert_eq!(next(&headers(&[none])), None, "{none}");
        }
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
