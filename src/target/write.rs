//! Writing to the target: create and delete here, [changes](super::update) and [memberships](super::members) beside it.

use super::client::{Call, Core, Reply};
use super::error::TargetError;
use super::patch::Form;
use super::path::{BadPath, same};
use super::read::TargetReader;
use super::remote::instant;
use super::{Dialect, Remote};
use crate::model::{Fault, Flat, ObjectKind, TargetId};
use percent_encoding::percent_decode_str;
use std::borrow::Cow;
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

    /// As [`Self::create`], for whoever needs no more than the id and what tells who made it: of a plain answer nothing else
    /// is taken apart.
    ///
    /// # Errors
    /// As [`Self::create`].
    pub async fn create_id(&self, kind: ObjectKind, attrs: &Flat) -> Result<Made, TargetError> {
        let (call, reply) = self.post(kind, attrs, &[]).await?;
        let says_created = reply.status != 200;
        let ours = attrs.get("externalId").and_then(|v| v.as_str());
        let tells =
            |made: &Made| made.created.is_some() || made.external_id.as_deref().is_some_and(|theirs| Some(theirs) == ours);
        let made = match plain(&reply.body).filter(tells) {
            Some(made) => made,
            None => Made::of(kind, &self.created(kind, &call, &reply).await?, attrs),
        };
        // Of what has only an id yet nothing is left out.
        let unseen = reply.body.is_empty() && made.alike.is_none();
        let learned = &self.core().learned;
        if !says_created && made.external_id.is_none() && made.created.is_none() {
            learned.note_says_nothing(kind);
        }
        if ours.is_some() && made.external_id.as_deref() == ours {
            learned.note_echo(kind);
        }
        learned.recent.note_made(kind, &made.id);
        let silent = ours.is_some() && made.external_id.is_none() && learned.has_echo(kind) && !unseen;
        Ok(Made { says_created, silent, ..made })
    }

    /// Whether a create of this kind was answered with nothing that tells what is new from what was there.
    #[must_use]
    pub fn says_nothing(&self, kind: ObjectKind) -> bool {
        self.core().learned.says_nothing(kind)
    }

    /// Whether this very run made it, a while ago at most: reads may lag behind writes.
    #[must_use]
    pub fn made_lately(&self, kind: ObjectKind, id: &TargetId) -> bool {
        self.core().learned.recent.is_made(kind, id)
    }

    /// Whether a second resource of one name is known to be refused, as it is for people at most targets (RFC 7643 section 4.1.1:
    /// userName is unique), and for groups at few.
    #[must_use]
    pub fn keeps_unique(&self, kind: ObjectKind) -> bool {
        kind == ObjectKind::User && self.core().learned.users_are_unique()
    }

    pub(super) async fn post(&self, kind: ObjectKind, attrs: &Flat, members: &[TargetId]) -> Result<(Call, Reply), TargetError> {
        let call = self.reader.create_call(kind, attrs, members)?;
        match self.core().send(&call).await {
            Ok(reply) => Ok((call, reply)),
            Err(e) => {
                if kind == ObjectKind::User && e.fault == Fault::Conflict {
                    self.core().learned.note_users_unique();
                }
                Err(e)
            }
        }
    }

    pub(super) async fn created(&self, kind: ObjectKind, call: &Call, reply: &Reply) -> Result<Remote, TargetError> {
        if reply.body.is_empty() { self.by_location(kind, call, reply).await } else { self.core().resource(call, reply) }
    }

    /// A write that changes nothing of an account, for what the application says to it: what is there already is no proof that
    /// it may be written. It sends what was read just before, so that nobody is made active who left meanwhile.
    ///
    /// # Errors
    /// The application refuses the write, or there is no such account.
    pub async fn write_unchanged(&self, id: &TargetId) -> Result<(), TargetError> {
        let there = self.reader.get(ObjectKind::User, id).await?.ok_or_else(|| self.vanished(id))?;
        let mut same = there.flat(std::iter::once("active"));
        if same.is_empty() {
            same = there.flat(std::iter::once("userName"));
        }
        if self.reader.may_patch(ObjectKind::User) && !same.is_empty() {
            let ops = super::patch::operations(&same, &same, |_| Form::Path, None).map_err(|e| self.bad_path(&e))?;
            match self.patch(ObjectKind::User, id, &ops, None).await {
                Err(e) if e.is_unsupported() => {}
                answer => return answer.map(drop),
            }
        }
        let version = self.version(&there).map(str::to_owned);
        let raw = super::body::merge(there.raw.as_object().cloned().unwrap_or_default(), &Flat::new());
        let raw = serde_json::Value::Object(raw.map_err(|e| self.bad_path(&e))?);
        self.put_raw(ObjectKind::User, id, &raw, version.as_deref()).await.map(drop)
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

    /// A 2xx to a POST without a body: the resource is where `Location` says (RFC 7644 section 3.3), which may not be shown yet.
    async fn by_location(&self, kind: ObjectKind, call: &Call, reply: &Reply) -> Result<Remote, TargetError> {
        let Some(id) = reply.location.as_deref().and_then(|l| located(l, self.dialect().endpoint(kind))) else {
            let message = format!(
                "{} {}: {} without a resource and without a Location that leads to one; it was made, and is not shown yet",
                call.method, call.path, reply.status
            );
            let e = self.core().error(Fault::Transient, message).ambiguous();
            return Err(TargetError { status: Some(reply.status), ..e });
        };
        // What was made is known by its id: no fault of the look may hide that.
        let found = self.reader.get(kind, &id).await.ok().flatten();
        Ok(found.unwrap_or_else(|| Remote::of(id.clone(), serde_json::json!({ "id": id.as_str() }))))
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

/// What the answer to a create tells of the resource: a target may answer with one that was there already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// Its id.
    pub id: TargetId,
    /// It was called created (201, RFC 7644 section 3.3); a 200 only says that it is there.
    pub says_created: bool,
    /// Its externalId; empty counts as none.
    pub external_id: Option<String>,
    /// `meta.created` as a Unix second.
    pub created: Option<i64>,
    /// Somebody is in it, and nobody was sent.
    pub has_members: bool,
    /// How what was sent beside the names is in it. `None`: it shows nothing of that, or that was not looked at, because
    /// externalId or `meta.created` tell more.
    pub alike: Option<Alike>,
    /// An externalId was sent and none is shown, though others that were made there showed theirs.
    pub silent: bool,
}

/// How much of what was sent an answer shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alike {
    /// Other values only.
    Nothing,
    /// Some of it: colleagues share a department.
    Partly,
    /// Everything that it shows, the name among it.
    Wholly,
}

