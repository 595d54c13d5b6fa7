//! What is asked for and what is answered.

use super::http::{Request, Shared};
use super::tenant::{APPLICATION, Group, Tenant, User};
use super::{batch, rounds};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};
use std::collections::HashMap;

/// Status, body, Retry-After.
pub struct Answer {
    pub status: u16,
    pub body: Value,
    pub retry_after: Option<u64>,
}

impl Answer {
    pub fn ok(body: Value) -> Self {
        Self { status: 200, body, retry_after: None }
    }

    pub fn error(status: u16, code: &str, message: &str) -> Self {
        let inner = json!({"date": "2026-11-22T00:00:00", "request-id": "11112222-3333-4444-5555-666677778888"});
        Self { status, body: json!({"error": {"code": code, "message": message, "innerError": inner}}), retry_after: None }
    }
}

/// Query parameters that each kind of address takes.
const LIST: &[&str] = &["$select", "$filter", "$expand", "$count", "$top", "$skiptoken"];
const DELTA: &[&str] = &["$select", "$filter", "$skiptoken", "$deltatoken"];
const ONE: &[&str] = &["$select", "$expand"];

pub fn answer(shared: &Shared, request: &Request) -> Answer {
    let mut tenant = shared.tenant.lock().unwrap();
    if request.path == "/contoso.example/oauth2/v2.0/token" {
        return token(shared, &mut tenant, request);
    }
    let bearer = request.headers.get("authorization").and_then(|a| a.strip_prefix("Bearer ")).unwrap_or_default();
    if !tenant.tokens.contains(bearer) {
        return Answer::error(401, "InvalidAuthenticationToken", "Access token is empty or not good any more.");
    }
    match request.path.strip_prefix("/v1.0") {
        Some("/$batch") if request.method == "POST" => batch::answer(shared, &mut tenant, &request.body),
        Some(path) if request.method == "GET" => {
            let eventual = request.headers.get("consistencylevel").is_some_and(|l| l == "eventual");
            get(shared, &mut tenant, path, &request.query, eventual)
        }
        _ => Answer::error(405, "Request_BadRequest", "Specified HTTP method is not allowed for the request target."),
    }
}

