//! Single values: texts that mean something.

use super::duration::parse_duration;
use super::node::Value;
use super::schedule::{Schedule, ScheduleError};
use super::spec::{Kind, nearest, quoted};
use super::types::Limit;
use std::path::Path;
use toml::de::DeValue;
use url::Url;

/// What is wrong with a value, and what to do.
#[derive(Debug)]
pub(super) struct Mistake {
    pub(super) message: String,
    pub(super) hint: String,
}

fn mistake<T>(message: impl Into<String>, hint: impl Into<String>) -> Result<T, Mistake> {
    Err(Mistake { message: message.into(), hint: hint.into() })
}

/// Reads a value that is not a table, a list or a secret.
pub(super) fn leaf(kind: &Kind, value: &DeValue<'_>, folder: &Path) -> Result<Value, Mistake> {
    match (kind, value) {
        (Kind::Bool, DeValue::Boolean(b)) => Ok(Value::Bool(*b)),
        (Kind::Bool, DeValue::String(s)) if matches!(s.as_ref(), "true" | "false") => {
            mistake("expected true or false, found text", format!("write {s} without quotes"))
        }
        (Kind::Bool, DeValue::String(s)) if matches!(s.to_lowercase().as_str(), "yes" | "on" | "no" | "off") => {
            let right = matches!(s.to_lowercase().as_str(), "yes" | "on");
            mistake("expected true or false, found text", format!("write {right}"))
        }
        (Kind::Integer(min, max), DeValue::Integer(_)) => match integer(value) {
            Some(n) if (*min..=*max).contains(&n) => Ok(Value::Integer(n)),
            _ if min == max => mistake(format!("must be {min}"), "this program reads no other version"),
            _ => mistake(format!("must be {}", kind.expected()), ""),
        },
        (Kind::Integer(..), DeValue::String(s)) if s.parse::<i64>().is_ok() => {
            mistake(format!("expected {}, found text", kind.expected()), format!("write {s} without quotes"))
        }
        (Kind::Limit, DeValue::Integer(_)) => match integer(value).and_then(|n| u64::try_from(n).ok()) {
            Some(n) => Ok(Value::Limit(Limit::Count(n))),
            None => mistake("a limit cannot be negative", "0 means never without approval; \"unlimited\" means no limit"),
        },
        (Kind::AnyText, DeValue::String(s)) => Ok(Value::Text(s.to_string())),
        (_, DeValue::String(s)) => text(kind, s, folder),
        (kind, other) => mistake(format!("expected {}, found {}", kind.expected(), found(other)), ""),
    }
}

fn text(kind: &Kind, text: &str, folder: &Path) -> Result<Value, Mistake> {
    let wrong_type = || mistake(format!("expected {}, found text", kind.expected()), "");
    match kind {
        Kind::Limit => limit(text).map(Value::Limit),
        Kind::List(_) => mistake(format!("expected {}, found text", kind.expected()), format!("write [{text:?}]")),
        Kind::Bool | Kind::Integer(..) => wrong_type(),
        Kind::Table(_) | Kind::Tables(_) | Kind::Named(_) | Kind::Typed(_) | Kind::Pairs | Kind::Names | Kind::Rows => {
            wrong_type()
        }
        _ if text.trim().is_empty() => mistake("cannot be empty", ""),
        Kind::Duration => match parse_duration(text) {
            Ok(length) => Ok(Value::Duration(length)),
            Err(message) => mistake(message, ""),
        },
        Kind::Url(schemes) => url(text, schemes).map(Value::Url),
        Kind::Path | Kind::Input => Ok(Value::Path(folder.join(text))),
        Kind::Listen => listen(text).map(Value::Text),
        Kind::Cron => schedule(text, "UTC").map(|()| Value::Text(text.to_owned())),
        Kind::Zone => schedule("@daily", text).map(|()| Value::Text(text.to_owned())),
        Kind::Choice(words) if words.contains(&text) => Ok(Value::Text(text.to_owned())),
        Kind::Choice(words) => mistake(format!("{text:?} is not known"), choice_hint(text, words)),
        Kind::LdapFilter => ldap_filter(text).map(|()| Value::Text(text.to_owned())),
        Kind::Rate => rate(text).map(Value::Rate),
        _ => Ok(Value::Text(text.to_owned())),
    }
}

/// What a value is, for "found …".
pub(super) fn found(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    }
}

/// All that may stand there, with the nearest in front.
pub(super) fn choice_hint(written: &str, words: &[&str]) -> String {
    match nearest(written, words.iter().copied()) {
        Some(word) if words.len() == 1 => format!("did you mean \"{word}\"?"),
        Some(word) => format!("did you mean \"{word}\"? One of {}", quoted(words)),
        None => format!("one of {}", quoted(words)),
    }
}

fn integer(value: &DeValue<'_>) -> Option<i64> {
    let n = value.as_integer()?;
    i64::from_str_radix(n.as_str(), n.radix()).ok()
}

fn limit(text: &str) -> Result<Limit, Mistake> {
    const HINT: &str = "write a count (10), a share (\"5%\") or \"unlimited\"";
    let text = text.trim();
    if text == "unlimited" {
        return Ok(Limit::Unlimited);
    }
    if let Some(number) = text.strip_suffix('%') {
        let number = number.trim_end();
        let plain = number.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        return match number.parse::<f64>() {
            Ok(share) if plain && share <= 100.0 => Ok(Limit::Percent(share)),
            Ok(_) if plain => mistake(format!("{text:?} is more than everything"), "a share is between \"0%\" and \"100%\""),
            _ => mistake(format!("{text:?} is not a share"), HINT),
        };
    }
    match text.parse::<u64>() {
        Ok(n) => mistake("a count stands without quotes", format!("write {n}, or \"{n}%\" for a share")),
        Err(_) => mistake(format!("{text:?} is not a limit"), HINT),
    }
}

