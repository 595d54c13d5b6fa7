//! Writes resources as JSON text. What is stored is text too: small, and ready to be sent.

use super::schema;
use super::validate::Doc;
use crate::model::ObjectKind;
use serde_json::{Map, Value};
use std::io::Write as _;
use uuid::Uuid;

/// Milliseconds in UTC, as RFC 7643 section 2.3.5 wants a DateTime.
pub(super) fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

/// Path segment of a kind of resource.
pub(super) fn endpoint(kind: ObjectKind) -> &'static str {
    match kind {
        ObjectKind::User => "Users",
        ObjectKind::Group => "Groups",
    }
}

/// URI of a resource.
pub(super) fn location(base: &str, kind: ObjectKind, id: &Uuid) -> String {
    format!("{base}/{}/{id}", endpoint(kind))
}

/// `meta.version` and `ETag`: weak, because `groups` and `members[].display` are not part of it.
pub(super) fn version(rev: u64) -> String {
    format!("W/\"{rev}\"")
}

/// What the server adds to a resource's own attributes.
#[derive(Debug)]
pub(super) struct Meta<'a> {
    pub(super) kind: ObjectKind,
    pub(super) id: Uuid,
    pub(super) rev: u64,
    pub(super) created: &'a str,
    pub(super) modified: &'a str,
}

/// The resource as text, without what is computed on reading (`groups` of users, `members` of groups).
pub(super) fn resource(base: &str, meta: &Meta<'_>, doc: &Doc) -> Vec<u8> {
    let core = schema::core(meta.kind);
    let mut out = Vec::with_capacity(768);
    out.extend_from_slice(b"{\"schemas\":[\"");
    out.extend_from_slice(core.id.as_bytes());
    for extension in schema::extensions(meta.kind).iter().filter(|extension| doc.contains_key(extension.id)) {
        out.extend_from_slice(b"\",\"");
        out.extend_from_slice(extension.id.as_bytes());
    }
    out.extend_from_slice(b"\"],\"id\":\"");
    push_id(&mut out, &meta.id);
    out.push(b'"');
    for (name, value) in doc {
        out.push(b',');
        push_text(&mut out, name);
        out.push(b':');
        push_json(&mut out, value);
    }
    // Writing to a Vec does not fail.
    let _ = write!(
        out,
        ",\"meta\":{{\"resourceType\":\"{}\",\"created\":\"{}\",\"lastModified\":\"{}\",\"location\":\"{base}/{}/{}\",\
         \"version\":\"W/\\\"{}\\\"\"}}}}",
        core.name,
        meta.created,
        meta.modified,
        endpoint(meta.kind),
        meta.id,
        meta.rev
    );
    out
}

/// Takes a stored text apart: the resource's own attributes, and when it was created.
pub(super) fn take_apart(body: &[u8]) -> (Doc, String) {
    let mut doc: Doc = serde_json::from_slice(body).unwrap_or_default();
    doc.shift_remove("schemas");
    doc.shift_remove("id");
    let meta = doc.shift_remove("meta");
    let created = meta.as_ref().and_then(|meta| meta.get("created")?.as_str()).unwrap_or_default().to_owned();
    (doc, created)
}

/// One element of `groups` or `members`.
pub(super) fn push_reference(out: &mut Vec<u8>, base: &str, kind: ObjectKind, id: &Uuid, display: Option<&str>, label: &str) {
    out.extend_from_slice(b"{\"value\":\"");
    push_id(out, id);
    out.extend_from_slice(b"\",\"$ref\":\"");
    out.extend_from_slice(base.as_bytes());
    out.push(b'/');
    out.extend_from_slice(endpoint(kind).as_bytes());
    out.push(b'/');
    push_id(out, id);
    out.push(b'"');
    if let Some(display) = display {
        out.extend_from_slice(b",\"display\":");
        push_text(out, display);
    }
    out.extend_from_slice(b",\"type\":\"");
    out.extend_from_slice(label.as_bytes());
    out.extend_from_slice(b"\"}");
}

/// Appends an array attribute to an object's text; `each` writes the elements, the commas come from here.
pub(super) fn splice<T>(
    body: &[u8],
    name: &str,
    items: impl Iterator<Item = T>,
    mut each: impl FnMut(&mut Vec<u8>, T),
) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len() + 256);
    out.extend_from_slice(body.strip_suffix(b"}").unwrap_or(body));
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":[");
    for (i, item) in items.enumerate() {
        if i > 0 {
            out.push(b',');
        }
        each(&mut out, item);
    }
    out.extend_from_slice(b"]}");
    out
}

/// An object as text.
pub(super) fn object(object: &Map<String, Value>) -> Vec<u8> {
    serde_json::to_vec(object).unwrap_or_default()
}

fn push_json(out: &mut Vec<u8>, value: &Value) {
    // Neither writing to a Vec nor a map with text keys fails.
    let _ = serde_json::to_writer(out, value);
}

fn push_text(out: &mut Vec<u8>, text: &str) {
    let _ = serde_json::to_writer(out, text);
}

fn push_id(out: &mut Vec<u8>, id: &Uuid) {
    let mut buffer = Uuid::encode_buffer();
    out.extend_from_slice(id.as_hyphenated().encode_lower(&mut buffer).as_bytes());
}
