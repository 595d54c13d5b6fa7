//! Result codes (RFC 4511 appendix A) as errors that say what to do.

use crate::source::SourceError;

/// The name of a result code.
#[must_use]
pub fn code_name(code: u32) -> &'static str {
    match code {
        0 => "success",
        1 => "operationsError",
        2 => "protocolError",
        3 => "timeLimitExceeded",
        4 => "sizeLimitExceeded",
        7 => "authMethodNotSupported",
        8 => "strongerAuthRequired",
        10 => "referral",
        11 => "adminLimitExceeded",
        12 => "unavailableCriticalExtension",
        13 => "confidentialityRequired",
        19 => "constraintViolation",
        32 => "noSuchObject",
        34 => "invalidDNSyntax",
        48 => "inappropriateAuthentication",
        49 => "invalidCredentials",
        50 => "insufficientAccessRights",
        51 => "busy",
        52 => "unavailable",
        53 => "unwillingToPerform",
        80 => "other",
        _ => "unexpected result",
    }
}

/// Name, number and the server's own words.
#[must_use]
pub fn describe(code: u32, text: &str) -> String {
    let text = text.trim().trim_end_matches('\0');
    let sep = if text.is_empty() { "" } else { ": " };
    format!("{} ({code}){sep}{text}", code_name(code))
}

/// What Active Directory's `data` code in a failed bind means (Microsoft, "LDAP bind errors" / Win32 error codes).
fn ad_data(text: &str) -> Option<&'static str> {
    let code = text.split("data ").nth(1)?.split([',', ' ']).next()?;
    Some(match code {
        "525" => "no such account",
        "52e" => "wrong name or password",
        "530" => "the account may not log on at this hour",
        "531" => "the account may not log on from this host (userWorkstations)",
        "51f" => "the server cannot bind like this: give bind_dn as a DN or user@domain",
        "568" => "the account is in too many groups to log on",
        "532" => "the account's password has expired: set a new one, or let it never expire",
        "533" => "the account is disabled",
        "701" => "the account has expired",
        "773" => "the account must change its password first",
        "775" => "the account is locked out",
        _ => return None,
    })
}

/// Whether the text of a failed bind is about the account itself, whichever server is asked: disabled, expired, locked, ..
#[cfg(feature = "kerberos")]
pub fn is_of_account(text: &str) -> bool {
    ad_data(text).is_some_and(|_| !text.contains("data 52e") && !text.contains("data 51f")) || policy(None, text).is_some()
}

/// Whether the text of a failed bind says why it failed.
#[cfg(any(feature = "kerberos", test))]
#[must_use]
pub fn says_why(text: &str) -> bool {
    text.contains(BAD_BINDINGS) || ad_data(text).is_some() || policy(None, text).is_some()
}

const LOCKED: &str = "the account is locked: unlock it, and see who signs in with a wrong password";

/// Whether the account is locked by the password policy of this server: of wrong passwords most of them count their own.
#[must_use]
pub fn is_locked(policy_error: Option<u8>, text: &str) -> bool {
    policy(policy_error, text) == Some(LOCKED)
}

/// What a server with a password policy says of the account: by number in the control (`passwordExpired`, `accountLocked`,
/// `changeAfterReset`), else in the words of 389 Directory Server, FreeIPA and OpenLDAP.
fn policy(error: Option<u8>, text: &str) -> Option<&'static str> {
    const EXPIRED: &str =
        "the account's password has expired: set a new one, or give the account a password policy by which it never does";
    const CHANGE: &str =
        "the account's password must be changed first: it was set by an administrator (pwdReset, passwordMustChange)";
    const DISABLED: &str = "the account is disabled or has expired";
    let says = |words: &[&str]| words.iter().any(|w| text.to_lowercase().contains(w));
    match error {
        _ if says(&["account inactivated", "principal) is expired"]) => Some(DISABLED),
        Some(0) => Some(EXPIRED),
        Some(1) => Some(LOCKED),
        Some(2) => Some(CHANGE),
        _ if says(&["password expired"]) => Some(EXPIRED),
        _ if says(&["password retry limit", "too many failed logins"]) => Some(LOCKED),
        _ if says(&["restricted to bind/"]) => Some(CHANGE),
        _ => None,
    }
}

/// A bind that was accepted and is good for nothing but a new password.
#[must_use]
pub fn bind_restricted(name: &str, who: &str, policy_error: Option<u8>) -> Option<SourceError> {
    let why = policy(policy_error.filter(|e| *e == 2), "")?;
    let message = format!("the bind as {who} is of no use: {why}");
    Some(SourceError::Auth { source_name: name.to_owned(), message })
}

