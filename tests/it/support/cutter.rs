//! A proxy in front of an LDAP server that ends the conversation in a chosen way at a chosen place.

use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

/// How it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// A clean close after a whole message.
    Close,
    /// A clean close after half a message.
    Inside,
    /// A reset.
    Reset,
    /// Nothing more comes, and the connection stays.
    Hang,
    /// A Notice of Disconnection, then a close (RFC 4511 section 4.4.1).
    Notice,
}

/// Where it ends. The search before the first page (the rootDSE) is page 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Where {
    /// Page of the read, over people and groups together.
    pub page: usize,
    /// After this many entries of it; `None`: after its last message.
    pub entries: Option<usize>,
}

/// A running proxy. Ends with the value.
pub struct Cutter {
    /// Where it listens.
    pub port: u16,
    _stop: oneshot::Sender<()>,
}

/// `result: unavailable (52), message: "going down"`, with the notice's name.
const NOTICE: &[u8] = b"\x30\x2e\x02\x01\x00\x78\x29\x0a\x01\x34\x04\x00\x04\x0agoing down\x8a\x161.3.6.1.4.1.1466.20036";

impl Cutter {
    /// A proxy to `upstream`, a port of this host.
    pub fn start(upstream: u16, place: Where, how: How) -> Self {
        let (stop, stopped) = oneshot::channel();
        let (tell, port) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                tell.send(listener.local_addr().unwrap().port()).unwrap();
                let serve = async {
                    loop {
                        let (client, _) = listener.accept().await.unwrap();
                        tokio::spawn(carry(client, SocketAddr::from(([127, 0, 0, 1], upstream)), place, how));
                    }
                };
                tokio::select! { () = serve => {}, _ = stopped => {} }
            });
        });
        Self { port: port.recv().unwrap(), _stop: stop }
    }
}

async fn carry(mut client: TcpStream, upstream: SocketAddr, place: Where, how: How) {
    let server = TcpStream::connect(upstream).await.unwrap();
    let (mut from_server, mut to_server) = server.into_split();
    let mut buffer: Vec<u8> = Vec::new();
    let (mut page, mut entries) = (0, 0);
    let mut chunk = vec![0; 1 << 16];
    let mut requests = vec![0; 1 << 12];
    loop {
        tokio::select! {
            read = client.read(&mut requests) => match read {
                Ok(n) if n > 0 => if to_server.write_all(&requests[..n]).await.is_err() { return },
                _ => return,
            },
            read = from_server.read(&mut chunk) => {
                match read {
                    Ok(n) if n > 0 => buffer.extend_from_slice(&chunk[..n]),
                    _ => return,
                }
                let mut at = 0;
                while let Some((length, op)) = message(&buffer[at..]) {
                    if page == place.page && place.entries == Some(entries) {
                        let _ = client.write_all(&buffer[..at]).await;
                        return end(client, &buffer[at..at + length], how).await;
                    }
                    at += length;
                    match op {
                        0x64 => entries += 1,
                        0x65 => {
                            if page == place.page {
                                let _ = client.write_all(&buffer[..at]).await;
                                return end(client, &NOTICE[..4], how).await;
                            }
                            page += 1;
                            entries = 0;
                        }
                        _ => {}
                    }
                }
                if client.write_all(&buffer[..at]).await.is_err() {
                    return;
                }
                buffer.drain(..at);
            }
        }
    }
}

async fn end(mut client: TcpStream, next: &[u8], how: How) {
    match how {
        How::Close => {}
        How::Inside => client.write_all(&next[..next.len() / 2]).await.unwrap(),
        How::Reset => {
            // What was written must arrive first: a reset throws away what is still on its way.
            tokio::time::sleep(Duration::from_millis(50)).await;
            client.set_zero_linger().unwrap();
        }
        How::Hang => tokio::time::sleep(Duration::from_secs(120)).await,
        How::Notice => client.write_all(NOTICE).await.unwrap(),
    }
}

/// Length and operation of the message at the start, if it is there whole.
fn message(octets: &[u8]) -> Option<(usize, u8)> {
    let first = usize::from(*octets.get(1)?);
    let (header, length) = match first {
        0..=0x7f => (2, first),
        _ => {
            let n = first & 0x7f;
            (2 + n, octets.get(2..2 + n)?.iter().fold(0, |l, b| l << 8 | usize::from(*b)))
        }
    };
    let id = usize::from(*octets.get(header + 1)?);
    let op = *octets.get(header + 2 + id)?;
    (octets.len() >= header + length).then_some((header + length, op))
}
