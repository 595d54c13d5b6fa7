//! What the sandbox holds: users, groups, who is in what, and the indexes over them.

use super::Behaviour;
use super::edit::{Ids, MemberEdit, parse_id};
use super::index::{Indexes, Keys};
use super::members::{Members, Undo};
use super::patch::Patch;
use super::render::{self, Meta};
use super::table::Table;
use super::validate::{self, Doc};
use crate::model::ObjectKind;
use crate::scim::error::{ScimError, ScimType};
use crate::scim::patch::PatchOperation;
use bytes::Bytes;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::Arc;
use uuid::Uuid;

/// One stored resource.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) id: Uuid,
    pub(super) kind: ObjectKind,
    pub(super) rev: u64,
    /// The whole resource as JSON text, but for `groups` and `members`.
    pub(super) body: Bytes,
    pub(super) display: Option<Box<str>>,
    /// Of groups; `None` where there is none.
    pub(super) members: Option<Box<Members>>,
}

/// What a write asks for.
#[derive(Debug)]
pub(super) enum Write {
    /// PUT
    Replace(Value),
    /// PATCH
    Patch(Vec<PatchOperation>),
}

/// All data.
#[derive(Debug)]
pub(super) struct Store {
    base: Arc<str>,
    users: Table<Record>,
    groups: Table<Record>,
    ids: Ids,
    user_index: Indexes,
    group_index: Indexes,
    /// Member -> groups.
    memberships: HashMap<Uuid, Vec<Uuid>>,
}

impl Store {
    pub(super) fn new(base: Arc<str>) -> Self {
        Self {
            base,
            users: Table::new(),
            groups: Table::new(),
            ids: Ids::new(),
            user_index: Indexes::default(),
            group_index: Indexes::default(),
            memberships: HashMap::new(),
        }
    }

    pub(super) fn table(&self, kind: ObjectKind) -> &Table<Record> {
        match kind {
            ObjectKind::User => &self.users,
            ObjectKind::Group => &self.groups,
        }
    }

    pub(super) fn index(&self, kind: ObjectKind) -> &Indexes {
        match kind {
            ObjectKind::User => &self.user_index,
            ObjectKind::Group => &self.group_index,
        }
    }

    fn parts(&mut self, kind: ObjectKind) -> (&mut Table<Record>, &mut Indexes) {
        match kind {
            ObjectKind::User => (&mut self.users, &mut self.user_index),
            ObjectKind::Group => (&mut self.groups, &mut self.group_index),
        }
    }

    /// The slot of an id, if it is of this kind.
    pub(super) fn slot(&self, kind: ObjectKind, id: &Uuid) -> Option<usize> {
        self.ids.get(id).filter(|(found, _)| *found == kind).map(|(_, slot)| *slot)
    }

    /// The record with this id.
    pub(super) fn find(&self, kind: ObjectKind, id: &str) -> Result<&Record, ScimError> {
        parse_id(id)
            .and_then(|id| self.slot(kind, &id))
            .and_then(|slot| self.table(kind).get(slot))
            .ok_or_else(|| ScimError::new(404, format!("there is no {kind} with id {id:?}")))
    }

    /// The groups of a user or group.
    pub(super) fn groups_of(&self, id: &Uuid) -> &[Uuid] {
        self.memberships.get(id).map(Vec::as_slice).unwrap_or_default()
    }

    /// The whole resource as text. `computed` adds what is not stored with it.
    pub(super) fn body(&self, record: &Record, computed: bool) -> Bytes {
        if !computed {
            return record.body.clone();
        }
        match record.kind {
            ObjectKind::User => match self.groups_of(&record.id) {
                [] => record.body.clone(),
                groups => render::splice(&record.body, "groups", groups.iter(), |out, id| {
                    render::push_reference(out, &self.base, ObjectKind::Group, id, self.display(id), "direct");
                })
                .into(),
            },
            ObjectKind::Group => match record.members.as_deref() {
                Some(members) if members.len() > 0 => render::splice(&record.body, "members", members.iter(), |out, member| {
                    let label = super::schema::core(member.kind).name;
                    render::push_reference(out, &self.base, member.kind, &member.id, self.display(&member.id), label);
                })
                .into(),
                _ => record.body.clone(),
            },
        }
    }

    fn display(&self, id: &Uuid) -> Option<&str> {
        let (kind, slot) = self.ids.get(id)?;
        self.table(*kind).get(*slot)?.display.as_deref()
    }

