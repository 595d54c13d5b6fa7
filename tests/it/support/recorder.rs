//! A reverse proxy in front of a SCIM server that keeps every request: what was sent is counted and judged here, by no code
//! of the client under test.

use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;
use url::Url;

/// One request, and how it was answered.
#[derive(Debug, Clone)]
pub struct Recorded {
    pub method: String,
    /// Path and query below the server's base URL, with a leading slash.
    pub path: String,
    /// The body as JSON; `Null` where there is none.
    pub body: Value,
    /// Status of the answer.
    pub status: u16,
    /// When the answer was complete.
    pub at: Instant,
}

impl Recorded {
    pub fn writes(&self) -> bool {
        self.method != "GET" && !self.path.contains("/.search")
    }

    /// `Users`, `Groups`, ...
    pub fn collection(&self) -> &str {
        self.path.trim_start_matches('/').split(['/', '?']).next().unwrap()
    }

    /// `POST Users`, `PATCH Groups`, ...
    pub fn kind(&self) -> String {
        format!("{} {}", self.method, self.collection())
    }
}

#[derive(Default)]
struct Shared {
    requests: Mutex<Vec<Recorded>>,
    connections: AtomicU64,
    ended: AtomicBool,
}

/// A running recorder. Ends with the value.
pub struct Recorder {
    /// Base URL to configure as the target's.
    pub url: String,
    shared: Arc<Shared>,
    port: u16,
}

impl Recorder {
    /// In front of the SCIM server whose base URL this is.
    pub fn start(upstream: &str) -> Self {
        let upstream = Url::parse(upstream).unwrap();
        let address = format!("{}:{}", upstream.host_str().unwrap(), upstream.port_or_known_default().unwrap());
        let base = upstream.path().trim_end_matches('/').to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared::default());
        let (all, prefix) = (Arc::clone(&shared), base.clone());
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if all.ended.load(Ordering::SeqCst) {
                    return;
                }
                all.connections.fetch_add(1, Ordering::SeqCst);
                let (shared, address, prefix) = (Arc::clone(&all), address.clone(), prefix.clone());
                std::thread::spawn(move || carry(client, &address, &prefix, &shared));
            }
        });
        Self { url: format!("http://127.0.0.1:{port}{base}"), shared, port }
    }

    /// Everything since the start or the last `clear`, in the order of the answers.
    pub fn requests(&self) -> Vec<Recorded> {
        self.shared.requests.lock().unwrap().clone()
    }

    pub fn writes(&self) -> Vec<Recorded> {
        self.requests().into_iter().filter(Recorded::writes).collect()
    }

    /// Connections that were opened.
    pub fn connections(&self) -> u64 {
        self.shared.connections.load(Ordering::SeqCst)
    }

    pub fn clear(&self) {
        self.shared.requests.lock().unwrap().clear();
        self.shared.connections.store(0, Ordering::SeqCst);
    }

    /// Writes by kind (`POST Users`), with their number.
    pub fn written(&self) -> BTreeMap<String, usize> {
        let mut out = BTreeMap::new();
        for r in self.writes() {
            *out.entry(r.kind()).or_default() += 1;
        }
        out
    }

    /// Nothing at all was sent, not even a connection was opened.
    #[track_caller]
    pub fn expect_silence(&self) {
        let sent: Vec<String> = self.requests().iter().map(|r| format!("{} {}", r.method, r.path)).collect();
        assert_eq!(sent, [""; 0], "requests where none was due");
        assert_eq!(self.connections(), 0, "connections where none was due");
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

/// One connection: requests go to a connection of their own at the server, one after another.
fn carry(client: TcpStream, upstream: &str, prefix: &str, shared: &Shared) -> Option<()> {
    let server = TcpStream::connect(upstream).ok()?;
    client.set_nodelay(true).ok()?;
    server.set_nodelay(true).ok()?;
    let (mut to_client, mut to_server) = (client.try_clone().ok()?, server.try_clone().ok()?);
    let (mut from_client, mut from_server) = (BufReader::new(client), BufReader::new(server));
    loop {
        let request = Message::read(&mut from_client, true)?;
        to_server.write_all(&request.raw).ok()?;
        let answer = Message::read(&mut from_server, false)?;
        let mut line = request.first.split(' ');
        let (method, target) = (line.next()?.to_owned(), line.next()?);
        let body = match request.body.is_empty() {
            true => Value::Null,
            false => serde_json::from_slice(&request.body).unwrap_or_else(|e| panic!("{method} {target}: not JSON: {e}")),
        };
        let status = answer.first.split(' ').nth(1)?.parse().ok()?;
        let path = target.strip_prefix(prefix).unwrap_or(target).to_owned();
        shared.requests.lock().unwrap().push(Recorded { method, path, body, status, at: Instant::now() });
        to_client.write_all(&answer.raw).ok()?;
        if answer.closes {
            return None;
        }
    }
}

/// An HTTP/1 message: as it came, and its parts.
struct Message {
    raw: Vec<u8>,
    first: String,
    body: Vec<u8>,
    /// Ends with the connection.
    closes: bool,
}

impl Message {
    fn read(from: &mut BufReader<TcpStream>, is_request: bool) -> Option<Self> {
        let mut raw = Vec::new();
        let first = line(from, &mut raw)?;
        let (mut length, mut chunked, mut closes) = (None, false, first.starts_with("HTTP/1.0"));
        loop {
            let header = line(from, &mut raw)?.to_ascii_lowercase();
            let Some((name, value)) = header.split_once(':') else { break };
            match (name, value.trim()) {
                ("content-length", n) => length = n.parse().ok(),
                ("transfer-encoding", v) => chunked = v.contains("chunked"),
                ("connection", v) => closes = v.contains("close"),
                _ => {}
            }
        }
        let mut body = Vec::new();
        let bodiless = is_request || [" 204", " 304"].iter().any(|s| first.contains(s));
        if chunked {
            loop {
                let size = usize::from_str_radix(line(from, &mut raw)?.split(';').next()?.trim(), 16).ok()?;
                let at = raw.len();
                raw.resize(at + size + 2, 0);
                from.read_exact(&mut raw[at..]).ok()?;
                body.extend_from_slice(&raw[at..at + size]);
                if size == 0 {
                    break;
                }
            }
        } else if let Some(n) = length {
            body.resize(n, 0);
            from.read_exact(&mut body).ok()?;
            raw.extend_from_slice(&body);
        } else if !bodiless {
            from.read_to_end(&mut body).ok()?;
            raw.extend_from_slice(&body);
            closes = true;
        }
        Some(Self { raw, first, body, closes })
    }
}

/// One line without its end; it is added to `raw` as it came.
fn line(from: &mut BufReader<TcpStream>, raw: &mut Vec<u8>) -> Option<String> {
    let at = raw.len();
    let n = from.read_until(b'\n', raw).ok()?;
    (n > 0).then(|| String::from_utf8_lossy(&raw[at..]).trim_end().to_owned())
}