/// GET of a path below the version.
pub fn get(shared: &Shared, tenant: &mut Tenant, path: &str, query: &[(String, String)], eventual: bool) -> Answer {
    let parts: Vec<&str> = path.split('/').filter(|p| !p.is_empty()).collect();
    let (options, permission) = match parts.as_slice() {
        ["users"] | ["directory", "deletedItems", "microsoft.graph.user"] => (LIST, "User.Read.All"),
        ["users", "delta" | "delta()" | "microsoft.graph.delta()"] => (DELTA, "User.Read.All"),
        ["users", _] => (ONE, "User.Read.All"),
        ["groups"] | ["groups", _, "members"] => (LIST, "GroupMember.Read.All"),
        ["groups", "delta" | "delta()" | "microsoft.graph.delta()"] => (DELTA, "GroupMember.Read.All"),
        ["groups", _] => (ONE, "GroupMember.Read.All"),
        ["servicePrincipals"] | ["servicePrincipals", _, "appRoleAssignedTo"] => (LIST, "Application.Read.All"),
        ["servicePrincipals", _] => (ONE, "Application.Read.All"),
        _ => return Answer::error(404, "Request_ResourceNotFound", "Resource not found for the segment."),
    };
    for (name, value) in query {
        let top = (name == "$top").then(|| value.parse::<u32>().unwrap_or(0));
        if !options.contains(&name.as_str()) || top.is_some_and(|t| !(1..=999).contains(&t)) {
            shared.offend(format!("{path}: {name}={value}"));
            return Answer::error(400, "Request_BadRequest", "Invalid page size or unknown query option.");
        }
        if name == "$count" && !eventual {
            shared.offend(format!("{path}: $count without ConsistencyLevel"));
        }
    }
    if !tenant.permissions.contains(permission) && !tenant.permissions.contains("Directory.Read.All") {
        return Answer::error(403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation.");
    }
    let base = shared.url.clone();
    match parts.as_slice() {
        [kind, delta] if delta.contains("delta") => {
            if !tenant.has_delta {
                return Answer::error(400, "Request_UnsupportedQuery", "Delta query is not supported in this tenant.");
            }
            rounds::answer(tenant, &base, kind, query)
        }
        ["users"] => {
            let live = tenant.users.iter().filter(|(_, u)| !u.deleted);
            list(&base, path, query, live.map(|(id, _)| id.as_str()), |id| user(tenant, id, &tenant.users[id], query, true))
        }
        ["directory", ..] if !tenant.has_deleted_items => {
            Answer::error(404, "Request_ResourceNotFound", "There is no such thing.")
        }
        ["directory", ..] => {
            let bin = tenant.users.iter().filter(|(_, u)| u.deleted);
            list(&base, path, query, bin.map(|(id, _)| id.as_str()), |id| user(tenant, id, &tenant.users[id], query, true))
        }
        ["users", id] if tenant.impostor.as_ref().is_some_and(|(asked, _)| asked == id) => {
            let (_, other) = tenant.impostor.as_ref().unwrap();
            Answer::ok(user(tenant, other, &tenant.users[other], query, true))
        }
        ["users", id] => match tenant.users.get(*id).filter(|u| !u.deleted) {
            Some(u) => Answer::ok(user(tenant, id, u, query, true)),
            None => gone(id),
        },
        ["groups"] => {
            list(&base, path, query, tenant.groups.keys().map(String::as_str), |id| group(id, &tenant.groups[id], query))
        }
        ["groups", id] => tenant.groups.get(*id).map_or_else(|| gone(id), |g| Answer::ok(group(id, g, query))),
        ["groups", id, "members"] => match tenant.groups.get(*id) {
            None => gone(id),
            Some(g) => {
                let visible = g.members.iter().filter(|m| tenant.users.get(m.as_str()).is_none_or(|u| !u.deleted));
                list(&base, path, query, visible.map(String::as_str), |m| member(tenant, m, query))
            }
        },
        ["servicePrincipals"] => {
            let wanted = option(query, "$filter").and_then(|f| f.strip_prefix("id eq '")?.strip_suffix('\'')).unwrap_or_default();
            list(&base, path, query, [APPLICATION].into_iter().filter(|id| *id == wanted), |id| application(tenant, id))
        }
        ["servicePrincipals", id, ..] if *id != APPLICATION => gone(id),
        ["servicePrincipals", id] => Answer::ok(application(tenant, id)),
        _ => {
            let keys: Vec<String> = (0..tenant.assignments.len()).map(|n| format!("{n:09}")).collect();
            list(&base, path, query, keys.iter().map(String::as_str), |key| {
                let (principal, kind, role) = &tenant.assignments[key.parse::<usize>().unwrap()];
                json!({
                    "id": format!("row_{key}"), "principalId": principal, "principalType": kind, "appRoleId": role,
                    "principalDisplayName": "x", "resourceId": APPLICATION, "resourceDisplayName": "App",
                    "createdDateTime": "2026-01-01T00:00:00Z", "deletedDateTime": null,
                })
            })
        }
    }
}

fn application(tenant: &Tenant, id: &str) -> Value {
    let role = |(id, value): &(String, String)| json!({"id": id, "value": value, "displayName": format!("Role {value}"), "isEnabled": true});
    json!({"id": id, "appRoles": tenant.roles.iter().map(role).collect::<Vec<Value>>()})
}

fn gone(id: &str) -> Answer {
    Answer::error(404, "Request_ResourceNotFound", &format!("Resource '{id}' does not exist or one of its queried references."))
}

fn option<'a>(query: &'a [(String, String)], name: &str) -> Option<&'a str> {
    query.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
}

/// A page of a list: what comes behind the key in the skip token.
fn list<'a>(
    base: &str,
    path: &str,
    query: &[(String, String)],
    all: impl Iterator<Item = &'a str>,
    make: impl Fn(&str) -> Value,
) -> Answer {
    let top: usize = option(query, "$top").map_or(100, |t| t.parse().unwrap());
    let after = option(query, "$skiptoken").unwrap_or_default();
    let all: Vec<&str> = all.collect();
    let rest = &all[all.partition_point(|key| *key <= after)..];
    let keys = &rest[..rest.len().min(top)];
    let items: Vec<Value> = keys.iter().map(|key| make(key)).collect();
    let mut body = json!({"@odata.context": format!("{base}/v1.0/$metadata#{path}"), "value": items});
    if option(query, "$count") == Some("true") {
        body["@odata.count"] = json!(all.len());
    }
    if rest.len() > keys.len() {
        let mut options: Vec<String> = query.iter().filter(|(n, _)| n != "$skiptoken").map(|(n, v)| format!("{n}={v}")).collect();
        options.push(format!("$skiptoken={}", keys[keys.len() - 1]));
        body["@odata.nextLink"] = json!(format!("{base}/v1.0{path}?{}", options.join("&")));
    }
    Answer::ok(body)
}

