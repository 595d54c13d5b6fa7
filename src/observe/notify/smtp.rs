//! Mail: RFC 5321 over implicit TLS (RFC 8314) or STARTTLS (RFC 3207), by lettre.

use super::NotifyError;
use super::message::Message;
use crate::config::{Config, SmtpConfig};
use crate::http::redact::Redactor;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lettre::address::Envelope;
use lettre::message::header::{Header, HeaderName, HeaderValue};
use lettre::message::{Mailbox, MessageBuilder, SinglePart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Tokio1Executor};
use secrecy::ExposeSecret;
use std::collections::{BTreeMap, BTreeSet};
use std::error::Error as _;
use std::time::{Duration, SystemTime};

/// Ports: submission (RFC 6409), submissions (RFC 8314 section 7.3), and relay.
const STARTTLS_PORT: u16 = 587;
const TLS_PORT: u16 = 465;
const PLAIN_PORT: u16 = 25;

/// Sends mail.
pub(super) struct Mail {
    config: SmtpConfig,
    from: Mailbox,
    to: Vec<Mailbox>,
    /// Recipients of syncs that name their own.
    own: BTreeMap<String, Vec<Mailbox>>,
    tls: Tls,
    redactor: Redactor,
}

/// `Auto-Submitted: auto-generated` (RFC 3834 section 5): no out-of-office answers.
#[derive(Debug, Clone)]
struct AutoSubmitted(String);

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(text: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self(text.to_owned()))
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), self.0.clone())
    }
}

impl Mail {
    /// Connects to nobody yet.
    pub(super) fn new(config: &SmtpConfig, all: &Config) -> Result<Self, NotifyError> {
        let list = |key: &str, texts: &[String]| texts.iter().map(|t| mailbox(key, t)).collect::<Result<Vec<_>, _>>();
        let own = all.syncs.iter().filter_map(|s| Some((s.name.clone(), s.notify.as_ref()?)));
        Ok(Self {
            from: mailbox("notify.smtp.from", &config.from)?,
            to: list("notify.smtp.to", &config.to)?,
            own: own.map(|(name, texts)| Ok((name, list("sync.notify", texts)?))).collect::<Result<_, NotifyError>>()?,
            tls: tls(config)?,
            config: config.clone(),
            redactor: Redactor::default(),
        })
    }

    /// Everybody who is ever written to.
    pub(super) fn everybody(&self) -> BTreeSet<String> {
        self.to.iter().chain(self.own.values().flatten()).map(|m| m.email.to_string()).collect()
    }

    /// `host:port`, and how it is encrypted.
    pub(super) fn server(&self) -> (String, &'static str) {
        let how = match self.tls {
            Tls::None => "not encrypted",
            Tls::Wrapper(_) => "TLS from the start",
            _ => "STARTTLS",
        };
        (format!("{}:{}", self.host(), self.port()), how)
    }

    /// Sends to everybody who is not in `done`, each in a transaction of their own: one address that is refused does not keep
    /// the message from the others.
    pub(super) async fn send(&self, message: &Message, done: &mut BTreeSet<String>) -> Result<(), String> {
        let everybody: Vec<Mailbox>;
        let to: &[Mailbox] = if message.sync.is_empty() {
            everybody = self.everybody().iter().filter_map(|a| a.parse().ok()).collect();
            &everybody
        } else {
            self.own.get(&message.sync).unwrap_or(&self.to)
        };
        let bytes = self.compose(message, to)?.formatted();
        let transport = self.transport()?;
        let mut failures = Vec::new();
        for mailbox in to {
            let address = mailbox.email.to_string();
            if done.contains(&address) {
                continue;
            }
            let envelope =
                Envelope::new(Some(self.from.email.clone()), vec![mailbox.email.clone()]).map_err(|e| e.to_string())?;
            // lettre's own timeout ends with the connection; a server that then says nothing would be waited for.
            match tokio::time::timeout(self.config.timeout, transport.send_raw(&envelope, &bytes)).await {
                Ok(Ok(_)) => drop(done.insert(address)),
                // Who cannot be reached at all cannot be reached for the next one either.
                Ok(Err(e)) if e.status().is_none() => return Err(self.describe(&e)),
                Ok(Err(e)) => failures.push(format!("{address}: {}", self.describe(&e))),
                Err(_) => return Err(format!("the server did not take the mail within {} s", self.config.timeout.as_secs())),
            }
        }
        if failures.is_empty() { Ok(()) } else { Err(failures.join("; ")) }
    }

