//! Attributes that are secrets, by their names.

/// Parts of names that are secrets wherever they stand (userPassword, unicodePwd, sambaNTPassword, krbPrincipalKey, ...).
const SECRET: [&str; 7] = ["password", "passwd", "unicodepwd", "pwdhistory", "principalkey", "secret", "privatekey"];

/// Whether an attribute of a source or a target is a secret by its name.
#[must_use]
pub fn is_secret(name: &str) -> bool {
    let name = name.to_lowercase();
    SECRET.iter().any(|part| name.contains(part))
}