impl Made {
    fn of(kind: ObjectKind, there: &Remote, sent: &Flat) -> Self {
        // An address may be the name itself, and whether somebody is active is the same for most.
        let telling =
            |path: &str| path != kind.name_attribute() && path != "externalId" && path != "active" && !path.starts_with("emails");
        let others = sent.iter().filter(|(path, value)| telling(path) && !value.is_null());
        let shown: Vec<bool> = others.filter_map(|(path, value)| Some(same(&there.get(path)?, value))).collect();
        let name = sent.get(kind.name_attribute()).zip(there.get(kind.name_attribute()));
        let is_name = name.is_some_and(|(ours, theirs)| same(&theirs, ours));
        let alike = match shown.as_slice() {
            [] => None,
            all if is_name && all.iter().all(|same| *same) => Some(Alike::Wholly),
            all if all.contains(&true) => Some(Alike::Partly),
            _ => Some(Alike::Nothing),
        };
        Self {
            id: there.id.clone(),
            says_created: true,
            external_id: there.external_id().map(str::to_owned),
            created: there.created(),
            has_members: there.shows_members(),
            alike,
            silent: false,
        }
    }
}

/// The id in the address of a resource: the segment behind that of its kind.
fn located(location: &str, endpoint: &str) -> Option<TargetId> {
    let path = location.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/');
    let (before, last) = path.rsplit_once('/')?;
    let kind = before.rsplit('/').next()?;
    let id = TargetId(percent_decode_str(last).decode_utf8_lossy().into_owned());
    (kind.eq_ignore_ascii_case(endpoint.rsplit('/').next()?) && !last.is_empty()).then_some(id)
}

