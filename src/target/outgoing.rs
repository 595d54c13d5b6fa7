//! Requests that write, built in one place: the writer sends what this builds, and `explain` shows it without sending.

use super::Remote;
use super::body;
use super::client::Call;
use super::dialect::RemoveMembers;
use super::error::TargetError;
use super::patch::{self, Form, Op};
use super::path::BadPath;
use super::read::TargetReader;
use super::spelling::{self, Spelling};
use crate::model::{Fault, Flat, ObjectKind, TargetId};
use http::Method;
use serde_json::Value;

/// A request as it would be sent.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Outgoing {
    /// HTTP method.
    pub method: String,
    /// Path behind the base URL.
    pub path: String,
    /// The body; null where there is none.
    pub body: Value,
}

impl Outgoing {
    fn of(call: &Call) -> Self {
        let body = call.body.as_deref().and_then(|b| serde_json::from_slice(b).ok()).unwrap_or(Value::Null);
        Self { method: call.method.to_string(), path: call.path.clone(), body }
    }
}

impl TargetReader {
    /// POST of a new resource (RFC 7644 section 3.3).
    pub(super) fn create_call(&self, kind: ObjectKind, attrs: &Flat, members: &[TargetId]) -> Result<Call, TargetError> {
        let body = body::create(kind, attrs, members).map_err(|e| self.bad_path(&e))?;
        let body = self.json(&body)?;
        Ok(Call::write(Method::POST, self.dialect.endpoint(kind), Some(body), false))
    }

    /// PATCH with these operations (RFC 7644 section 3.5.2).
    pub(super) fn patch_call(&self, kind: ObjectKind, id: &TargetId, ops: &[Op]) -> Result<Call, TargetError> {
        self.patch_spelt(kind, id, ops, self.spelling())
    }

    /// The same in this spelling.
    pub(super) fn patch_spelt(
        &self,
        kind: ObjectKind,
        id: &TargetId,
        ops: &[Op],
        spelling: Spelling,
    ) -> Result<Call, TargetError> {
        let body = spelling::message(ops, spelling).map_err(|e| self.core.error(Fault::Invalid, e.to_string()))?;
        let path = self.core.record_path(self.dialect.endpoint(kind), id)?;
        Ok(Call::write(Method::PATCH, path, Some(body), ops.iter().all(Op::is_repeatable)))
    }

    /// PUT of a whole resource (RFC 7644 section 3.5.1).
    pub(super) fn put_call(&self, kind: ObjectKind, id: &TargetId, raw: &Value) -> Result<Call, TargetError> {
        let body = self.json(raw)?;
        let path = self.core.record_path(self.dialect.endpoint(kind), id)?;
        Ok(Call::write(Method::PUT, path, Some(body), true))
    }

    /// DELETE (RFC 7644 section 3.6).
    pub(super) fn delete_call(&self, kind: ObjectKind, id: &TargetId) -> Result<Call, TargetError> {
        Ok(Call::write(Method::DELETE, self.core.record_path(self.dialect.endpoint(kind), id)?, None, true))
    }

    pub(super) fn bad_path(&self, error: &BadPath) -> TargetError {
        self.core.error(Fault::Invalid, format!("{error}; correct the mapping"))
    }

    fn json(&self, value: &Value) -> Result<Vec<u8>, TargetError> {
        serde_json::to_vec(value).map_err(|e| self.core.error(Fault::Invalid, e.to_string()))
    }

    /// The spelling that this target was seen to take, else the dialect's.
    pub(super) fn spelling(&self) -> Spelling {
        self.core.learned.spelling().unwrap_or(Spelling::of(&self.dialect))
    }

    /// Whether PATCH is to be used for this kind.
    pub(super) fn may_patch(&self, kind: ObjectKind) -> bool {
        self.dialect.patch && !self.core.learned.patch_is_off(kind)
    }

    /// The request that creates.
    ///
    /// # Errors
    /// A path that no body can carry.
    pub fn show_create(&self, kind: ObjectKind, attrs: &Flat) -> Result<Outgoing, TargetError> {
        self.create_call(kind, attrs, &[]).map(|c| Outgoing::of(&c))
    }

