//! Writing to the target: create and delete here, [changes](super::update) and [memberships](super::members) beside it.

use super::client::{Call, Core, Reply};
use super::error::TargetError;
use super::path::BadPath;
use super::read::TargetReader;
use super::{Dialect, Remote};
use crate::model::{Fault, Flat, ObjectKind, TargetId};
use percent_encoding::percent_decode_str;
use std::collections::HashSet;

/// Writes to a target. Cheap to clone.
#[derive(Clone)]
pub struct TargetWriter {
    pub(super) reader: TargetReader,
}

impl TargetWriter {
    pub(super) fn core(&self) -> &Core {
        &self.reader.core
    }

    pub(super) fn dialect(&self) -> &Dialect {
        &self.reader.dialect
    }

    /// Creates a resource (POST, RFC 7644 section 3.3). Members of a group that the target dropped silently are added
    /// afterwards; the returned resource says which are there.
    ///
    /// Sent again only where the server cannot have carried it out (no connection, 429, 503 with Retry-After).
    ///
    /// # Errors
    /// `Conflict` where it exists already: look it up, adopt by the match rules. `ambiguous`: it may exist now; look it
    /// up before creating again.
    pub async fn create(&self, kind: ObjectKind, attrs: &Flat, members: &[TargetId]) -> Result<Remote, TargetError> {
        let (call, reply) = self.post(kind, attrs, members).await?;
        let created = self.created(kind, &call, &reply).await?;
        if members.is_empty() { Ok(created) } else { self.complete_members(created, members).await }
    }

    /// As [`Self::create`], for whoever needs no more than the id: of a plain answer nothing else is taken apart.
    ///
    /// # Errors
    /// As [`Self::create`].
    pub async fn create_id(&self, kind: ObjectKind, attrs: &Flat) -> Result<TargetId, TargetError> {
        let (call, reply) = self.post(kind, attrs, &[]).await?;
        match plain_id(&reply.body) {
            Some(id) => Ok(id),
            None => Ok(self.created(kind, &call, &reply).await?.id),
        }
    }

    pub(super) async fn post(&self, kind: ObjectKind, attrs: &Flat, members: &[TargetId]) -> Result<(Call, Reply), TargetError> {
        let call = self.reader.create_call(kind, attrs, members)?;
        let reply = self.core().send(&call).await?;
        Ok((call, reply))
    }

    pub(super) async fn created(&self, kind: ObjectKind, call: &Call, reply: &Reply) -> Result<Remote, TargetError> {
        if reply.body.is_empty() { self.by_location(kind, call, reply).await } else { self.core().resource(call, reply) }
    }

    /// Deletes a resource (RFC 7644 section 3.6). What is gone already is success; a 404 or a server fault is believed only
    /// after a read.
    ///
    /// # Errors
    /// The resource is still there, or it is not known whether it is.
    pub async fn delete(&self, kind: ObjectKind, id: &TargetId) -> Result<(), TargetError> {
        let call = self.reader.delete_call(kind, id)?;
        let error = match self.core().send(&call).await {
            Ok(_) => return Ok(()),
            Err(e) => e,
        };
        let undecided = error.fault == Fault::Gone || error.status.is_some_and(|s| s >= 500 && s != 501);
        if undecided && matches!(self.reader.get(kind, id).await, Ok(None)) {
            return self.reader.serves(kind, &error).await;
        }
        if error.fault == Fault::Gone {
            let message = format!("{}; but GET finds it: the target does not delete here", error.message);
            return Err(TargetError { message, fault: Fault::Permanent, ..error });
        }
        Err(error)
    }

