//! HTTP/1.1 by hand: faults below HTTP are made here as well.

use super::answers::{self, Answer};
use super::tenant::Tenant;
use crate::support::dice::Dice;
use serde_json::{Value, json};
use std::collections::{HashMap, VecDeque};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// What a proxy says.
pub const PAGE: &str = "<html>Not Found</html>";

/// One request, and how it was answered.
#[derive(Debug, Clone)]
pub struct Asked {
    pub method: String,
    /// Path below `/v1.0` and query as sent, or the whole path for the token endpoint.
    pub target: String,
    pub body: String,
    pub status: u16,
    pub at: Instant,
}

impl Asked {
    pub fn is_token(&self) -> bool {
        self.target.contains("/oauth2/v2.0/token")
    }
}

/// How a request is answered instead.
#[derive(Debug, Clone)]
pub enum Fault {
    /// This status and error code.
    Status(u16, &'static str),
    /// This status, and a page of a proxy.
    Page(u16),
    /// This status with Retry-After in seconds.
    RetryAfter(u16, u64),
    /// The connection ends.
    Cut,
    /// The body ends in the middle.
    Half,
    /// Answered as it should be: a place in the row.
    None,
    /// This body with status 200.
    Body(Value),
    /// As it should be, with the next link replaced.
    NextLink(String),
}

pub struct Request {
    pub method: String,
    pub path: String,
    pub query: Vec<(String, String)>,
    pub headers: HashMap<String, String>,
    pub body: String,
}

pub struct Shared {
    pub url: String,
    pub tenant: Mutex<Tenant>,
    pub log: Mutex<Vec<Asked>>,
    pub faults: Mutex<VecDeque<(String, Fault)>>,
    pub one_in: Mutex<usize>,
    pub dice: Mutex<Dice>,
    pub offences: Mutex<Vec<String>>,
    pub keep: Mutex<bool>,
    pub bodies: Mutex<Vec<(String, Value)>>,
    pub delay: Mutex<Duration>,
    not_before: Mutex<Option<Instant>>,
    ended: AtomicBool,
}

impl Shared {
    pub fn new(url: String, tenant: Tenant) -> Self {
        Self {
            url,
            tenant: Mutex::new(tenant),
            log: Mutex::default(),
            faults: Mutex::default(),
            one_in: Mutex::default(),
            dice: Mutex::new(Dice::new(5)),
            offences: Mutex::default(),
            keep: Mutex::default(),
            bodies: Mutex::default(),
            delay: Mutex::default(),
            not_before: Mutex::default(),
            ended: AtomicBool::default(),
        }
    }

    pub fn ended(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }

    pub fn end(&self) {
        self.ended.store(true, Ordering::SeqCst);
    }

    pub fn offend(&self, what: String) {
        self.offences.lock().unwrap().push(what);
    }

    /// What was ordered for this address.
    pub fn ordered(&self, target: &str) -> Option<Fault> {
        let mut faults = self.faults.lock().unwrap();
        let at = faults.iter().position(|(part, _)| target.contains(part.as_str()))?;
        faults.remove(at).map(|(_, fault)| fault)
    }

    /// What is answered instead, if anything is.
    fn fault(&self, target: &str) -> Fault {
        if let Some(fault) = self.ordered(target) {
            return fault;
        }
        let n = *self.one_in.lock().unwrap();
        if n == 0 {
            return Fault::None;
        }
        let mut dice = self.dice.lock().unwrap();
        if !dice.one_in(n) {
            return Fault::None;
        }
        match dice.below(12) {
            0 => Fault::RetryAfter(429, 1),
            1 => Fault::RetryAfter(503, 1),
            2..6 => Fault::Status(429, "TooManyRequests"),
            6 | 7 => Fault::Status(503, "serviceNotAvailable"),
            8 => Fault::Status(509, ""),
            9 => Fault::Status(504, "UnknownError"),
            10 => Fault::Cut,
            _ => Fault::Half,
        }
    }
}

/// One connection.
pub fn serve(stream: TcpStream, shared: &Shared) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let mut out = stream.try_clone().ok()?;
    let mut input = BufReader::new(stream);
    loop {
        let (request, raw) = read(&mut input)?;
        if shared.ended() {
            return None;
        }
        let is_token = request.path.ends_with("/oauth2/v2.0/token");
        let target = if is_token { raw.clone() } else { raw.strip_prefix("/v1.0").unwrap_or(&raw).to_owned() };
        if !is_token && shared.not_before.lock().unwrap().is_some_and(|t| Instant::now() < t) {
            shared.offend(format!("{} {target}: before its time", request.method));
        }
        std::thread::sleep(*shared.delay.lock().unwrap());
        let fault = shared.fault(&target);
        let mut answer = match &fault {
            Fault::Status(status, code) => Answer::error(*status, code, "made up"),
            Fault::Page(status) => Answer { status: *status, ..Answer::ok(json!(PAGE)) },
            Fault::RetryAfter(status, seconds) => {
                *shared.not_before.lock().unwrap() = Some(Instant::now() + Duration::from_secs(*seconds));
                Answer { retry_after: Some(*seconds), ..Answer::error(*status, "TooManyRequests", "made up") }
            }
            Fault::Cut | Fault::None | Fault::Half | Fault::NextLink(_) => answers::answer(shared, &request),
            Fault::Body(body) => Answer::ok(body.clone()),
        };
        if let Fault::NextLink(link) = &fault {
            answer.body["@odata.nextLink"] = json!(link);
            answer.body.as_object_mut().unwrap().remove("@odata.deltaLink");
        }
        if answer.status == 200 && !is_token && *shared.keep.lock().unwrap() {
            shared.bodies.lock().unwrap().push((target.clone(), answer.body.clone()));
        }
        let (method, body) = (request.method.clone(), request.body.clone());
        shared.log.lock().unwrap().push(Asked { method, target, body, status: answer.status, at: Instant::now() });
        if matches!(fault, Fault::Cut) {
            return None;
        }
        let text = if matches!(fault, Fault::Page(_)) { PAGE.to_owned() } else { answer.body.to_string() };
        let retry = answer.retry_after.map_or(String::new(), |s| format!("Retry-After: {s}\r\n"));
        let now = httpdate::fmt_http_date(std::time::SystemTime::now());
        let head = format!(
            "HTTP/1.1 {} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\nDate: {now}\r\nrequest-id: r\r\n{retry}\r\n",
            answer.status,
            text.len()
        );
        out.write_all(head.as_bytes()).ok()?;
        if matches!(fault, Fault::Half) {
            out.write_all(&text.as_bytes()[..text.len() / 2]).ok()?;
            return None;
        }
        out.write_all(text.as_bytes()).ok()?;
    }
}

fn read(input: &mut BufReader<TcpStream>) -> Option<(Request, String)> {
    let mut line = String::new();
    input.read_line(&mut line).ok().filter(|n| *n > 0)?;
    let mut words = line.split_whitespace();
    let (method, raw) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = HashMap::new();
    loop {
        let mut line = String::new();
        input.read_line(&mut line).ok().filter(|n| *n > 0)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").and_then(|l| l.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    input.read_exact(&mut body).ok()?;
    let url = url::Url::parse(&format!("http://x{raw}")).ok()?;
    let request = Request {
        method,
        path: percent_encoding::percent_decode_str(url.path()).decode_utf8().ok()?.into_owned(),
        query: url.query_pairs().into_owned().collect(),
        headers,
        body: String::from_utf8(body).ok()?,
    };
    Some((request, raw))
}
