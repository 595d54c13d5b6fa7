//! DirSync (MS-ADTS section 3.1.1.3.4.1.3): what changed in a naming context since a cookie.

use super::changes::{Changes, MOST_CHANGES};
use crate::source::SourceError;
use crate::source::ldap::ber::{self, Reader};
use crate::source::ldap::extended;
use crate::source::ldap::groups;
use crate::source::ldap::rootdse::{DIRSYNC, EXTENDED_DN};
use crate::source::ldap::search::{Failed, Progress, Search, Session};
use crate::source::ldap::sent::SentEntry;
use ldap3::Scope;
use ldap3::controls::RawControl;

/// LDAP_DIRSYNC_OBJECT_SECURITY: no replication right is needed; only what the account may see is said, and no deletions.
const OBJECT_SECURITY: i32 = 0x1;
/// LDAP_DIRSYNC_INCREMENTAL_VALUES: of a group only the members that came and went.
const INCREMENTAL_VALUES: i32 = i32::MIN;
/// Octets that an answer may have, as a wish; more is fetched in further rounds.
const MAX_BYTES: i32 = 4 << 20;
/// Rounds after which something is wrong: more than the largest directories have objects.
const MOST_ROUNDS: u32 = 100_000;
/// A filter that nothing matches: the answer is the cookie alone. (No object has this GUID.)
const NOBODY: &str = r"(objectGUID=\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00)";

/// What DirSync answered.
pub enum Answer {
    /// Everything came; this is where the next read starts.
    Complete(Vec<u8>),
    /// Result code and text.
    Refused(u32, String),
    /// More changed than is worth reading like this.
    TooMuch,
}

/// Where everything that changes from now on begins.
///
/// # Errors
/// The connection broke.
pub async fn position(session: &mut Session<'_>, context: &str, own_view: bool) -> Result<Answer, SourceError> {
    run(session, context, own_view, &[], NOBODY, Vec::new(), &mut Changes::default()).await
}

/// Gathers what changed since `cookie`.
///
/// # Errors
/// The connection broke, or what came is not DirSync's.
pub async fn changes(
    session: &mut Session<'_>,
    context: &str,
    own_view: bool,
    cookie: &[u8],
    attributes: Vec<String>,
    into: &mut Changes,
) -> Result<Answer, SourceError> {
    run(session, context, own_view, cookie, "(objectClass=*)", attributes, into).await
}

async fn run(
    session: &mut Session<'_>,
    context: &str,
    own_view: bool,
    cookie: &[u8],
    filter: &str,
    attributes: Vec<String>,
    into: &mut Changes,
) -> Result<Answer, SourceError> {
    let what = "what changed (DirSync)";
    let search = Search { what, base: context, scope: Scope::Subtree, filter, attributes, controls: Vec::new() };
    let flags = INCREMENTAL_VALUES | if own_view { OBJECT_SECURITY } else { 0 };
    let source = session.source;
    let mut cookie = cookie.to_vec();
    let mut progress = Progress::default();
    for _ in 0..MOST_ROUNDS {
        let mut each = async |sent: SentEntry| {
            let entry = sent.decode(source)?;
            into.note(&entry);
            Ok(())
        };
        let answered = match session.exchange(&search, &mut progress, vec![control(flags, &cookie), by_id()], &mut each).await {
            Ok(controls) => controls,
            Err(Failed::Refused(code, text, _)) => return Ok(Answer::Refused(code, text)),
            Err(Failed::Broken(e)) => return Err(e),
        };
        let value = answered.into_iter().find(|c| c.ctype == DIRSYNC).and_then(|c| c.val).unwrap_or_default();
        let Some((more, next)) = answer(&value) else {
            return Err(session.place(&search, &progress).incomplete("the server did not say where the next read starts"));
        };
        if !more {
            return Ok(Answer::Complete(next));
        }
        if into.len() > MOST_CHANGES {
            return Ok(Answer::TooMuch);
        }
        cookie = next;
    }
    Err(session.place(&search, &progress).incomplete("the server announces more without end"))
}

/// The request control: SEQUENCE { Flags, MaxBytes, Cookie }.
fn control(flags: i32, cookie: &[u8]) -> RawControl {
    let mut parts = Vec::with_capacity(cookie.len() + 24);
    for number in [flags, MAX_BYTES] {
        parts.extend_from_slice(&[ber::INTEGER, 4]);
        parts.extend_from_slice(&number.to_be_bytes());
    }
    ber::push(&mut parts, ber::OCTET_STRING, cookie);
    let mut value = Vec::with_capacity(parts.len() + 8);
    ber::push(&mut value, ber::SEQUENCE, &parts);
    RawControl { ctype: DIRSYNC.to_owned(), crit: true, val: Some(value) }
}

fn by_id() -> RawControl {
    RawControl { ctype: EXTENDED_DN.to_owned(), crit: false, val: Some(extended::AS_TEXT.to_vec()) }
}

/// Whether there is more, and the cookie: SEQUENCE { MoreResults, unused, CookieServer }.
fn answer(value: &[u8]) -> Option<(bool, Vec<u8>)> {
    let mut parts = Reader(Reader(value).expect(ber::SEQUENCE)?);
    let more = parts.expect(ber::INTEGER)?;
    parts.expect(ber::INTEGER)?;
    let cookie = parts.expect(ber::OCTET_STRING).filter(|c| !c.is_empty())?;
    Some((more.iter().any(|b| *b != 0), cookie.to_vec()))
}

/// What `member;range=1-1` (came) and `member;range=0-0` (went) of an object say; `None` for any other attribute.
pub fn link(range: crate::source::ldap::entry::Range, value: &str) -> Option<(bool, crate::model::MemberRef)> {
    let came = match (range.from, range.to) {
        (1, Some(1)) => true,
        (0, Some(0)) => false,
        _ => return None,
    };
    Some((came, groups::member_ref(value)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_flag_is_a_signed_number() {
        let value = control(INCREMENTAL_VALUES | OBJECT_SECURITY, b"ab").val.unwrap();
        assert_eq!(value, [0x30, 16, 2, 4, 0x80, 0, 0, 1, 2, 4, 0, 0x40, 0, 0, 4, 2, b'a', b'b']);
    }

    #[test]
    fn the_answer_says_whether_there_is_more() {
        assert_eq!(answer(&[0x30, 9, 2, 1, 0, 2, 1, 0, 4, 1, 7]), Some((false, vec![7])));
        assert_eq!(answer(&[0x30, 9, 2, 1, 1, 2, 1, 0, 4, 1, 7]), Some((true, vec![7])));
        assert_eq!(answer(&[0x30, 8, 2, 1, 0, 2, 1, 0, 4, 0]), None, "no cookie is no place to go on from");
        assert_eq!(answer(&[]), None);
    }

    proptest! {
        #[test]
        fn any_answer_is_taken_or_refused(octets in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = answer(&octets);
        }
    }
}
