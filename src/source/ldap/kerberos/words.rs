//! What goes wrong with Kerberos, in words for whoever administers it.

use crate::source::SourceError;
use crate::source::ldap::result;

/// What the GSSAPI library says went wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Fault {
    /// Error code of the Kerberos library.
    code: i32,
    /// Its own words.
    text: String,
}

/// Codes of the Kerberos library begin here (`krb5_err.et`); the first 128 are the protocol's (RFC 4120 section 7.5.9).
const KRB5: i32 = -1_765_328_384;
/// Codes of its GSSAPI begin here (`gssapi_err_krb5.et`).
const KRB5_GSSAPI: i32 = 39_756_032;

/// Whom and what a fault is about.
#[derive(Debug, Clone, Copy)]
pub struct About<'a> {
    /// Name of the source.
    pub source: &'a str,
    /// The account.
    pub who: &'a str,
    /// The server, as the URL has it.
    pub host: &'a str,
    /// Whether tickets are got by a keytab.
    pub keytab: bool,
}

impl Fault {
    /// Code and words, these in one line.
    pub fn new(code: i32, text: &str) -> Self {
        Self { code, text: text.split_whitespace().collect::<Vec<_>>().join(" ") }
    }

    /// Whether it is about this server or the way to a KDC, and not about the account: another server may do.
    pub fn is_elsewhere(&self) -> bool {
        // KDC_ERR_S_PRINCIPAL_UNKNOWN, KDC_ERR_SVC_UNAVAILABLE, KRB_ERR_GENERIC, KRB5_REALM_UNKNOWN, KRB5_KDC_UNREACH,
        // KRB5_REALM_CANT_RESOLVE
        matches!(self.code.wrapping_sub(KRB5), 7 | 29 | 60 | 154 | 156 | 220)
    }

    /// Whether the ticket had run out. Of a keytab this hides why no new one could be had: the library keeps to the old one for as
    /// long as there is one.
    pub fn is_expired(&self) -> bool {
        // KRB_AP_ERR_TKT_EXPIRED
        self.code.wrapping_sub(KRB5) == 32 || (self.code == 0 && self.text.contains("expired"))
    }

    /// What it means and what to do.
    fn advice(&self, About { host, keytab, .. }: About<'_>) -> String {
        let text = match (self.code.wrapping_sub(KRB5), self.code.wrapping_sub(KRB5_GSSAPI)) {
            // KDC_ERR_NAME_EXP, KDC_ERR_CLIENT_REVOKED
            (1 | 18, _) => "the account is disabled, locked or has expired",
            // KDC_ERR_C_PRINCIPAL_UNKNOWN
            (6, _) => "the KDC knows no such account: check `principal`, its realm, and whose keytab it is",
            // KDC_ERR_S_PRINCIPAL_UNKNOWN
            (7, _) => {
                return format!(
                    "the KDC knows no service ldap/{host}: write the server's full name into url, as its servicePrincipalName has it \
                     (setspn -L), not an alias"
                );
            }
            // KDC_ERR_ETYPE_NOSUPP, KRB5_CONFIG_ETYPE_NOSUPP
            (14 | 237, _) => {
                "account and KDC have no encryption type in common: give the account AES keys (msDS-SupportedEncryptionTypes), and \
                 export the keytab anew"
            }
            // KDC_ERR_KEY_EXPIRED
            (23, _) => {
                "the account's password has expired or must be changed: set a new one that never expires, and export the keytab anew"
            }
            // KDC_ERR_PREAUTH_FAILED, KRB_AP_ERR_BAD_INTEGRITY, KRB5_PREAUTH_FAILED
            (24 | 31 | 210, _) => "the keytab does not fit the account: its password was changed since; export the keytab anew",
            // KDC_ERR_POLICY
            (12, _) => {
                "the domain does not let this account log on here or now: look at its logon hours, workstations, and at authentication \
                 policies"
            }
            _ if self.is_expired() && keytab => "the ticket has run out, and the keytab brings no new one",
            _ if self.is_expired() => EXPIRED,
            // KRB_AP_ERR_TKT_NYV, KRB_AP_ERR_SKEW, KRB5_KDCREP_SKEW
            (33 | 37 | 148, _) => "the clocks of this machine and of the KDC are more than five minutes apart: synchronise them",
            // KRB_AP_ERR_MODIFIED, KRB_AP_ERR_BADKEYVER
            (41 | 44, _) => {
                return format!(
                    "the server cannot read the ticket: ldap/{host} must be a servicePrincipalName of that very server, and of no \
                     other account"
                );
            }
            // KRB5_REALM_UNKNOWN, KRB5_REALM_CANT_RESOLVE, KRB5_CONFIG_NODEFREALM
            (154 | 220 | 224, _) => {
                "no KDC is known for the realm: set default_realm and [realms] in /etc/krb5.conf, or have DNS name them \
                 (_kerberos._tcp)"
            }
            // KDC_ERR_SVC_UNAVAILABLE, KRB_ERR_GENERIC, KRB5_KDC_UNREACH
            (29 | 60 | 156, _) => "no KDC answers as it should: check /etc/krb5.conf, and the way to its port 88 (TCP and UDP)",
            // KRB5_KT_NOTFOUND, KRB5_KEYTAB_BADVNO, KRB5_KT_KVNONOTFOUND, KRB5_KT_FORMAT; KG_KEYTAB_NOMATCH
            (181 | 213 | 230 | 235, _) | (_, 1) => NOT_IN_KEYTAB,
            // KRB5_CC_NOTFOUND, KRB5_FCC_NOFILE, KRB5_CC_FORMAT; KG_CCACHE_NOMATCH, KG_TGT_MISSING, KG_EMPTY_CCACHE. Of a keytab
            // that gave no ticket the library says no more.
            (141 | 195 | 199, _) | (_, 0 | 2 | 12) if keytab => NOT_IN_KEYTAB,
            (141 | 195 | 199, _) | (_, 0 | 2 | 12) => {
                "there is no ticket of this account: set keytab, or keep a ticket in the ticket cache of the service's user \
                 (KRB5CCNAME; kinit, k5start)"
            }
            _ => "check /etc/krb5.conf; KRB5_TRACE=/dev/stderr in the environment shows each step",
        };
        text.to_owned()
    }

