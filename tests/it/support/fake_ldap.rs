//! A scripted LDAP server for what no free server does: value ranges, no paging, strange ids.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

/// One BER element.
pub fn element(tag: u8, contents: &[u8]) -> Vec<u8> {
    let length = u32::try_from(contents.len()).unwrap().to_be_bytes();
    [&[tag, 0x84][..], &length, contents].concat()
}

/// A SearchResultEntry.
pub fn entry(dn: &[u8], attributes: &[(&str, Vec<Vec<u8>>)]) -> Vec<u8> {
    let attribute = |(name, values): &(&str, Vec<Vec<u8>>)| {
        let set: Vec<u8> = values.iter().flat_map(|v| element(4, v)).collect();
        element(0x30, &[element(4, name.as_bytes()), element(0x31, &set)].concat())
    };
    let list: Vec<u8> = attributes.iter().flat_map(attribute).collect();
    element(0x64, &[element(4, dn), element(0x30, &list)].concat())
}

/// A SearchResultDone, BindResponse (0x61) or other result.
pub fn result(op: u8, code: u8) -> Vec<u8> {
    element(op, &[10, 1, code, 4, 0, 4, 0])
}

/// Starts a server that refuses every bind with this code and text.
pub fn start_refusing(code: u8, text: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let Some(message) = read_message(&mut stream) else { continue };
            let contents = [&[10, 1, code, 4, 0][..], &element(4, text.as_bytes())].concat();
            let answer = [element(2, &message[2..3]), element(0x61, &contents)].concat();
            let _ = stream.write_all(&element(0x30, &answer));
        }
    });
    port
}

/// What a search asks for, as far as scripts look at it.
pub struct Asked {
    pub base: String,
    /// Octets of the whole request: filters and attributes are looked for in it.
    pub request: Vec<u8>,
}

impl Asked {
    /// Whether this text stands in the request.
    pub fn has(&self, text: &str) -> bool {
        self.request.windows(text.len()).any(|w| w == text.as_bytes())
    }
}

/// Starts a server that accepts every bind and answers searches by `script`: operations, each sent as one message;
/// `paged` adds a paged results control with an empty cookie to the results of searches.
pub fn start(paged: bool, script: impl Fn(&Asked) -> Vec<Vec<u8>> + Send + 'static) -> u16 {
    start_with(if paged { Paging::Empty } else { Paging::None }, script)
}

/// Starts a server that gives at most `max` entries per page, or in all without pages, as Active Directory does
/// (MaxPageSize): the script gives entries alone.
pub fn start_limited(max: usize, script: impl Fn(&Asked) -> Vec<Vec<u8>> + Send + 'static) -> u16 {
    start_with(Paging::Limited(max), script)
}

/// What becomes of the paged results control.
#[derive(Clone, Copy)]
enum Paging {
    None,
    /// Every answer is the last page.
    Empty,
    Limited(usize),
}

fn start_with(paging: Paging, script: impl Fn(&Asked) -> Vec<Vec<u8>> + Send + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            serve(stream.unwrap(), paging, &script);
        }
    });
    port
}

fn serve(mut stream: TcpStream, paging: Paging, script: &impl Fn(&Asked) -> Vec<Vec<u8>>) {
    loop {
        let Some(message) = read_message(&mut stream) else { return };
        // The client's ids are one octet in such short conversations.
        let id = element(2, &message[2..3]);
        let request = &message[3..];
        let mut cookie = Some(Vec::new()).filter(|_| !matches!(paging, Paging::None));
        let answers = match request[0] {
            0x60 => vec![result(0x61, 0)],
            0x63 => {
                let (header, _) = header(&request[1..]);
                let base = &request[1 + header..];
                let base = String::from_utf8(base[2..2 + usize::from(base[1])].to_vec()).unwrap();
                let answers = script(&Asked { base, request: request.to_vec() });
                match paging {
                    Paging::Limited(max) => limited(answers, max, request, &mut cookie),
                    _ => answers,
                }
            }
            _ => return,
        };
        for answer in answers {
            let mut contents = [id.clone(), answer.clone()].concat();
            if let Some(cookie) = cookie.as_ref().filter(|_| answer[0] == 0x65) {
                let value = element(0x30, &[&[2, 1, 0][..], &element(4, cookie)].concat());
                let control = [element(4, PAGED), element(4, &value)].concat();
                contents.extend(element(0xa0, &element(0x30, &control)));
            }
            if stream.write_all(&element(0x30, &contents)).is_err() {
                return;
            }
        }
    }
}

const PAGED: &[u8] = b"1.2.840.113556.1.4.319";

/// The page that is asked for, and the result; `cookie` becomes that of the next page.
fn limited(entries: Vec<Vec<u8>>, max: usize, request: &[u8], cookie: &mut Option<Vec<u8>>) -> Vec<Vec<u8>> {
    let Some(at) = request.windows(PAGED.len()).position(|w| w == PAGED) else {
        *cookie = None;
        let code = if entries.len() > max { 4 } else { 0 };
        return entries.into_iter().take(max).chain([result(0x65, code)]).collect();
    };
    // Criticality; then OCTET STRING { SEQUENCE { size INTEGER, cookie OCTET STRING } }, all of them short.
    let value = &request[at + PAGED.len()..];
    let value = value.strip_prefix(&[1, 1, 0xff]).unwrap_or(value);
    let size = value[6..6 + usize::from(value[5])].iter().fold(0, |n, b| n << 8 | usize::from(*b));
    let before = &value[6 + usize::from(value[5])..];
    let before = std::str::from_utf8(&before[2..2 + usize::from(before[1])]).unwrap();
    let from: usize = before.parse().unwrap_or(0);
    let to = (from + size.min(max)).min(entries.len());
    *cookie = Some(if to < entries.len() { to.to_string().into_bytes() } else { Vec::new() });
    entries[from..to].iter().cloned().chain([result(0x65, 0)]).collect()
}

/// Contents of the next message.
fn read_message(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut octets = vec![0; 2];
    stream.read_exact(&mut octets).ok()?;
    if octets[1] & 0x80 != 0 {
        let n = usize::from(octets[1] & 0x7f);
        octets.resize(2 + n, 0);
        stream.read_exact(&mut octets[2..]).ok()?;
    }
    let (_, length) = header(&octets[1..]);
    let mut contents = vec![0; length];
    stream.read_exact(&mut contents).ok()?;
    Some(contents)
}

/// Octets of a length, and the length.
fn header(octets: &[u8]) -> (usize, usize) {
    match octets[0] {
        n @ 0..=0x7f => (1, usize::from(n)),
        n => {
            let n = usize::from(n & 0x7f);
            (1 + n, octets[1..=n].iter().fold(0, |l, b| l << 8 | usize::from(*b)))
        }
    }
}
