//! The conversation of the bind.

use super::binding::tls_server_end_point;
use super::ticket::{self, Context, Wanted};
use super::words::{self, About, Fault};
use crate::config::{LdapBind, LdapConfig};
use crate::source::SourceError;
use crate::source::ldap::ber;
use crate::source::ldap::connect::{Refused, read_message};
use crate::source::ldap::result;
use std::path::PathBuf;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use url::Url;

/// saslBindInProgress (RFC 4511 section 4.2.2).
const IN_PROGRESS: u32 = 14;
/// More than any mechanism takes; Kerberos takes three.
const MOST_ROUNDS: u8 = 8;

/// Binds by the ticket that the configuration says; whom the server took.
pub async fn bind(name: &str, config: &LdapConfig, url: &Url, stream: &mut TlsStream<TcpStream>) -> Result<String, Refused> {
    let host = url.host_str().unwrap_or_default();
    let has_keytab = matches!(config.bind, LdapBind::Kerberos { keytab: Some(_), .. });
    let about = About { source: name, who: config.who(), host, keytab: has_keytab };
    let timeout = config.net.timeout;
    let certificate = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
    let binding = certificate.and_then(|c| tls_server_end_point(c));
    if binding.is_none() {
        tracing::warn!(
            source = name,
            "the signature of {host}'s certificate allows no channel binding; a server that demands it will refuse the bind"
        );
    }
    let wanted = wanted(name, config, host, binding)?;
    let failed = |fault: Fault| {
        let message = fault.words(about);
        if fault.is_elsewhere() {
            return Refused::Elsewhere(message);
        }
        ticket::forget();
        Refused::Credentials(auth(name, message))
    };
    let mut begun = begin(wanted.clone(), timeout).await?;
    if has_keytab && begun.as_ref().is_err_and(Fault::is_expired) {
        // Without the old ticket the library says why there is no new one.
        ticket::forget();
        begun = begin(wanted, timeout).await?;
    }
    let (mut context, mut token) = begun.map_err(failed)?;
    // From here on the KDC knows the account, and no server counts wrong passwords: what is wrong is between it and this server.
    let failed = |fault: Fault| {
        ticket::forget();
        Refused::Elsewhere(fault.words(about))
    };
    let mut is_last = false;
    for round in 1..=MOST_ROUNDS {
        let answer = within(timeout, ask(stream, round, &token)).await;
        let answer =
            answer.ok_or_else(|| Refused::Elsewhere(format!("no answer to the bind within {} s", timeout.as_secs_f32())))?;
        let answer = answer.map_err(|e| Refused::Elsewhere(format!("during the bind: {e}")))?;
        token = match answer.code {
            0 if is_last => return Ok(context.who().unwrap_or_else(|| about.who.to_owned())),
            IN_PROGRESS if is_last => break,
            IN_PROGRESS if context.is_complete() => {
                is_last = true;
                let token = context.without_layer(&answer.token).map_err(failed)?;
                token.ok_or_else(|| {
                    let why = "the server insists on Kerberos signing inside TLS, which is encrypted already";
                    Refused::Elsewhere(format!("{why}; let it accept binds without (OpenLDAP: sasl-secprops)"))
                })?
            }
            IN_PROGRESS => context.step(Some(&answer.token)).map_err(failed)?,
            // Without the last step nobody knows that the server is the one that the ticket is for.
            0 => break,
            code => return Err(refused(about, code, &answer.text)),
        };
    }
    Err(Refused::Elsewhere("during the bind: the server does not keep to SASL GSSAPI (RFC 4752)".to_owned()))
}

/// Gets the ticket. The library blocks while it asks a KDC, and cannot be stopped: a thread that is late is left alone. It ends by
/// itself.
async fn begin(wanted: Wanted, timeout: Duration) -> Result<Result<(Context, Vec<u8>), Fault>, Refused> {
    let beginning = tokio::task::spawn_blocking(move || Context::begin(wanted));
    let begun = within(timeout, beginning).await.ok_or_else(|| {
        Refused::Elsewhere(format!(
            "no Kerberos ticket within {} s: is the way to the KDCs' port 88 open?",
            timeout.as_secs_f32()
        ))
    })?;
    begun.map_err(|e| Refused::Elsewhere(format!("Kerberos: {e}")))
}

