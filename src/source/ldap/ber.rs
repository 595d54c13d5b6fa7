//! The BER of LDAP (RFC 4511 section 5.1: definite lengths only), read in place, without recursion.

/// Tag of BOOLEAN.
pub const BOOLEAN: u8 = 0x01;
/// Tag of INTEGER.
pub const INTEGER: u8 = 0x02;
/// Tag of OCTET STRING.
pub const OCTET_STRING: u8 = 0x04;
/// Tag of ENUMERATED.
pub const ENUMERATED: u8 = 0x0a;
/// Tag of SEQUENCE.
pub const SEQUENCE: u8 = 0x30;
/// Tag of SET.
pub const SET: u8 = 0x31;

/// Reads one element after the other.
pub struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    /// Tag and contents of the next element; `None` at the end, or where it is cut off or not in definite form.
    pub fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (&tag, rest) = self.0.split_first()?;
        let (&first, rest) = rest.split_first()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            0x81..=0x84 => {
                let (octets, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                (octets.iter().fold(0, |n, b| n << 8 | usize::from(*b)), rest)
            }
            _ => return None,
        };
        let (contents, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, contents))
    }

    /// Contents of the next element, which must have this tag.
    pub fn expect(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.next().filter(|(t, _)| *t == tag).map(|(_, contents)| contents)
    }
}

/// The start of every LDAP result (RFC 4511 section 4.1.9): result code and diagnostic message.
pub fn ldap_result(contents: &[u8]) -> Option<(u32, String)> {
    let mut reader = Reader(contents);
    let code = reader.expect(ENUMERATED)?;
    if code.is_empty() || code.len() > 4 {
        return None;
    }
    let code = code.iter().fold(0, |n, b| n << 8 | u32::from(*b));
    reader.expect(OCTET_STRING)?;
    Some((code, String::from_utf8_lossy(reader.expect(OCTET_STRING)?).into_owned()))
}

/// The cookie in the value of a paged results control (RFC 2696 section 2).
pub fn paged_cookie(value: &[u8]) -> Option<Vec<u8>> {
    let mut control = Reader(Reader(value).expect(SEQUENCE)?);
    control.expect(INTEGER)?;
    control.expect(OCTET_STRING).map(<[u8]>::to_vec)
}

/// The error in the value of a password policy response (draft-behera-ldap-password-policy section 6.2), by its number.
pub fn password_policy_error(value: &[u8]) -> Option<u8> {
    let mut parts = Reader(Reader(value).expect(SEQUENCE)?);
    while let Some((tag, contents)) = parts.next() {
        if let (0x81, &[error]) = (tag, contents) {
            return Some(error);
        }
    }
    None
}

/// Appends an element.
pub fn push(out: &mut Vec<u8>, tag: u8, contents: &[u8]) {
    out.push(tag);
    match u8::try_from(contents.len()) {
        Ok(length) if length < 0x80 => out.push(length),
        _ => {
            let length = contents.len().to_be_bytes();
            let length = &length[length.iter().take_while(|b| **b == 0).count()..];
            // At most eight octets.
            out.push(0x80 | u8::try_from(length.len()).unwrap_or(8));
            out.extend_from_slice(length);
        }
    }
    out.extend_from_slice(contents);
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn cookies_are_found() {
        assert_eq!(paged_cookie(&[0x30, 5, 2, 1, 0, 4, 0]), Some(vec![]));
        assert_eq!(paged_cookie(&[0x30, 0x84, 0, 0, 0, 7, 2, 1, 0, 4, 2, 7, 9]), Some(vec![7, 9]));
        assert_eq!(paged_cookie(&[0x30, 5, 2, 1, 0, 4, 9]), None);
        assert_eq!(paged_cookie(&[0x30, 0x80]), None);
        assert_eq!(paged_cookie(&[]), None);
    }

    #[test]
    fn a_password_policy_says_what_is_wrong() {
        assert_eq!(password_policy_error(&[0x30, 3, 0x81, 1, 2]), Some(2));
        assert_eq!(password_policy_error(&[0x30, 8, 0xa0, 3, 0x80, 1, 9, 0x81, 1, 0]), Some(0), "beside a warning");
        assert_eq!(password_policy_error(&[0x30, 5, 0xa0, 3, 0x80, 1, 9]), None);
        assert_eq!(password_policy_error(&[0x30, 0]), None);
        assert_eq!(password_policy_error(&[0x30, 4, 0x81, 2, 0, 0]), None);
        assert_eq!(password_policy_error(&[]), None);
    }

    #[test]
    fn what_is_written_is_read_again() {
        for length in [0, 1, 127, 128, 255, 256, 70_000] {
            let mut out = Vec::new();
            push(&mut out, OCTET_STRING, &vec![7; length]);
            assert_eq!(Reader(&out).expect(OCTET_STRING).map(<[u8]>::len), Some(length));
        }
    }

    proptest! {
        #[test]
        fn no_octets_panic(octets in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = paged_cookie(&octets);
            let _ = ldap_result(&octets);
        }
    }
}
