//! Messages as they stand on the wire: where one ends, what it is, and whether `ldap3` may see it.
//!
//! `ldap3` buffers a message of any announced size, decodes to any depth (a deep nest overflows the stack and ends the
//! process), and panics on results that are not as RFC 4511 has them. Nothing of that kind gets past here.

use super::ber::{self, Reader};

/// SearchResultEntry (RFC 4511 section 4.5.2).
pub const SEARCH_ENTRY: u8 = 0x64;
/// SearchResultReference.
pub const SEARCH_REFERENCE: u8 = 0x73;
/// IntermediateResponse (RFC 4511 section 4.13).
pub const INTERMEDIATE: u8 = 0x79;
/// BindResponse.
pub const BIND_RESPONSE: u8 = 0x61;
/// SearchResultDone.
pub const SEARCH_DONE: u8 = 0x65;
/// ExtendedResponse.
pub const EXTENDED_RESPONSE: u8 = 0x78;

/// A whole message (RFC 4511 section 4.1.1).
#[derive(Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// Message id; 0 is unsolicited.
    pub id: u32,
    /// Tag of the operation.
    pub op: u8,
    /// Contents of the operation.
    pub contents: &'a [u8],
    /// Contents of the controls.
    pub controls: &'a [u8],
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
        length: usize,
        /// Accepted.
        max: usize,
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

/// Octets of the message that begins here; `None` until its header is whole.
///
/// # Errors
/// It is no message, or larger than `max`.
pub fn length(octets: &[u8], max: usize) -> Result<Option<usize>, WireError> {
    let Some(&tag) = octets.first() else { return Ok(None) };
    if tag != ber::SEQUENCE {
        return Err(WireError::Malformed("a message that does not begin with a SEQUENCE"));
    }
    let (header, length) = match octets.get(1) {
        None => return Ok(None),
        Some(&length @ 0..=0x7f) => (2, usize::from(length)),
        Some(&n @ 0x81..=0x84) => {
            let header = 2 + usize::from(n & 0x7f);
            let Some(length) = octets.get(2..header) else { return Ok(None) };
            (header, length.iter().fold(0, |n, b| n << 8 | usize::from(*b)))
        }
        Some(0x80) => return Err(WireError::Malformed("a message of indefinite length")),
        Some(_) => return Err(WireError::Malformed("a length of more than four octets")),
    };
    let length = header.saturating_add(length);
    if length > max { Err(WireError::TooLarge { length, max }) } else { Ok(Some(length)) }
}

/// Takes a whole message apart, as far as its envelope goes.
///
/// # Errors
/// It is not as RFC 4511 has it, or no server may send it here.
pub fn open(octets: &[u8]) -> Result<Message<'_>, WireError> {
    let contents = Reader(octets).expect(ber::SEQUENCE).ok_or(WireError::Malformed("a message without contents"))?;
    let mut parts = Reader(contents);
    let id = parts.expect(ber::INTEGER).filter(|id| (1..=4).contains(&id.len()));
    let id = id.ok_or(WireError::Malformed("a message without a message id"))?;
    let id = id.iter().fold(0, |id, b| id << 8 | u32::from(*b));
    let (op, contents) = parts.next().ok_or(WireError::Malformed("a message without an operation"))?;
    if !matches!(op, BIND_RESPONSE | SEARCH_ENTRY | SEARCH_DONE | SEARCH_REFERENCE | EXTENDED_RESPONSE | INTERMEDIATE) {
        return Err(WireError::Malformed("an operation that no server may send here"));
    }
    let controls = match parts.next() {
        None => &[],
        Some((0xa0, controls)) => controls,
        // Active Directory puts the name of a Notice of Disconnection where the controls belong.
        Some((0x8a | 0xaa, _)) => &[],
        Some(_) => return Err(WireError::Malformed("a message with parts that LDAP does not know")),
    };
    if !parts.0.is_empty() {
        return Err(WireError::Malformed("a message with parts that LDAP does not know"));
    }
    Ok(Message { id, op, contents, controls })
}

impl Message<'_> {
    /// Whether this is a result that `ldap3` can decode: LDAPResult with what may follow (RFC 4511 sections 4.1.9, 4.2.2,
    /// 4.12), and well-formed controls.
    ///
    /// # Errors
    /// It cannot; and a Notice of Disconnection.
    pub fn check_result(&self) -> Result<(), WireError> {
        let (code, text) = ber::ldap_result(self.contents).ok_or(WireError::Malformed("a result that cannot be read"))?;
        if self.id == 0 && self.op == EXTENDED_RESPONSE {
            return Err(WireError::Notice { code, text });
        }
        let is_text = |octets: &[u8]| std::str::from_utf8(octets).is_ok();
        let mut parts = Reader(self.contents);
        let texts = [parts.next(), parts.next(), parts.next()];
        let mut good = texts.iter().skip(1).flatten().all(|(_, text)| is_text(text));
        while let Some((tag, octets)) = parts.next() {
            good &= match tag {
                0xa3 => all(octets, |tag, url| tag == ber::OCTET_STRING && is_text(url)),
                0x8a => is_text(octets),
                0x87 | 0x8b => true,
                _ => false,
            };
        }
        good &= parts.0.is_empty() && all(self.controls, |tag, control| tag == ber::SEQUENCE && is_control(control));
        if good { Ok(()) } else { Err(WireError::Malformed("a result that cannot be read")) }
    }
}