    /// POST.
    pub(super) fn create(&mut self, kind: ObjectKind, mut doc: Doc, behaviour: &Behaviour) -> Result<&Record, ScimError> {
        doc.shift_remove("password");
        if behaviour.drop_external_id {
            doc.shift_remove("externalId");
        }
        behaviour.forget_unknown(kind, &mut doc);
        let keys = self.check(kind, &doc, None, behaviour)?;
        behaviour.check(kind, &doc)?;
        let id = Uuid::new_v4();
        let mut members = Members::default();
        if kind == ObjectKind::Group
            && let Some(values) = doc.shift_remove("members")
        {
            MemberEdit::new(id, &mut members, &self.ids, behaviour.members_per_patch).add(values)?;
        }
        for member in members.iter() {
            self.memberships.entry(member.id).or_default().push(id);
        }
        let now = render::now();
        let meta = Meta { kind, id, rev: 1, created: &now, modified: &now };
        let record = Record {
            id,
            kind,
            rev: 1,
            body: render::resource(&self.base, &meta, &doc).into(),
            display: display_of(&doc),
            members: (members.len() > 0).then(|| Box::new(members)),
        };
        let (table, index) = self.parts(kind);
        let slot = table.push(record);
        index.add(&keys, slot);
        self.ids.insert(id, (kind, slot));
        self.table(kind).get(slot).ok_or_else(|| ScimError::new(500, "the new resource was lost"))
    }

    /// PUT or PATCH: whole or not at all. Writing what is there already changes neither version nor `lastModified`.
    pub(super) fn update(
        &mut self,
        kind: ObjectKind,
        id: &str,
        if_match: Option<&str>,
        write: Write,
        behaviour: &Behaviour,
    ) -> Result<&Record, ScimError> {
        let record = self.find(kind, id)?;
        precondition(record, if_match)?;
        let (uuid, rev) = (record.id, record.rev);
        let slot = self.slot(kind, &uuid).unwrap_or_default();
        let (old, created) = render::take_apart(&record.body);
        let old_keys = Keys::of(&old, kind.name_attribute());

        let mut members = self.parts(kind).0.get_mut(slot).and_then(|record| record.members.take()).unwrap_or_default();
        let mut edit = MemberEdit::new(uuid, &mut members, &self.ids, behaviour.members_per_patch);
        let written = write_to(kind, id, &old, write, &mut edit, behaviour).and_then(|doc| {
            let keys = self.check(kind, &doc, Some(slot), behaviour)?;
            if !behaviour.group_update && kind == ObjectKind::Group && display_of(&doc) != display_of(&old) {
                return Err(ScimError::bad_request(ScimType::Mutability, "`displayName` of a group cannot be changed here"));
            }
            if behaviour.user_name_immutable && kind == ObjectKind::User && keys.name != old_keys.name {
                return Err(ScimError::bad_request(ScimType::Mutability, "`userName` cannot be changed here"));
            }
            behaviour.stays(kind, &old, &doc)?;
            behaviour.check(kind, &doc)?;
            Ok((doc, keys))
        });
        let steps = match &written {
            Ok(_) => edit.finish(),
            Err(_) => {
                edit.roll_back();
                Vec::new()
            }
        };
        let members = (members.len() > 0).then_some(members);
        if let Some(record) = self.parts(kind).0.get_mut(slot) {
            record.members = members;
        }
        let (doc, keys) = written?;
        if doc != old || !steps.is_empty() {
            self.note(uuid, &steps);
            let modified = render::now();
            let meta = Meta { kind, id: uuid, rev: rev + 1, created: &created, modified: &modified };
            let body = render::resource(&self.base, &meta, &doc);
            let (table, index) = self.parts(kind);
            if keys != old_keys {
                index.remove(&old_keys, slot);
                index.add(&keys, slot);
            }
            if let Some(record) = table.get_mut(slot) {
                record.body = body.into();
                record.rev = rev + 1;
                record.display = display_of(&doc);
            }
        }
        self.find(kind, id)
    }