/// SEC_E_BAD_BINDINGS: the channel-binding token does not fit or is missing.
const BAD_BINDINGS: &str = "80090346";
/// ERROR_DS_STRONG_AUTH_REQUIRED: "The server requires binds to turn on integrity checking".
const SIGNING_REQUIRED: &str = "00002028";

/// A bind that was refused; with the error of the password policy, if the server said one.
#[must_use]
pub fn bind_refused(name: &str, who: &str, code: u32, text: &str, policy_error: Option<u8>) -> SourceError {
    let source_name = name.to_owned();
    let said = describe(code, text);
    let by_policy = policy(policy_error, text);
    let advice = match code {
        _ if by_policy.is_some() => format!(": {}", by_policy.unwrap_or_default()),
        _ if text.contains(BAD_BINDINGS) => {
            ": the server demands channel binding for SASL (LdapEnforceChannelBinding), and what stands between took TLS apart; \
             connect to the domain controller itself by ldaps:// or starttls = true"
                .to_owned()
        }
        49 => match ad_data(text) {
            Some(meaning) => format!(": {meaning}"),
            None => ": wrong bind_dn or password, or the account is locked (a server need not say which)".to_owned(),
        },
        8 if text.contains(SIGNING_REQUIRED) => {
            ": the server demands signing (LDAPServerIntegrity), which a bind inside TLS satisfies; use ldaps:// or starttls = true"
                .to_owned()
        }
        8 | 13 => ": the server wants an encrypted connection; use ldaps:// or starttls = true".to_owned(),
        7 | 48 | 53 => ": this way of binding is not allowed; set bind_dn and password of an account that may bind".to_owned(),
        32 | 34 | 50 => ": check bind_dn".to_owned(),
        _ => String::new(),
    };
    let message = format!("the bind as {who} was refused{advice}; the server said {said}");
    match code {
        _ if by_policy.is_some() => SourceError::Auth { source_name, message },
        7 | 8 | 13 | 32 | 34 | 48 | 49 | 50 | 53 => SourceError::Auth { source_name, message },
        _ => SourceError::Connect { source_name, message },
    }
}

/// What was being read when it failed.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// Name of the source.
    pub source: &'a str,
    /// People, groups, ...
    pub what: &'a str,
    /// Search base.
    pub base: &'a str,
    /// Who is bound.
    pub who: &'a str,
    /// Page, from 1.
    pub page: u64,
    /// Entries of this search before.
    pub entries: u64,
}

