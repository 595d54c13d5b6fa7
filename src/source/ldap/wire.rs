//! Watches the octets a server sends, element by element, before `ldap3` buffers and decodes them.
//!
//! `ldap3` buffers a message of any announced size, decodes to any depth (a deep nest overflows the stack and ends the
//! process), and panics on an empty message or an operation it does not know. Nothing of that kind gets past here.

use super::ber;

/// Elements inside each other. A search result entry with controls needs seven.
const MAX_DEPTH: usize = 16;
/// Elements of one message: about 200 octets of memory each once decoded. A group of a million members fits.
const MAX_ELEMENTS: u32 = 2_000_000;
/// Octets of an unsolicited notification that are kept for its text.
const MAX_NOTICE: usize = 4096;

/// SearchResultEntry (RFC 4511 section 4.5.2).
pub const SEARCH_ENTRY: u8 = 0x64;
/// SearchResultReference.
pub const SEARCH_REFERENCE: u8 = 0x73;
/// IntermediateResponse (RFC 4511 section 4.13).
pub const INTERMEDIATE: u8 = 0x79;
const BIND_RESPONSE: u8 = 0x61;
const SEARCH_DONE: u8 = 0x65;
const EXTENDED_RESPONSE: u8 = 0x78;

/// A message that went by whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message {
    /// Message id; 0 is unsolicited.
    pub id: u32,
    /// Tag of the operation.
    pub op: u8,
    /// Octets, header included.
    pub length: u64,
}

/// Why the connection must be cut.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// A header announces more than is accepted.
    #[error(
        "the server announced a message of {length} bytes, more than the {max} that are accepted; \
         if a group really is that large, raise max_message"
    )]
    TooLarge {
        /// Announced.
        length: u64,
        /// Accepted.
        max: u64,
    },
    /// Not LDAP, or not in the form that RFC 4511 section 5.1 demands.
    #[error("the server sent what is not LDAP: {0}")]
    Malformed(&'static str),
    /// Notice of Disconnection (RFC 4511 section 4.4.1).
    #[error("the server closed the connection with a notice: {text} (result code {code})")]
    Notice {
        /// LDAP result code.
        code: u32,
        /// Diagnostic message.
        text: String,
    },
}

/// The state between two chunks of octets.
#[derive(Debug)]
pub struct Watcher {
    max: u64,
    /// Octets of whole messages.
    passed: u64,
    /// Octets of the message that went by.
    at: u64,
    /// Ends of the open elements, outermost first.
    ends: [u64; MAX_DEPTH],
    depth: usize,
    elements: u32,
    /// Octets of a primitive value still to come.
    skip: u64,
    header: [u8; 6],
    header_length: usize,
    /// Children of the message seen so far: id, operation, controls.
    children: u8,
    id: u32,
    op: u8,
    notice: Vec<u8>,
}

impl Watcher {
    /// Accepts messages of at most `max` octets.
    #[must_use]
    pub fn new(max: usize) -> Self {
        Self {
            max: max as u64,
            passed: 0,
            at: 0,
            ends: [0; MAX_DEPTH],
            depth: 0,
            elements: 0,
            skip: 0,
            header: [0; 6],
            header_length: 0,
            children: 0,
            id: 0,
            op: 0,
            notice: Vec::new(),
        }
    }

    /// Octets of all messages that went by whole.
    #[must_use]
    pub fn passed(&self) -> u64 {
        self.passed
    }

    /// Whether a message began and did not end.
    #[must_use]
    pub fn inside_message(&self) -> bool {
        self.at > 0 || self.header_length > 0
    }

    /// Takes the next octets; calls `ended` for each message that ends among them.
    ///
    /// # Errors
    /// What must not be passed on, and a Notice of Disconnection.
    pub fn feed(&mut self, mut chunk: &[u8], ended: &mut impl FnMut(Message)) -> Result<(), WireError> {
        while let Some((&first, rest)) = chunk.split_first() {
            if self.skip > 0 {
                let n = chunk.len().min(usize::try_from(self.skip).unwrap_or(usize::MAX));
                let (value, rest) = chunk.split_at(n);
                self.value(value);
                chunk = rest;
                if self.skip == 0 {
                    self.close(ended)?;
                }
                continue;
            }
            match rest.first() {
                // Nearly all headers are two octets in one chunk.
                Some(&length) if self.header_length == 0 && length < 0x80 => {
                    self.header = [first, length, 0, 0, 0, 0];
                    self.open(2, u64::from(length))?;
                    chunk = &rest[1..];
                }
                _ => {
                    chunk = rest;
                    let Some(length) = self.header_octet(first)? else { continue };
                    let n = std::mem::take(&mut self.header_length);
                    self.open(n, length)?;
                }
            }
            if self.skip == 0 {
                self.close(ended)?;
            }
        }
        Ok(())
    }