    /// DELETE: the resource leaves its groups too.
    pub(super) fn delete(&mut self, kind: ObjectKind, id: &str, if_match: Option<&str>) -> Result<(), ScimError> {
        let record = self.find(kind, id)?;
        precondition(record, if_match)?;
        let uuid = record.id;
        let slot = self.slot(kind, &uuid).unwrap_or_default();
        for group in self.memberships.remove(&uuid).unwrap_or_default() {
            self.leave(&group, &uuid);
        }
        let (table, index) = self.parts(kind);
        if let Some(record) = table.remove(slot) {
            index.remove(&Keys::of(&render::take_apart(&record.body).0, kind.name_attribute()), slot);
            for member in record.members.iter().flat_map(|members| members.iter()) {
                self.forget(&member.id, &uuid);
            }
        }
        self.ids.remove(&uuid);
        Ok(())
    }

    /// A deleted resource leaves a group, whose version changes.
    fn leave(&mut self, group: &Uuid, member: &Uuid) {
        let Some(slot) = self.slot(ObjectKind::Group, group) else { return };
        let base = Arc::clone(&self.base);
        let Some(record) = self.groups.get_mut(slot) else { return };
        if let Some(members) = &mut record.members {
            members.remove(member);
        }
        let (doc, created) = render::take_apart(&record.body);
        record.rev += 1;
        let meta = Meta { kind: ObjectKind::Group, id: record.id, rev: record.rev, created: &created, modified: &render::now() };
        record.body = render::resource(&base, &meta, &doc).into();
    }

    /// Keeps member -> groups in step with the steps made on a group.
    fn note(&mut self, group: Uuid, steps: &[Undo]) {
        for step in steps {
            match step {
                Undo::Added(member) => self.memberships.entry(*member).or_default().push(group),
                Undo::Removed(_, member) => self.forget(&member.id, &group),
            }
        }
    }

    fn forget(&mut self, member: &Uuid, group: &Uuid) {
        if let Some(groups) = self.memberships.get_mut(member) {
            groups.retain(|other| other != group);
            if groups.is_empty() {
                self.memberships.remove(member);
            }
        }
    }

    /// Checks that a resource is complete and its `userName` free, without regard to case; gives its keys.
    fn check(&self, kind: ObjectKind, doc: &Doc, own: Option<usize>, behaviour: &Behaviour) -> Result<Keys, ScimError> {
        validate::complete(kind, doc)?;
        let keys = Keys::of(doc, kind.name_attribute());
        if kind == ObjectKind::User
            && let Some(name) = &keys.name
            && self.user_index.name.get(name).iter().any(|slot| Some(*slot) != own)
        {
            return Err(ScimError::conflict(format!("userName {name:?} is taken")));
        }
        if kind == ObjectKind::Group
            && behaviour.group_names_unique
            && let Some(name) = &keys.name
            && self.group_index.name.get(name).iter().any(|slot| Some(*slot) != own)
        {
            return Err(ScimError::conflict(format!("a group named {name:?} already exists")));
        }
        Ok(keys)
    }
}

/// The new state of a resource's own attributes; changes of members go through `edit`.
fn write_to(
    kind: ObjectKind,
    id: &str,
    old: &Doc,
    write: Write,
    edit: &mut MemberEdit<'_>,
    behaviour: &Behaviour,
) -> Result<Doc, ScimError> {
    let mut doc = match write {
        Write::Replace(body) => {
            let mut doc = validate::resource(kind, body)?;
            if kind == ObjectKind::Group {
                edit.replace(doc.shift_remove("members").unwrap_or_default())?;
            }
            doc
        }
        Write::Patch(operations) => {
            let mut doc = old.clone();
            let members = (kind == ObjectKind::Group).then_some(edit);
            Patch { kind, id, doc: &mut doc, members, behaviour }.apply(operations)?;
            doc
        }
    };
    doc.shift_remove("password");
    if behaviour.drop_external_id {
        doc.shift_remove("externalId");
    }
    behaviour.forget_unknown(kind, &mut doc);
    Ok(doc)
}

/// `If-Match` (RFC 7644 section 3.14, RFC 9110 section 13.1.1); tags compare weakly.
fn precondition(record: &Record, if_match: Option<&str>) -> Result<(), ScimError> {
    match if_match {
        Some(tags) if !tag_matches(tags, record.rev) => {
            Err(ScimError::new(412, format!("the resource has version {} now", render::version(record.rev))))
        }
        _ => Ok(()),
    }
}

/// Whether a list of entity tags, or `*`, names this version.
pub(super) fn tag_matches(tags: &str, rev: u64) -> bool {
    let own = format!("\"{rev}\"");
    tags.split(',').map(str::trim).any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == own)
}

fn display_of(doc: &Doc) -> Option<Box<str>> {
    doc.get("displayName").and_then(Value::as_str).map(Into::into)
}
