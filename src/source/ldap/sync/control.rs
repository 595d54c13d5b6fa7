//! What content synchronisation says, from BER (RFC 4533 sections 2.2 to 2.5 and appendix A). Nothing here panics: the
//! values come from outside.

use super::super::ber::{self, Reader};

/// Sync Request control, and what a server that knows it shows in `supportedControl`.
pub const SYNC_REQUEST: &str = "1.3.6.1.4.1.4203.1.9.1.1";
/// Sync State control.
pub const SYNC_STATE: &str = "1.3.6.1.4.1.4203.1.9.1.2";
/// Sync Done control.
pub const SYNC_DONE: &str = "1.3.6.1.4.1.4203.1.9.1.3";
/// Name of Sync Info messages.
const SYNC_INFO: &str = "1.3.6.1.4.1.4203.1.9.1.4";

/// The octets of `syncUUID`: entryUUID of RFC 4530, or nsUniqueId in 389 DS.
pub type SyncId = [u8; 16];

/// What became of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It is there and has not changed.
    Present,
    /// It is new, or changed; the whole entry comes with it.
    Add,
    /// It changed; the whole entry comes with it.
    Modify,
    /// It is gone, or is no longer what the search asks for.
    Delete,
}

/// syncStateValue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntryState {
    /// What became of it.
    pub state: State,
    /// Which entry it is.
    pub id: SyncId,
}

/// syncDoneValue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// Where the next search starts.
    pub cookie: Option<Vec<u8>>,
    /// By the RFC: `false` says that whatever was not named is gone.
    pub refresh_deletes: bool,
}

/// syncInfoValue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Info {
    /// Merely a new cookie.
    Cookie(Vec<u8>),
    /// The phase in which deletions are named has ended.
    RefreshDelete,
    /// The phase in which whatever is present is named has ended.
    RefreshPresent,
    /// Entries by id: gone ones, or present ones that did not change.
    Ids {
        /// Whether they are gone.
        deleted: bool,
        /// Which.
        ids: Vec<SyncId>,
    },
}

/// The value of the Sync State control among the controls of an entry; `None` where there is none that can be read.
#[must_use]
pub fn entry_state(controls: &[u8]) -> Option<EntryState> {
    let mut value = Reader(Reader(find(controls, SYNC_STATE)?).expect(ber::SEQUENCE)?);
    let state = match value.expect(ber::ENUMERATED)? {
        [0] => State::Present,
        [1] => State::Add,
        [2] => State::Modify,
        [3] => State::Delete,
        _ => return None,
    };
    Some(EntryState { state, id: value.expect(ber::OCTET_STRING)?.try_into().ok()? })
}

/// The value of a Sync Done control; `None` where it cannot be read.
#[must_use]
pub fn done(value: &[u8]) -> Option<Done> {
    let mut value = Reader(Reader(value).expect(ber::SEQUENCE)?);
    let (cookie, refresh_deletes) = cookie_and_flag(&mut value)?;
    value.0.is_empty().then_some(Done { cookie, refresh_deletes })
}

/// The contents of an IntermediateResponse (RFC 4511 section 4.13); `None` where it is no Sync Info message.
///
/// # Errors
/// It is one, and cannot be read.
pub fn info(contents: &[u8]) -> Result<Option<Info>, &'static str> {
    let mut parts = Reader(contents);
    if parts.expect(0x80) != Some(SYNC_INFO.as_bytes()) {
        return Ok(None);
    }
    let bad = "a Sync Info message that cannot be read";
    let (tag, value) = parts.expect(0x81).and_then(|value| Reader(value).next()).ok_or(bad)?;
    match tag {
        0x80 => Ok(Some(Info::Cookie(value.to_vec()))),
        0xa1 => Ok(Some(Info::RefreshDelete)),
        0xa2 => Ok(Some(Info::RefreshPresent)),
        0xa3 => id_set(value).map(Some).ok_or(bad),
        _ => Err(bad),
    }
}

/// syncIdSet.
fn id_set(value: &[u8]) -> Option<Info> {
    let mut value = Reader(value);
    let (_, deleted) = cookie_and_flag(&mut value)?;
    let mut set = Reader(value.expect(ber::SET)?);
    let mut ids = Vec::with_capacity(set.0.len() / 18);
    while let Some((tag, id)) = set.next() {
        ids.push(Some(id).filter(|_| tag == ber::OCTET_STRING)?.try_into().ok()?);
    }
    (set.0.is_empty() && value.0.is_empty()).then_some(Info::Ids { deleted, ids })
}

/// `cookie OCTET STRING OPTIONAL, flag BOOLEAN DEFAULT FALSE`.
fn cookie_and_flag(value: &mut Reader<'_>) -> Option<(Option<Vec<u8>>, bool)> {
    let cookie = match value.0.first() {
        Some(&ber::OCTET_STRING) => Some(value.expect(ber::OCTET_STRING)?.to_vec()),
        _ => None,
    };
    let flag = match value.0.first() {
        Some(&ber::BOOLEAN) => matches!(value.expect(ber::BOOLEAN)?, [flag] if *flag != 0),
        _ => false,
    };
    Some((cookie, flag))
}

