//! Whether an account is disabled, by the rules of each directory. LDAP and LDIF share them.

use crate::model::Attrs;

/// Attributes that the rules look at, with the directory that has them.
pub mod attr {
    /// Active Directory: flags.
    pub const USER_ACCOUNT_CONTROL: &str = "userAccountControl";
    /// Active Directory: FILETIME.
    pub const ACCOUNT_EXPIRES: &str = "accountExpires";
    /// 389 Directory Server, FreeIPA: `true` when inactivated; operational.
    pub const NS_ACCOUNT_LOCK: &str = "nsAccountLock";
    /// OpenLDAP password policy (draft-behera-ldap-password-policy section 5.3.3); operational.
    pub const PWD_ACCOUNT_LOCKED_TIME: &str = "pwdAccountLockedTime";
}

/// ADS_UF_ACCOUNTDISABLE (MS-ADTS section 2.2.16).
const ACCOUNT_DISABLED: i64 = 0x2;
/// Seconds between 1601-01-01 and 1970-01-01.
const FILETIME_EPOCH: i64 = 11_644_473_600;
/// Locked by an administrator, without end. Other values are lockouts, which pass.
const LOCKED_FOR_GOOD: &str = "000001010000Z";

/// Whether the account is disabled by a flag, and the Unix second at which that changes by the clock alone (it may be past).
#[must_use]
pub fn state(attrs: &Attrs) -> (bool, Option<i64>) {
    let number = |name| attrs.text(name).and_then(|t| t.trim().parse::<i64>().ok());
    if number(attr::USER_ACCOUNT_CONTROL).is_some_and(|flags| flags & ACCOUNT_DISABLED != 0)
        || attrs.text(attr::NS_ACCOUNT_LOCK).is_some_and(|t| t.trim().eq_ignore_ascii_case("true"))
        || attrs.text(attr::PWD_ACCOUNT_LOCKED_TIME).is_some_and(|t| t.trim() == LOCKED_FOR_GOOD)
    {
        return (true, None);
    }
    // Not judged here, also where it is past: whether the clock may be trusted is for the cycle to say.
    (false, number(attr::ACCOUNT_EXPIRES).and_then(expires))
}

/// The Unix second of an accountExpires; `None` for never (MS-ADTS: 0 and 2^63 - 1).
fn expires(filetime: i64) -> Option<i64> {
    (filetime > 0 && filetime < i64::MAX).then(|| filetime / 10_000_000 - FILETIME_EPOCH)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    fn judge(pairs: &[(&str, &str)]) -> (bool, Option<i64>) {
        let mut attrs = Attrs::new();
        for (name, value) in pairs {
            attrs.add(*name, vec![(*value).into()]);
        }
        state(&attrs)
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
    }
}
