//! The API: one request in, one answer out.

use super::http::Reply;
use super::list::{Filter, page};
use super::org::{App, Group, Status, User, group_json, instant, user_json};
use super::trouble::Fate;
use super::{Asked, State, log};
use serde_json::{Value, json};

/// Okta's error object.
pub fn error(status: u16, code: &str, summary: &str) -> Reply {
    let body = json!({"errorCode": code, "errorSummary": summary, "errorLink": code, "errorId": "oae1", "errorCauses": []});
    Reply { status, headers: Vec::new(), body: body.to_string() }
}

pub fn answer(state: &mut State, asked: &Asked, base: &str, fate: Fate) -> Reply {
    let clock = state.org.clock();
    let limits = state.trouble.bucket_of(asked).map(|b| (b.take(clock), b.limit, b.remaining(), b.reset));
    let mut reply = match (fate, limits) {
        (Fate::Ailing(status, seconds), _) => {
            let mut reply = error(status, "E0000010", "Service is in read only mode");
            reply.headers.push(("retry-after", seconds.to_string()));
            return reply;
        }
        (Fate::Status(status), _) => error(status, "E0000009", "Internal Server Error"),
        (Fate::RetryAfter(seconds), _) => {
            let mut reply = error(429, "E0000047", "API call exceeded rate limit due to too many requests.");
            reply.headers.push(("retry-after", seconds.to_string()));
            return reply;
        }
        (_, Some((true, ..))) => error(429, "E0000047", "API call exceeded rate limit due to too many requests."),
        _ if asked.path == "/oauth2/v1/token" => state.sign_in.token(asked, clock),
        _ => api(state, asked, base, clock),
    };
    if let Some((_, limit, remaining, reset)) = limits {
        reply.headers.push(("x-rate-limit-limit", limit.to_string()));
        reply.headers.push(("x-rate-limit-remaining", remaining.to_string()));
        reply.headers.push(("x-rate-limit-reset", reset.to_string()));
    }
    reply
}

fn api(state: &mut State, asked: &Asked, base: &str, clock: i64) -> Reply {
    let Some(path) = asked.path.strip_prefix("/api/v1/") else {
        return error(404, "E0000022", "The endpoint does not support the provided HTTP method");
    };
    let scopes = match state.sign_in.authorise(asked, clock) {
        Ok(scopes) => scopes,
        Err(reply) => return reply,
    };
    let needs = match path.split('/').next() {
        Some("groups") => "okta.groups.read",
        Some("apps") => "okta.apps.read",
        Some("logs") => "okta.logs.read",
        _ => "okta.users.read",
    };
    let is = |p: &str| path.starts_with(p) || asked.what() == p;
    let forbidden = state.trouble.forbidden.is_some_and(is);
    if forbidden || scopes.is_some_and(|s| !s.split(' ').any(|s| s == needs)) {
        return error(403, "E0000006", "You do not have permission to perform the requested action");
    }
    if let Some((_, body)) = state.trouble.astray.filter(|(p, _)| is(p)) {
        return Reply { status: 404, headers: Vec::new(), body: body.to_owned() };
    }
    let parts: Vec<&str> = path.split('/').collect();
    let missing = || error(404, "E0000007", "Not found: Resource not found");
    let (org, trouble) = (&state.org, &state.trouble);
    match parts[..] {
        ["users"] => users(state, asked, base),
        ["groups"] => groups(state, asked, base),
        ["logs"] => log::answer(state, asked, base),
        ["users", id] => org.users.get(id).map_or_else(missing, |u| {
            let mut user = user_json(id, u);
            if org.faceless.contains(id) {
                user["profile"] = Value::Null;
            }
            object(&user)
        }),
        ["groups", id] => org.groups.get(id).map_or_else(missing, |g| object(&group_json(id, g))),
        ["groups", id, "users"] => match org.groups.get(id) {
            None => missing(),
            Some(g) => {
                let rows = g.members.iter().filter_map(|m| Some((m, org.users.get(m)?)));
                page((asked, base), org, trouble, (1000, 1, 1000), rows, user_json)
            }
        },
        ["apps", id] if org.apps.contains_key(id) => {
            object(&json!({"id": id, "label": "The application", "status": "ACTIVE", "signOnMode": "SAML_2_0"}))
        }
        ["apps", id, what @ ("users" | "groups")] => match (org.apps.get(id), what) {
            (None, _) => missing(),
            (Some(app), "users") => {
                let assigned = org.assigned(id);
                let rows = assigned.iter().map(|who| (who, &org.users[who]));
                page((asked, base), org, trouble, (50, 1, 500), rows, |who, user| app_user(asked, app, who, user))
            }
            (Some(app), _) => {
                let rows = app.groups.iter().map(|g| (g, &org.groups[g]));
                page((asked, base), org, trouble, (20, 20, 200), rows, |id, group| app_group(asked, app, id, group))
            }
        },
        ["apps", id, "users", who] => match org.apps.get(id).filter(|_| org.assigned(id).contains(who)) {
            None => missing(),
            Some(app) => object(&app_user(asked, app, who, &org.users[who])),
        },
        ["apps", id, "groups", group] => match org.apps.get(id).filter(|app| app.groups.contains(group)) {
            None => missing(),
            Some(app) => object(&app_group(asked, app, group, &org.groups[group])),
        },
        _ => missing(),
    }
}

