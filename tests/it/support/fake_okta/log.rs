//! The System Log: what happened, in the order in which it was stored. Polling requests only: `since` without `until`, ascending.

use super::http::Reply;
use super::list::{Filter, query};
use super::org::{Org, instant};
use super::serve::error;
use super::trouble::Trouble;
use super::{Asked, State};
use serde_json::{Value, json};

const DAY: i64 = 86_400_000;

/// One event.
#[derive(Debug, Clone)]
pub struct Event {
    number: usize,
    kind: &'static str,
    /// Milliseconds since 1970, by the organisation's clock; may go backwards from event to event.
    published: i64,
    /// When it was stored: what `since` goes by.
    stored: i64,
    /// Type and id.
    targets: Vec<(&'static str, String)>,
}

/// Everything about the log.
#[derive(Debug, Default)]
pub struct Log {
    events: Vec<Event>,
    /// Seconds until an event is stored.
    pub lag: i64,
    /// No page is longer, whatever is asked for.
    pub page: Option<usize>,
}

impl Log {
    pub fn note(&mut self, kind: &'static str, at: i64, targets: Vec<(&'static str, String)>) {
        let number = self.events.len();
        let backwards = i64::try_from(number % 3).unwrap() * 700;
        self.events.push(Event { number, kind, published: at - backwards, stored: at + self.lag * 1000, targets });
    }
}

/// GET /api/v1/logs.
pub fn answer(state: &State, asked: &Asked, base: &str) -> Reply {
    let (org, trouble): (&Org, &Trouble) = (&state.org, &state.trouble);
    let invalid = |why: &str| error(400, "E0000053", why);
    if asked.param("until").is_some() || asked.param("sortOrder").is_some_and(|o| o != "ASCENDING") {
        return invalid("This organisation knows polling requests only");
    }
    let limit = match asked.param("limit").map_or(Ok(100), str::parse::<usize>) {
        Ok(n) if n <= 1000 => n.min(org.log.page.unwrap_or(usize::MAX)),
        _ => return error(400, "E0000001", "Api validation failed: limit"),
    };
    let filter = match asked.param("filter").map(|f| Filter::parse(f, &[("eventType", false)])) {
        Some(None) => return invalid("Invalid filter"),
        found => found.flatten(),
    };
    let now = org.moment();
    // Before this event of this moment everything was seen.
    let from: (i64, usize) = match (asked.param("after"), asked.param("since")) {
        (Some(_), Some(_)) => return invalid("since and after are mutually exclusive"),
        (Some(after), None) => match after.split_once('_').and_then(|(at, n)| Some((at.parse().ok()?, n.parse().ok()?))) {
            Some(from) => from,
            None => return invalid("after"),
        },
        (None, since) => {
            let since = since.map_or(Some(now - 7 * DAY), |s| s.parse::<jiff::Timestamp>().ok().map(|t| t.as_millisecond()));
            match since {
                None => return error(400, "E0000001", "Api validation failed: 'since': must be a valid date-time or empty."),
                Some(at) if at < now - trouble.log_reaches.unwrap_or(180 * DAY) => {
                    return invalid("Invalid parameter: The since parameter is over 180 days prior to the current day.");
                }
                Some(at) => (at, 0),
            }
        }
    };
    let mut events: Vec<&Event> = org.log.events.iter().collect();
    events.sort_by_key(|e| (e.stored, e.number));
    let shown: Vec<&Event> = events
        .into_iter()
        .filter(|e| (e.stored, e.number) >= from && e.stored <= now && e.published > now - 90 * DAY)
        .filter(|e| filter.as_ref().is_none_or(|f| f.holds(|_| e.kind.to_owned())))
        .take(limit)
        .collect();
    let own = format!("{base}{}?{}", asked.path, query(asked, asked.param("after")));
    let (at, number) = shown.last().map_or(from, |e| (e.stored, e.number + 1));
    let rest = query(asked, None).split('&').filter(|p| !p.starts_with("since=")).collect::<Vec<_>>().join("&");
    let next = if trouble.circle { own.clone() } else { format!("{base}{}?after={at}_{number}&{rest}", asked.path) };
    let mut headers = vec![("link", format!("<{own}>; rel=\"self\"")), ("link", format!("<{next}>; rel=\"next\""))];
    if trouble.links_lost.is_some_and(|(what, _)| what == asked.what()) {
        headers.clear();
    }
    let list: Vec<Value> = shown.into_iter().map(json).collect();
    Reply { status: 200, headers, body: Value::Array(list).to_string() }
}

fn json(event: &Event) -> Value {
    let target = |(kind, id): &(&str, String)| json!({"id": id, "type": kind, "alternateId": "unknown", "displayName": id});
    json!({"uuid": format!("{:08x}-0000-11f0-8000-000000000000", event.number), "published": instant(event.published),
        "eventType": event.kind, "version": "0", "severity": "INFO", "legacyEventType": "core.some.thing",
        "displayMessage": "Something happened", "outcome": {"result": "SUCCESS"},
        "actor": {"id": "00uAdministrator0001", "type": "User", "alternateId": "admin@corp.example", "displayName": "Admin"},
        "client": {"zone": "null", "device": "Unknown", "ipAddress": "192.0.2.1", "userAgent": {"browser": "UNKNOWN"}},
        "transaction": {"type": "WEB", "id": "W1", "detail": {}}, "debugContext": {"debugData": {"requestUri": "/api/v1"}},
        "authenticationContext": {"authenticationStep": 0, "externalSessionId": "trs1"}, "securityContext": {"isProxy": false},
        "request": {"ipChain": []}, "target": event.targets.iter().map(target).collect::<Vec<_>>()})
}
