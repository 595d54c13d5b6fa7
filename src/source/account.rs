//! Whether an account is disabled, by the rules of each directory. LDAP and LDIF share them.

use super::time::generalized_time;
use crate::config::Passing;
use crate::model::Attrs;

/// Attributes that the rules look at, with the directory that has them.
pub mod attr {
    /// Active Directory: flags.
    pub const USER_ACCOUNT_CONTROL: &str = "userAccountControl";
    /// Active Directory: the flags that need a calculation (MS-ADTS section 3.1.1.4.5.17): lockout, expired password.
    pub const USER_ACCOUNT_CONTROL_COMPUTED: &str = "msDS-User-Account-Control-Computed";
    /// Active Directory: FILETIME.
    pub const ACCOUNT_EXPIRES: &str = "accountExpires";
    /// 389 Directory Server, FreeIPA: `true` when inactivated; operational, and computed where a role or a policy says so.
    pub const NS_ACCOUNT_LOCK: &str = "nsAccountLock";
    /// FreeIPA, MIT Kerberos with LDAP: when the principal, and with it the account, expires.
    pub const KRB_PRINCIPAL_EXPIRATION: &str = "krbPrincipalExpiration";
    /// 389 Directory Server: when the password expires; operational.
    pub const PASSWORD_EXPIRATION_TIME: &str = "passwordExpirationTime";
    /// FreeIPA, MIT Kerberos with LDAP: when the password expires.
    pub const KRB_PASSWORD_EXPIRATION: &str = "krbPasswordExpiration";
    /// OpenLDAP password policy (draft-behera-ldap-password-policy section 5.3.3); operational.
    pub const PWD_ACCOUNT_LOCKED_TIME: &str = "pwdAccountLockedTime";
    /// shadowAccount (RFC 2307): days since 1970-01-01.
    pub const SHADOW_EXPIRE: &str = "shadowExpire";
}

/// ADS_UF_ACCOUNTDISABLE (MS-ADTS section 2.2.16).
const ACCOUNT_DISABLED: i64 = 0x2;
/// ADS_UF_LOCKOUT.
const LOCKED_OUT: i64 = 0x10;
/// ADS_UF_PASSWORD_EXPIRED.
const PASSWORD_EXPIRED: i64 = 0x80_0000;
/// Seconds between 1601-01-01 and 1970-01-01.
const FILETIME_EPOCH: i64 = 11_644_473_600;
/// Locked by an administrator, without end. Other values are lockouts, which pass.
const LOCKED_FOR_GOOD: &str = "000001010000Z";
/// FreeIPA keeps those who are not in service below this: `cn=deleted users` (preserved) and `cn=staged users`.
const FREEIPA_PROVISIONING: &str = ",cn=accounts,cn=provisioning,";

/// Whether the account is disabled by a flag or its place, and the Unix second at which that changes by the clock alone (it
/// may be past).
#[must_use]
pub fn state(attrs: &Attrs, dn: Option<&str>) -> (bool, Option<i64>) {
    if number(attrs, attr::USER_ACCOUNT_CONTROL).is_some_and(|flags| flags & ACCOUNT_DISABLED != 0)
        || text(attrs, attr::NS_ACCOUNT_LOCK).is_some_and(|t| t.eq_ignore_ascii_case("true"))
        || text(attrs, attr::PWD_ACCOUNT_LOCKED_TIME).is_some_and(|t| t == LOCKED_FOR_GOOD)
        || dn.is_some_and(|dn| contains(dn, FREEIPA_PROVISIONING))
    {
        return (true, None);
    }
    // Not judged here, also where it is past: whether the clock may be trusted is for the cycle to say.
    let ends = [
        number(attrs, attr::ACCOUNT_EXPIRES).and_then(expires),
        number(attrs, attr::SHADOW_EXPIRE).and_then(shadow_expires),
        text(attrs, attr::KRB_PRINCIPAL_EXPIRATION).and_then(generalized_time),
    ];
    (false, ends.into_iter().flatten().min())
}

/// Whether the account is in one of these states, which pass, and the Unix second at which it comes into one by the clock
/// alone (it may be past).
#[must_use]
pub fn passing(attrs: &Attrs, asked: &[Passing]) -> (bool, Option<i64>) {
    let computed = |flag: i64| number(attrs, attr::USER_ACCOUNT_CONTROL_COMPUTED).is_some_and(|flags| flags & flag != 0);
    let now = asked.iter().any(|state| match state {
        // The attribute stays until somebody signs in, also where the lockout has passed before.
        Passing::Locked => computed(LOCKED_OUT) || attrs.has(attr::PWD_ACCOUNT_LOCKED_TIME),
        Passing::PasswordExpired => computed(PASSWORD_EXPIRED),
    });
    let expires = [attr::PASSWORD_EXPIRATION_TIME, attr::KRB_PASSWORD_EXPIRATION].into_iter().filter_map(|name| {
        // 389 Directory Server writes 1970 where the password was reset: it has to be changed, and may be used for that.
        text(attrs, name).and_then(generalized_time).filter(|at| *at > 0)
    });
    let by_clock = asked.contains(&Passing::PasswordExpired).then(|| expires.min()).flatten();
    (now, by_clock.filter(|_| !now))
}

fn text<'a>(attrs: &'a Attrs, name: &str) -> Option<&'a str> {
    attrs.text(name).map(str::trim)
}

fn number(attrs: &Attrs, name: &str) -> Option<i64> {
    text(attrs, name)?.parse().ok()
}

