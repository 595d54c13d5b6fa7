//! Carries octets between the server and `ldap3`, and cuts the connection when the server sends what [`Watcher`] refuses.
//!
//! `ldap3` gets one end of a socket pair and speaks plain LDAP to it; TLS is ended here. That gives four things that the
//! crate does not have: a limit on the size and shape of messages, back-pressure (its own queue is unbounded), the reason
//! why a connection ended, and the text of a Notice of Disconnection. Cost: one copy of each octet.

use super::wire::{INTERMEDIATE, Message, SEARCH_ENTRY, SEARCH_REFERENCE, Watcher};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::Notify;

/// Octets of search results that may wait for the reader before the server is no longer listened to.
const WINDOW: u64 = 8 << 20;
/// Octets read from the server at a time.
const CHUNK: usize = 64 << 10;
/// How long a goodbye to the server may take.
const GOODBYE: Duration = Duration::from_secs(1);

/// What the pump and the reader of one connection tell each other.
#[derive(Debug, Default)]
pub struct Wire {
    end: OnceLock<String>,
    consumed: AtomicU64,
    waiting: AtomicBool,
    wake: Notify,
}

impl Wire {
    /// Tells that the reader took one entry, reference or intermediate response.
    pub fn consumed(&self) {
        self.consumed.fetch_add(1, Ordering::Release);
        if self.waiting.load(Ordering::Acquire) {
            self.wake.notify_one();
        }
    }

    /// Why the connection ended, if it did.
    #[must_use]
    pub fn why(&self) -> Option<&str> {
        self.end.get().map(String::as_str)
    }
}

/// Search results passed on and not consumed yet.
#[derive(Default)]
struct Backlog {
    lengths: VecDeque<u64>,
    octets: u64,
    popped: u64,
}

impl Backlog {
    fn push(&mut self, message: Message) {
        if matches!(message.op, SEARCH_ENTRY | SEARCH_REFERENCE | INTERMEDIATE) {
            self.lengths.push_back(message.length);
            self.octets += message.length;
        }
    }

    fn is_full(&mut self, wire: &Wire) -> bool {
        let consumed = wire.consumed.load(Ordering::Acquire);
        while self.popped < consumed {
            let Some(length) = self.lengths.pop_front() else { break };
            self.octets -= length;
            self.popped += 1;
        }
        self.octets > WINDOW
    }
}

/// Carries octets until one side ends; then `wire` knows why, and `local` is closed.
pub async fn run<S>(mut server: S, mut local: UnixStream, max_message: usize, wire: Arc<Wire>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let why = carry(&mut server, &mut local, max_message, &wire).await;
    // First the reason, then the end: whoever sees the end finds the reason.
    let _ = wire.end.set(why);
    drop(local);
    let _ = tokio::time::timeout(GOODBYE, server.shutdown()).await;
}

async fn carry<S>(server: &mut S, local: &mut UnixStream, max_message: usize, wire: &Wire) -> String
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut watcher = Watcher::new(max_message);
    let mut backlog = Backlog::default();
    let mut received = 0;
    let mut from_server = vec![0; CHUNK];
    let mut from_local = vec![0; 8 << 10];
    loop {
        wire.waiting.store(true, Ordering::Release);
        let full = backlog.is_full(wire);
        wire.waiting.store(full, Ordering::Release);
        tokio::select! {
            read = server.read(&mut from_server), if !full => {
                let octets = match read {
                    Ok(0) => return end_of(&watcher, "the server closed the connection"),
                    Ok(n) => &from_server[..n],
                    Err(e) => return end_of(&watcher, &format!("the connection broke: {e}")),
                };
                if let Err(e) = watcher.feed(octets, &mut |message| backlog.push(message)) {
                    // What came whole before still counts: a notice may follow the last result.
                    let whole = usize::try_from(watcher.passed().saturating_sub(received)).unwrap_or(0);
                    let _ = local.write_all(octets.get(..whole).unwrap_or_default()).await;
                    return e.to_string();
                }
                received += octets.len() as u64;
                if let Err(e) = local.write_all(octets).await {
                    return format!("the reader went away: {e}");
                }
            }
            read = local.read(&mut from_local) => {
                let octets = match read {
                    Ok(0) => return "closed by us".to_owned(),
                    Ok(n) => &from_local[..n],
                    Err(e) => return format!("the reader went away: {e}"),
                };
                if let Err(e) = async { server.write_all(octets).await?; server.flush().await }.await {
                    return format!("the connection broke: {e}");
                }
            }
            () = wire.wake.notified(), if full => {}
        }
    }
}

fn end_of(watcher: &Watcher, how: &str) -> String {
    if watcher.inside_message() { format!("{how} in the middle of a message") } else { how.to_owned() }
}