/// Selected properties; those that were never set are null here.
fn shown(id: &str, props: &Map<String, Value>, query: &[(String, String)]) -> Value {
    let mut out = json!({});
    for name in option(query, "$select").unwrap_or("id,displayName,mail,userPrincipalName").split(',') {
        let many = ["proxyAddresses", "businessPhones", "otherMails", "groupTypes"].contains(&name);
        let default = if many { json!([]) } else { Value::Null };
        out[name] = if name == "id" { json!(id) } else { props.get(name).cloned().unwrap_or(default) };
    }
    out
}

fn user(tenant: &Tenant, id: &str, user: &User, query: &[(String, String)], readable: bool) -> Value {
    let mut out = shown(id, if readable { &user.props } else { &tenant.nothing }, query);
    if option(query, "$expand").is_some_and(|e| e.starts_with("manager"))
        && let Some(manager) = &user.manager
    {
        out["manager"] = json!({"@odata.type": "#microsoft.graph.user", "id": manager});
    }
    out
}

fn group(id: &str, group: &Group, query: &[(String, String)]) -> Value {
    shown(id, &group.props, query)
}

fn member(tenant: &Tenant, id: &str, query: &[(String, String)]) -> Value {
    let readable = |p: &str| tenant.permissions.contains(p) || tenant.permissions.contains("Directory.Read.All");
    let (kind, mut out) = if let Some(u) = tenant.users.get(id) {
        ("user", user(tenant, id, u, query, readable("User.Read.All")))
    } else if let Some(g) = tenant.groups.get(id) {
        let query: Vec<(String, String)> = vec![("$select".to_owned(), "id,displayName".to_owned())];
        ("group", group(id, g, &query))
    } else {
        ("device", json!({"id": id}))
    };
    out["@odata.type"] = json!(format!("#microsoft.graph.{kind}"));
    out
}

/// The token endpoint (RFC 6749 section 4.4, in Microsoft's words).
fn token(shared: &Shared, tenant: &mut Tenant, request: &Request) -> Answer {
    tenant.token_requests += 1;
    let form: HashMap<String, String> = url::form_urlencoded::parse(request.body.as_bytes()).into_owned().collect();
    let get = |name: &str| form.get(name).map_or("", String::as_str);
    let refuse = |error: &str, text: &str| Answer {
        status: 401,
        body: json!({"error": error, "error_description": text, "error_codes": [7_000_215], "trace_id": "t", "correlation_id": "c"}),
        retry_after: None,
    };
    if get("grant_type") != "client_credentials" || get("scope") != format!("{}/.default", shared.url) {
        return refuse("invalid_scope", "AADSTS1002012: The provided value for scope is not valid.");
    }
    if get("client_id") != "client-1" {
        return refuse("unauthorized_client", "AADSTS700016: Application was not found in the directory.");
    }
    let proven = match (&tenant.key, get("client_assertion")) {
        (Some((key, algorithm)), assertion) if !assertion.is_empty() => {
            let mut rules = jsonwebtoken::Validation::new(*algorithm);
            rules.set_audience(&[format!("{}/contoso.example/oauth2/v2.0/token", shared.url)]);
            rules.set_issuer(&["client-1"]);
            rules.validate_nbf = true;
            get("client_assertion_type") == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
                && jsonwebtoken::decode::<Value>(assertion, key, &rules).is_ok_and(|t| t.claims["sub"] == "client-1")
        }
        _ => tenant.secrets.contains(get("client_secret")),
    };
    if !proven {
        let code =
            if get("client_assertion").is_empty() { "AADSTS7000215: Invalid client secret" } else { "AADSTS700027: signature" };
        return refuse("invalid_client", &format!("{code} provided for app 'client-1'."));
    }
    tenant.next += 1;
    let claims = json!({"aud": shared.url, "roles": tenant.permissions, "n": tenant.next});
    let readable = format!("e30.{}.signature", URL_SAFE_NO_PAD.encode(claims.to_string()));
    let token = if tenant.opaque { format!("opaque-{}", tenant.next) } else { readable };
    tenant.tokens.insert(token.clone());
    Answer::ok(
        json!({"token_type": "Bearer", "expires_in": tenant.token_life, "ext_expires_in": tenant.token_life, "access_token": token}),
    )
}