/// The value of the control of this name (RFC 4511 section 4.1.11).
fn find<'a>(controls: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let mut controls = Reader(controls);
    while let Some(control) = controls.expect(ber::SEQUENCE) {
        let mut parts = Reader(control);
        if parts.expect(ber::OCTET_STRING)? == name.as_bytes() {
            return match parts.next()? {
                (ber::BOOLEAN, _) => parts.expect(ber::OCTET_STRING),
                (ber::OCTET_STRING, value) => Some(value),
                _ => None,
            };
        }
    }
    None
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn element(tag: u8, contents: &[u8]) -> Vec<u8> {
        let length = u16::try_from(contents.len()).unwrap().to_be_bytes();
        [&[tag, 0x82, length[0], length[1]], contents].concat()
    }

    fn state_control(state: u8, id: &[u8], critical: bool) -> Vec<u8> {
        let value = element(0x30, &[element(10, &[state]), element(4, id), element(4, b"cookie")].concat());
        let flag = if critical { element(1, &[0xff]) } else { Vec::new() };
        let other = element(0x30, &element(4, b"1.2.3"));
        [other, element(0x30, &[element(4, SYNC_STATE.as_bytes()), flag, element(4, &value)].concat())].concat()
    }

    fn info_message(value: &[u8]) -> Vec<u8> {
        [element(0x80, SYNC_INFO.as_bytes()), element(0x81, value)].concat()
    }

    #[test]
    fn states_are_read() {
        for (number, state) in [(0, State::Present), (1, State::Add), (2, State::Modify), (3, State::Delete)] {
            for critical in [false, true] {
                let id = [number; 16];
                assert_eq!(entry_state(&state_control(number, &id, critical)), Some(EntryState { state, id }));
            }
        }
        assert_eq!(entry_state(&state_control(4, &[0; 16], false)), None, "no such state");
        assert_eq!(entry_state(&state_control(1, &[0; 15], false)), None, "no id");
        assert_eq!(entry_state(&element(0x30, &element(4, b"1.2.3"))), None, "another control");
        assert_eq!(entry_state(&[]), None);
    }

    #[test]
    fn what_is_not_said_of_a_done_is_false() {
        let value = |parts: &[Vec<u8>]| element(0x30, &parts.concat());
        let of = |cookie: Option<&[u8]>, refresh_deletes| Some(Done { cookie: cookie.map(<[u8]>::to_vec), refresh_deletes });
        assert_eq!(done(&value(&[])), of(None, false));
        assert_eq!(done(&value(&[element(4, b"c")])), of(Some(b"c"), false));
        assert_eq!(done(&value(&[element(1, &[0xff])])), of(None, true));
        assert_eq!(done(&value(&[element(4, b"c"), element(1, &[1])])), of(Some(b"c"), true));
        assert_eq!(done(&value(&[element(4, b"c"), element(1, &[0])])), of(Some(b"c"), false));
        assert_eq!(done(&value(&[element(2, b"c")])), None);
        assert_eq!(done(b""), None);
    }

    #[test]
    fn sets_of_ids_are_read_whole_or_not_at_all() {
        let ids = [[1; 16], [2; 16]];
        let set = element(0x31, &ids.iter().flat_map(|id| element(4, id)).collect::<Vec<u8>>());
        let read = |parts: &[Vec<u8>]| info(&info_message(&element(0xa3, &parts.concat())));
        let of = |deleted| Ok(Some(Info::Ids { deleted, ids: ids.to_vec() }));
        assert_eq!(read(std::slice::from_ref(&set)), of(false), "not said: present");
        assert_eq!(read(&[element(4, b"c"), element(1, &[0xff]), set.clone()]), of(true));
        assert!(read(&[element(0x31, &element(4, &[0; 15]))]).is_err());
        assert!(read(&[]).is_err());
        assert!(read(&[set.clone(), set]).is_err(), "something behind it");
        assert_eq!(info(&info_message(&element(0x80, b"c"))), Ok(Some(Info::Cookie(b"c".to_vec()))));
        assert_eq!(info(&info_message(&element(0xa1, b""))), Ok(Some(Info::RefreshDelete)));
        assert_eq!(info(&info_message(&element(0xa2, b""))), Ok(Some(Info::RefreshPresent)));
        assert!(info(&info_message(&element(0xa4, b""))).is_err());
        assert_eq!(info(&element(0x80, b"1.2.3")), Ok(None), "another operation's");
        assert_eq!(info(b""), Ok(None));
    }

    proptest! {
        #[test]
        fn no_octets_panic(octets in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = entry_state(&octets);
            let _ = done(&octets);
            let _ = info(&octets);
            let _ = info(&info_message(&octets));
        }

        #[test]
        fn a_damaged_value_is_read_or_refused(at in 0usize..120, octet in any::<u8>()) {
            let mut octets = state_control(1, &[7; 16], true);
            let place = at % octets.len();
            octets[place] = octet;
            let _ = entry_state(&octets);
            let mut octets = info_message(&element(0xa3, &element(0x31, &element(4, &[7; 16]))));
            let place = at % octets.len();
            octets[place] = octet;
            let _ = info(&octets);
        }
    }
}
