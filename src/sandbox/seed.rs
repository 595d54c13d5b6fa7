//! Putting in what another server holds: as it is, whatever the application's limits are.

use super::{Behaviour, Running, validate};
use crate::model::ObjectKind;
use crate::scim::eval;
use serde_json::{Map, Value, json};

/// What is left of a resource of which the rest cannot be understood.
const ESSENTIAL: &[&str] = &["userName", "displayName", "externalId", "active", "members"];

impl Running {
    /// Stores a resource as another server has it; returns its new id.
    ///
    /// # Errors
    /// It has no name, or the name is there already.
    pub fn seed(&self, kind: ObjectKind, resource: &Value) -> Result<String, String> {
        let schemas = json!([super::schema::core(kind).id]);
        let whole =
            self.seeded(kind, resource, |name| !["id", "meta", "groups"].iter().any(|n| name.eq_ignore_ascii_case(n)), None);
        let kept = whole.or_else(|_| {
            self.seeded(kind, resource, |name| ESSENTIAL.iter().any(|n| name.eq_ignore_ascii_case(n)), Some(schemas))
        });
        kept.map_err(|e| e.detail)
    }

    fn seeded(
        &self,
        kind: ObjectKind,
        resource: &Value,
        keep: impl Fn(&str) -> bool,
        schemas: Option<Value>,
    ) -> Result<String, crate::scim::error::ScimError> {
        let all = resource.as_object().cloned().unwrap_or_default();
        let mut body: Map<String, Value> = all.into_iter().filter(|(name, _)| keep(name)).collect();
        let listed = schemas.or_else(|| eval::field(&body, "schemas").cloned());
        body.retain(|name, _| !name.eq_ignore_ascii_case("schemas"));
        body.insert("schemas".to_owned(), listed.unwrap_or_else(|| json!([super::schema::core(kind).id])));
        let doc = validate::resource(kind, Value::Object(body))?;
        let mut store = self.shared.write();
        Ok(store.create(kind, doc, &Behaviour::default())?.id.to_string())
    }
}
