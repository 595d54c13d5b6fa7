//! The full and the incremental read.
//!
//! Okta keeps no tombstones: what is deleted, and who is no longer assigned, shows only where everything is listed. So with
//! `assigned_to` every read lists all assignments, and spares itself the members of groups that did not change.

use super::client::{Client, Pages};
use super::cursor::{self, Latest, Since};
use super::entry::{self, AppGroup, AppUser, Object, Row, Rules};
use crate::config::OktaConfig;
use crate::model::{Entry, MemberRef, ObjectKind, SourceKey};
use crate::source::{BATCH, Completeness, Item, ReadDone, ReadRequest, Sink, SourceError};
use jiff::Timestamp;
use serde::Deserialize;
use std::collections::BTreeSet;

/// Users and groups per page: what Okta recommends.
const PAGE: &str = "200";
/// Assigned users per page: the most that Okta gives.
const APP_USERS: &str = "500";
/// Assigned groups per page: 20 to 200.
const APP_GROUPS: &str = "200";
/// Members that one batch may carry.
const BATCH_MEMBERS: usize = 20_000;

/// A user where nothing but the id is wanted.
#[derive(Deserialize)]
struct Id {
    id: String,
}

impl Row for Id {
    fn id(&self) -> &str {
        &self.id
    }
}

struct Reader<'a> {
    client: &'a Client,
    config: &'a OktaConfig,
    sink: &'a Sink,
    rules: Rules,
    scopes: String,
    since: Option<Since>,
    batch: Vec<Item>,
    members: usize,
    users: Latest,
    groups: Latest,
    /// Server's clock when users and groups were begun, and how far it is ahead.
    users_begun: Option<i64>,
    groups_begun: Option<i64>,
    skew: Option<i64>,
}

/// Scopes that a service app needs for this.
pub(super) fn scopes(groups: bool, assigned: bool) -> String {
    let all = [Some("okta.users.read"), groups.then_some("okta.groups.read"), assigned.then_some("okta.apps.read")];
    all.into_iter().flatten().collect::<Vec<_>>().join(" ")
}

/// Reads everything, or what changed since the cursor.
///
/// # Errors
/// Whatever keeps it from being complete.
pub(super) async fn read(
    client: &Client,
    config: &OktaConfig,
    request: &ReadRequest,
    sink: &Sink,
) -> Result<ReadDone, SourceError> {
    let bound = cursor::bound(config, request);
    let since = match &request.since {
        None => None,
        Some(cursor) => Some(
            Since::read(cursor, &bound)
                .map_err(|why| SourceError::CursorExpired { source_name: client.name.clone(), message: why.to_owned() })?,
        ),
    };
    let mut reader = Reader {
        client,
        config,
        sink,
        rules: Rules::new(&request.attributes, &config.inactive),
        scopes: scopes(request.groups, config.assigned_to.is_some()),
        since,
        batch: Vec::new(),
        members: 0,
        users: Latest::default(),
        groups: Latest::default(),
        users_begun: None,
        groups_begun: None,
        skew: None,
    };
    match &config.assigned_to {
        Some(app) => reader.assigned_users(app).await?,
        None => reader.all_users().await?,
    }
    if request.groups {
        match &config.assigned_to {
            Some(app) => reader.assigned_groups(app).await?,
            None => reader.all_groups().await?,
        }
    }
    reader.flush().await?;
    reader.done(&bound, request.groups)
}

