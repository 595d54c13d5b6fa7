//! The wire: HTTP/1.1, one thread for each connection.

use super::trouble::Fate;
use super::{Asked, State, serve};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, UNIX_EPOCH};
use url::form_urlencoded;

/// An answer.
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
}

/// Answers what comes over one connection until it ends.
pub fn carry(client: TcpStream, state: &Mutex<State>, base: &str) -> Option<()> {
    client.set_nodelay(true).ok()?;
    let mut out = client.try_clone().ok()?;
    let mut from = BufReader::new(client);
    loop {
        let mut asked = request(&mut from)?;
        let (reply, date, fate) = {
            let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
            let fate = state.trouble.fate();
            let reply = serve::answer(&mut state, &asked, base, fate);
            (asked.status, asked.answer) = (reply.status, reply.body.clone());
            state.asked.push(asked);
            let date = (!state.trouble.no_date).then(|| state.org.clock());
            (reply, date, fate)
        };
        if fate == Fate::Reset {
            return None;
        }
        let mut head =
            format!("HTTP/1.1 {} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n", reply.status, reply.body.len());
        for (name, value) in &reply.headers {
            write!(head, "{name}: {value}\r\n").ok()?;
        }
        if let Some(date) = date {
            let at = UNIX_EPOCH + Duration::from_secs(u64::try_from(date).ok()?);
            write!(head, "date: {}\r\n", httpdate::fmt_http_date(at)).ok()?;
        }
        head.push_str("\r\n");
        out.write_all(head.as_bytes()).ok()?;
        if fate == Fate::Cut {
            out.write_all(&reply.body.as_bytes()[..reply.body.len() / 2]).ok()?;
            return None;
        }
        out.write_all(reply.body.as_bytes()).ok()?;
    }
}

fn request(from: &mut BufReader<TcpStream>) -> Option<Asked> {
    let mut line = String::new();
    (from.read_line(&mut line).ok()? > 0).then_some(())?;
    let mut words = line.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        from.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.insert(name.to_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").and_then(|n| n.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    from.read_exact(&mut body).ok()?;
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    Some(Asked {
        method,
        path: path.to_owned(),
        query: form_urlencoded::parse(query.as_bytes()).into_owned().collect(),
        headers,
        body: String::from_utf8(body).ok()?,
        at: Instant::now(),
        status: 0,
        answer: String::new(),
    })
}