fn rate(text: &str) -> Result<f64, Mistake> {
    const HINT: &str = "write requests and a time: \"25/s\", \"100/m\" or \"5000/h\"";
    let Some((count, unit)) = text.split_once('/') else { return mistake(format!("{text:?} is not a rate"), HINT) };
    let seconds = match unit.trim() {
        "s" | "sec" | "second" => 1.0,
        "m" | "min" | "minute" => 60.0,
        "h" | "hour" => 3600.0,
        _ => return mistake(format!("{text:?} is not a rate"), HINT),
    };
    match count.trim().parse::<u32>() {
        Ok(0) => mistake("a rate of 0 would never send anything", HINT),
        Ok(n) => Ok(f64::from(n) / seconds),
        Err(_) => mistake(format!("{text:?} is not a rate"), HINT),
    }
}

fn url(text: &str, schemes: &[&str]) -> Result<Url, Mistake> {
    let examples = schemes.iter().map(|s| format!("{s}://")).collect::<Vec<_>>().join(" or ");
    let url = match Url::parse(text.trim()) {
        Ok(url) => url,
        Err(url::ParseError::RelativeUrlWithoutBase) => {
            return mistake("the URL has no scheme", format!("begin with {examples}"));
        }
        Err(e) => return mistake(format!("not a URL: {e}"), ""),
    };
    // `host:636` parses as scheme `host`.
    if !schemes.contains(&url.scheme()) {
        return mistake(format!("the URL begins with {}:", url.scheme()), format!("begin with {examples}"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return mistake(
            "a URL must not hold a name or a password",
            "they have keys of their own, where the secret is a reference",
        );
    }
    if url.scheme() != "ldapi" && url.host_str().is_none_or(str::is_empty) {
        return mistake("the URL has no host", "");
    }
    if url.fragment().is_some() {
        return mistake("the URL has a fragment (#…), which is never sent", "leave it out");
    }
    if url.scheme().starts_with("ldap") && (!matches!(url.path(), "" | "/") || url.query().is_some()) {
        return mistake(
            "the URL names more than a server",
            "the DN to read from stands in `base`, the filter in `user_filter` and `group_filter`",
        );
    }
    Ok(url)
}

fn listen(text: &str) -> Result<String, Mistake> {
    let right = match text.parse::<std::net::SocketAddr>() {
        Ok(_) => true,
        Err(_) => text.rsplit_once(':').is_some_and(|(host, port)| {
            !host.is_empty()
                && port.parse::<u16>().is_ok()
                && host.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '.')
        }),
    };
    if right {
        Ok(text.to_owned())
    } else {
        mistake(format!("{text:?} is not an address and port"), "write \"127.0.0.1:9464\" or \"[::1]:9464\"")
    }
}

fn schedule(crontab: &str, zone: &str) -> Result<(), Mistake> {
    match Schedule::parse(crontab, zone) {
        Ok(_) => Ok(()),
        Err(e @ ScheduleError::Fields { found: 6 }) => mistake(e.to_string(), "there is no field for seconds"),
        Err(e @ ScheduleError::Fields { .. }) => {
            mistake(e.to_string(), "every five minutes is \"*/5 * * * *\", every night at three \"0 3 * * *\"")
        }
        Err(e @ ScheduleError::Zone { .. }) => {
            let hint = match &e {
                ScheduleError::Zone { nearest: Some(name), .. } => format!("did you mean \"{name}\"?"),
                _ => "an IANA name, such as \"Europe/Copenhagen\" or \"UTC\"".to_owned(),
            };
            mistake(e.to_string(), hint)
        }
        Err(e @ ScheduleError::Never) => mistake(format!("{e} {crontab:?}"), "the day does not exist in any of the months"),
        Err(e) => mistake(e.to_string(), "five fields: minute hour day month weekday; Monday is 1"),
    }
}

/// Only what can be said without a server: RFC 4515 writes parentheses inside values as `\28` and `\29`, so they pair up.
fn ldap_filter(text: &str) -> Result<(), Mistake> {
    let mut depth = 0_i64;
    for b in text.bytes() {
        depth += i64::from(b == b'(') - i64::from(b == b')');
        if depth < 0 {
            return mistake("a closing parenthesis has no opening one", "");
        }
    }
    if depth > 0 {
        return mistake("a parenthesis is not closed", format!("{depth} closing missing"));
    }
    if text.contains(" eq ") {
        return mistake(
            "this is a SCIM filter",
            "here stands an LDAP filter, such as \"(department=Sales)\"; a SCIM filter stands in [sync.scope]",
        );
    }
    if !text.contains('=') {
        return mistake(format!("{text:?} is not an LDAP filter"), "write \"(objectClass=person)\"");
    }
    Ok(())
}

/// The part of an address behind the `@`.
pub(super) fn mail_domain(text: &str) -> Result<String, Mistake> {
    const HINT: &str = "write the domain of the addresses, such as \"corp.example\"";
    let domain = text.trim().trim_start_matches('@');
    let label = |l: &str| !l.is_empty() && l.chars().all(|c| c.is_alphanumeric() || c == '-');
    if domain.contains('.') && domain.split('.').all(label) {
        Ok(domain.to_owned())
    } else {
        mistake(format!("{text:?} is not a mail domain"), HINT)
    }
}