impl Reader<'_> {
    fn done(self, bound: &str, groups: bool) -> Result<ReadDone, SourceError> {
        let before = self.since.as_ref();
        let users = self.users.next(before.map(|s| s.users), self.users_begun);
        let next_groups =
            if groups { self.groups.next(before.map(|s| s.groups), self.groups_begun) } else { Some(Timestamp::UNIX_EPOCH) };
        // Without a single date there is nothing to start from: the next read is a full one too.
        let cursor = users.zip(next_groups).and_then(|(users, groups)| Since::write(bound, users, groups));
        let everything = self.since.is_none() || self.config.assigned_to.is_some();
        Ok(ReadDone {
            completeness: if everything { Completeness::Full } else { Completeness::Incremental },
            cursor,
            references: 0,
            clock_skew_s: self.skew,
            warnings: Vec::new(),
            parts: Vec::new(),
        })
    }

    /// All users, or those that changed. With a filter, because without one Okta leaves out who is deprovisioned; and by
    /// `filter`, because `search` looks into an index that lags.
    async fn all_users(&mut self) -> Result<(), SourceError> {
        let since = self.since.as_ref().map_or(Timestamp::UNIX_EPOCH, |s| s.users);
        let filter = format!("lastUpdated gt \"{}\"", instant(since));
        let client = self.client;
        let scopes = self.scopes.clone();
        let mut pages = Pages::new(client, &scopes, client.url(&["users"], &[("limit", PAGE), ("filter", &filter)]));
        while let Some(page) = pages.page::<Object>().await? {
            self.users_begun = self.users_begun.or(pages.clocks.map(|c| c.0));
            self.keep_time(pages.clocks);
            for user in page {
                self.users.see(user.get("lastUpdated").and_then(serde_json::Value::as_str));
                let entry = self.rules.user(user, None).map_err(|what| client.malformed(what))?;
                self.send(Item::Present(entry)).await?;
            }
        }
        Ok(())
    }

    /// All users assigned to the application, directly or by a group.
    async fn assigned_users(&mut self, app: &str) -> Result<(), SourceError> {
        let client = self.client;
        let scopes = self.scopes.clone();
        let first = client.url(&["apps", app, "users"], &[("limit", APP_USERS), ("expand", "user")]);
        let mut pages = Pages::new(client, &scopes, first);
        while let Some(page) = pages.page::<AppUser>().await? {
            self.users_begun = self.users_begun.or(pages.clocks.map(|c| c.0));
            self.keep_time(pages.clocks);
            for mut assigned in page {
                let user = match assigned.take_user() {
                    Some(user) if user.contains_key("profile") && user.contains_key("status") => user,
                    _ => {
                        let url = client.url(&["users", &assigned.id], &[]);
                        match client.one_if_there::<Object>(&url, &scopes).await? {
                            Some(user) => user,
                            // Deleted since the page was made.
                            None => continue,
                        }
                    }
                };
                let entry = self.rules.user(user, Some(&assigned)).map_err(|what| client.malformed(what))?;
                self.send(Item::Present(entry)).await?;
            }
        }
        Ok(())
    }

    /// All groups, or those that changed, they or their members.
    async fn all_groups(&mut self) -> Result<(), SourceError> {
        let client = self.client;
        let scopes = self.scopes.clone();
        let filter = self.since.as_ref().map(|s| {
            let t = instant(s.groups);
            format!("lastUpdated gt \"{t}\" or lastMembershipUpdated gt \"{t}\"")
        });
        let mut query = vec![("limit", PAGE)];
        query.extend(filter.as_deref().map(|f| ("filter", f)));
        let mut pages = Pages::new(client, &scopes, client.url(&["groups"], &query));
        while let Some(page) = pages.page::<Object>().await? {
            self.groups_begun = self.groups_begun.or(pages.clocks.map(|c| c.0));
            self.keep_time(pages.clocks);
            for group in page {
                self.group(group).await?;
            }
        }
        Ok(())
    }

    /// All groups assigned to the application.
    async fn assigned_groups(&mut self, app: &str) -> Result<(), SourceError> {
        let client = self.client;
        let scopes = self.scopes.clone();
        let first = client.url(&["apps", app, "groups"], &[("limit", APP_GROUPS), ("expand", "group")]);
        let mut pages = Pages::new(client, &scopes, first);
        while let Some(page) = pages.page::<AppGroup>().await? {
            self.groups_begun = self.groups_begun.or(pages.clocks.map(|c| c.0));
            self.keep_time(pages.clocks);
            for mut assigned in page {
                let group = match assigned.take_group() {
                    Some(group) => group,
                    None => {
                        let url = client.url(&["groups", &assigned.id], &[]);
                        match client.one_if_there::<Object>(&url, &scopes).await? {
                            Some(group) => group,
                            None => continue,
                        }
                    }
                };
                if self.is_unchanged(&group) {
                    self.groups.see(entry::dates(&group));
                    let key = entry::id(&group).map_err(|what| client.malformed(what))?;
                    self.send(Item::Kept(ObjectKind::Group, key)).await?;
                } else {
                    self.group(group).await?;
                }
            }
        }
        Ok(())
    }

    /// Whether neither the group nor its members changed since the last read, as far as its dates say.
    fn is_unchanged(&self, group: &Object) -> bool {
        let Some(since) = &self.since else { return false };
        let mut dates = ["lastUpdated", "lastMembershipUpdated"].into_iter().map(|name| {
            let text = group.get(name).and_then(serde_json::Value::as_str)?;
            text.parse::<Timestamp>().ok()
        });
        dates.all(|date| date.is_some_and(|d| d <= since.groups))
    }

    /// One group with its members. One that is deleted meanwhile is not there.
    async fn group(&mut self, group: Object) -> Result<(), SourceError> {
        self.groups.see(entry::dates(&group));
        let mut entry = self.rules.group(group).map_err(|what| self.client.malformed(what))?;
        let scopes = self.scopes.clone();
        let url = self.client.url(&["groups", entry.key.as_str(), "users"], &[("limit", PAGE)]);
        let mut pages = Pages::new(self.client, &scopes, url);
        let mut seen: BTreeSet<String> = BTreeSet::new();
        loop {
            match pages.page_if_there::<Id>().await? {
                Some(Some(page)) => seen.extend(page.into_iter().map(|u| u.id)),
                Some(None) => break,
                None => return Ok(()),
            }
        }
        entry.members = seen.into_iter().map(|id| MemberRef::Key(SourceKey(id))).collect();
        self.present(entry).await
    }

    async fn present(&mut self, entry: Entry) -> Result<(), SourceError> {
        self.members += entry.members.len();
        self.send(Item::Present(entry)).await
    }

    async fn send(&mut self, item: Item) -> Result<(), SourceError> {
        self.batch.push(item);
        if self.batch.len() >= BATCH || self.members >= BATCH_MEMBERS { self.flush().await } else { Ok(()) }
    }

    async fn flush(&mut self) -> Result<(), SourceError> {
        self.members = 0;
        let batch = std::mem::take(&mut self.batch);
        if batch.is_empty() {
            return Ok(());
        }
        let stopped = |_| SourceError::Stopped { source_name: self.client.name.clone() };
        self.sink.send(batch).await.map_err(stopped)
    }

    fn keep_time(&mut self, clocks: Option<(i64, i64)>) {
        self.skew = self.skew.or(clocks.map(|(server, here)| server - here));
    }
}

/// As Okta writes instants: milliseconds, UTC.
fn instant(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn instants_have_milliseconds() {
        assert_eq!(instant(Timestamp::UNIX_EPOCH), "1970-01-01T00:00:00.000Z");
        assert_eq!(instant("2026-11-22T06:07:08.9Z".parse().unwrap()), "2026-11-22T06:07:08.900Z");
    }

    #[test]
    fn only_the_scopes_that_are_needed_are_asked_for() {
        assert_eq!(scopes(false, false), "okta.users.read");
        assert_eq!(scopes(true, true), "okta.users.read okta.groups.read okta.apps.read");
    }
}
