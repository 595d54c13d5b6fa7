//! Connecting: addresses in order, TCP or socket file, TLS, StartTLS, bind. The only file that sets up `ldap3`.

use super::ber;
use super::pump::{self, Results};
use super::result;
use crate::config::{LdapBind, LdapConfig};
use crate::source::SourceError;
use ldap3::controls::RawControl;
use ldap3::{Ldap, LdapConnAsync, LdapConnSettings, StdStream};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use secrecy::{ExposeSecret, SecretString};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use url::Url;

/// Name resolution, TCP, TLS and the bind of one address never take longer than this, each.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// ExtendedRequest StartTLS (RFC 4511 section 4.14.1) with message id 1.
const START_TLS: &[u8] = b"\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037";

/// Password policy (draft-behera-ldap-password-policy section 6): asked for, a server says what is wrong with the account.
const PASSWORD_POLICY: &str = "1.3.6.1.4.1.42.2.27.8.5.1";

/// A bound connection.
pub struct Connection {
    /// Operations go here.
    pub ldap: Ldap,
    /// Entries come from here.
    pub results: Results,
    /// The address in use.
    pub url: Url,
    /// Protocol version of TLS; `None`: the connection is plain.
    pub tls: Option<String>,
    /// Who is bound.
    pub who: String,
    driver: JoinHandle<ldap3::result::Result<()>>,
    pump: JoinHandle<()>,
}

impl Connection {
    /// Why the connection is no longer usable, in words.
    pub async fn why(&mut self) -> String {
        // The driver ends by a panic when an answer has the right frame and the wrong contents.
        if self.driver.is_finished() && (&mut self.driver).await.is_err_and(|e| e.is_panic()) {
            return "the server sent an answer that cannot be decoded".to_owned();
        }
        self.results.why().unwrap_or("the connection ended").to_owned()
    }

    /// Says goodbye (unbind) and closes.
    pub async fn close(mut self) {
        let _ = self.ldap.with_timeout(Duration::from_secs(1)).unbind().await;
        drop(self.ldap);
        drop(self.results);
        let _ = tokio::time::timeout(Duration::from_secs(1), self.pump).await;
        self.driver.abort();
    }
}

/// Connects to the first address that answers, and binds.
///
/// # Errors
/// `Auth` as soon as one server refuses the credentials (the others are not tried: that would lock the account sooner), or
/// where the account is locked at all of them; `Connect` with every address and what happened there, when none can be used.
pub async fn connect(name: &str, config: &LdapConfig, tls: &Arc<ClientConfig>) -> Result<Connection, SourceError> {
    let password = password(name, config)?;
    let (mut failed, mut locked) = (Vec::new(), Vec::new());
    for url in &config.urls {
        let timeout = CONNECT_TIMEOUT.min(config.net.timeout);
        let opened = tokio::time::timeout(timeout, open(url, config, tls)).await;
        let stream = match opened {
            Ok(Ok(stream)) => stream,
            Ok(Err(message)) => {
                failed.push(format!("{url}: {message}"));
                continue;
            }
            Err(_) => {
                failed.push(format!(
                    "{url}: no connection within {} s; is it the right host and port, is a firewall between?",
                    timeout.as_secs_f32()
                ));
                continue;
            }
        };
        match begin(name, config, password.as_ref(), url, stream).await {
            Ok(connection) => return Ok(connection),
            Err(Refused::Credentials(e)) => return Err(e),
            Err(Refused::Elsewhere(message)) => failed.push(format!("{url}: {message}")),
            Err(Refused::Locked(message)) => {
                failed.push(format!("{url}: {message}"));
                locked.push(message);
            }
        }
    }
    if locked.len() == failed.len()
        && let Some(message) = locked.pop()
    {
        return Err(SourceError::Auth { source_name: name.to_owned(), message });
    }
    let message = match failed.len() {
        0 => "no url is configured".to_owned(),
        1 => format!("cannot connect to {}", failed.concat()),
        n => format!("none of the {n} servers can be used: {}", failed.join("; ")),
    };
    Err(SourceError::Connect { source_name: name.to_owned(), message })
}

fn password(name: &str, config: &LdapConfig) -> Result<Option<SecretString>, SourceError> {
    let auth = |message: String| SourceError::Auth { source_name: name.to_owned(), message };
    let Some(dn) = &config.bind_dn else { return Ok(None) };
    let secret = config.password.as_ref().ok_or_else(|| auth(format!("bind_dn is {dn}, but there is no password")))?;
    let password = secret.read().map_err(|e| {
        let message = format!("the password of {dn}: {e}");
        SourceError::Secret { source_name: name.to_owned(), message }
    })?;
    // RFC 4513 section 5.1.2: a bind with a name and no password succeeds as nobody.
    if password.expose_secret().is_empty() {
        return Err(auth(format!("the password of {dn} is empty")));
    }
    Ok(Some(password))
}

