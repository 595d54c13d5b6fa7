//! Attributes that are secrets, by their names.

/// Parts of names that are secrets wherever they stand, or as good as a password: userPassword, unicodePwd, dBCSPwd, ntPwdHistory and
/// supplementalCredentials of Active Directory (MS-ADA), ms-Mcs-AdmPwd and msLAPS-Password, sambaNTPassword, ipaNTHash, krbPrincipalKey,
/// ipatokenOTPkey, userPKCS12 (RFC 2798).
const SECRET: [&str; 14] = [
    "password",
    "passwd",
    "unicodepwd",
    "dbcspwd",
    "pwdhistory",
    "admpwd",
    "supplementalcredentials",
    "nthash",
    "lmhash",
    "principalkey",
    "otpkey",
    "pkcs12",
    "privatekey",
    "secret",
];

/// Somebody's assistant (`secretary`, RFC 4524 section 2.22) is none.
const NO_SECRET: &str = "secretary";

/// Whether an attribute of a source or a target is a secret by its name.
#[must_use]
pub fn is_secret(name: &str) -> bool {
    let name = name.to_lowercase();
    SECRET.iter().any(|part| name.contains(part)) && !name.contains(NO_SECRET)
}

#[cfg(test)]
mod tests {
    use super::is_secret;

    #[test]
    fn what_opens_an_account_is_a_secret_and_a_secretary_is_none() {
        for name in [
            "userPassword",
            "unicodePwd",
            "dBCSPwd",
            "ntPwdHistory",
            "lmPwdHistory",
            "supplementalCredentials",
            "ms-Mcs-AdmPwd",
            "msLAPS-EncryptedPassword",
            "msDS-ManagedPassword",
            "sambaNTPassword",
            "ipaNTHash",
            "krbPrincipalKey",
            "ipatokenOTPkey",
            "userPKCS12;binary",
            "clientSecret",
        ] {
            assert!(is_secret(name), "{name}");
        }
        for name in ["secretary", "pwdLastSet", "pwdAccountLockedTime", "krbPrincipalName", "userCertificate", "mail"] {
            assert!(!is_secret(name), "{name}");
        }
    }
}