    /// The first request of an update. `there`: the resource as it is, which a PUT carries on.
    ///
    /// # Errors
    /// A path that no body can carry.
    pub fn show_update(
        &self,
        kind: ObjectKind,
        id: &TargetId,
        from: &Flat,
        to: &Flat,
        there: Option<&Remote>,
    ) -> Result<Outgoing, TargetError> {
        let form = |path: &str| self.form(kind, path);
        if to.keys().any(|p| form(p) != Form::Put) {
            let ops = patch::operations(from, to, form, there).map_err(|e| self.bad_path(&e))?;
            return self.patch_call(kind, id, &ops).map(|c| Outgoing::of(&c));
        }
        let raw = match there.map(|r| &r.raw) {
            Some(Value::Object(o)) => o.clone(),
            _ => serde_json::Map::new(),
        };
        let merged = body::carry(raw, from, &Flat::new(), to).map_err(|e| self.bad_path(&e))?;
        self.put_call(kind, id, &Value::Object(merged)).map(|c| Outgoing::of(&c))
    }

    /// The request that deletes.
    ///
    /// # Errors
    /// An id that no URL can carry.
    pub fn show_delete(&self, kind: ObjectKind, id: &TargetId) -> Result<Outgoing, TargetError> {
        self.delete_call(kind, id).map(|c| Outgoing::of(&c))
    }

    /// The first request that adds (`joining`) or removes members.
    ///
    /// # Errors
    /// An id that no URL can carry.
    pub fn show_members(
        &self,
        group: &TargetId,
        members: &[TargetId],
        joining: bool,
        there: Option<&Remote>,
    ) -> Result<Outgoing, TargetError> {
        let members: Vec<TargetId> = members.iter().take(self.dialect.members_per_patch.max(1)).cloned().collect();
        if self.may_patch(ObjectKind::Group) {
            let ops = match (joining, self.dialect.remove_members) {
                (true, _) => vec![patch::add_members(&members, Form::Path)],
                (false, RemoveMembers::OneByOne) => patch::remove_members(&members),
                (false, RemoveMembers::List) => patch::remove_listed(&members),
                (false, RemoveMembers::Replace) => {
                    let have = there.map(Remote::members).unwrap_or_default();
                    vec![patch::replace_members(&want(&have, &[], &members))]
                }
            };
            return self.patch_call(ObjectKind::Group, group, &ops).map(|c| Outgoing::of(&c));
        }
        let raw = match there.map(|r| r.raw.clone()) {
            Some(Value::Object(o)) => o,
            _ => serde_json::Map::new(),
        };
        let have = there.map(Remote::members).unwrap_or_default();
        let (add, remove): (&[TargetId], &[TargetId]) = if joining { (&members, &[]) } else { (&[], &members) };
        let raw = self.with_members(raw, &have, add, remove)?;
        self.put_call(ObjectKind::Group, group, &Value::Object(raw)).map(|c| Outgoing::of(&c))
    }

    /// The body of a PUT that changes the members of a group and nothing else.
    pub(super) fn with_members(
        &self,
        raw: serde_json::Map<String, Value>,
        have: &[TargetId],
        add: &[TargetId],
        remove: &[TargetId],
    ) -> Result<serde_json::Map<String, Value>, TargetError> {
        let mut raw = body::merge(raw, &Flat::new()).map_err(|e| self.bad_path(&e))?;
        let key = super::path::key_of(&raw, "members").cloned().unwrap_or_else(|| "members".to_owned());
        raw.insert(key, body::references(&want(have, add, remove)));
        Ok(raw)
    }
}

/// Who is in the group afterwards.
pub(super) fn want(have: &[TargetId], add: &[TargetId], remove: &[TargetId]) -> Vec<TargetId> {
    let known: std::collections::HashSet<&TargetId> = have.iter().collect();
    let staying = have.iter().filter(|m| !remove.contains(m));
    staying.chain(add.iter().filter(|m| !known.contains(m))).cloned().collect()
}