/// A stream that is ready for LDAP messages.
enum Stream {
    Socket(UnixStream),
    Plain(TcpStream),
    /// With the protocol's version.
    Tls(Box<TlsStream<TcpStream>>, String),
}

async fn open(url: &Url, config: &LdapConfig, tls: &Arc<ClientConfig>) -> Result<Stream, String> {
    let host = url.host_str().unwrap_or_default();
    if url.scheme() == "ldapi" {
        let path = percent_encoding::percent_decode_str(host).decode_utf8_lossy().into_owned();
        let stream = UnixStream::connect(&path).await.map_err(|e| format!("socket {path}: {e}"))?;
        return Ok(Stream::Socket(stream));
    }
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let host = if host.is_empty() { "localhost" } else { host };
    let secure = url.scheme() == "ldaps";
    let port = url.port().unwrap_or(if secure { 636 } else { 389 });
    let mut stream = TcpStream::connect((host, port)).await.map_err(|e| format!("{host} port {port}: {e}"))?;
    stream.set_nodelay(true).map_err(|e| e.to_string())?;
    if !secure && !config.starttls {
        return Ok(Stream::Plain(stream));
    }
    if !secure {
        start_tls(&mut stream).await?;
    }
    let server = ServerName::try_from(host.to_owned()).map_err(|e| format!("{host} cannot stand in a certificate: {e}"))?;
    let stream = TlsConnector::from(tls.clone()).connect(server, stream).await.map_err(|e| tls_advice(host, &e))?;
    let version = stream.get_ref().1.protocol_version().and_then(|v| v.as_str().map(str::to_owned));
    Ok(Stream::Tls(Box::new(stream), version.unwrap_or_else(|| "TLS".to_owned())))
}

/// Binds, and sets everything to work.
async fn begin(
    name: &str,
    config: &LdapConfig,
    password: Option<&SecretString>,
    url: &Url,
    stream: Stream,
) -> Result<Connection, Refused> {
    let max = config.max_message;
    let started = match stream {
        #[cfg(feature = "kerberos")]
        Stream::Tls(mut stream, version) if matches!(config.bind, LdapBind::Kerberos { .. }) => {
            let who = super::kerberos::bind(name, config, url, &mut stream).await?;
            let started = start(url, *stream, Some(version), max).await.map_err(Refused::Elsewhere)?;
            return Ok(Connection { who, ..started });
        }
        Stream::Tls(stream, version) => start(url, *stream, Some(version), max).await,
        Stream::Plain(stream) => start(url, stream, None, max).await,
        Stream::Socket(stream) => start(url, stream, None, max).await,
    };
    let mut connection = started.map_err(Refused::Elsewhere)?;
    bind(name, config, password, &mut connection).await?;
    config.who().clone_into(&mut connection.who);
    Ok(connection)
}

/// Sets the pump and `ldap3` to work on a stream that is ready for LDAP messages.
async fn start<S>(url: &Url, stream: S, tls: Option<String>, max_message: usize) -> Result<Connection, String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (ours, theirs) = UnixStream::pair().map_err(|e| e.to_string())?;
    let theirs = theirs.into_std().map_err(|e| e.to_string())?;
    let settings = LdapConnSettings::new().set_std_stream(StdStream::Unix(theirs));
    let (conn, ldap) = LdapConnAsync::with_settings(settings, "ldapi://pump").await.map_err(|e| e.to_string())?;
    let (pump, results) = pump::new(max_message);
    let pump = tokio::spawn(pump.run(stream, ours));
    let driver = tokio::spawn(conn.drive());
    Ok(Connection { ldap, results, url: url.clone(), tls, who: String::new(), driver, pump })
}

/// Asks for StartTLS and reads exactly the answer, so that nothing sent before the handshake is ever used.
async fn start_tls(stream: &mut TcpStream) -> Result<(), String> {
    let io = |e: std::io::Error| format!("StartTLS: {e}");
    let odd = || "StartTLS: the answer is not LDAP".to_owned();
    stream.write_all(START_TLS).await.map_err(io)?;
    let message = read_message(stream).await.map_err(io)?;
    let mut parts = ber::Reader(ber::Reader(&message).expect(ber::SEQUENCE).ok_or_else(odd)?);
    parts.expect(ber::INTEGER).ok_or_else(odd)?;
    match parts.expect(0x78).and_then(ber::ldap_result).ok_or_else(odd)? {
        (0, _) => Ok(()),
        (code, text) => Err(format!("the server refuses StartTLS: {}; use ldaps://", result::describe(code, &text))),
    }
}

