//! The System Log as a hint (Okta, "System Log query"): whom it names is asked for, and nothing else of it is believed.
//!
//! A request with `since`, without `until` and in ascending order is a polling one: it goes by the time at which events were
//! stored, `published` may go backwards within it, and its next link never ends.

use super::client::{Client, Next};
use super::{cursor, link};
use crate::config::OktaConfig;
use crate::model::ObjectKind;
use crate::source::SourceError;
use crate::source::news::{News, mark};
use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use std::collections::BTreeMap;
use url::Url;

/// Where it is; its rate limit is its own.
pub(super) const PATH: &str = "/api/v1/logs";

/// The scope that it needs. In a token of its own: where it is not granted, nothing else lacks it.
const SCOPE: &str = "okta.logs.read";

/// Events per page: the most that Okta gives.
const LIMIT: usize = 1000;

/// So many pages, and reading everything is less work.
const MOST_PAGES: usize = 20;

/// Events are kept for 90 days, and whoever asks for older ones gets the others without a word (Okta, "Data retention").
const KEPT: SignedDuration = SignedDuration::from_hours(89 * 24);

/// A position that is younger is not refused for its age.
const YOUNG: SignedDuration = SignedDuration::from_hours(24);

/// What happens to people, and to groups and memberships (Okta, "Event Types").
const OF_USERS: [&str; 8] = [
    "user.lifecycle.create",
    "user.lifecycle.activate",
    "user.lifecycle.reactivate",
    "user.lifecycle.deactivate",
    "user.lifecycle.suspend",
    "user.lifecycle.unsuspend",
    "user.lifecycle.delete.completed",
    "user.account.update_profile",
];
const OF_GROUPS: [&str; 8] = [
    "group.lifecycle.create",
    "group.lifecycle.delete",
    "group.profile.update",
    "group.user_membership.add",
    "group.user_membership.remove",
    "system.import.group.create",
    "system.import.group.update",
    "system.import.group.delete",
];

/// After these nobody is there any more.
const DELETIONS: [&str; 3] = ["user.lifecycle.delete.completed", "group.lifecycle.delete", "system.import.group.delete"];

/// Imports from other directories and from applications name their groups under several types.
const IMPORTS: &str = "system.import.";

/// How the ids of groups begin.
const GROUP_ID: &str = "00g";

/// LogEvent, as far as it is looked at.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    uuid: String,
    event_type: Option<String>,
    published: Option<String>,
    target: Option<Vec<Target>>,
}

/// LogTarget. Where in the list which type stands, differs.
#[derive(Debug, Deserialize)]
struct Target {
    id: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
}

/// What a read knows before it asks.
pub(super) struct Span {
    /// Where the log was not looked at yet.
    pub since: Timestamp,
    /// Where the next read starts: what was stored after this comes again.
    pub again: Option<Timestamp>,
    /// The server's clock.
    pub now: Option<Timestamp>,
}

/// Whether incremental reads ask the log. With `assigned_to` each read lists everything that there is to know.
pub(super) fn is_followed(config: &OktaConfig) -> bool {
    config.system_log && config.assigned_to.is_none()
}

/// Where the log has to be looked at after a read that began at this second of the server's clock.
pub(super) fn position(begun: Option<i64>) -> Option<Timestamp> {
    begun.and_then(|at| Timestamp::from_second(at).ok())?.checked_sub(cursor::OVERLAP).ok()
}

/// Whom the log names, and whether as deleted.
pub(super) type Named = BTreeMap<(ObjectKind, String), bool>;

