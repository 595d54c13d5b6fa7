//! Which request goes where (RFC 7644 section 3.2).

use super::project::Projection;
use super::query::{self, Query};
use super::reply::Reply;
use super::server::{Received, Shared};
use super::store::{Record, Store, Write, tag_matches};
use super::{discovery, render, trouble, validate};
use crate::model::ObjectKind;
use crate::scim::error::ScimError;
use crate::scim::patch;
use http::{Method, StatusCode};
use percent_encoding::percent_decode_str;
use serde_json::Value;

pub(super) type Result<T = Reply> = std::result::Result<T, ScimError>;

/// Answers a request under the SCIM base.
pub(super) fn answer(shared: &Shared, request: &Received<'_>) -> Reply {
    route(shared, request).unwrap_or_else(|error| Reply::error(&error))
}

fn route(shared: &Shared, request: &Received<'_>) -> Result {
    let path = request.path.trim_matches('/');
    let mut segments = Vec::with_capacity(2);
    for segment in path.split('/').filter(|segment| !segment.is_empty()) {
        let decoded = percent_decode_str(segment).decode_utf8().map_err(|_| ScimError::new(404, "the path is not UTF-8"))?;
        segments.push(decoded);
    }
    let segments: Vec<&str> = segments.iter().map(AsRef::as_ref).collect();
    let behaviour = &shared.behaviour;
    let get = *request.method == Method::GET;
    match segments.as_slice() {
        [] if get => search(shared, behaviour.kinds(), &Query::from_url(request.query)?),
        [".search"] => search_body(shared, behaviour.kinds(), request),
        [] => Ok(Reply::not_allowed("GET")),
        ["Me", ..] => Err(ScimError::new(501, "/Me is not supported (RFC 7644 section 3.11)")),
        ["Bulk"] => Err(ScimError::new(501, "bulk operations are not supported (RFC 7644 section 3.7)")),
        ["ServiceProviderConfig" | "ResourceTypes" | "Schemas"] | ["ResourceTypes" | "Schemas", _] if !get => {
            Ok(Reply::not_allowed("GET"))
        }
        ["ServiceProviderConfig"] => {
            Ok(Reply::value(StatusCode::OK, &discovery::service_provider_config(&shared.base, behaviour)))
        }
        [name @ ("ResourceTypes" | "Schemas"), rest @ ..] if rest.len() < 2 => {
            // RFC 7644 section 4: filters SHALL be refused, so that nobody believes the answer was filtered.
            if url::form_urlencoded::parse(request.query.as_bytes()).any(|(name, _)| name.eq_ignore_ascii_case("filter")) {
                return Err(ScimError::new(403, "discovery cannot be filtered (RFC 7644 section 4)"));
            }
            let all = match *name {
                "Schemas" => discovery::schemas(&shared.base, behaviour),
                _ => discovery::resource_types(&shared.base, behaviour),
            };
            match rest.first() {
                None => Ok(Reply::value(StatusCode::OK, &discovery::list(&all))),
                Some(id) => match all.iter().find(|one| one["id"].as_str().is_some_and(|own| own.eq_ignore_ascii_case(id))) {
                    Some(one) => Ok(Reply::value(StatusCode::OK, one)),
                    None => Err(ScimError::new(404, format!("there is no {name}/{id}"))),
                },
            }
        }
        [name, rest @ ..] => match (kind_of(shared, name), rest) {
            (Some(kind), []) => collection(shared, kind, request),
            (Some(kind), [".search"]) => search_body(shared, &[kind], request),
            (Some(kind), [id]) => resource(shared, kind, id, request),
            _ => Err(ScimError::new(404, format!("there is nothing at {}", request.path))),
        },
    }
}

fn kind_of(shared: &Shared, name: &str) -> Option<ObjectKind> {
    shared.behaviour.kinds().iter().copied().find(|kind| render::endpoint(*kind) == name)
}

fn collection(shared: &Shared, kind: ObjectKind, request: &Received<'_>) -> Result {
    trouble::meet(shared, kind, None, request)?;
    match *request.method {
        Method::POST if kind == ObjectKind::Group && !shared.behaviour.group_create => {
            Err(ScimError::new(501, "groups cannot be created by SCIM here"))
        }
        Method::GET => {
            let mut query = Query::from_url(request.query)?;
            hide_members(shared, kind, &mut query.projection);
            search(shared, &[kind], &query)
        }
        Method::POST => {
            let mut projection = projection(request)?;
            hide_members(shared, kind, &mut projection);
            let doc = validate::resource(kind, json(request)?)?;
            let mut store = shared.write();
            let id = store.create(kind, doc, &shared.behaviour)?.id.to_string();
            let record = store.find(kind, &id)?;
            let location = render::location(&shared.base, kind, &record.id);
            Ok(with_body(StatusCode::CREATED, &store, record, &projection).location(&location))
        }
        _ => Ok(Reply::not_allowed("GET, POST")),
    }
}

