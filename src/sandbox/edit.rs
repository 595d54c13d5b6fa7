//! Changes to a group's members, each with its way back: a PATCH is carried out whole or not at all.

use super::members::{Member, Members, Undo};
use super::schema;
use super::validate::{self, invalid_value};
use crate::model::ObjectKind;
use crate::scim::error::ScimError;
use crate::scim::eval;
use crate::scim::filter::{Filter, Op};
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet};
use uuid::Uuid;

/// Where each resource lives, by its id.
pub(super) type Ids = HashMap<Uuid, (ObjectKind, usize)>;

/// The members of one group under change.
pub(super) struct MemberEdit<'a> {
    group: Uuid,
    members: &'a mut Members,
    ids: &'a Ids,
    /// Members one request may name; `None`: any number.
    limit: Option<usize>,
    named: usize,
    steps: Vec<Undo>,
}

impl<'a> MemberEdit<'a> {
    pub(super) fn new(group: Uuid, members: &'a mut Members, ids: &'a Ids, limit: Option<usize>) -> Self {
        Self { group, members, ids, limit, named: 0, steps: Vec::new() }
    }

    /// Adds members; those that are members already stay as they are.
    pub(super) fn add(&mut self, values: Value) -> Result<(), ScimError> {
        for member in self.read(values)? {
            self.steps.extend(self.members.add(member));
        }
        Ok(())
    }

    /// Makes these the members.
    pub(super) fn replace(&mut self, values: Value) -> Result<(), ScimError> {
        let wanted = self.read(values)?;
        let keep: HashSet<Uuid> = wanted.iter().map(|member| member.id).collect();
        let gone: Vec<Uuid> = self.members.iter().map(|member| member.id).filter(|id| !keep.contains(id)).collect();
        self.remove(&gone);
        for member in wanted {
            self.steps.extend(self.members.add(member));
        }
        Ok(())
    }

    /// Removes all members.
    pub(super) fn clear(&mut self) {
        let all: Vec<Uuid> = self.members.iter().map(|member| member.id).collect();
        self.remove(&all);
    }

    /// Removes the members listed in `values`, as Entra ID asks for it; ids that are no members are passed over.
    pub(super) fn remove_listed(&mut self, values: Value) -> Result<(), ScimError> {
        let values = listed(values)?;
        self.count(values.len())?;
        let ids: Vec<Uuid> = values.iter().filter_map(|value| parse_id(value.get("value")?.as_str()?)).collect();
        self.remove(&ids);
        Ok(())
    }

    /// Removes the members that fulfil a filter and says how many there were.
    pub(super) fn remove_where(&mut self, filter: &Filter) -> Result<usize, ScimError> {
        let matching: Vec<Uuid> = match ids_in(filter) {
            Some(ids) => ids.into_iter().filter_map(parse_id).filter(|id| self.members.contains(id)).collect(),
            None => self.members.iter().filter(|member| fulfils(member, filter)).map(|member| member.id).collect(),
        };
        self.count(matching.len())?;
        self.remove(&matching);
        Ok(matching.len())
    }

    /// The steps made.
    pub(super) fn finish(self) -> Vec<Undo> {
        self.steps
    }

    /// Takes every step back.
    pub(super) fn roll_back(self) {
        for step in self.steps.iter().rev() {
            self.members.undo(step);
        }
    }

    fn remove(&mut self, ids: &[Uuid]) {
        for id in ids {
            self.steps.extend(self.members.remove(id));
        }
    }

    fn count(&mut self, more: usize) -> Result<(), ScimError> {
        self.named += more;
        match self.limit {
            Some(limit) if self.named > limit => {
                Err(invalid_value(format!("one request may change at most {limit} members of a group")))
            }
            _ => Ok(()),
        }
    }

    fn read(&mut self, values: Value) -> Result<Vec<Member>, ScimError> {
        let Some(attr) = schema::core(ObjectKind::Group).attr("members") else {
            return Err(ScimError::new(500, "the schema of groups has no members"));
        };
        let values = listed(values)?;
        self.count(values.len())?;
        // What has only readOnly parts is no member either, although nothing of it is left after validation.
        if values.iter().any(|value| value.as_object().is_some_and(|object| eval::field(object, "value").is_none())) {
            return Err(invalid_value("in `members`: `value`, the id of the member, is missing".into()));
        }
        let values = validate::many(attr, values, "members")?;
        values.iter().map(|value| self.member(value)).collect()
    }

    fn member(&self, value: &Value) -> Result<Member, ScimError> {
        let Some(text) = value.get("value").and_then(Value::as_str) else {
            return Err(invalid_value("in `members`: `value`, the id of the member, is missing".into()));
        };
        let found = parse_id(text).and_then(|id| self.ids.get(&id).map(|(kind, _)| Member { id, kind: *kind }));
        let Some(member) = found else {
            return Err(invalid_value(format!("in `members`: there is no user or group with id {text:?}")));
        };
        if member.id == self.group {
            return Err(invalid_value("in `members`: a group cannot be its own member".into()));
        }
        if let Some(kind) = value.get("type").and_then(Value::as_str)
            && !kind.eq_ignore_ascii_case(schema::core(member.kind).name)
        {
            return Err(invalid_value(format!("in `members`: {text} is not a {kind}")));
        }
        Ok(member)
    }
}

/// An id as it was issued: ids compare with case (RFC 7643 section 3.1).
pub(super) fn parse_id(text: &str) -> Option<Uuid> {
    let id = Uuid::try_parse(text).ok()?;
    let mut buffer = Uuid::encode_buffer();
    (id.as_hyphenated().encode_lower(&mut buffer) == text).then_some(id)
}

/// The ids that a filter on members asks for, where it asks for nothing but ids.
pub(super) fn ids_in(filter: &Filter) -> Option<Vec<&str>> {
    match filter {
        Filter::Compare(path, Op::Eq, Value::String(id)) if path.name.eq_ignore_ascii_case("value") => Some(vec![id]),
        Filter::Or(a, b) => {
            let mut ids = ids_in(a)?;
            ids.extend(ids_in(b)?);
            Some(ids)
        }
        _ => None,
    }
}

fn fulfils(member: &Member, filter: &Filter) -> bool {
    let value = json!({ "value": member.id.to_string(), "type": schema::core(member.kind).name });
    filter.matches(&value, &|path| path.name.eq_ignore_ascii_case("value"))
}

fn listed(values: Value) -> Result<Vec<Value>, ScimError> {
    match values {
        Value::Null => Ok(Vec::new()),
        Value::Array(values) => Ok(values),
        one @ Value::Object(_) => Ok(vec![one]),
        _ => Err(invalid_value("`members` is an array of objects".into())),
    }
}
