//! Stands between the server and `ldap3`: ends TLS, takes messages apart, and cuts the connection when one is refused.
//!
//! `ldap3` gets one end of a socket pair, speaks plain LDAP to it, and sees results only. Entries are found here, next to
//! the socket, and go to the reader in batches over a bounded channel, as they came. So there is a limit on messages, back-pressure (the
//! crate's own queue is unbounded), the reason why a connection ended, and a fraction of the crate's work per entry.

use super::sent::SentEntry;
use super::wire::{self, INTERMEDIATE, SEARCH_ENTRY, SEARCH_REFERENCE, WireError};
use bytes::{Bytes, BytesMut};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::sync::mpsc;

/// Octets read from the server at a time.
const CHUNK: usize = 64 << 10;
/// Batches that may wait for the reader before the server is no longer listened to.
const WAITING: usize = 2;
/// How long entries may gather while they trickle in.
const GATHER: Duration = Duration::from_micros(100);
/// How long a goodbye to the server may take.
const GOODBYE: Duration = Duration::from_secs(1);

/// Search results that came together.
#[derive(Debug, Default)]
pub struct Batch {
    /// Entries, with the id of the search that they answer.
    pub entries: Vec<(u32, SentEntry)>,
    /// Continuation references.
    pub references: u64,
    /// What came with the entries and between them, in order.
    pub notes: Vec<Note>,
}

/// What servers say beside entries: read by content synchronisation (RFC 4533) only.
#[derive(Debug)]
pub struct Note {
    /// The search that it answers.
    pub id: u32,
    /// Entries of the batch that came before.
    pub place: usize,
    /// What it is.
    pub what: Said,
}

/// Octets of a [`Note`].
#[derive(Debug)]
pub enum Said {
    /// Controls of the entry that follows (RFC 4511 section 4.1.11).
    Controls(Bytes),
    /// An IntermediateResponse (RFC 4511 section 4.13).
    Intermediate(Bytes),
}

/// The reader's end.
#[derive(Debug)]
pub struct Results {
    batches: mpsc::Receiver<Batch>,
    end: Arc<OnceLock<String>>,
}

impl Results {
    /// The next batch; `None` once the connection has ended.
    pub async fn next(&mut self) -> Option<Batch> {
        self.batches.recv().await
    }

    /// A batch that is there already. All entries of a search are, once its result has come.
    pub fn waiting(&mut self) -> Option<Batch> {
        self.batches.try_recv().ok()
    }

    /// Why the connection ended, if it did.
    #[must_use]
    pub fn why(&self) -> Option<&str> {
        self.end.get().map(String::as_str)
    }
}

/// The pump's end.
pub struct Pump {
    batches: mpsc::Sender<Batch>,
    end: Arc<OnceLock<String>>,
    max_message: usize,
}

/// What is to be expected of the server next.
enum More {
    /// Entries, or the end of them.
    Entries,
    /// Nothing in particular.
    Unknown,
}

/// Both ends; messages may have `max_message` octets.
#[must_use]
pub fn new(max_message: usize) -> (Pump, Results) {
    let (sender, batches) = mpsc::channel(WAITING);
    let end = Arc::new(OnceLock::new());
    (Pump { batches: sender, end: end.clone(), max_message }, Results { batches, end })
}

impl Pump {
    /// Carries messages until one side ends.
    pub async fn run<S>(self, mut server: S, mut local: UnixStream)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let why = self.carry(&mut server, &mut local).await;
        // First the reason, then the end: whoever sees the end finds the reason.
        let _ = self.end.set(why);
        drop(local);
        drop(self.batches);
        let _ = tokio::time::timeout(GOODBYE, server.shutdown()).await;
    }

    async fn carry<S>(&self, server: &mut S, local: &mut UnixStream) -> String
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut received = BytesMut::with_capacity(CHUNK);
        let mut requests = vec![0; 8 << 10];
        let mut few;
        loop {
            received.reserve(CHUNK);
            tokio::select! {
                read = server.read_buf(&mut received) => {
                    let whole = !received.is_empty();
                    match read {
                        Ok(0) if whole => return "the server closed the connection in the middle of a message".to_owned(),
                        Ok(0) => return "the server closed the connection".to_owned(),
                        Ok(n) => few = n < CHUNK / 4,
                        Err(e) => return format!("the connection broke: {e}"),
                    }
                    match self.deliver(&mut received, local).await {
                        // slapd sends every entry on its own. Waking up for each costs both sides more than the entry does,
                        // and this thread has nothing else to do (tokio's own timers tick in milliseconds).
                        Ok(More::Entries) if few => std::thread::sleep(GATHER),
                        Ok(_) => {}
                        Err(why) => return why,
                    }
                }
                read = local.read(&mut requests) => {
                    let request = match read {
                        Ok(0) => return "closed by us".to_owned(),
                        Ok(n) => &requests[..n],
                        Err(e) => return format!("the reader went away: {e}"),
                    };
                    if let Err(e) = async { server.write_all(request).await?; server.flush().await }.await {
                        return format!("the connection broke: {e}");
                    }
                }
            }
        }
    }

    /// Passes on every message that is whole. Entries go first, so that they are there when their result is.
    async fn deliver(&self, received: &mut BytesMut, local: &mut UnixStream) -> Result<More, String> {
        let mut batch = Batch::default();
        let mut results = Vec::new();
        let (whole, next) = whole(received, self.max_message);
        let sorted = sort(&received.split_to(whole).freeze(), &mut batch, &mut results).and(next);
        let more = if batch.entries.is_empty() || !results.is_empty() { More::Unknown } else { More::Entries };
        if !batch.entries.is_empty() || batch.references > 0 || !batch.notes.is_empty() {
            self.batches.send(batch).await.map_err(|_| "the reader went away".to_owned())?;
        }
        if !results.is_empty() {
            local.write_all(&results).await.map_err(|e| format!("the reader went away: {e}"))?;
        }
        sorted.map(|()| more).map_err(|e| e.to_string())
    }
}