    /// A 2xx to a POST without a body: the resource is where `Location` says (RFC 7644 section 3.3).
    async fn by_location(&self, kind: ObjectKind, call: &Call, reply: &Reply) -> Result<Remote, TargetError> {
        let id = reply.location.as_deref().and_then(|l| {
            let path = l.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/');
            let (_, last) = path.rsplit_once('/')?;
            Some(TargetId(percent_decode_str(last).decode_utf8_lossy().into_owned()))
        });
        let found = match &id {
            Some(id) => self.reader.get(kind, id).await.map_err(TargetError::ambiguous)?,
            None => None,
        };
        found.ok_or_else(|| {
            let message = format!(
                "{} {}: {} without a resource and without a Location that leads to one",
                call.method, call.path, reply.status
            );
            self.core().error(Fault::Transient, message).ambiguous()
        })
    }

    /// Members given at creation may be dropped silently: compares, reads once where the answer left them out, and adds.
    async fn complete_members(&self, created: Remote, members: &[TargetId]) -> Result<Remote, TargetError> {
        if missing(&created, members).is_empty() {
            return Ok(created);
        }
        // From here on the group exists: no fault of the rest may hide its id.
        let read = match self.reader.get(ObjectKind::Group, &created.id).await {
            Ok(Some(read)) => read,
            _ => return Ok(created),
        };
        let left = missing(&read, members);
        if left.is_empty() || self.add_members(&read.id, &left).await.is_err() {
            return Ok(read);
        }
        Ok(self.reader.get(ObjectKind::Group, &read.id).await.ok().flatten().unwrap_or(read))
    }

    pub(super) fn bad_path(&self, error: &BadPath) -> TargetError {
        self.reader.bad_path(error)
    }
}

/// The id of a resource that is written as in RFC 7643: names in their own case, `schemas` without the error's, a text for an
/// id. `None`: look closer.
fn plain_id(body: &[u8]) -> Option<TargetId> {
    #[derive(serde::Deserialize)]
    struct Plain<'a> {
        #[serde(borrow)]
        schemas: Vec<std::borrow::Cow<'a, str>>,
        id: String,
    }
    let plain: Plain<'_> = serde_json::from_slice(body).ok()?;
    let is_error = plain.schemas.iter().any(|s| s.eq_ignore_ascii_case(crate::scim::ERROR));
    (!is_error && !plain.schemas.is_empty() && !plain.id.is_empty()).then_some(TargetId(plain.id))
}

/// Those of `members` that the group does not have.
fn missing(group: &Remote, members: &[TargetId]) -> Vec<TargetId> {
    let have: HashSet<TargetId> = group.members().into_iter().collect();
    members.iter().filter(|m| !have.contains(m)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sendable<T: Send>(_: T) {}

    #[test]
    fn a_plain_answer_gives_its_id_and_others_are_looked_at_closely() {
        let id = |body: &str| plain_id(body.as_bytes()).map(|id| id.0);
        let user = "urn:ietf:params:scim:schemas:core:2.0:User";
        assert_eq!(id(&format!(r#"{{"schemas": ["{user}"], "id": "a\u0062", "x": [1, {{}}]}}"#)).as_deref(), Some("ab"));
        for odd in [
            r#"{"schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"], "id": "a", "status": "400"}"#,
            r#"{"schemas": [], "id": "a"}"#,
            r#"{"schemas": ["u"], "id": ""}"#,
            r#"{"schemas": ["u"], "id": 7}"#,
            r#"{"Schemas": ["u"], "ID": "a"}"#,
            r#"{"schemas": ["u"], "id": "a""#,
            r#"{"schemas": ["u"], "id": "a", "id": "b"}"#,
            "<html>",
            "",
        ] {
            assert_eq!(id(odd), None, "{odd}");
        }
    }

    /// Every call can be spawned on any runtime.
    #[allow(dead_code)]
    fn futures_can_be_sent(w: &TargetWriter, f: &Flat, id: &TargetId, m: &[TargetId]) {
        sendable(w.create(ObjectKind::User, f, m));
        sendable(w.update(ObjectKind::User, id, f, f));
        sendable(w.add_members(id, m));
        sendable(w.remove_members(id, m));
        sendable(w.delete(ObjectKind::User, id));
        sendable(w.reader.find(ObjectKind::User, &[]));
        sendable(w.reader.get(ObjectKind::User, id));
    }
}