/// A resource that is written as in RFC 7643: names in their own case, `schemas` without the error's, a text for an id.
/// `None`: look closer.
fn plain(body: &[u8]) -> Option<Made> {
    #[derive(serde::Deserialize)]
    struct Plain<'a> {
        #[serde(borrow)]
        schemas: Vec<Cow<'a, str>>,
        id: String,
        #[serde(rename = "externalId")]
        external_id: Option<String>,
        #[serde(borrow)]
        meta: Option<Meta<'a>>,
        members: Option<Vec<serde::de::IgnoredAny>>,
    }
    #[derive(serde::Deserialize)]
    struct Meta<'a> {
        #[serde(borrow)]
        created: Option<Cow<'a, str>>,
    }
    let plain: Plain<'_> = serde_json::from_slice(body).ok()?;
    let is_error = plain.schemas.iter().any(|s| s.eq_ignore_ascii_case(crate::scim::ERROR));
    (!is_error && !plain.schemas.is_empty() && !plain.id.is_empty()).then(|| Made {
        id: TargetId(plain.id),
        says_created: true,
        external_id: plain.external_id.filter(|e| !e.is_empty()),
        created: plain.meta.and_then(|m| instant(&m.created?)),
        has_members: plain.members.is_some_and(|m| !m.is_empty()),
        alike: None,
        silent: false,
    })
}

/// Those of `members` that the group does not have.
fn missing(group: &Remote, members: &[TargetId]) -> Vec<TargetId> {
    let have: HashSet<TargetId> = group.members().into_iter().collect();
    members.iter().filter(|m| !have.contains(m)).cloned().collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn sendable<T: Send>(_: T) {}

    #[test]
    fn a_plain_answer_gives_its_id_and_others_are_looked_at_closely() {
        let id = |body: &str| plain(body.as_bytes()).map(|made| made.id.0);
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
            r#"{"schemas": ["u"], "id": "a", "externalId": 7}"#,
            r#"{"schemas": ["u"], "id": "a", "meta": {"created": 7}}"#,
            "<html>",
            "",
        ] {
            assert_eq!(id(odd), None, "{odd}");
        }
    }

    #[test]
    fn a_location_gives_an_id_only_where_it_leads_to_a_resource() {
        let id = |location: &str| located(location, "/Users").map(|id| id.0);
        for leads in ["https://h/scim/v2/Users/a%2Fb", "/scim/v2/users/a%2Fb/?x=1", "Users/a%2Fb"] {
            assert_eq!(id(leads).as_deref(), Some("a/b"), "{leads}");
        }
        for not in ["", "a", "https://h/scim/v2/Users", "https://h/scim/v2/Users/", "https://h/scim/v2/Groups/a"] {
            assert_eq!(id(not), None, "{not}");
        }
    }

    #[test]
    fn a_plain_answer_tells_who_made_it_as_the_whole_one_does() {
        let sent = Flat::from([
            ("userName".to_owned(), "a@x.example".into()),
            ("externalId".to_owned(), "k1".into()),
            ("displayName".to_owned(), "Anna".into()),
        ]);
        let whole = |body: &str| Made::of(ObjectKind::User, &Remote::new(serde_json::from_str(body).unwrap()).unwrap(), &sent);
        for body in [
            r#"{"schemas": ["u"], "id": "a", "externalId": "k1", "userName": "a@x.example", "displayName": "Anna"}"#,
            r#"{"schemas": ["u"], "id": "a", "externalId": "", "displayName": "Anna", "meta": {"created": "2024-05-01T12:00:00Z"}}"#,
            r#"{"schemas": ["u"], "id": "a", "externalId": null, "meta": {"created": "0001-01-01T00:00:00Z"}, "members": [{"value": "x"}]}"#,
            r#"{"schemas": ["u"], "id": "a", "meta": {"location": "/Users/a"}, "members": []}"#,
        ] {
            assert_eq!(plain(body.as_bytes()).unwrap(), Made { alike: None, ..whole(body) }, "{body}");
        }
        assert_eq!(
            plain(br#"{"schemas": ["u"], "id": "a", "meta": {"created": "2024-05-01T12:00:00Z"}}"#).unwrap().created,
            Some(1_714_564_800)
        );
        assert_eq!(whole(r#"{"id": "a", "userName": "A@x.example", "active": true}"#).alike, None);
        assert_eq!(whole(r#"{"id": "a", "userName": "A@x.example", "displayName": "By hand"}"#).alike, Some(Alike::Nothing));
        assert_eq!(whole(r#"{"id": "a", "userName": "A@x.example", "displayName": "anna"}"#).alike, Some(Alike::Wholly));
        assert_eq!(whole(r#"{"id": "a", "displayName": "Anna"}"#).alike, Some(Alike::Partly), "without a name it may be anybody");
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
