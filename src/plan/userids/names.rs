//! Names of accounts from before: `jdoe`, `CORP\jdoe`, `jdoe@corp.local`. Pure.

use unicode_normalization::UnicodeNormalization;

/// A name in the form in which names are compared: trimmed, composed (NFC), in lower case.
pub(crate) fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text.trim().to_ascii_lowercase();
    }
    text.trim().nfc().collect::<String>().to_lowercase()
}

/// A name from before, taken apart; every part folded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Legacy {
    /// `jdoe`.
    Bare(String),
    /// `CORP\jdoe`.
    Netbios {
        /// `corp`.
        domain: String,
        /// `jdoe`.
        name: String,
    },
    /// `jdoe@corp.local`: a UPN, an address, or a Kerberos principal.
    At {
        /// The whole.
        address: String,
        /// `jdoe`.
        local: String,
        /// `corp.local`.
        domain: String,
    },
}

impl Legacy {
    /// Takes a name apart.
    pub(super) fn of(name: &str) -> Self {
        if let Some((domain, name)) = name.split_once('\\') {
            return Self::Netbios { domain: fold(domain), name: fold(name) };
        }
        let address = crate::mapping::folded_address(name);
        match address.rsplit_once('@').map(|(l, d)| (l.to_owned(), d.to_owned())) {
            Some((local, domain)) => Self::At { address, local, domain },
            None => Self::Bare(address),
        }
    }
}

/// `corp.local` of `CN=Jane,OU=People,DC=corp,DC=local` (RFC 2247), folded; empty where the DN does not say.
pub(super) fn suffix(dn: &str) -> String {
    let mut labels = Vec::new();
    for part in dn.rsplit(',') {
        match part.trim().split_once('=') {
            Some((kind, label)) if kind.trim().eq_ignore_ascii_case("dc") => labels.push(fold(label)),
            _ => break,
        }
    }
    labels.reverse();
    labels.join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_told_apart_whatever_the_case() {
        assert_eq!(Legacy::of(" JDoe "), Legacy::Bare("jdoe".into()));
        assert_eq!(Legacy::of("CORP\\JDoe"), Legacy::Netbios { domain: "corp".into(), name: "jdoe".into() });
        let at = Legacy::At { address: "jdoe@corp.local".into(), local: "jdoe".into(), domain: "corp.local".into() };
        assert_eq!(Legacy::of("JDOE@CORP.LOCAL"), at);
        assert_eq!(Legacy::of("jo\u{308}rg"), Legacy::Bare("jörg".into()));
        assert_eq!(suffix("CN=Doe\\, J,OU=P,dc=Corp, DC = Local"), "corp.local");
        assert_eq!(suffix("uid=x,ou=people"), "");
    }
}
