//! The user ID: from the attributes that the policy names, the first that gives a routable address.

use super::address::{domain_refusal, folded, refusal, unicode_domain};
use super::attr::{Context, SourceAttr};
use super::spec::{MappingError, UserIdPolicy};
use super::transliterate::ascii;
use super::world::domain_key;
use crate::model::Entry;
use std::collections::{BTreeMap, BTreeSet};
use unicode_normalization::{UnicodeNormalization, is_nfc};

/// A user ID and where it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserId {
    /// The address.
    pub address: String,
    /// The attribute that gave it, and what was done to it: `mail`, `userPrincipalName (guest)`.
    pub origin: String,
    /// It was made up, from a UPN or an account name: it counts only where nobody else has this address.
    pub constructed: bool,
}

/// A compiled policy.
#[derive(Debug)]
pub(super) struct UserIds {
    sources: Vec<(Source, SourceAttr)>,
    /// Keys in lower case.
    domains: BTreeMap<String, String>,
    lowercase: bool,
    transliterate: Option<String>,
    principal: SourceAttr,
    /// Where people's and groups' own addresses stand.
    own: [SourceAttr; 2],
}

/// How an attribute gives an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    /// The primary address among prefixed ones (`SMTP:`).
    Proxy,
    /// A user principal name; a guest's is unwrapped.
    Principal,
    /// A logon name to which `domains` adds the domain.
    Logon,
    /// The value is the address.
    Address,
}

impl UserIds {
    /// Compiles the policy; every mistake lands in `errors`.
    pub(super) fn compile(policy: &UserIdPolicy, errors: &mut Vec<MappingError>) -> Self {
        let mut error = |key: &str, message: String, hint: Option<&str>| {
            let (key, hint) = (format!("user_id.{key}"), hint.map(str::to_owned));
            errors.push(MappingError { key, line: 0, offset: None, message, hint });
        };
        if policy.from.is_empty() {
            error("from", "names no attribute".to_owned(), Some("write from = [\"mail\"]"));
        }
        let mut domains = BTreeMap::new();
        for (key, domain) in &policy.domains {
            if let Some(why) = domain_refusal(domain) {
                error("domains", format!("{key} = {domain:?}: {why}"), None);
            }
            let name = domain_key(key);
            if name.is_empty() {
                error("domains", "a key is empty".to_owned(), Some("write the NETBIOS name or the suffix"));
            } else if domains.insert(name, domain.to_lowercase()).is_some() {
                error("domains", format!("{key} is there twice (case does not matter)"), None);
            }
        }
        let mut sources = Vec::new();
        for name in policy.from.iter().map(|n| n.trim()) {
            let attr = SourceAttr::new(name);
            let source = match name.to_ascii_lowercase().as_str() {
                "proxyaddresses" => Source::Proxy,
                "userprincipalname" => Source::Principal,
                "samaccountname" => Source::Logon,
                _ => Source::Address,
            };
            if name.is_empty() || attr.is_user_id() {
                error("from", format!("`{name}` is not an attribute"), None);
            }
            if source == Source::Logon && domains.is_empty() {
                let hint = "write domains = { CORP = \"corp.example\" }";
                error("from", format!("{name} has no domain of its own and domains is empty"), Some(hint));
            }
            sources.push((source, attr));
        }
        Self {
            sources,
            domains,
            lowercase: policy.lowercase,
            transliterate: policy.transliterate.clone(),
            principal: SourceAttr::new("msDS-PrincipalName"),
            own: ["mail", "proxyAddresses"].map(SourceAttr::new),
        }
    }

    /// Attributes to ask the source for.
    pub(super) fn attributes(&self) -> impl Iterator<Item = &SourceAttr> {
        let logon = self.sources.iter().any(|(source, _)| *source == Source::Logon);
        let own = self.own.iter().filter(|_| self.constructs());
        self.sources.iter().map(|(_, attr)| attr).chain(logon.then_some(&self.principal)).chain(own)
    }

    /// Whether addresses are made up from UPNs or account names.
    pub(super) fn constructs(&self) -> bool {
        self.sources.iter().any(|(source, _)| matches!(source, Source::Principal | Source::Logon))
    }

