//! `/ServiceProviderConfig`, `/ResourceTypes`, `/Schemas` (RFC 7643 sections 5 to 7, RFC 7644 section 4).

use super::Behaviour;
use super::render::endpoint;
use super::schema;
use crate::model::ObjectKind;
use crate::scim::LIST;
use serde_json::{Value, json};

const CONFIG: &str = "urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig";
const RESOURCE_TYPE: &str = "urn:ietf:params:scim:schemas:core:2.0:ResourceType";

/// What this server can do.
pub(super) fn service_provider_config(base: &str, behaviour: &Behaviour) -> Value {
    json!({
        "schemas": [CONFIG],
        "documentationUri": "https://www.rfc-editor.org/rfc/rfc7644",
        "patch": { "supported": behaviour.patch },
        "bulk": { "supported": false, "maxOperations": 0, "maxPayloadSize": 0 },
        "filter": { "supported": behaviour.filter, "maxResults": behaviour.max_page },
        "changePassword": { "supported": true },
        "sort": { "supported": true },
        "etag": { "supported": true },
        "authenticationSchemes": [{
            "type": "oauthbearertoken",
            "name": "Bearer token",
            "description": "A token in the Authorization header (RFC 6750)",
            "specUri": "https://www.rfc-editor.org/rfc/rfc6750",
            "primary": true,
        }],
        "meta": { "resourceType": "ServiceProviderConfig", "location": format!("{base}/ServiceProviderConfig") },
    })
}

/// The resource types.
pub(super) fn resource_types(base: &str, behaviour: &Behaviour) -> Vec<Value> {
    behaviour
        .kinds()
        .iter()
        .map(|kind| {
            let core = schema::core(*kind);
            let extensions: Vec<Value> =
                extensions(*kind, behaviour).map(|extension| json!({ "schema": extension.id, "required": false })).collect();
            let mut resource_type = json!({
                "schemas": [RESOURCE_TYPE],
                "id": core.name,
                "name": core.name,
                "endpoint": format!("/{}", endpoint(*kind)),
                "description": core.description,
                "schema": core.id,
                "meta": { "resourceType": "ResourceType", "location": format!("{base}/ResourceTypes/{}", core.name) },
            });
            if let (false, Some(object)) = (extensions.is_empty(), resource_type.as_object_mut()) {
                object.insert("schemaExtensions".into(), extensions.into());
            }
            resource_type
        })
        .collect()
}

/// The schemas.
pub(super) fn schemas(base: &str, behaviour: &Behaviour) -> Vec<Value> {
    let kinds = behaviour.kinds();
    schema::ALL
        .iter()
        .filter(|schema| {
            kinds.iter().any(|kind| {
                schema::core(*kind).id == schema.id || extensions(*kind, behaviour).any(|extension| extension.id == schema.id)
            })
        })
        .map(|schema| schema.to_value(base))
        .map(|mut value| {
            if value["id"] == crate::scim::USER || value["id"] == crate::scim::ENTERPRISE {
                behaviour.reduce(&mut value);
            }
            value
        })
        .collect()
}

/// All of a collection as a list: discovery knows no pages (RFC 7644 section 4).
pub(super) fn list(all: &[Value]) -> Value {
    json!({
        "schemas": [LIST],
        "totalResults": all.len(),
        "startIndex": 1,
        "itemsPerPage": all.len(),
        "Resources": all,
    })
}

fn extensions(kind: ObjectKind, behaviour: &Behaviour) -> impl Iterator<Item = &'static schema::Schema> {
    schema::extensions(kind).iter().copied().filter(|extension| behaviour.knows_extension(extension.id))
}
