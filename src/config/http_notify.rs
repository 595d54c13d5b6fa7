//! `[http]` and `[notify]` after validation.

use super::secret::Secret;
use super::types::NetConfig;
use std::path::PathBuf;
use std::time::Duration;
use url::Url;

/// `[http]`: health and metrics.
#[derive(Debug, Clone)]
pub struct HttpConfig {
    /// `false`: the daemon does not listen.
    pub enabled: bool,
    /// Address to listen on.
    pub listen: String,
    /// Bearer token for metrics and the status page.
    pub token: Option<Secret>,
}

/// `[notify]`.
#[derive(Debug, Clone)]
pub struct NotifyConfig {
    /// Mail.
    pub smtp: Option<SmtpConfig>,
    /// Webhook.
    pub webhook: Option<WebhookConfig>,
}

/// `[notify.smtp]`.
#[derive(Debug, Clone)]
pub struct SmtpConfig {
    /// `smtps://host[:port]` (TLS from the start) or `smtp://host[:port]`.
    pub url: Url,
    /// `smtp://` is upgraded by STARTTLS, or nothing is sent (default true).
    pub starttls: bool,
    /// Sender address.
    pub from: String,
    /// Recipients, but for syncs that name their own.
    pub to: Vec<String>,
    /// User name at the mail server.
    pub user: Option<String>,
    /// Password at the mail server.
    pub password: Option<Secret>,
    /// PEM file with the CAs to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// Longest time in which the server takes one mail (default 30 s).
    pub timeout: Duration,
}

/// `[notify.webhook]`. Whoever knows the address may post there, so `Debug` shows the host only.
#[derive(Clone)]
pub struct WebhookConfig {
    /// Address.
    pub url: Url,
    /// Key of the signature (HMAC-SHA256 over the body).
    pub secret: Option<Secret>,
    /// Common network settings.
    pub net: NetConfig,
}

impl std::fmt::Debug for WebhookConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "webhook at {}", self.url.host_str().unwrap_or_default())
    }
}
