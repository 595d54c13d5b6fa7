//! The full and the incremental read.
//!
//! Okta keeps no tombstones: what is deleted, and who is no longer assigned, shows only where everything is listed. So with
//! `assigned_to` every read lists all assignments, and spares itself the members of groups that did not change. Without, an
//! incremental read may ask the System Log whom else to look at.

use super::client::{Client, Found, Pages};
use super::cursor::{self, Latest, Since};
use super::entry::{self, AppGroup, AppUser, Object, Row, Rules};
use super::log::{self, Span};
use crate::config::OktaConfig;
use crate::model::{Entry, MemberRef, ObjectKind, Seals, SourceKey};
use crate::source::news::mark;
use crate::source::{BATCH, Completeness, Item, ReadDone, ReadRequest, Sink, SourceError};
use jiff::Timestamp;
use serde::Deserialize;
use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

/// Users and groups per page: what Okta recommends.
const PAGE: &str = "200";
/// Assigned users per page: the most that Okta gives.
const APP_USERS: &str = "500";
/// Assigned groups per page: 20 to 200.
const APP_GROUPS: &str = "200";
/// Members that one batch may carry.
const BATCH_MEMBERS: usize = 20_000;
/// So many that only the log names, and reading everything takes less of the rate limits.
const MOST_NAMED: usize = 1000;

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
    /// What an incremental read beside the log has named, by [`mark`]s of ids; `None`: nobody asks the log.
    named: Option<HashSet<(ObjectKind, u64)>>,
    /// The log's position, where it could not be read to its end and stays.
    stays: Option<Timestamp>,
    known: Option<Arc<dyn Seals>>,
    warnings: Vec<String>,
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
        Some(cursor) => Some(Since::read(cursor, &bound).map_err(|why| client.expired(why.to_owned()))?),
    };
    let follows = log::is_followed(config);
    if follows && since.as_ref().is_some_and(|s| s.log.is_none()) {
        return Err(client.expired("it was made without the System Log".to_owned()));
    }
    let mut reader = Reader {
        client,
        config,
        sink,
        rules: Rules::new(&request.attributes, &config.inactive),
        scopes: scopes(request.groups, config.assigned_to.is_some()),
        named: (follows && since.is_some()).then(HashSet::new),
        since,
        batch: Vec::new(),
        members: 0,
        users: Latest::default(),
        groups: Latest::default(),
        users_begun: None,
        groups_begun: None,
        skew: None,
        stays: None,
        known: request.seals.clone(),
        warnings: Vec::new(),
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
    reader.hints(request.groups).await?;
    reader.flush().await?;
    reader.done(&bound, request.groups)
}

impl Reader<'_> {
    fn done(self, bound: &str, groups: bool) -> Result<ReadDone, SourceError> {
        let before = self.since.as_ref();
        let users = self.users.next(before.map(|s| s.users), self.users_begun);
        let next_groups =
            if groups { self.groups.next(before.map(|s| s.groups), self.groups_begun) } else { Some(Timestamp::UNIX_EPOCH) };
        // Without the server's date the latest change of anybody will do: it was not later than this read.
        let log = if log::is_followed(self.config) { self.stays.or(log::position(self.users_begun)).or(users) } else { None };
        // Without a single date there is nothing to start from: the next read is a full one too.
        let cursor = users.zip(next_groups).and_then(|(users, groups)| Since::write(bound, users, groups, log));
        let everything = self.since.is_none() || self.config.assigned_to.is_some();
        Ok(ReadDone {
            completeness: if everything { Completeness::Full } else { Completeness::Incremental },
            cursor,
            references: 0,
            clock_skew_s: self.skew,
            warnings: self.warnings,
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
                self.name(ObjectKind::User, user.id());
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
                self.groups.see(entry::dates(&group));
                self.name(ObjectKind::Group, group.id());
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
                self.groups.see(entry::dates(&group));
                if self.is_unchanged(&group) {
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

    /// Notes that a list showed this one, so that nobody asks for it again.
    fn name(&mut self, kind: ObjectKind, id: &str) {
        if let Some(named) = &mut self.named {
            named.insert((kind, mark(id.as_bytes())));
        }
    }

    /// Looks at whoever the System Log names and the lists did not. The read is complete without, so what keeps the log from
    /// being read is said, and its position stays: nothing is lost once it can be.
    async fn hints(&mut self, groups: bool) -> Result<(), SourceError> {
        let Some(since) = self.since.as_ref().and_then(|s| s.log).filter(|_| self.named.is_some()) else { return Ok(()) };
        match self.follow(since, groups).await {
            Err(e @ (SourceError::Stopped { .. } | SourceError::CursorExpired { .. })) => Err(e),
            Err(e) => {
                self.stays = Some(since);
                let why = log::words(&e);
                self.warnings.push(format!(
                    "the System Log (system_log) was of no use: {why}. Nothing of it is lost: it is asked again since {since}, and \
                     until then whoever is deleted waits for the next full read"
                ));
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    async fn follow(&mut self, since: Timestamp, groups: bool) -> Result<(), SourceError> {
        let client = self.client;
        let now = self.users_begun.and_then(|at| Timestamp::from_second(at).ok());
        let span = Span { since, again: log::position(self.users_begun), now };
        let mut named = log::named(client, &span, groups).await?;
        if let Some(shown) = &self.named {
            named.retain(|(kind, id)| !shown.contains(&(*kind, mark(id.as_bytes()))));
        }
        if named.len() > MOST_NAMED {
            let many = named.len();
            return Err(
                client.expired(format!("the System Log names {many} objects that no list does: to read everything is less"))
            );
        }
        let mut refused = 0;
        for (kind, id) in named {
            let list = if kind == ObjectKind::User { "users" } else { "groups" };
            match client.find::<Object>(&client.url(&[list, &id], &[]), &self.scopes).await? {
                // Users are found by other names too.
                Found::There(object) if object.id() != id => {}
                Found::There(user) if kind == ObjectKind::User => {
                    let entry = self.rules.user(user, None).map_err(|what| client.malformed(what))?;
                    self.present(entry).await?;
                }
                Found::There(group) => self.group(group).await?,
                Found::Gone => self.send(Item::Deleted(SourceKey(id))).await?,
                // An administrator of some groups sees what happens to others in the log.
                Found::Refused => refused += u32::from(self.known.as_ref().is_none_or(|known| known.knows(kind, &id))),
            }
        }
        if refused > 0 {
            self.warnings.push(format!(
                "{refused} users or groups that the System Log names could not be asked for: they wait for the next full read"
            ));
        }
        Ok(())
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
pub(super) fn instant(at: Timestamp) -> String {
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