    /// In one sentence.
    pub fn words(&self, about: About<'_>) -> String {
        format!("no Kerberos bind as {}: {}; the library says: {self}", about.who, self.advice(about))
    }
}

const NOT_IN_KEYTAB: &str = "the keytab has no key of this account, or is none: compare `principal` with what klist -k shows";
const EXPIRED: &str = "the ticket in the ticket cache has run out: renew it (kinit, k5start), or set keytab";

/// A bind that the server refused.
pub fn refused(about: About<'_>, code: u32, text: &str) -> SourceError {
    let About { source, who, host, .. } = about;
    let said = result::describe(code, text);
    let advice = match code {
        // Samba before 4.21, unless told otherwise.
        8 if text.contains("Sign or Seal are required") => {
            "the server allows no SASL bind inside TLS; Samba: ldap server require strong auth = allow_sasl_over_tls".to_owned()
        }
        // authMethodNotSupported
        7 => "the server does not speak Kerberos (SASL GSSAPI); bind by bind_dn and password".to_owned(),
        49 if !result::says_why(text) => format!(
            "the server does not accept the ticket: is ldap/{host} a servicePrincipalName of that very server, and of no other account? \
             Nothing between may take TLS apart (channel binding), and clocks must agree"
        ),
        _ => return result::bind_refused(source, who, code, text, None),
    };
    let message = format!("the Kerberos bind as {who} was refused: {advice}; the server said {said}");
    SourceError::Auth { source_name: source.to_owned(), message }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    const ABOUT: About<'_> = About { source: "corp", who: "scim-sync@CORP.EXAMPLE", host: "dc1.corp.example", keytab: false };

    #[test]
    fn faults_say_what_to_do() {
        for (code, words) in [
            (KRB5 + 6, "no such account"),
            (KRB5 + 7, "ldap/dc1.corp.example"),
            (KRB5 + 18, "disabled, locked"),
            (KRB5 + 23, "password has expired"),
            (KRB5 + 24, "export the keytab anew"),
            (KRB5 + 12, "logon hours"),
            (KRB5 + 32, "has run out"),
            (KRB5 + 37, "clocks"),
            (KRB5 + 41, "servicePrincipalName"),
            (KRB5 + 156, "port 88"),
            (KRB5 + 181, "klist -k"),
            (KRB5 + 195, "there is no ticket"),
            (KRB5_GSSAPI, "there is no ticket"),
            (0, "KRB5_TRACE"),
        ] {
            let said = Fault::new(code, "what the\nlibrary  says ").words(ABOUT);
            assert!(said.contains(words) && said.ends_with("what the library says"), "{code}: {said}");
        }
        let without_key = Fault::new(KRB5 + 195, "No credentials cache found").words(About { keytab: true, ..ABOUT });
        assert!(without_key.contains("no key of this account"), "{without_key}");
        assert!(Fault::new(0, "Ticket expired").words(ABOUT).contains("kinit"));
        let of_keytab = Fault::new(KRB5 + 32, "Ticket expired").words(About { keytab: true, ..ABOUT });
        assert!(of_keytab.contains("has run out") && !of_keytab.contains("kinit"), "{of_keytab}");
    }

    #[test]
    fn only_what_is_the_servers_leaves_hope_for_another() {
        let elsewhere = |code: i32| Fault::new(code, "").is_elsewhere();
        assert!([7, 29, 156].iter().all(|c| elsewhere(KRB5 + c)));
        assert!([6, 18, 23, 24, 32, 37, 181, 195].iter().all(|c| !elsewhere(KRB5 + c)) && !elsewhere(0) && !elsewhere(i32::MAX));
    }

    #[test]
    fn refusals_speak_of_tickets_and_not_of_passwords() {
        let bindings = "80090346: LdapErr: DSID-0C090450, comment: AcceptSecurityContext error, data 80090346";
        for (code, text, words) in [
            (49, "80090308: LdapErr: DSID-0C090439, comment: AcceptSecurityContext error, data 533, v4563", "disabled"),
            (49, bindings, "LdapEnforceChannelBinding"),
            (49, "SASL(-13): authentication failure", "does not accept the ticket"),
            (8, "SASL:[GSSAPI]: Sign or Seal are required.", "allow_sasl_over_tls"),
            (7, "SASL(-4): no mechanism available", "does not speak Kerberos"),
        ] {
            let e = refused(ABOUT, code, text);
            assert!(matches!(&e, SourceError::Auth { message, .. } if message.contains(words)), "{e}");
            assert!(!e.to_string().contains("wrong bind_dn"), "{e}");
        }
        assert!(matches!(refused(ABOUT, 51, ""), SourceError::Connect { .. }));
    }
}