fn resource(shared: &Shared, kind: ObjectKind, id: &str, request: &Received<'_>) -> Result {
    trouble::meet(shared, kind, Some(id), request)?;
    match *request.method {
        Method::GET => {
            let mut projection = projection(request)?;
            hide_members(shared, kind, &mut projection);
            let store = shared.read();
            let record = store.find(kind, id)?;
            if request.if_none_match().is_some_and(|tags| tag_matches(tags, record.rev)) {
                return Ok(Reply::empty(StatusCode::NOT_MODIFIED).etag(&render::version(record.rev)));
            }
            Ok(with_body(StatusCode::OK, &store, record, &projection))
        }
        Method::PUT => write(shared, kind, id, Write::Replace(json(request)?), request),
        Method::PATCH if !shared.behaviour.patch => Err(ScimError::new(501, "PATCH is not supported here")),
        Method::PATCH => {
            let body = json(request)?;
            shared.behaviour.spelling(&body)?;
            shared.behaviour.patch_within_limits(kind, &body)?;
            let mut operations = patch::from_body(body)?;
            for operation in &mut operations {
                operation.value = operation.value.take().map(|v| shared.behaviour.meant(v));
            }
            write(shared, kind, id, Write::Patch(operations), request)
        }
        Method::DELETE if kind == ObjectKind::Group && !shared.behaviour.group_delete => {
            Err(ScimError::new(501, "groups cannot be deleted by SCIM here"))
        }
        Method::DELETE if kind == ObjectKind::User && !shared.behaviour.delete_removes => {
            let off = patch::PatchOperation::replace("active", Value::Bool(false));
            shared.write().update(kind, id, request.if_match(), Write::Patch(vec![off]), &shared.behaviour)?;
            Ok(Reply::empty(StatusCode::NO_CONTENT))
        }
        Method::DELETE => {
            shared.write().delete(kind, id, request.if_match())?;
            Ok(Reply::empty(StatusCode::NO_CONTENT))
        }
        _ => Ok(Reply::not_allowed("GET, PUT, PATCH, DELETE")),
    }
}

/// PUT and PATCH. A PATCH of a group answers 204, because a group may be large, unless attributes are asked for
/// (RFC 7644 section 3.5.2).
fn write(shared: &Shared, kind: ObjectKind, id: &str, write: Write, request: &Received<'_>) -> Result {
    let mut projection = projection(request)?;
    hide_members(shared, kind, &mut projection);
    let silent = matches!(write, Write::Patch(_)) && kind == ObjectKind::Group && request.query.is_empty();
    let mut store = shared.write();
    store.update(kind, id, request.if_match(), write, &shared.behaviour)?;
    let record = store.find(kind, id)?;
    if silent {
        return Ok(Reply::empty(StatusCode::NO_CONTENT).etag(&render::version(record.rev)));
    }
    Ok(with_body(StatusCode::OK, &store, record, &projection))
}

/// Leaves the members of groups out of the answer, where this application never shows them.
fn hide_members(shared: &Shared, kind: ObjectKind, projection: &mut Projection) {
    if kind == ObjectKind::Group && !shared.behaviour.members_shown {
        projection.hide("members");
    }
}

fn with_body(status: StatusCode, store: &Store, record: &Record, projection: &Projection) -> Reply {
    Reply::scim(status, projection.body(store, record)).etag(&render::version(record.rev))
}

fn search(shared: &Shared, kinds: &[ObjectKind], query: &Query) -> Result {
    let body = query::list(&shared.read(), kinds, query, &shared.behaviour)?;
    Ok(Reply::scim(StatusCode::OK, body))
}

fn search_body(shared: &Shared, kinds: &[ObjectKind], request: &Received<'_>) -> Result {
    if *request.method != Method::POST {
        return Ok(Reply::not_allowed("POST"));
    }
    search(shared, kinds, &Query::from_body(&json(request)?)?)
}

fn projection(request: &Received<'_>) -> Result<Projection> {
    if request.query.is_empty() {
        return Ok(Projection::Default);
    }
    Ok(Query::from_url(request.query)?.projection)
}

/// The body as JSON, in a media type that is SCIM's (RFC 7644 section 3.1).
fn json(request: &Received<'_>) -> Result<Value> {
    match request.media_type() {
        Some(media) if media.eq_ignore_ascii_case("application/scim+json") || media.eq_ignore_ascii_case("application/json") => {}
        given => {
            let given = given.unwrap_or("missing");
            return Err(ScimError::new(415, format!("Content-Type is {given}, not application/scim+json")));
        }
    }
    serde_json::from_slice(&request.body).map_err(|error| validate::invalid_syntax(format!("the body is not JSON: {error}")))
}