/// Users, and groups where they are wanted, of whom anything was stored in the log since.
///
/// # Errors
/// The log cannot be read to its end. [`SourceError::CursorExpired`]: it does not tell everything since, or too much.
pub(super) async fn named(client: &Client, span: &Span, groups: bool) -> Result<Named, SourceError> {
    let age = span.now.unwrap_or_else(Timestamp::now).duration_since(span.since);
    if span.now.is_some() && age > KEPT {
        return Err(client.expired(format!("its position in the System Log, {}, is older than what Okta keeps", span.since)));
    }
    let mut url = url(client, Some(span.since), &LIMIT.to_string(), groups);
    let list = link::list_of(&url);
    let (mut named, mut news) = (Named::new(), News::new(1));
    for page in 0..MOST_PAGES {
        let answer = match client.ask(&url, SCOPE).await? {
            Ok(answer) => answer,
            // Older than 180 days: E0000053, which is also said of other faults of a request.
            Err((StatusCode::BAD_REQUEST, _)) if page == 0 && age > YOUNG => {
                return Err(client.expired(format!("the System Log does not take its position, {}, any more", span.since)));
            }
            Err((status, body)) => return Err(client.refused(&url, status, &body)),
        };
        let events: Vec<Event> = client.decode(&answer.body, &url)?;
        let is_full = events.len() >= LIMIT;
        let is_news = news.page(events.iter().map(|e| mark(e.uuid.as_bytes())));
        // Events come as they were stored, and none is stored before it is published: what comes after this one comes again.
        let comes_again = |e: &Event| {
            let published = e.published.as_deref().and_then(|p| p.parse::<Timestamp>().ok());
            published.zip(span.again).is_some_and(|(published, again)| published >= again)
        };
        let is_enough = !is_full && events.iter().any(comes_again);
        for event in events {
            let is_deletion = is_deletion(&event);
            for who in names(event, groups) {
                *named.entry(who).or_default() |= is_deletion;
            }
        }
        if !matches!(answer.next, Next::Untold) {
            client.linked.note(&list);
        }
        url = match answer.next {
            Next::Page(_) if !is_news && is_full => return Err(client.malformed(format!("{PATH} goes round in circles"))),
            Next::Page(next) if is_news && !is_enough => next,
            Next::Untold if is_full || client.linked.has(&list) => {
                let why = "has no Link header, which says whether there is more: does a proxy take headers away?";
                return Err(client.malformed(format!("an answer of {PATH} {why}")));
            }
            Next::Page(_) | Next::End | Next::Untold => return Ok(named),
        };
    }
    Err(client.expired(format!("the System Log tells of more than {MOST_PAGES} pages of events since {}", span.since)))
}

/// Whether the log may be read.
///
/// # Errors
/// Why not.
pub(super) async fn look(client: &Client, now: Option<i64>) -> Result<(), SourceError> {
    let url = url(client, position(now), "1", true);
    match client.ask(&url, SCOPE).await? {
        Ok(answer) => client.decode::<Vec<Event>>(&answer.body, &url).map(drop),
        Err((status, body)) => Err(client.refused(&url, status, &body)),
    }
}

/// An error in words, where it is none of the read: the log is a hint.
pub(super) fn words(error: &SourceError) -> String {
    match error {
        SourceError::Connect { message, .. }
        | SourceError::Auth { message, .. }
        | SourceError::Secret { message, .. }
        | SourceError::Incomplete { message, .. }
        | SourceError::Malformed { message, .. }
        | SourceError::CursorExpired { message, .. } => message.clone(),
        SourceError::Stopped { .. } => error.to_string(),
    }
}

/// A polling request.
fn url(client: &Client, since: Option<Timestamp>, limit: &str, groups: bool) -> Url {
    let (since, filter) = (since.map(super::read::instant), filter(groups));
    let mut query = vec![("sortOrder", "ASCENDING"), ("limit", limit), ("filter", &filter)];
    query.extend(since.as_deref().map(|since| ("since", since)));
    client.url(&["logs"], &query)
}

fn filter(groups: bool) -> String {
    let types = OF_USERS.iter().chain(OF_GROUPS.iter().filter(|_| groups));
    types.map(|t| format!("eventType eq \"{t}\"")).collect::<Vec<_>>().join(" or ")
}

/// Whether whoever it is about is gone. Of others a 404 says nothing: whoever may not see an object is told the same.
fn is_deletion(event: &Event) -> bool {
    event.event_type.as_deref().is_some_and(|t| DELETIONS.contains(&t))
}