    fn compose(&self, message: &Message, to: &[Mailbox]) -> Result<lettre::Message, String> {
        let domain = self.from.email.domain();
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(message.at).unwrap_or(0));
        let builder: MessageBuilder = lettre::Message::builder()
            .from(self.from.clone())
            .subject(message.subject.clone())
            .date(at)
            .message_id(Some(format!("<{}@{domain}>", message.id)))
            .header(AutoSubmitted("auto-generated".to_owned()))
            .user_agent(crate::http::USER_AGENT.to_owned());
        let builder = to.iter().fold(builder, |b, mailbox| b.to(mailbox.clone()));
        builder.singlepart(SinglePart::plain(message.text.clone())).map_err(|e| format!("the mail cannot be written: {e}"))
    }

    /// The password is read each time: it may have changed.
    fn transport(&self) -> Result<AsyncSmtpTransport<Tokio1Executor>, String> {
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(self.host())
            .port(self.port())
            .timeout(Some(self.config.timeout))
            .tls(self.tls.clone());
        if let (Some(user), Some(password)) = (&self.config.user, &self.config.password) {
            let password = password.read().map_err(|e| format!("notify.smtp.password: {e}"))?;
            let password = password.expose_secret();
            // As AUTH PLAIN (RFC 4616) and LOGIN carry it.
            for form in [password.to_owned(), STANDARD.encode(password), STANDARD.encode(format!("\0{user}\0{password}"))] {
                self.redactor.add(form.trim_end_matches('='));
            }
            builder = builder.credentials(Credentials::new(user.clone(), password.to_owned()));
        }
        Ok(builder.build())
    }

    fn host(&self) -> &str {
        self.config.url.host_str().unwrap_or_default().trim_matches(['[', ']'])
    }

    fn port(&self) -> u16 {
        self.config.url.port().unwrap_or(match self.tls {
            Tls::Wrapper(_) => TLS_PORT,
            Tls::None => PLAIN_PORT,
            _ => STARTTLS_PORT,
        })
    }

    /// What went wrong, and where, without secrets.
    fn describe(&self, error: &lettre::transport::smtp::Error) -> String {
        let mut text = error.to_string();
        let mut next = error.source();
        while let Some(e) = next {
            let inner = e.to_string();
            if !text.contains(&inner) {
                text = format!("{text}: {inner}");
            }
            next = e.source();
        }
        self.redactor.redact(&text).replace(['\r', '\n'], " ")
    }
}

fn mailbox(key: &str, text: &str) -> Result<Mailbox, NotifyError> {
    text.parse().map_err(|e| NotifyError(format!("{key}: {text:?} is not a mail address: {e}")))
}

fn tls(config: &SmtpConfig) -> Result<Tls, NotifyError> {
    let wrapped = config.url.scheme() == "smtps";
    if !wrapped && !config.starttls {
        return Ok(Tls::None);
    }
    let host = config.url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let mut builder = TlsParameters::builder(host.to_owned());
    if let Some(path) = &config.ca_file {
        let bad = |e: String| NotifyError(format!("notify.smtp.ca_file: {}: {e}", path.display()));
        let pem = std::fs::read(path).map_err(|e| bad(e.to_string()))?;
        let holds_one = pem.windows(27).any(|w| w == b"-----BEGIN CERTIFICATE-----");
        let certificate = Certificate::from_pem(&pem).map_err(|e| bad(e.to_string()))?;
        if !holds_one {
            return Err(bad("holds no PEM certificate (-----BEGIN CERTIFICATE-----)".to_owned()));
        }
        builder = builder.certificate_store(CertificateStore::None).add_root_certificate(certificate);
    }
    let parameters = builder.build().map_err(|e| NotifyError(format!("notify.smtp: TLS: {e}")))?;
    Ok(if wrapped { Tls::Wrapper(parameters) } else { Tls::Required(parameters) })
}