/// What is needed for a ticket; says what is wrong with a keytab that cannot be read, as the library says that badly.
fn wanted(name: &str, config: &LdapConfig, host: &str, binding: Option<Vec<u8>>) -> Result<Wanted, Refused> {
    let mut wanted = Wanted { host: host.to_owned(), principal: None, keytab: None, stamp: None, binding };
    if let LdapBind::Kerberos { keytab, principal } = &config.bind {
        wanted.principal.clone_from(principal);
        let unreadable = |why: String| {
            let message = format!("the keytab: {why}");
            Refused::Credentials(SourceError::Secret { source_name: name.to_owned(), message })
        };
        if let Some(secret) = keytab {
            secret.inspect().map_err(|e| unreadable(e.to_string()))?;
            wanted.stamp = Some(secret.stamp());
            wanted.keytab = secret.path().map_err(|e| unreadable(e.to_string()))?;
            let readable =
                |path: &PathBuf| std::fs::File::open(path).map_err(|e| unreadable(format!("{secret:?} cannot be read: {e}")));
            wanted.keytab.as_ref().map(readable).transpose()?;
        }
    }
    Ok(wanted)
}

fn auth(name: &str, message: String) -> SourceError {
    SourceError::Auth { source_name: name.to_owned(), message }
}

/// Who is disabled or expired is so everywhere, who is locked may have luck elsewhere; whatever else one server has against a ticket,
/// another may not.
fn refused(about: About<'_>, code: u32, text: &str) -> Refused {
    ticket::forget();
    match words::refused(about, code, text) {
        SourceError::Auth { message, .. } if result::is_locked(None, text) => Refused::Locked(message),
        e @ SourceError::Auth { .. } if result::is_of_account(text) => Refused::Credentials(e),
        e => Refused::Elsewhere(e.to_string()),
    }
}

async fn within<F: IntoFuture>(timeout: Duration, work: F) -> Option<F::Output> {
    tokio::time::timeout(timeout, work).await.ok()
}

/// A BindResponse (RFC 4511 section 4.2.2).
struct Answer {
    code: u32,
    text: String,
    /// serverSaslCreds.
    token: Vec<u8>,
}

/// Sends a token in a BindRequest and waits for the answer.
async fn ask(stream: &mut TlsStream<TcpStream>, id: u8, token: &[u8]) -> Result<Answer, String> {
    stream.write_all(&request(id, token)).await.map_err(|e| e.to_string())?;
    stream.flush().await.map_err(|e| e.to_string())?;
    let message = read_message(stream).await.map_err(|e| e.to_string())?;
    answer(&message).ok_or_else(|| "the answer is not LDAP's".to_owned())
}

/// A BindRequest with SASL credentials (RFC 4511 section 4.2).
fn request(id: u8, token: &[u8]) -> Vec<u8> {
    let (mut sasl, mut bind, mut message, mut out) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    ber::push(&mut sasl, ber::OCTET_STRING, b"GSSAPI");
    ber::push(&mut sasl, ber::OCTET_STRING, token);
    ber::push(&mut bind, ber::INTEGER, &[3]);
    ber::push(&mut bind, ber::OCTET_STRING, b"");
    ber::push(&mut bind, 0xa3, &sasl);
    ber::push(&mut message, ber::INTEGER, &[id]);
    ber::push(&mut message, 0x60, &bind);
    ber::push(&mut out, ber::SEQUENCE, &message);
    out
}

fn answer(message: &[u8]) -> Option<Answer> {
    let mut parts = ber::Reader(ber::Reader(message).expect(ber::SEQUENCE)?);
    parts.expect(ber::INTEGER)?;
    let (tag, contents) = parts.next()?;
    let (code, text) = ber::ldap_result(contents)?;
    // A Notice of Disconnection (RFC 4511 section 4.4.1) is a result as well.
    if tag != 0x61 && tag != 0x78 {
        return None;
    }
    let mut fields = ber::Reader(contents);
    let mut token = Vec::new();
    while let Some((tag, value)) = fields.next() {
        if tag == 0x87 {
            token = value.to_vec();
        }
    }
    Some(Answer { code, text, token })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_as_the_standard_has_it() {
        let expected = b"\x30\x17\x02\x01\x02\x60\x12\x02\x01\x03\x04\x00\xa3\x0b\x04\x06GSSAPI\x04\x01T";
        assert_eq!(request(2, b"T"), expected);
    }

    #[test]
    fn an_answer_is_taken_apart() {
        let a = answer(b"\x30\x0f\x02\x01\x01\x61\x0a\x0a\x01\x0e\x04\x00\x04\x00\x87\x01T").unwrap();
        assert_eq!((a.code, a.text.as_str(), a.token.as_slice()), (14, "", &b"T"[..]));
        let a = answer(b"\x30\x0f\x02\x01\x00\x78\x0a\x0a\x01\x34\x04\x00\x04\x03bye").unwrap();
        assert_eq!((a.code, a.text.as_str()), (52, "bye"));
        assert!(answer(b"\x30\x0c\x02\x01\x01\x65\x07\x0a\x01\x00\x04\x00\x04\x00").is_none());
        assert!(answer(b"").is_none() && answer(b"\x30\x80").is_none());
    }
}