impl Place<'_> {
    /// The read is not complete, and nothing of it may be used.
    #[must_use]
    pub fn incomplete(&self, why: &str) -> SourceError {
        let Place { source, what, page, entries, .. } = *self;
        let message = format!("reading {what} (page {page}, {entries} entries so far): {why}");
        SourceError::Incomplete { source_name: source.to_owned(), message }
    }

    /// A search that did not end with success.
    #[must_use]
    pub fn refused(&self, code: u32, text: &str, referrals: &[String]) -> SourceError {
        let said = describe(code, text);
        let Place { base, who, .. } = *self;
        match code {
            3 | 4 | 11 => self.incomplete(&format!(
                "the server stopped with {said}; raise the limits of the account {who} \
                 (OpenLDAP: limits dn.exact=\"{who}\" size=unlimited time=unlimited size.prtotal=unlimited; \
                 389 DS, FreeIPA: nsSizeLimit, nsLookThroughLimit, nsTimeLimit, nsPagedSizeLimit on the account; \
                 Active Directory: page_size at most MaxPageSize, MaxQueryDuration)"
            )),
            10 => self.incomplete(&format!(
                "the server answered with a referral{}{}: the base {base} is on another server; set url to it. \
                 Referrals are not followed",
                if referrals.is_empty() { "" } else { " to " },
                referrals.join(", ")
            )),
            12 => self.incomplete(&format!("{said}: the server does not give this account paged results")),
            32 => self.incomplete(&format!(
                "the base {base} does not exist, or the account {who} may not see it; the server said {said}"
            )),
            34 => self.incomplete(&format!("the base {base} is not a distinguished name; the server said {said}")),
            51 | 52 => self.incomplete(&format!("the server is {said}; the next cycle tries again")),
            50 | 53 if policy(None, text).is_some() => {
                let why = policy(None, text).unwrap_or_default();
                let message = format!("{who} may read nothing: {why}; the server said {said}");
                SourceError::Auth { source_name: self.source.to_owned(), message }
            }
            8 | 13 | 48 | 50 => self.auth(&said),
            // Active Directory: "In order to perform this operation a successful bind must be completed".
            1 if text.contains("successful bind") => self.auth(&said),
            _ => self.incomplete(&format!("the server answered {said}")),
        }
    }

    fn auth(&self, said: &str) -> SourceError {
        let Place { source, what, base, who, .. } = *self;
        let message = format!("{who} may not read {what} under {base}: {said}; give the account the right to read");
        SourceError::Auth { source_name: source.to_owned(), message }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn active_directory_says_why() {
        let text = "80090308: LdapErr: DSID-0C09041C, comment: AcceptSecurityContext error, data 532, v4563\0";
        let e = bind_refused("corp", "CN=svc", 49, text, None);
        assert!(matches!(&e, SourceError::Auth { message, .. } if message.contains("password has expired")), "{e}");
        assert!(!e.to_string().contains('\0'));
        let e = bind_refused("corp", "CN=svc", 49, "data zzz", None);
        assert!(e.to_string().contains("wrong bind_dn or password"), "{e}");
    }

    #[test]
    fn every_code_of_a_failed_bind_has_words() {
        for (code, words) in [
            ("525", "no such account"),
            ("52e", "wrong name or password"),
            ("532", "expired"),
            ("533", "disabled"),
            ("701", "account has expired"),
            ("773", "must change its password"),
            ("775", "locked out"),
        ] {
            let text = format!("80090308: LdapErr: DSID-0C090439, comment: AcceptSecurityContext error, data {code}, v4563");
            let e = bind_refused("corp", "CN=svc", 49, &text, None);
            assert!(matches!(&e, SourceError::Auth { message, .. } if message.contains(words)), "{e}");
        }
        let e = bind_refused(
            "corp",
            "CN=svc",
            49,
            "80090346: LdapErr: DSID-0C090450, comment: AcceptSecurityContext error, data 80090346",
            None,
        );
        assert!(e.to_string().contains("LdapEnforceChannelBinding"), "{e}");
        let e = bind_refused(
            "corp",
            "CN=svc",
            8,
            "00002028: LdapErr: DSID-0C09023D, comment: The server requires binds to turn on",
            None,
        );
        assert!(e.to_string().contains("LDAPServerIntegrity"), "{e}");
    }

    #[test]
    fn a_password_policy_is_told_from_a_wrong_password() {
        for (code, text, error, words) in [
            (49, "", Some(0), "password has expired"),
            (49, "", Some(1), "is locked"),
            (49, "password expired!", None, "password has expired"),
            (19, "Exceed password retry limit. Please try later.", None, "is locked"),
            (53, "Too many failed logins.\n", None, "is locked"),
            (53, "Account inactivated. Contact system administrator.", Some(1), "is disabled"),
            (53, "Account (Kerberos principal) is expired", None, "has expired"),
            (49, "", None, "wrong bind_dn or password, or the account is locked"),
        ] {
            let e = bind_refused("corp", "cn=sync", code, text, error);
            assert!(matches!(&e, SourceError::Auth { message, .. } if message.contains(words)), "{e}");
        }
        assert!(bind_restricted("corp", "cn=sync", Some(2)).unwrap().to_string().contains("must be changed first"));
        assert!(bind_restricted("corp", "cn=sync", None).is_none() && bind_restricted("corp", "cn=sync", Some(0)).is_none());
        let place = Place { source: "corp", what: "people", base: "dc=x", who: "cn=sync", page: 1, entries: 0 };
        let e = place.refused(50, "Operations are restricted to bind/unbind/abandon/StartTLS/modify password", &[]);
        assert!(e.to_string().contains("must be changed first") && !e.to_string().contains("right to read"), "{e}");
    }

    #[test]
    fn limits_and_bases_are_named() {
        let place = Place { source: "corp", what: "people", base: "dc=x", who: "cn=sync", page: 2, entries: 500 };
        let e = place.refused(4, "", &[]);
        assert!(matches!(&e, SourceError::Incomplete { message, .. } if message.contains("limits dn.exact=\"cn=sync\"")), "{e}");
        assert!(place.refused(32, "", &[]).to_string().contains("dc=x"));
        assert!(place.refused(10, "", &["ldap://b".to_owned()]).to_string().contains("ldap://b"));
        assert!(matches!(place.refused(50, "", &[]), SourceError::Auth { .. }));
    }
}