    /// Adds an octet to the header; the length once the header is whole.
    fn header_octet(&mut self, octet: u8) -> Result<Option<u64>, WireError> {
        if let Some(place) = self.header.get_mut(self.header_length) {
            *place = octet;
        }
        self.header_length += 1;
        match (self.header_length, self.header[1]) {
            (1, _) => Ok(None),
            (2, length @ 0..=0x7f) => Ok(Some(u64::from(length))),
            (2, 0x80) => Err(WireError::Malformed("an element of indefinite length")),
            (2, 0x85..) => Err(WireError::Malformed("a length of more than four octets")),
            (n, length) if n == 2 + usize::from(length & 0x7f) => {
                Ok(Some(self.header[2..n].iter().fold(0, |n, b| n << 8 | u64::from(*b))))
            }
            _ => Ok(None),
        }
    }

    /// An element begins: checks that it may, and goes into it or makes ready to skip its value.
    fn open(&mut self, header: usize, length: u64) -> Result<(), WireError> {
        let tag = self.header[0];
        if tag & 0x1f == 0x1f {
            return Err(WireError::Malformed("a tag of more than one octet"));
        }
        self.at += header as u64;
        let end = self.at + length;
        if self.depth == 0 {
            if tag != ber::SEQUENCE {
                return Err(WireError::Malformed("a message that does not begin with a SEQUENCE"));
            }
            if end > self.max {
                return Err(WireError::TooLarge { length: end, max: self.max });
            }
        } else {
            if end > self.ends[self.depth - 1] {
                return Err(WireError::Malformed("an element longer than the one that holds it"));
            }
            self.elements += 1;
            if self.elements > MAX_ELEMENTS {
                return Err(WireError::Malformed("more than two million values in one message"));
            }
            if self.depth == 1 {
                self.child(tag, length)?;
            }
            if self.keeps_notice() {
                self.notice.extend_from_slice(&self.header[..header]);
            }
        }
        if tag & 0x20 == 0 {
            self.skip = length;
        } else {
            let Some(place) = self.ends.get_mut(self.depth) else {
                return Err(WireError::Malformed("elements nested too deep"));
            };
            *place = end;
            self.depth += 1;
        }
        Ok(())
    }

    /// A direct part of the message: id, operation, perhaps controls (RFC 4511 section 4.1.1).
    fn child(&mut self, tag: u8, length: u64) -> Result<(), WireError> {
        self.children += 1;
        match (self.children, tag) {
            (1, ber::INTEGER) if (1..=4).contains(&length) => Ok(()),
            (1, _) => Err(WireError::Malformed("a message without a message id")),
            (2, BIND_RESPONSE | SEARCH_ENTRY | SEARCH_DONE | SEARCH_REFERENCE | EXTENDED_RESPONSE | INTERMEDIATE) => {
                self.op = tag;
                Ok(())
            }
            (2, _) => Err(WireError::Malformed("an operation that no server may send here")),
            // 0x8a, 0xaa: Active Directory puts the name of a Notice of Disconnection where the controls belong.
            (3, 0xa0 | 0x8a | 0xaa) => Ok(()),
            _ => Err(WireError::Malformed("a message with parts that LDAP does not know")),
        }
    }

    fn keeps_notice(&self) -> bool {
        self.children == 2 && self.id == 0 && self.notice.len() < MAX_NOTICE
    }

    /// Octets of a primitive value.
    fn value(&mut self, octets: &[u8]) {
        let n = octets.len() as u64;
        self.at += n;
        self.skip -= n;
        if self.depth == 1 && self.children == 1 {
            self.id = octets.iter().fold(self.id, |id, b| id << 8 | u32::from(*b));
        } else if self.keeps_notice() {
            self.notice.extend_from_slice(&octets[..octets.len().min(MAX_NOTICE)]);
        }
    }

