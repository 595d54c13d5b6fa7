//! What makes an address one that mail could reach, judged by its form alone.

use unicode_normalization::UnicodeNormalization;

/// Suffixes that no public name ends in, although directories are named so: RFC 6762 appendix G, RFC 6761 section 6,
/// ICANN's collision list (`corp`, `home`), and `internal`.
const PRIVATE: &[&str] =
    &["local", "internal", "lan", "localdomain", "corp", "home", "localhost", "intranet", "private", "invalid"];

/// An address, or any name, in the form in which two are compared: trimmed, composed (NFC), in lower case, an
/// internationalised domain in its Unicode form (RFC 5891), whichever way it was written.
#[must_use]
pub fn folded(address: &str) -> String {
    let lower = address.trim().nfc().collect::<String>().to_lowercase();
    match lower.rsplit_once('@') {
        Some((local, domain)) if domain.contains("xn--") => {
            format!("{local}@{}", unicode_domain(domain).unwrap_or(domain.to_owned()))
        }
        _ => lower,
    }
}

/// Whether mail could reach the address, by its form.
#[must_use]
pub fn is_routable(address: &str) -> bool {
    refusal(address.trim()).is_none()
}

/// The Unicode form of a domain (UTS 46); `None` where it is none.
pub(super) fn unicode_domain(domain: &str) -> Option<String> {
    let (name, valid) = idna::domain_to_unicode(domain);
    valid.is_ok().then_some(name)
}

/// Why `address` is not routable; `None`: it is.
///
/// RFC 5321 section 4.5.3.1 for lengths, section 4.1.2 for the local part (quoted local parts are refused: no application
/// takes them as a user ID), RFC 1035 section 2.3.1 for labels, letters of any script allowed.
pub(super) fn refusal(address: &str) -> Option<String> {
    let Some((local, domain)) = address.split_once('@') else { return Some("it has no @".to_owned()) };
    if domain.contains('@') {
        return Some("it has more than one @".to_owned());
    }
    if address.len() > 254 {
        return Some("it is longer than 254 bytes".to_owned());
    }
    if let Some(why) = local_refusal(local) {
        return Some(why.to_owned());
    }
    domain_refusal(domain)
}

fn local_refusal(local: &str) -> Option<&'static str> {
    if local.is_empty() {
        return Some("nothing stands before the @");
    }
    if local.len() > 64 {
        return Some("more than 64 bytes stand before the @");
    }
    if local.chars().any(|c| c.is_whitespace() || c.is_control() || is_invisible(c)) {
        return Some("it has a space or an invisible character");
    }
    if local.contains(['(', ')', '<', '>', '[', ']', ':', ';', ',', '\\', '"']) {
        return Some("a character before the @ is not allowed in an address");
    }
    if local.starts_with('.') || local.ends_with('.') || local.contains("..") {
        return Some("the dots before the @ are misplaced");
    }
    None
}

/// Why `domain` is not one that mail could reach.
pub(super) fn domain_refusal(domain: &str) -> Option<String> {
    let labels: Vec<&str> = domain.split('.').collect();
    let last = labels.last().copied().unwrap_or_default();
    if labels.len() < 2 {
        return Some(format!("`{domain}` is not a full domain name"));
    }
    if domain.len() > 253 || labels.iter().any(|l| !is_label(l)) || last.bytes().all(|b| b.is_ascii_digit()) {
        return Some(format!("`{domain}` is not a valid domain name"));
    }
    if PRIVATE.iter().any(|p| last.eq_ignore_ascii_case(p)) {
        return Some(format!("`.{last}` is not routable"));
    }
    None
}

fn is_label(label: &str) -> bool {
    !label.is_empty()
        && label.len() <= 63
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.chars().all(|c| c == '-' || c.is_alphanumeric() || unicode_normalization::char::is_combining_mark(c))
}

/// Characters that show nothing and make two addresses look like one (zero width, direction marks, byte order mark).
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2064}' | '\u{feff}')
}
