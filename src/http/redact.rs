//! What must not be quoted: servers like to repeat the credential that they refuse.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};
use std::sync::{Mutex, PoisonError};

/// Secrets that were in use lately. Those that were replaced are kept for a while: requests that carried them are still
/// being answered.
#[derive(Default)]
pub struct Redactor(Mutex<Vec<SecretString>>);

/// So many are kept.
const KEPT: usize = 16;

/// Shorter ones would only garble the text.
const SHORTEST: usize = 4;

impl Redactor {
    /// From now on this is not quoted any more.
    pub fn add(&self, secret: &str) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if secret.len() < SHORTEST || known.iter().any(|k| k.expose_secret() == secret) {
            return;
        }
        if known.len() >= KEPT {
            known.remove(0);
        }
        known.push(SecretString::from(secret));
    }

    /// Client id and secret as HTTP Basic carries them (RFC 6749 section 2.3.1), and the secret in all its forms.
    pub fn add_client(&self, id: &str, secret: &str) {
        let form = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        for encoded in [form(secret), secret.to_owned()] {
            self.add(&encoded);
        }
        for pair in [format!("{}:{}", form(id), form(secret)), format!("{id}:{secret}")] {
            self.add(STANDARD.encode(pair).trim_end_matches('='));
        }
    }

    /// `text` with every occurrence of a secret replaced, also as it stands in a JSON string.
    #[must_use]
    pub fn redact(&self, text: &str) -> String {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut out = text.to_owned();
        for secret in known.iter().map(ExposeSecret::expose_secret) {
            out = out.replace(secret, "[secret]");
            if secret.contains(['"', '\\', '/']) {
                let json = serde_json::Value::from(secret).to_string();
                let escaped = json.trim_matches('"');
                out = out.replace(escaped, "[secret]").replace(&escaped.replace('/', "\\/"), "[secret]");
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_a_secret_is_taken_out() {
        let r = Redactor::default();
        r.add("abc-123");
        r.add("new");
        r.add("a\"b/c\\d");
        r.add_client("me", "s p+c");
        for (text, clean) in [
            ("you sent abc-123!", "you sent [secret]!"),
            ("newest", "newest"),
            (r#"{"t": "a\"b/c\\d"}"#, r#"{"t": "[secret]"}"#),
            (r#"{"t": "a\"b\/c\\d"}"#, r#"{"t": "[secret]"}"#),
            ("Basic bWU6cytwJTJCYw==", "Basic [secret]=="),
            ("client_secret=s+p%2Bc&x", "client_secret=[secret]&x"),
            ("s p+c", "[secret]"),
        ] {
            assert_eq!(r.redact(text), clean);
        }
    }

    #[test]
    fn the_latest_ones_are_kept() {
        let r = Redactor::default();
        for i in 0..100 {
            r.add(&format!("token-{i:03}"));
        }
        assert_eq!(r.redact("token-099 token-090 token-000"), "[secret] [secret] token-000");
    }
}