    /// Leaves every element that ends here; tells of the message if it was the outermost.
    fn close(&mut self, ended: &mut impl FnMut(Message)) -> Result<(), WireError> {
        while self.depth > 0 && self.at == self.ends[self.depth - 1] {
            self.depth -= 1;
        }
        if self.depth > 0 {
            return Ok(());
        }
        if self.children < 2 {
            return Err(WireError::Malformed("an empty message"));
        }
        if self.id == 0 && self.op == EXTENDED_RESPONSE {
            let notice = ber::Reader(&self.notice).expect(EXTENDED_RESPONSE).and_then(ber::ldap_result);
            let (code, text) = notice.unwrap_or_else(|| (0, "(unreadable)".to_owned()));
            return Err(WireError::Notice { code, text });
        }
        ended(Message { id: self.id, op: self.op, length: self.at });
        self.passed += self.at;
        self.at = 0;
        self.elements = 0;
        self.children = 0;
        self.id = 0;
        self.notice.clear();
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ENTRY: &[u8] = &[0x30, 9, 2, 1, 7, 0x64, 4, 4, 0, 0x30, 0];

    fn run(octets: &[u8], chunk: usize) -> (Vec<Message>, Result<(), WireError>, bool) {
        let mut watcher = Watcher::new(1000);
        let mut seen = Vec::new();
        for part in octets.chunks(chunk) {
            if let Err(e) = watcher.feed(part, &mut |m| seen.push(m)) {
                return (seen, Err(e), false);
            }
        }
        (seen, Ok(()), watcher.inside_message())
    }

    fn malformed(octets: &[u8]) {
        for chunk in [1, 3, 100] {
            assert!(matches!(run(octets, chunk).1, Err(WireError::Malformed(_))), "{octets:02x?}");
        }
    }

    #[test]
    fn messages_are_counted_however_they_are_cut() {
        let two = [ENTRY, &[0x30, 0x84, 0, 0, 0, 12, 2, 1, 7, 0x65, 7, 10, 1, 0, 4, 0, 4, 0]].concat();
        for chunk in 1..two.len() {
            let (seen, result, inside) = run(&two, chunk);
            assert_eq!(result, Ok(()));
            let expected = [Message { id: 7, op: SEARCH_ENTRY, length: 11 }, Message { id: 7, op: SEARCH_DONE, length: 18 }];
            assert_eq!(seen, expected);
            assert!(!inside);
        }
        assert!(run(&two[..14], 5).2, "a message cut off is noticed");
    }

    #[test]
    fn what_would_hurt_the_decoder_is_refused() {
        malformed(&[0x30, 0]);
        malformed(&[0x30, 0x80, 0, 0]);
        malformed(&[0x30, 3, 2, 1, 1]);
        malformed(&[0x30, 5, 0x30, 3, 2, 1, 1]);
        malformed(&[0x30, 5, 2, 1, 1, 0x63, 0]);
        malformed(&[0x30, 9, 2, 1, 1, 0x64, 0, 0x65, 0, 4, 0]);
        malformed(&[0x30, 5, 2, 1, 1, 0x64, 9]);
        malformed(&[0x02, 1, 1]);
        malformed(b"HTTP/1.1 400 Bad Request");
        malformed(&[0x30, 0x88, 0, 0, 0, 0, 0, 0, 0, 9]);
    }

    #[test]
    fn two_gibibytes_are_refused_at_the_header() {
        let result = run(&[0x30, 0x84, 0x7f, 0xff, 0xff, 0xff], 6).1;
        assert_eq!(result, Err(WireError::TooLarge { length: 0x7fff_ffff + 6, max: 1000 }));
    }

    #[test]
    fn nesting_has_a_limit() {
        let mut deep = vec![0x30, 0];
        for _ in 0..40 {
            let mut outer = vec![0x30, u8::try_from(deep.len()).unwrap()];
            outer.append(&mut deep);
            deep = outer;
        }
        let mut message = vec![0x30, u8::try_from(deep.len() + 5).unwrap(), 2, 1, 1, 0x64, u8::try_from(deep.len()).unwrap()];
        message.append(&mut deep);
        malformed(&message);
    }

    #[test]
    fn a_notice_of_disconnection_is_read() {
        let mut notice = vec![0x30, 39, 2, 1, 0, 0x78, 34, 10, 1, 52, 4, 0, 4, 3];
        notice.extend(b"bye");
        notice.extend([0x8a, 22]);
        notice.extend(b"1.3.6.1.4.1.1466.20036");
        let expected = WireError::Notice { code: 52, text: "bye".to_owned() };
        for chunk in [1, 7, 100] {
            assert_eq!(run(&notice[..], chunk).1, Err(expected.clone()));
        }
    }

    proptest! {
        #[test]
        fn no_octets_panic_and_chunks_do_not_matter(octets in proptest::collection::vec(any::<u8>(), 0..60), chunk in 1usize..9) {
            prop_assert_eq!(run(&octets, 100), run(&octets, chunk));
        }

        #[test]
        fn a_damaged_message_does_not_panic(at in 0usize..11, octet in any::<u8>(), chunk in 1usize..9) {
            let mut message = ENTRY.repeat(2);
            message[at] = octet;
            prop_assert_eq!(run(&message, 100), run(&message, chunk));
        }
    }
}
