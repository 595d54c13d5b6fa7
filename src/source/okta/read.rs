//! The full and the incremental read.
//!
//! Okta keeps no tombstones: what is deleted, and who is no longer assigned, shows only where everything is listed. So with
//! `assigned_to` every read lists all assignments, and spares itself the members of groups that did not change. Without, an
//! incremental read may ask the System Log whom else to look at.

use super::client::{Client, Found, Pages};
use super::cursor::{self, Latest, Since};
use super::entry::{self, AppGroup, AppUser, Object, Row, Rules};
use super::log::{self, Named, Span};
use crate::config::OktaConfig;
use crate::model::{Entry, MemberRef, ObjectKind, Seals, SourceKey};
use crate::source::news::mark;
use crate::source::{BATCH, Completeness, Item, ReadDone, ReadRequest, Sink, SourceError};
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::IgnoredAny;
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

/// So many deletions that could not be confirmed are kept for the next read.
const MOST_OPEN: usize = 100;

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
    /// Whom the log names as deleted, and who could not be asked for.
    open: BTreeSet<(ObjectKind, String)>,
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
        open: BTreeSet::new(),
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
        let cursor = users.zip(next_groups).and_then(|(users, groups)| Since::write(bound, users, groups, log, self.open));
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
                    _ => match self.assigned(app, "users", &assigned.id).await? {
                        Some(user) => user,
                        None => continue,
                    },
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
                    None => match self.assigned(app, "groups", &assigned.id).await? {
                        Some(group) => group,
                        None => continue,
                    },
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

    /// A user or group that a page of the application named without showing it; `None`: deleted since the page was made. Then
    /// the assignment is gone too: one that is still there belongs to somebody who is hidden from whoever signs in.
    async fn assigned(&self, app: &str, list: &str, id: &str) -> Result<Option<Object>, SourceError> {
        match self.client.find(&self.client.url(&[list, id], &[]), &self.scopes).await? {
            Found::There(object) => return Ok(Some(object)),
            Found::Refused(e) => return Err(e),
            Found::Gone => {}
        }
        match self.client.find::<IgnoredAny>(&self.client.url(&["apps", app, list, id], &[]), &self.scopes).await? {
            Found::Gone => Ok(None),
            Found::Refused(e) => Err(e),
            Found::There(_) => Err(self.client.incomplete(format!(
                "{id} is assigned to the application, and Okta says that it is none of the {list} (HTTP 404, E0000007): the \
                 administrator role of whoever signs in does not show it; give it one that shows all users and groups, such as \
                 Read-Only Administrator"
            ))),
        }
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

    /// One group that a list showed, with its members. One that is deleted meanwhile is not there.
    async fn group(&mut self, group: Object) -> Result<(), SourceError> {
        match self.with_members(group).await? {
            Found::There(entry) => self.present(entry).await,
            Found::Gone => Ok(()),
            Found::Refused(e) => Err(e),
        }
    }

    async fn with_members(&self, group: Object) -> Result<Found<Entry>, SourceError> {
        let mut entry = self.rules.group(group).map_err(|what| self.client.malformed(what))?;
        let id = entry.key.as_str();
        let mut pages = Pages::new(self.client, &self.scopes, self.client.url(&["groups", id, "users"], &[("limit", PAGE)]));
        let mut seen: BTreeSet<String> = BTreeSet::new();
        loop {
            match pages.page_of_one::<Id>().await? {
                Found::There(Some(page)) => seen.extend(page.into_iter().map(|u| u.id)),
                Found::There(None) => break,
                Found::Refused(e) => return Ok(Found::Refused(e)),
                Found::Gone if self.is_listed(id).await? => {
                    return Ok(Found::Refused(self.client.incomplete(format!(
                        "group {id} is in the list, and Okta says of its members that there is no such group (HTTP 404, E0000007): \
                         the administrator role of whoever signs in does not show them; give it one that shows all users and \
                         groups, such as Read-Only Administrator"
                    ))));
                }
                Found::Gone => return Ok(Found::Gone),
            }
        }
        entry.members = seen.into_iter().map(|id| MemberRef::Key(SourceKey(id))).collect();
        Ok(Found::There(entry))
    }

    /// Whether the list of groups shows this one. Whoever may not see an object is told the same as of one that is gone, so
    /// that absence counts where the list says it, which showed the group before.
    async fn is_listed(&self, id: &str) -> Result<bool, SourceError> {
        let filter = format!("id eq \"{id}\"");
        let mut pages =
            Pages::new(self.client, &self.scopes, self.client.url(&["groups"], &[("limit", PAGE), ("filter", &filter)]));
        while let Some(page) = pages.page::<Object>().await? {
            if page.iter().any(|group| group.id() == id) {
                return Ok(true);
            }
        }
        Ok(false)
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
                self.open = self.left_open(groups);
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
        let mut named: Named = self.left_open(groups).into_iter().map(|who| (who, true)).collect();
        for (who, is_deletion) in log::named(client, &span, groups).await? {
            *named.entry(who).or_default() |= is_deletion;
        }
        if let Some(shown) = &self.named {
            named.retain(|(kind, id), _| !shown.contains(&(*kind, mark(id.as_bytes()))));
        }
        if named.len() > MOST_NAMED {
            let many = named.len();
            return Err(
                client.expired(format!("the System Log names {many} objects that no list does: to read everything is less"))
            );
        }
        let (mut refused, mut open): (Vec<String>, _) = (Vec::new(), BTreeSet::new());
        for ((kind, id), is_deletion) in named {
            let found = match self.ask_for(kind, &id).await {
                Ok(Found::Gone) => self.confirmed(kind, &id, is_deletion).await,
                found => found,
            };
            let why = match found {
                Ok(Found::There(None)) => continue,
                Ok(Found::There(Some(entry))) => {
                    self.present(entry).await?;
                    continue;
                }
                Ok(Found::Gone) => {
                    self.send(Item::Deleted(SourceKey(id))).await?;
                    continue;
                }
                Ok(Found::Refused(e)) | Err(e @ (SourceError::Malformed { .. } | SourceError::Incomplete { .. })) => e,
                Err(e) => return Err(e),
            };
            // An administrator of some groups sees what happens to others in the log.
            if self.known.as_ref().is_none_or(|known| known.knows(kind, &id)) {
                refused.push(format!("{kind} {id}: {}", log::words(&why)));
                if is_deletion && open.len() < MOST_OPEN {
                    open.insert((kind, id));
                }
            }
        }
        if let Some(first) = refused.first() {
            let many = refused.len();
            self.warnings.push(format!(
                "{many} users or groups that the System Log names could not be asked for: they wait for the next full read ({first})"
            ));
        }
        if !open.is_empty() {
            let many = open.len();
            self.warnings.push(format!("{many} of them are deleted, as the System Log says: the next read asks for them again"));
        }
        self.open = open;
        Ok(())
    }

    /// Whom the reads before could not ask for.
    fn left_open(&self, groups: bool) -> BTreeSet<(ObjectKind, String)> {
        let open = self.since.iter().flat_map(|s| &s.open);
        open.filter(|(kind, _)| groups || *kind == ObjectKind::User).cloned().collect()
    }

    /// A 404 for somebody whom the log names. It is what whoever may not see an object is told as well: so it counts where the
    /// log tells of the deletion, and of groups where the list does not show them either.
    async fn confirmed(&self, kind: ObjectKind, id: &str, is_deletion: bool) -> Result<Found<Option<Entry>>, SourceError> {
        let why = match is_deletion {
            true if kind == ObjectKind::Group && self.is_listed(id).await? => "the list shows it",
            true => return Ok(Found::Gone),
            false => "the System Log tells of no deletion",
        };
        Ok(Found::Refused(self.client.incomplete(format!(
            "Okta says that there is no such {kind} (HTTP 404, E0000007), and {why}: the administrator role of whoever signs in may \
             not show it; give it one that shows all users and groups, such as Read-Only Administrator"
        ))))
    }

    /// One whom the log names, as they are now; `There(None)`: nobody of this id. Errors that say something of this one alone are
    /// [`SourceError::Malformed`] and [`SourceError::Incomplete`].
    async fn ask_for(&self, kind: ObjectKind, id: &str) -> Result<Found<Option<Entry>>, SourceError> {
        let client = self.client;
        let list = if kind == ObjectKind::User { "users" } else { "groups" };
        Ok(match client.find::<Object>(&client.url(&[list, id], &[]), &self.scopes).await? {
            // Users are found by other names too.
            Found::There(object) if object.id() != id => Found::There(None),
            Found::There(user) if kind == ObjectKind::User => {
                Found::There(Some(self.rules.user(user, None).map_err(|what| client.malformed(what))?))
            }
            Found::There(group) => match self.with_members(group).await? {
                Found::There(entry) => Found::There(Some(entry)),
                Found::Gone => Found::Gone,
                Found::Refused(e) => Found::Refused(e),
            },
            Found::Gone => Found::Gone,
            Found::Refused(e) => Found::Refused(e),
        })
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
