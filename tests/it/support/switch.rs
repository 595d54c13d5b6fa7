//! A server in front of the sandbox that answers in its place when a test says so.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A request as it came.
pub struct Asked {
    pub method: String,
    /// Path and query, with the SCIM base.
    pub path: String,
    /// `Authorization` header.
    pub authorization: String,
    pub body: String,
}

impl Asked {
    pub fn writes(&self) -> bool {
        self.method != "GET"
    }
}

/// Status and body to answer with; `None` passes the request on.
pub type Answer = Option<(u16, String)>;

type Rule = Box<dyn FnMut(&Asked) -> Answer + Send>;

/// Runs until dropped.
pub struct Switch {
    /// SCIM base URL.
    pub url: String,
    rule: Arc<Mutex<Rule>>,
    date: Arc<Mutex<String>>,
    stop: Arc<AtomicBool>,
}

impl Switch {
    /// In front of `upstream` (a SCIM base URL).
    pub fn before(upstream: &str) -> Self {
        let (origin, base) = upstream.split_once("/scim").map(|(o, b)| (o.to_owned(), format!("/scim{b}"))).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}{base}", listener.local_addr().unwrap());
        let rule: Arc<Mutex<Rule>> = Arc::new(Mutex::new(Box::new(|_: &Asked| None)));
        let stop = Arc::new(AtomicBool::new(false));
        let (rules, stopped) = (Arc::clone(&rule), Arc::clone(&stop));
        let date: Arc<Mutex<String>> = Arc::default();
        let dates = Arc::clone(&date);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                let (Ok(stream), rules, origin) = (stream, Arc::clone(&rules), origin.clone()) else { continue };
                let date = Arc::clone(&dates);
                std::thread::spawn(move || serve(stream, &rules, &origin, &date));
            }
        });
        Self { url, rule, date, stop }
    }

    /// From now on this decides what is answered.
    pub fn rule(&self, rule: impl FnMut(&Asked) -> Answer + Send + 'static) {
        *self.rule.lock().unwrap() = Box::new(rule);
    }

    /// The clock of its answers (an HTTP date); empty: the right one.
    pub fn date(&self, date: &str) {
        *self.date.lock().unwrap() = date.to_owned();
    }

    /// From now on everything is answered like this.
    pub fn always(&self, status: u16, body: &str) {
        let body = body.to_owned();
        self.rule(move |_| Some((status, body.clone())));
    }

    /// From now on everything is passed on.
    pub fn pass(&self) {
        self.rule(|_| None);
    }
}

impl Drop for Switch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // Wakes the listener.
        let address = self.url.trim_start_matches("http://").split('/').next().unwrap().to_owned();
        let _ = TcpStream::connect(address);
    }
}

/// One connection, request after request.
fn serve(stream: TcpStream, rules: &Mutex<Rule>, origin: &str, date: &Mutex<String>) {
    let _ = stream.set_read_timeout(Some(Duration::from_secs(60)));
    let http = reqwest::blocking::Client::new();
    let mut input = BufReader::new(stream.try_clone().unwrap());
    let mut output = stream;
    while let Some((asked, content_type)) = read(&mut input) {
        let answer = (rules.lock().unwrap())(&asked);
        let (status, location, body) = match answer {
            Some((status, body)) => (status, None, body.into_bytes()),
            None => {
                let method = reqwest::Method::from_bytes(asked.method.as_bytes()).unwrap();
                let sent = http
                    .request(method, format!("{origin}{}", asked.path))
                    .header("authorization", &asked.authorization)
                    .header("content-type", content_type)
                    .body(asked.body)
                    .send();
                let Ok(got) = sent else { return };
                let location = got.headers().get("location").map(|l| l.to_str().unwrap().to_owned());
                (got.status().as_u16(), location, got.bytes().unwrap().to_vec())
            }
        };
        let location = location.map_or_else(String::new, |l| format!("location: {l}\r\n"));
        let said = date.lock().unwrap().clone();
        let said = if said.is_empty() { httpdate::fmt_http_date(std::time::SystemTime::now()) } else { said };
        let kind = if body.starts_with(b"<") { "text/html" } else { "application/scim+json" };
        let head = format!(
            "HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ndate: {said}\r\n{location}content-length: {}\r\n\r\n",
            body.len()
        );
        if output.write_all(head.as_bytes()).and_then(|()| output.write_all(&body)).is_err() {
            return;
        }
    }
}

fn read(input: &mut BufReader<TcpStream>) -> Option<(Asked, String)> {
    let mut line = String::new();
    input.read_line(&mut line).ok().filter(|n| *n > 0)?;
    let mut words = line.split_whitespace();
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let (mut authorization, mut content_type, mut length) = (String::new(), String::new(), 0);
    loop {
        let mut line = String::new();
        input.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        match name.to_ascii_lowercase().as_str() {
            "authorization" => authorization = value.to_owned(),
            "content-type" => content_type = value.to_owned(),
            "content-length" => length = value.parse().unwrap(),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    input.read_exact(&mut body).ok()?;
    Some((Asked { method, path, authorization, body: String::from_utf8(body).unwrap() }, content_type))
}