/// Whom an event is about: of people their own, of groups and memberships the group, because a membership is the group's.
fn names(event: Event, groups: bool) -> impl Iterator<Item = (ObjectKind, String)> {
    let of = |types: &[&str]| event.event_type.as_deref().is_some_and(|t| types.contains(&t));
    let wanted = match (of(&OF_USERS), groups && of(&OF_GROUPS)) {
        (true, _) => Some((ObjectKind::User, "User")),
        (_, true) => Some((ObjectKind::Group, "UserGroup")),
        _ => None,
    };
    let imported = event.event_type.as_deref().is_some_and(|t| t.starts_with(IMPORTS));
    let targets = event.target.into_iter().flatten();
    targets.filter_map(move |target| {
        let (kind, word) = wanted?;
        let id = target.id.filter(|id| is_id(id))?;
        let is = target.kind.is_some_and(|t| t.eq_ignore_ascii_case(word)) || imported && id.starts_with(GROUP_ID);
        is.then_some((kind, id))
    })
}

/// Whether this may be an id of Okta's, not a place-holder or a path.
fn is_id(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn of(event: Value, groups: bool) -> Vec<(ObjectKind, String)> {
        names(serde_json::from_value(event).unwrap(), groups).collect()
    }

    #[test]
    fn a_membership_is_the_groups() {
        let event = json!({"uuid": "1", "eventType": "group.user_membership.add", "published": "2026-01-01T00:00:00.000Z", "target": [
            {"id": "00u1", "type": "User", "alternateId": "ada@corp.example"}, {"id": "00g1", "type": "UserGroup", "detailEntry": null}]});
        assert_eq!(of(event.clone(), true), [(ObjectKind::Group, "00g1".to_owned())]);
        assert!(of(event, false).is_empty(), "groups are not wanted");
    }

    #[test]
    fn only_ids_of_users_and_groups_are_taken() {
        let event = |kind: &str, target: Value| of(json!({"uuid": "1", "eventType": kind, "target": target}), true);
        let ada = json!([{"id": "0ua1", "type": "AppUser"}, {"id": "00u1", "type": "user"}]);
        assert_eq!(event("user.lifecycle.delete.completed", ada.clone()), [(ObjectKind::User, "00u1".to_owned())]);
        assert!(event("user.session.start", ada).is_empty(), "nothing that anybody asked for");
        for odd in [
            json!(null),
            json!([]),
            json!([{"type": "User"}]),
            json!([{"id": "00u1"}]),
            json!([{"id": "../apps", "type": "User"}]),
        ] {
            assert!(event("user.lifecycle.create", odd.clone()).is_empty(), "{odd}");
        }
    }

    #[test]
    fn groups_of_an_import_are_told_by_their_ids_whatever_they_are_called() {
        let event = |kind: &str, target: &str| {
            let targets =
                json!([{"id": "0oa1", "type": "AppInstance"}, {"id": "00g1", "type": target}, {"id": "00u1", "type": "User"}]);
            of(json!({"uuid": "1", "eventType": kind, "target": targets}), true)
        };
        for kind in ["system.import.group.create", "system.import.group.update", "system.import.group.delete"] {
            for target in ["UserGroup", "AppGroup", "Group"] {
                assert_eq!(event(kind, target), [(ObjectKind::Group, "00g1".to_owned())], "{kind} {target}");
            }
        }
        assert!(event("group.lifecycle.delete", "AppGroup").is_empty());
    }

    #[test]
    fn a_filter_names_each_type() {
        assert!(filter(false).starts_with("eventType eq \"user.lifecycle.create\" or eventType eq "));
        assert!(!filter(false).contains("group.") && filter(true).contains("\"group.lifecycle.delete\""));
    }

    #[test]
    fn the_next_position_is_a_little_before_the_read_began() {
        let begun: Timestamp = "2026-11-22T06:07:08Z".parse().unwrap();
        assert_eq!(position(Some(begun.as_second())), Some("2026-11-22T06:02:08Z".parse().unwrap()));
        assert_eq!(position(None), None);
    }
}