/// Whether these octets are elements that all pass, and nothing else.
fn all(octets: &[u8], pass: impl Fn(u8, &[u8]) -> bool) -> bool {
    let mut parts = Reader(octets);
    while let Some((tag, contents)) = parts.next() {
        if !pass(tag, contents) {
            return false;
        }
    }
    parts.0.is_empty()
}

/// Control ::= SEQUENCE { controlType, criticality DEFAULT FALSE, controlValue OPTIONAL } (RFC 4511 section 4.1.11).
fn is_control(octets: &[u8]) -> bool {
    let mut parts = Reader(octets);
    if parts.expect(ber::OCTET_STRING).is_none_or(|name| std::str::from_utf8(name).is_err()) {
        return false;
    }
    let value = match parts.next() {
        Some((ber::BOOLEAN, critical)) if !critical.is_empty() => parts.next(),
        other => other,
    };
    parts.0.is_empty() && value.is_none_or(|(tag, _)| tag == ber::OCTET_STRING)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DONE: &[u8] = &[0x30, 12, 2, 1, 7, 0x65, 7, 10, 1, 0, 4, 0, 4, 0];

    fn judge(octets: &[u8]) -> Result<(), WireError> {
        match length(octets, 1000)? {
            Some(n) if n <= octets.len() => open(&octets[..n])?.check_result(),
            _ => Ok(()),
        }
    }

    #[test]
    fn messages_are_measured_by_their_header() {
        for end in 0..DONE.len() {
            let expected = if end < 2 { None } else { Some(14) };
            assert_eq!(length(&DONE[..end], 1000), Ok(expected));
        }
        assert_eq!(length(&[0x30, 0x82, 1], 1000), Ok(None));
        assert_eq!(length(&[0x30, 0x84, 0, 0, 1, 0], 1000), Ok(Some(262)));
        let message = open(DONE).unwrap();
        assert_eq!((message.id, message.op), (7, SEARCH_DONE));
        assert_eq!(message.check_result(), Ok(()));
    }

    #[test]
    fn two_gibibytes_are_refused_at_the_header() {
        let refused = Err(WireError::TooLarge { length: 0x7fff_ffff + 6, max: 1000 });
        assert_eq!(length(&[0x30, 0x84, 0x7f, 0xff, 0xff, 0xff], 1000), refused);
    }

    #[test]
    fn what_would_hurt_the_decoder_is_refused() {
        let bad: &[&[u8]] = &[
            &[0x30, 0],
            &[0x30, 0x80, 0, 0],
            &[0x30, 3, 2, 1, 1],
            &[0x30, 5, 0x30, 3, 2, 1, 1],
            &[0x30, 5, 2, 1, 1, 0x63, 0],
            &[0x30, 7, 2, 1, 1, 0x65, 0, 0x65, 0],
            &[0x30, 5, 2, 1, 1, 0x65, 9],
            &[0x02, 1, 1],
            b"HTTP/1.1 400 Bad Request",
            &[0x30, 0x88, 0, 0, 0, 0, 0, 0, 0, 9],
            // Results: empty, without texts, text that is not UTF-8, a referral that is no list, controls that are none.
            &[0x30, 5, 2, 1, 1, 0x65, 0],
            &[0x30, 8, 2, 1, 1, 0x65, 3, 10, 1, 0],
            &[0x30, 13, 2, 1, 1, 0x65, 8, 10, 1, 0, 4, 0, 4, 1, 0xff],
            &[0x30, 15, 2, 1, 1, 0x65, 10, 10, 1, 0, 4, 0, 4, 0, 0x83, 1, 0],
            &[0x30, 16, 2, 1, 7, 0x65, 7, 10, 1, 0, 4, 0, 4, 0, 0xa0, 2, 4, 0],
            &[0x30, 16, 2, 1, 7, 0x65, 7, 10, 1, 0, 4, 0, 4, 0, 0xa0, 2, 0x30, 0],
            &[0x30, 20, 2, 1, 7, 0x65, 7, 10, 1, 0, 4, 0, 4, 0, 0xa0, 6, 0x30, 4, 4, 0, 1, 0],
        ];
        for octets in bad {
            assert!(matches!(judge(octets), Err(WireError::Malformed(_))), "{octets:02x?}");
        }
    }

    #[test]
    fn a_notice_of_disconnection_is_read() {
        let mut notice = vec![0x30, 39, 2, 1, 0, 0x78, 34, 10, 1, 52, 4, 0, 4, 3];
        notice.extend(b"bye");
        notice.extend([0x8a, 22]);
        notice.extend(b"1.3.6.1.4.1.1466.20036");
        assert_eq!(judge(&notice), Err(WireError::Notice { code: 52, text: "bye".to_owned() }));
    }

    proptest! {
        #[test]
        fn no_octets_panic(octets in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = judge(&octets);
            let _ = judge(&[&[0x30, 9, 2, 1, 1, 0x65], octets.as_slice()].concat());
        }

        #[test]
        fn a_damaged_result_that_passes_does_not_panic_the_decoder(at in 0usize..30, octet in any::<u8>()) {
            let mut message = vec![0x30, 28, 2, 1, 7, 0x65, 7, 10, 1, 0, 4, 0, 4, 0, 0xa0, 14, 0x30, 12, 4, 1, b'1', 4, 7];
            message.extend([0x30, 5, 2, 1, 0, 4, 0]);
            message[at] = octet;
            if judge(&message).is_ok() && length(&message, 1000) == Ok(Some(message.len())) {
                let (_, tag) = lber::parse::parse_tag(open(&message).map(|_| &message[5..]).unwrap()).unwrap();
                let _ = ldap3::LdapResult::from(lber::structures::Tag::StructureTag(tag));
            }
        }
    }
}
