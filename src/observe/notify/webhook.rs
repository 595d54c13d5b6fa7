//! Webhook: a POST of the message's document, signed where there is a secret.

use super::NotifyError;
use super::message::Message;
use crate::config::{Secret, WebhookConfig};
use crate::http::redact::Redactor;
use crate::http::{body, client};
use hmac::{Hmac, Mac};
use http::header::CONTENT_TYPE;
use secrecy::ExposeSecret;
use sha2::Sha256;
use std::fmt::Write as _;
use url::Url;

/// `sha256=` and the HMAC-SHA256 of the body in hexadecimal, keyed with the secret.
pub const SIGNATURE: &str = "X-Scim-Sync-Signature";
/// When this attempt was made, Unix seconds.
pub const TIMESTAMP: &str = "X-Scim-Sync-Timestamp";
/// The message's id: the same in every attempt.
pub const DELIVERY: &str = "X-Scim-Sync-Delivery";
/// What the message tells.
pub const EVENT: &str = "X-Scim-Sync-Event";

/// Posts documents.
pub(super) struct Webhook {
    url: Url,
    secret: Option<Secret>,
    http: reqwest::Client,
    redactor: Redactor,
}

impl Webhook {
    /// Connects to nobody yet.
    pub(super) fn new(config: &WebhookConfig) -> Result<Self, NotifyError> {
        let http = client::build(&config.net, 1).map_err(|e| NotifyError(format!("notify.webhook: {e}")))?;
        let redactor = Redactor::default();
        // Whoever knows the address may post there.
        let path = config.url.path();
        for part in [config.url.as_str(), path, path.trim_matches('/'), config.url.query().unwrap_or_default()] {
            redactor.add(part);
        }
        Ok(Self { url: config.url.clone(), secret: config.secret.clone(), http, redactor })
    }

    /// The server, and whether it can tell who posts.
    pub(super) fn server(&self) -> (String, &'static str) {
        let host = self.url.host_str().unwrap_or_default().to_owned();
        (host, if self.secret.is_some() { "HMAC-SHA256" } else { "not signed" })
    }

    /// Posts; anything but 2xx is a failure.
    pub(super) async fn send(&self, message: &Message) -> Result<(), String> {
        let bytes = serde_json::to_vec(&message.document).map_err(|e| e.to_string())?;
        let mut request = self
            .http
            .post(self.url.clone())
            .header(CONTENT_TYPE, "application/json")
            .header(TIMESTAMP, super::queue::clock())
            .header(DELIVERY, &message.id)
            .header(EVENT, message.event.as_str());
        if let Some(secret) = &self.secret {
            let secret = secret.read().map_err(|e| format!("notify.webhook.secret: {e}"))?;
            self.redactor.add(secret.expose_secret());
            request = request.header(SIGNATURE, format!("sha256={}", signature(secret.expose_secret().as_bytes(), &bytes)));
        }
        let response = request.body(bytes).send().await.map_err(|e| self.redactor.redact(&client::describe(&e)))?;
        let status = response.status();
        if status.is_success() {
            return Ok(());
        }
        let text = body::read(response).await.unwrap_or_default();
        let said = body::excerpt(&text, |t| self.redactor.redact(t));
        Err(format!("it answered {status}{}{said}", if said.is_empty() { "" } else { ": " }))
    }
}

/// HMAC-SHA256 (RFC 2104) in lower-case hexadecimal.
fn signature(key: &[u8], body: &[u8]) -> String {
    // A key of any length is a key.
    let Ok(mac) = Hmac::<Sha256>::new_from_slice(key) else { return String::new() };
    mac.chain_update(body).finalize().into_bytes().iter().fold(String::with_capacity(64), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn signatures_are_those_of_the_standard() {
        // RFC 4231 section 4.3.
        let expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(super::signature(b"Jefe", b"what do ya want for nothing?"), expected);
    }
}