/// How many octets at the start are whole messages, and what is wrong with the one behind them, if anything.
fn whole(octets: &[u8], max: usize) -> (usize, Result<(), WireError>) {
    let mut whole = 0;
    loop {
        let rest = octets.get(whole..).unwrap_or_default();
        match wire::length(rest, max) {
            Ok(Some(length)) if length <= rest.len() => whole += length,
            Ok(_) => return (whole, Ok(())),
            Err(e) => return (whole, Err(e)),
        }
    }
}

/// Sorts whole messages into entries and results.
fn sort(octets: &Bytes, batch: &mut Batch, results: &mut Vec<u8>) -> Result<(), WireError> {
    let mut rest: &[u8] = octets;
    while let Some(length) = wire::length(rest, usize::MAX)? {
        let Some((message, behind)) = rest.split_at_checked(length) else { break };
        rest = behind;
        let opened = wire::open(message)?;
        let place = batch.entries.len();
        let mut note = |what| batch.notes.push(Note { id: opened.id, place, what });
        match opened.op {
            SEARCH_ENTRY => {
                if !opened.controls.is_empty() {
                    note(Said::Controls(octets.slice_ref(opened.controls)));
                }
                batch.entries.push((opened.id, SentEntry(octets.slice_ref(opened.contents))));
            }
            SEARCH_REFERENCE => batch.references += 1,
            INTERMEDIATE => note(Said::Intermediate(octets.slice_ref(opened.contents))),
            _ => {
                opened.check_result()?;
                results.extend_from_slice(message);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    const ENTRY: &[u8] = &[0x30, 9, 2, 1, 7, 0x64, 4, 4, 0, 0x30, 0];
    const DONE: &[u8] = &[0x30, 12, 2, 1, 7, 0x65, 7, 10, 1, 0, 4, 0, 4, 0];

    #[test]
    fn whole_messages_are_taken_and_the_rest_stays() {
        let octets = [ENTRY, &[0x30, 7, 2, 1, 7, 0x73, 2, 4, 0], ENTRY, DONE, &ENTRY[..4]].concat();
        let (taken, next) = whole(&octets, 1000);
        assert!(next.is_ok());
        assert_eq!(taken, octets.len() - 4);
        let (mut batch, mut results) = (Batch::default(), Vec::new());
        sort(&Bytes::from(octets).slice(..taken), &mut batch, &mut results).unwrap();
        assert_eq!((batch.entries.len(), batch.references), (2, 1));
        assert_eq!(batch.entries[1].0, 7);
        assert_eq!(results, DONE);
    }

    #[test]
    fn what_came_before_a_fault_still_counts() {
        let octets = [ENTRY, DONE, &[0x30, 0]].concat();
        let (mut batch, mut results) = (Batch::default(), Vec::new());
        assert!(sort(&octets.into(), &mut batch, &mut results).is_err());
        assert_eq!((batch.entries.len(), results.as_slice()), (1, DONE));
    }

    #[tokio::test]
    async fn a_slow_reader_slows_the_server() {
        let (mut server, pumped) = tokio::io::duplex(1 << 16);
        let (local, _theirs) = UnixStream::pair().unwrap();
        let (pump, mut results) = new(1000);
        tokio::spawn(pump.run(pumped, local));
        let many = ENTRY.repeat(10_000);
        let written = tokio::time::timeout(Duration::from_millis(200), async {
            loop {
                server.write_all(&many).await.unwrap();
            }
        });
        assert!(written.await.is_err(), "the server cannot go on");
        assert!(results.next().await.unwrap().entries.len() <= 2 * CHUNK / ENTRY.len());
    }

    #[tokio::test]
    async fn the_reason_is_there_when_the_end_is() {
        for (octets, expected) in [
            (&ENTRY[..3], "in the middle of a message"),
            (&[0x30, 0][..], "not LDAP"),
            (&[0x30, 0x84, 0x7f, 0, 0, 0][..], "max_message"),
            (&[][..], "closed the connection"),
        ] {
            let (mut server, pumped) = tokio::io::duplex(64);
            let (local, _theirs) = UnixStream::pair().unwrap();
            let (pump, mut results) = new(1000);
            tokio::spawn(pump.run(pumped, local));
            server.write_all(octets).await.unwrap();
            drop(server);
            assert!(results.next().await.is_none());
            assert!(results.why().unwrap().contains(expected), "{:?}", results.why());
        }
    }
}