/// Whether `part` (lower case) is in `text`, without regard to case and allocation.
fn contains(text: &str, part: &str) -> bool {
    text.as_bytes().windows(part.len()).any(|w| w.eq_ignore_ascii_case(part.as_bytes()))
}

/// The Unix second of an accountExpires; `None` for never (MS-ADTS: 0 and 2^63 - 1).
fn expires(filetime: i64) -> Option<i64> {
    (filetime > 0 && filetime < i64::MAX).then(|| filetime / 10_000_000 - FILETIME_EPOCH)
}

/// The Unix second of a shadowExpire: the beginning of that day, on which the account "will no longer be accessible"
/// (chage(1)). Negative is never; 0 means never to some and 1970 to others (shadow(5)), so it says nothing.
fn shadow_expires(days: i64) -> Option<i64> {
    (days > 0).then(|| days.checked_mul(86_400)).flatten()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    fn attrs(pairs: &[(&str, &str)]) -> Attrs {
        let mut attrs = Attrs::new();
        for (name, value) in pairs {
            attrs.add(*name, vec![(*value).into()]);
        }
        attrs
    }

    fn judge(pairs: &[(&str, &str)]) -> (bool, Option<i64>) {
        state(&attrs(pairs), Some("uid=jo,cn=users,cn=accounts,dc=x"))
    }

    #[test]
    fn each_directory_has_its_rule() {
        assert_eq!(judge(&[]), (false, None));
        assert_eq!(judge(&[("userAccountControl", "512")]), (false, None));
        assert_eq!(judge(&[("useraccountcontrol", "514")]), (true, None));
        assert_eq!(judge(&[("nsAccountLock", "TRUE")]), (true, None));
        assert_eq!(judge(&[("nsAccountLock", "false")]), (false, None));
        assert_eq!(judge(&[("pwdAccountLockedTime", "000001010000Z")]), (true, None));
        assert_eq!(judge(&[("pwdAccountLockedTime", "20240101000000Z")]), (false, None), "a lockout passes");
    }

    #[test]
    fn whoever_freeipa_preserves_or_stages_is_not_in_service() {
        let none = Attrs::new();
        for dn in [
            "uid=jo,cn=deleted users,cn=accounts,cn=provisioning,dc=ipa,dc=example",
            "uid=jo,cn=staged users,CN=Accounts,cn=provisioning,dc=ipa,dc=example",
        ] {
            assert_eq!(state(&none, Some(dn)), (true, None), "{dn}");
        }
        assert_eq!(state(&none, Some("uid=cn\\=provisioning,cn=users,cn=accounts,dc=x")), (false, None));
        assert_eq!(state(&none, None), (false, None));
    }

    #[test]
    fn expiry_needs_no_write() {
        let filetime = |unix: i64| ((unix + FILETIME_EPOCH) * 10_000_000).to_string();
        assert_eq!(judge(&[("accountExpires", "0")]), (false, None));
        assert_eq!(judge(&[("accountExpires", "9223372036854775807")]), (false, None));
        assert_eq!(
            judge(&[("accountExpires", &filetime(1_700_000_000))]),
            (false, Some(1_700_000_000)),
            "past, or not: the cycle says"
        );
        assert_eq!(judge(&[("accountExpires", &filetime(1_700_000_001))]), (false, Some(1_700_000_001)));
        assert_eq!(judge(&[("accountExpires", &filetime(1_800_000_000)), ("userAccountControl", "2")]), (true, None));
        assert_eq!(judge(&[("krbPrincipalExpiration", "20231114221320Z")]), (false, Some(1_700_000_000)));
    }

    #[test]
    fn shadow_days_end_at_their_beginning() {
        assert_eq!(judge(&[("shadowExpire", "19676")]), (false, Some(19_676 * 86_400)));
        for never in ["-1", "0", "", "x", "9223372036854775807"] {
            assert_eq!(judge(&[("shadowExpire", never)]), (false, None), "{never:?}");
        }
        let both = [("shadowExpire", "19676"), ("krbPrincipalExpiration", "20200101000000Z")];
        assert_eq!(judge(&both), (false, Some(1_577_836_800)), "the earlier one counts");
    }

    #[test]
    fn what_passes_counts_where_it_is_asked_for() {
        use Passing::{Locked, PasswordExpired};
        let computed = |flags: i64| attrs(&[("msDS-User-Account-Control-Computed", &flags.to_string())]);
        let is = |entry: &Attrs, asked: &[Passing]| passing(entry, asked).0;
        assert!(is(&computed(0x10), &[Locked]) && !is(&computed(0x10), &[PasswordExpired]) && !is(&computed(0x10), &[]));
        assert!(is(&computed(0x80_0010), &[PasswordExpired]) && !is(&computed(0), &[Locked, PasswordExpired]));
        let locked = attrs(&[("pwdAccountLockedTime", "20240101000000Z")]);
        assert!(is(&locked, &[Locked]) && !is(&locked, &[PasswordExpired]));
        assert_eq!(state(&computed(0x80_0010), None), (false, None), "not by itself");
        assert_eq!(state(&locked, None), (false, None), "not by itself");
        let expires = attrs(&[("passwordExpirationTime", "20231114221320Z")]);
        assert_eq!(passing(&expires, &[PasswordExpired]), (false, Some(1_700_000_000)));
        assert_eq!(passing(&expires, &[Locked]), (false, None));
        assert_eq!(passing(&attrs(&[("passwordExpirationTime", "19700101000000Z")]), &[PasswordExpired]), (false, None));
    }
}
