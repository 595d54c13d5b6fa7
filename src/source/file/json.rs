//! JSON: `{"users": [{"id": .., "mail": .., "x": [.., ..]}], "groups": [{"id", "displayName", "members": [ids]}]}`.
//! Elements are taken one by one as the text goes by.

use super::output::{FileError, Output};
use crate::model::{Attrs, Entry, MemberRef, ObjectKind, SourceKey, Value};
use serde::Deserializer as _;
use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value as Json;
use std::collections::HashSet;
use std::fmt;
use std::io::Read;

/// Parses a whole file.
///
/// # Errors
/// What is not JSON or not of this shape; ids missing or there twice; a file cut off.
pub fn parse(input: impl Read, out: &mut Output<'_>) -> Result<(), FileError> {
    let mut stopped = None;
    let mut json = serde_json::Deserializer::from_reader(input);
    let done = json.deserialize_map(File { out, stopped: &mut stopped }).and_then(|()| json.end());
    match (stopped, done) {
        (Some(stopped), _) => Err(stopped),
        (None, Ok(())) => Ok(()),
        (None, Err(e)) => Err(fault(e)),
    }
}

fn fault(error: serde_json::Error) -> FileError {
    let line = error.line() as u64;
    let text = error.to_string();
    let what = text.split(" at line ").next().unwrap_or(&text).to_owned();
    match error.classify() {
        serde_json::error::Category::Io => FileError::Io(error.into()),
        serde_json::error::Category::Eof => FileError::Cut { line, what: format!("the file was cut off: {what}") },
        _ => FileError::Bad { line, what },
    }
}

struct File<'a, 'o> {
    out: &'a mut Output<'o>,
    stopped: &'a mut Option<FileError>,
}

impl<'de> Visitor<'de> for File<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with \"users\" and \"groups\"")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut seen = HashSet::new();
        while let Some(name) = map.next_key::<String>()? {
            let kind = match name.as_str() {
                "users" => ObjectKind::User,
                "groups" => ObjectKind::Group,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            if !seen.insert(kind) {
                return Err(A::Error::custom(format!("\"{name}\" is there twice")));
            }
            map.next_value_seed(List { kind, out: &mut *self.out, stopped: &mut *self.stopped })?;
        }
        if seen.is_empty() {
            return Err(A::Error::custom("there is neither \"users\" nor \"groups\""));
        }
        Ok(())
    }
}

struct List<'a, 'o> {
    kind: ObjectKind,
    out: &'a mut Output<'o>,
    stopped: &'a mut Option<FileError>,
}

impl<'de> DeserializeSeed<'de> for List<'_, '_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for List<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of {}s", self.kind)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let mut number = 0u64;
        while let Some(object) = list.next_element::<serde_json::Map<String, Json>>()? {
            number += 1;
            let place = format!("{} number {number}", self.kind);
            let mut entry = entry(self.kind, object).map_err(|what| A::Error::custom(format!("{place}: {what}")))?;
            if self.kind == ObjectKind::User {
                entry.disabled = self.out.is_disabled(&entry.attrs, 0);
            }
            match self.out.take(entry, 0) {
                Ok(()) => {}
                // The text knows where we are; give the message to it.
                Err(FileError::Bad { what, .. }) => return Err(A::Error::custom(format!("{place}: {what}"))),
                Err(stop) => {
                    *self.stopped = Some(stop);
                    return Err(A::Error::custom("stopped"));
                }
            }
        }
        Ok(())
    }
}

fn entry(kind: ObjectKind, object: serde_json::Map<String, Json>) -> Result<Entry, String> {
    let mut attrs = Attrs::new();
    let mut key = None;
    let mut members = Vec::new();
    for (name, value) in object {
        if name.eq_ignore_ascii_case("id") {
            key = id(&value);
        }
        if kind == ObjectKind::Group && name.eq_ignore_ascii_case("members") {
            members = member_ids(value)?;
            continue;
        }
        let values = match value {
            Json::Array(list) => list.into_iter().filter_map(plain).collect(),
            one => plain(one).into_iter().collect(),
        };
        attrs.add(name, values);
    }
    let key = key.ok_or("the id is missing (text or a whole number)")?;
    Ok(Entry { kind, key, dn: None, names: Vec::new(), attrs, members, disabled: false, due: None })
}

fn plain(value: Json) -> Option<Value> {
    match value {
        Json::Null => None,
        Json::String(text) => Some(Value::Text(text)),
        other => Some(Value::Json(other)),
    }
}