/// Reads one LDAP message, of at most 64 KiB, and nothing that comes after it.
pub(super) async fn read_message<S: AsyncRead + Unpin>(stream: &mut S) -> std::io::Result<Vec<u8>> {
    let odd = || std::io::Error::new(std::io::ErrorKind::InvalidData, "the answer is not LDAP");
    let mut message = vec![0; 2];
    stream.read_exact(&mut message).await?;
    let mut length = usize::from(message[1]);
    if length > 0x84 || length == 0x80 {
        return Err(odd());
    }
    if length > 0x80 {
        let at = message.len();
        message.resize(at + (length & 0x7f), 0);
        stream.read_exact(&mut message[at..]).await?;
        length = message[at..].iter().fold(0, |n, b| n << 8 | usize::from(*b));
    }
    if length > 64 << 10 {
        return Err(odd());
    }
    let at = message.len();
    message.resize(at + length, 0);
    stream.read_exact(&mut message[at..]).await?;
    Ok(message)
}

fn tls_advice(host: &str, error: &std::io::Error) -> String {
    let inner = error.get_ref().and_then(|e| e.downcast_ref::<rustls::Error>());
    let advice = match inner {
        Some(rustls::Error::InvalidCertificate(e)) => match e {
            rustls::CertificateError::UnknownIssuer => "; set ca_file to the CA that signed the server's certificate",
            rustls::CertificateError::Expired | rustls::CertificateError::ExpiredContext { .. } => {
                "; the server's certificate must be renewed"
            }
            rustls::CertificateError::NotValidForName | rustls::CertificateError::NotValidForNameContext { .. } => {
                "; use the name that stands in the certificate"
            }
            _ => "",
        },
        _ if error.kind() == std::io::ErrorKind::UnexpectedEof => "; does this port speak TLS?",
        _ => "",
    };
    format!("TLS with {host}: {error}{advice}")
}

pub(super) enum Refused {
    /// The credentials are wrong: no other server is tried.
    Credentials(SourceError),
    /// This server cannot be used now.
    Elsewhere(String),
    /// The account is locked at this server. Others count wrong passwords for themselves.
    Locked(String),
}

async fn bind(
    name: &str,
    config: &LdapConfig,
    password: Option<&SecretString>,
    connection: &mut Connection,
) -> Result<(), Refused> {
    if matches!(config.bind, LdapBind::Kerberos { .. }) {
        let message = "Kerberos is spoken inside TLS only, and in builds with the feature `kerberos`".to_owned();
        return Err(Refused::Credentials(SourceError::Auth { source_name: name.to_owned(), message }));
    }
    let ldap = &mut connection.ldap;
    ldap.with_timeout(config.net.timeout);
    let answer = match (&config.bind_dn, password) {
        (Some(dn), Some(password)) => {
            let policy = RawControl { ctype: PASSWORD_POLICY.to_owned(), crit: false, val: None };
            ldap.with_controls(policy).simple_bind(dn, password.expose_secret()).await
        }
        _ if connection.url.scheme() == "ldapi" => ldap.sasl_external_bind().await,
        _ => ldap.simple_bind("", "").await,
    };
    let who = config.who();
    let policy = answer.as_ref().ok().and_then(|a| a.ctrls.iter().find(|c| c.1.ctype == PASSWORD_POLICY));
    let policy = policy.and_then(|c| c.1.val.as_deref()).and_then(ber::password_policy_error);
    match answer {
        Ok(answer) if answer.rc == 0 => {
            result::bind_restricted(name, who, policy).map_or(Ok(()), |e| Err(Refused::Credentials(e)))
        }
        Ok(answer) => match result::bind_refused(name, who, answer.rc, &answer.text, policy) {
            SourceError::Auth { message, .. } if result::is_locked(policy, &answer.text) => Err(Refused::Locked(message)),
            e @ SourceError::Auth { .. } => Err(Refused::Credentials(e)),
            e => Err(Refused::Elsewhere(e.to_string())),
        },
        Err(ldap3::LdapError::Timeout { .. }) => {
            Err(Refused::Elsewhere(format!("no answer to the bind within {} s", config.net.timeout.as_secs_f32())))
        }
        Err(_) => Err(Refused::Elsewhere(format!("during the bind: {}", connection.why().await))),
    }
}