    /// The addresses that an entry has of its own, folded: mail and all proxyAddresses.
    pub(super) fn own_addresses(&self, entry: &Entry) -> BTreeSet<String> {
        let context = Context::new(entry, None, false);
        let values = self.own.iter().flat_map(|attr| attr.read(&context).into_all());
        let address = |v: &str| match v.split_once(':') {
            Some((kind, address)) if kind.eq_ignore_ascii_case("smtp") => Some(folded(address)),
            Some(_) => None,
            None => v.contains('@').then(|| folded(v)),
        };
        values.filter_map(|v| address(v.as_ref())).collect()
    }

    /// A text that changes whenever a result could.
    pub(super) fn print(&self) -> String {
        let from: Vec<&str> = self.sources.iter().map(|(_, attr)| attr.written()).collect();
        let ascii = self.transliterate.as_deref().unwrap_or_default();
        format!("user_id from={from:?} domains={:?} lowercase={} ascii={ascii}", self.domains, self.lowercase)
    }

    /// The user ID of an entry, or what was tried.
    pub(super) fn of(&self, entry: &Entry) -> Result<UserId, String> {
        let context = Context::new(entry, None, false);
        let mut tried = Vec::new();
        for (source, attr) in &self.sources {
            let name = attr.written();
            let values = attr.read(&context).into_all();
            if values.is_empty() {
                tried.push(format!("{name} is empty"));
                continue;
            }
            let values = values.iter().map(AsRef::as_ref);
            match source {
                Source::Proxy => match primary(values) {
                    Ok(address) => match self.settle(address) {
                        Ok(address) => return Ok(UserId { address, origin: name.to_owned(), constructed: false }),
                        Err(why) => tried.push(format!("{name} `{address}`: {why}")),
                    },
                    Err(why) => tried.push(format!("{name} {why}")),
                },
                Source::Logon => {
                    for value in values {
                        match self.logon(value.trim(), entry, &context).and_then(|address| self.settle(&address)) {
                            Ok(address) => {
                                return Ok(UserId { address, origin: format!("{name} and domains"), constructed: true });
                            }
                            Err(why) => tried.push(format!("{name} `{value}`: {why}")),
                        }
                    }
                }
                Source::Principal | Source::Address => {
                    for value in values {
                        let guest = (*source == Source::Principal).then(|| guest_address(value)).flatten();
                        match self.settle(guest.as_deref().unwrap_or(value)) {
                            Ok(address) => {
                                let origin = if guest.is_some() { format!("{name} (guest)") } else { name.to_owned() };
                                return Ok(UserId { address, origin, constructed: *source == Source::Principal });
                            }
                            Err(why) => tried.push(format!("{name} `{value}`: {why}")),
                        }
                    }
                }
            }
        }
        Err(tried.join("; "))
    }

    /// Brings an address into its final form: trimmed, domain rewritten, composed (NFC), lower case when asked.
    fn settle(&self, value: &str) -> Result<String, String> {
        let value = value.trim();
        let mut address = match value.split_once('\\') {
            // DOMAIN\name: the logon form.
            Some((netbios, name)) => match self.domains.get(&netbios.to_lowercase()) {
                Some(domain) => format!("{name}@{domain}"),
                None => return Err(format!("{netbios} is not in domains")),
            },
            None => value.to_owned(),
        };
        if let Some((local, domain)) = address.rsplit_once('@')
            && let Some(new) = self.domains.get(&domain.to_lowercase())
        {
            address = format!("{local}@{new}");
        }
        if self.lowercase && !address.bytes().all(|b| b.is_ascii() && !b.is_ascii_uppercase()) {
            address = address.to_lowercase();
        }
        if !is_nfc(&address) {
            address = address.nfc().collect();
        }
        if let Some((local, domain)) = address.rsplit_once('@')
            && domain.contains("xn--")
            && let Some(domain) = unicode_domain(domain)
        {
            address = format!("{local}@{domain}");
        }
        if is_tombstone(&address) {
            return Err("it is the mangled name of a deleted entry".to_owned());
        }
        if address.contains('#') && address.to_ascii_uppercase().contains("#EXT#") {
            return Err("it is a guest's name in this tenant, not an address".to_owned());
        }
        if let Some(why) = refusal(&address) {
            let mendable = address.split_once('@').is_some_and(|(_, domain)| domain_refusal(domain).is_some());
            return Err(if mendable { format!("{why} (user_id.domains can replace it)") } else { why });
        }
        Ok(address)
    }