fn id(value: &Json) -> Option<SourceKey> {
    match value {
        Json::String(text) if !text.trim().is_empty() => Some(SourceKey(text.trim().to_owned())),
        Json::Number(number) if number.is_i64() || number.is_u64() => Some(SourceKey(number.to_string())),
        _ => None,
    }
}

fn member_ids(value: Json) -> Result<Vec<MemberRef>, String> {
    let list = match value {
        Json::Null => return Ok(Vec::new()),
        Json::Array(list) => list,
        _ => return Err("members is not a list of ids".to_owned()),
    };
    let mut seen = HashSet::with_capacity(list.len());
    let mut members = Vec::with_capacity(list.len());
    for value in list {
        let key = id(&value).ok_or_else(|| format!("the member {value} is not an id"))?;
        if seen.insert(key.clone()) {
            members.push(MemberRef::Key(key));
        }
    }
    Ok(members)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(text: &str) -> Result<Vec<Entry>, FileError> {
        let mut entries = Vec::new();
        let mut emit = |entry| {
            entries.push(entry);
            Ok(())
        };
        parse(text.as_bytes(), &mut Output::new(&mut emit))?;
        Ok(entries)
    }

    #[test]
    fn users_and_groups_are_read() {
        let text = json!({
            "exported": "today",
            "users": [
                {"id": "a", "mail": "a@x.org", "proxyAddresses": ["b@x.org", "c@x.org"], "manager": null, "level": 7, "active": false},
                {"ID": 12, "accountEnabled": "no", "address": {"city": "Praha"}, "mixed": ["x", 1]},
                {"id": "c", "disabled": false}
            ],
            "groups": [{"id": "g", "displayName": "Sales", "members": ["a", 12, "a"]}, {"id": "h", "displayName": "Empty"}]
        })
        .to_string();
        let entries = read(&text).unwrap();
        let keys: Vec<&str> = entries.iter().map(|e| e.key.as_str()).collect();
        assert_eq!(keys, ["a", "12", "c", "g", "h"]);
        assert_eq!(entries[0].attrs.all("proxyAddresses"), ["b@x.org".into(), "c@x.org".into()]);
        assert_eq!(entries[0].attrs.first("level"), Some(&Value::Json(json!(7))));
        assert!(!entries[0].attrs.has("manager"));
        assert_eq!(entries[1].attrs.all("mixed"), ["x".into(), Value::Json(json!(1))]);
        assert_eq!(entries.iter().map(|e| e.disabled).collect::<Vec<_>>(), [true, true, false, false, false]);
        let members = ["a", "12"].map(|k| MemberRef::Key(SourceKey(k.to_owned())));
        assert_eq!(entries[3].members, members);
        assert!(!entries[3].attrs.has("members"));
    }

    #[test]
    fn faults_have_their_line() {
        let bad = |text: &str| match read(text).unwrap_err() {
            FileError::Bad { line, what } => (line, what),
            e => panic!("{text}: {e:?}"),
        };
        assert_eq!(bad("{\"users\": [\n{\"id\": \"a\"},\n{\"mail\": \"x\"}]}").0, 3);
        assert!(bad("{\"users\": [{\"id\": \"a\"},\n{\"id\": \"a\"}]}").1.contains("user number 2: the id a is there twice"));
        assert!(bad("{\"groups\": [{\"id\": \"a\", \"members\": \"x\"}]}").1.contains("members"));
        assert!(bad("{\"groups\": [{\"id\": \"a\", \"members\": [{}]}]}").1.contains("not an id"));
        assert!(bad("{\"people\": []}").1.contains("neither"));
        assert!(bad("{\"users\": [], \"users\": []}").1.contains("twice"));
        assert!(bad("{\"users\": []} x").1.contains("trailing"));
        bad("[]");
        bad("{\"users\": [1]}");
        bad(&format!("{{\"users\": [{{\"id\": {}1{}}}]}}", "[".repeat(500), "]".repeat(500)));
    }

    #[test]
    fn a_file_cut_off_anywhere_is_noticed() {
        let text = json!({"users": [{"id": "a", "mail": "ä"}], "groups": [{"id": "g", "members": ["a"]}]}).to_string();
        for end in (1..text.len()).filter(|end| text.is_char_boundary(*end)) {
            assert!(matches!(read(&text[..end]), Err(FileError::Cut { .. })), "{}", &text[..end]);
        }
    }
}