fn object(value: &Value) -> Reply {
    Reply { status: 200, headers: Vec::new(), body: value.to_string() }
}

fn users(state: &State, asked: &Asked, base: &str) -> Reply {
    let fields = [
        ("id", false),
        ("status", false),
        ("lastUpdated", true),
        ("profile.login", false),
        ("profile.email", false),
        ("profile.firstName", false),
        ("profile.lastName", false),
    ];
    let filter = match asked.param("filter").map(|f| Filter::parse(f, &fields)) {
        Some(None) => return error(400, "E0000031", "Invalid search criteria."),
        found => found.flatten(),
    };
    let rows = state.org.users.iter().filter(|(id, user)| match &filter {
        // The list that everybody falls for.
        None => user.status != Status::Deprovisioned,
        Some(filter) => filter.holds(|field| match field {
            "id" => (*id).clone(),
            "status" => user.status.word().to_owned(),
            "lastUpdated" => instant(state.org.shown(id, user.updated)),
            other => user.profile[other.trim_start_matches("profile.")].as_str().unwrap_or_default().to_owned(),
        }),
    });
    page((asked, base), &state.org, &state.trouble, (200, 1, 200), rows, user_json)
}

fn groups(state: &State, asked: &Asked, base: &str) -> Reply {
    let fields = [("id", false), ("type", false), ("lastUpdated", true), ("lastMembershipUpdated", true)];
    let filter = match asked.param("filter").map(|f| Filter::parse(f, &fields)) {
        Some(None) => return error(400, "E0000031", "Invalid search criteria."),
        found => found.flatten(),
    };
    let rows = state.org.groups.iter().filter(|(id, group)| {
        filter.as_ref().is_none_or(|f| {
            f.holds(|field| match field {
                "id" => (*id).clone(),
                "lastUpdated" => instant(state.org.shown(id, group.updated)),
                "lastMembershipUpdated" => instant(state.org.shown(id, group.membership_updated)),
                _ => "OKTA_GROUP".to_owned(),
            })
        })
    });
    page((asked, base), &state.org, &state.trouble, (10_000, 1, 10_000), rows, group_json)
}

fn app_user(asked: &Asked, app: &App, who: &str, user: &User) -> Value {
    let direct = app.users.get(who);
    let mut row = json!({"id": who, "created": "2020-01-01T00:00:00.000Z", "lastUpdated": "2020-01-01T00:00:00.000Z",
        "scope": if direct.is_some() { "USER" } else { "GROUP" }, "status": "ACTIVE", "statusChanged": "2020-01-01T00:00:00.000Z",
        "passwordChanged": null, "syncState": "DISABLED", "credentials": {"userName": user.profile["login"]},
        "profile": direct.cloned().unwrap_or_else(|| json!({}))});
    if asked.param("expand") == Some("user") && !app.embeds_nothing {
        row["_embedded"] = json!({ "user": user_json(who, user) });
    }
    row
}

fn app_group(asked: &Asked, app: &App, id: &str, group: &Group) -> Value {
    let priority = app.groups.iter().position(|g| g == id);
    let mut row = json!({"id": id, "lastUpdated": "2020-01-01T00:00:00.000Z", "priority": priority, "profile": {}});
    if asked.param("expand") == Some("group") && !app.embeds_nothing {
        row["_embedded"] = json!({ "group": group_json(id, group) });
    }
    row
}