    /// Adds the domain to a logon name. It is the entry's own: msDS-PrincipalName, else the DC parts of its DN, else the
    /// only one there is. With several and nothing to tell them apart there is none: a guess would be another person.
    fn logon(&self, name: &str, entry: &Entry, context: &Context<'_>) -> Result<String, String> {
        if name.contains(['@', '\\']) {
            return Ok(name.to_owned());
        }
        let spelled = self.transliterate.as_deref().map(|language| ascii(name, language));
        let name = spelled.as_deref().unwrap_or(name);
        if let Some(principal) = self.principal.read(context).into_first()
            && let Some((netbios, _)) = principal.split_once('\\')
        {
            return match self.domains.get(&netbios.to_lowercase()) {
                Some(domain) => Ok(format!("{name}@{domain}")),
                None => Err(format!("{netbios} (of msDS-PrincipalName) is not in domains")),
            };
        }
        let suffix = entry.dn.as_deref().map(dns_suffix).unwrap_or_default();
        if let Some(domain) = self.domains.get(&suffix) {
            return Ok(format!("{name}@{domain}"));
        }
        let flat: BTreeSet<&String> = self.domains.iter().filter(|(k, _)| !k.contains('.')).map(|(_, v)| v).collect();
        let all: BTreeSet<&String> = self.domains.values().collect();
        match (all.first(), flat.first()) {
            (Some(domain), _) if all.len() == 1 => Ok(format!("{name}@{domain}")),
            (_, Some(domain)) if flat.len() == 1 && suffix.is_empty() => Ok(format!("{name}@{domain}")),
            _ => Err("domains has several domains, and neither msDS-PrincipalName nor the DN says which one it is".to_owned()),
        }
    }
}

/// The primary address: the one with the prefix `SMTP:` in capitals. Other prefixes are other addresses of the person.
fn primary<'a>(values: impl Iterator<Item = &'a str>) -> Result<&'a str, String> {
    let mut found: Vec<&str> = values.filter_map(|v| v.trim().strip_prefix("SMTP:")).map(str::trim).collect();
    found.dedup_by(|a, b| a.eq_ignore_ascii_case(b));
    match found.as_slice() {
        [] => Err("has no SMTP: value".to_owned()),
        [one] => Ok(one),
        several => Err(format!("has several primary addresses ({})", several.join(", "))),
    }
}

/// The address behind a guest's name: `jane_contoso.com#EXT#@tenant` is jane@contoso.com. A domain has no underscore, so
/// the last one was the @.
pub(super) fn guest_address(name: &str) -> Option<String> {
    if !name.contains('#') {
        return None;
    }
    let end = name.to_ascii_uppercase().find("#EXT#")?;
    let (local, domain) = name.get(..end)?.rsplit_once('_')?;
    Some(format!("{local}@{domain}"))
}

/// Names of deleted entries. Entra prefixes them with the object id, 32 hexadecimal digits and then the old address;
/// Active Directory appends a line feed, `DEL:` and the objectGUID (MS-ADTS section 3.1.1.5.5.1.1).
pub(super) fn is_tombstone(name: &str) -> bool {
    if name.contains("\nDEL:") {
        return true;
    }
    let bytes = name.as_bytes();
    let Some((id, rest)) = bytes.split_at_checked(32) else { return false };
    id.iter().all(u8::is_ascii_hexdigit) && rest.first().is_some_and(|b| *b != b'@') && rest.contains(&b'@')
}

/// `corp.local` of `CN=Jane,OU=People,DC=corp,DC=local`: the DC parts at the end (RFC 2247), lower case.
fn dns_suffix(dn: &str) -> String {
    let mut labels = Vec::new();
    for part in dn.rsplit(',') {
        match part.trim().split_once('=') {
            Some((kind, label)) if kind.trim().eq_ignore_ascii_case("dc") => labels.push(label.trim().to_lowercase()),
            _ => break,
        }
    }
    labels.reverse();
    labels.join(".")
}
