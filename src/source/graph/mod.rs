//! Microsoft Graph source: people and groups of an Entra ID tenant, in full and by change feeds.
//!
//! `connect` (sign-in, requests, waits) -> `answer` -> `pages`, `batch` (each proven complete) -> `select`, `entry` (properties) ->
//! `read` (in full), `delta` (what changed), `assigned` and `walk` (who is assigned to an application).

mod answer;
mod assigned;
mod batch;
mod check;
mod connect;
mod cursor;
mod delta;
mod entry;
mod fault;
mod id;
mod out;
mod pages;
mod read;
mod select;
mod walk;

pub use select::names as attributes;

use super::{Completeness, Cursor, Facts, ReadDone, ReadRequest, Sink, Source, SourceError};
use crate::config::{GraphConfig, NestedGroups};
use crate::model::ObjectKind;
use async_trait::async_trait;
use connect::Client;
use cursor::GraphCursor;
use fault::GraphError;
use out::Out;
use select::{Fields, LEAVE};
use std::time::Duration;

/// A read never takes longer.
const DEADLINE: Duration = Duration::from_secs(4 * 3600);

/// A tenant behind Microsoft Graph.
pub struct GraphSource {
    name: String,
    config: GraphConfig,
    client: Client,
}

impl GraphSource {
    /// Builds the source; nothing is sent.
    ///
    /// # Errors
    /// CA file, proxy or addresses cannot be used.
    pub fn new(name: &str, config: &GraphConfig) -> Result<Self, SourceError> {
        let client = Client::new(name, config).map_err(|e| e.into_source(name))?;
        Ok(Self { name: name.to_owned(), config: config.clone(), client })
    }

    async fn work(&self, request: &ReadRequest, sink: &Sink) -> Result<ReadDone, GraphError> {
        let users = Fields::new(ObjectKind::User, &request.attributes);
        let mut groups = Fields::new(ObjectKind::Group, &request.attributes);
        if let Some(granted) = self.client.permissions().await? {
            if users.lacks_leave(&granted) {
                return Err(GraphError::Auth(format!(
                    "{LEAVE} is wanted (mapping, scope), and the application lacks the permission {} without which Graph shows it \
                     empty for everybody: add it (kind: application) to the app registration and grant admin consent",
                    select::LEAVE_PERMISSIONS[0]
                )));
            }
            if request.groups && !granted.contains("Member.Read.Hidden") {
                groups.tell_hidden();
            }
        }
        let wanted = request.groups.then_some(&groups);
        let mut out = Out::new(sink, request.seals.clone());
        let (completeness, cursor) = match (&self.config.assigned_to, &request.since) {
            (Some(application), _) => {
                let flatten = self.config.nested_groups == NestedGroups::Flatten;
                let wish = assigned::Wish { application, users: &users, groups: wanted, flatten };
                assigned::read(&self.client, &wish, &mut out).await?;
                (Completeness::Full, None)
            }
            (None, Some(since)) => {
                let group_select = wanted.map(Fields::delta_select);
                let cursor = GraphCursor::parse(&since.0, &users.delta_select(), group_select.as_deref())?;
                let next = delta::since(&self.client, &cursor, &users, &groups, &mut out).await?;
                (Completeness::Incremental, Some(next))
            }
            (None, None) => (Completeness::Full, read::full(&self.client, &users, wanted, &mut out).await?),
        };
        out.flush().await?;
        Ok(ReadDone {
            completeness,
            cursor: cursor.map(|c| Cursor(c.text())),
            references: 0,
            clock_skew_s: self.client.clock_skew(),
            warnings: out.warnings,
            parts: Vec::new(),
        })
    }
}

#[async_trait]
impl Source for GraphSource {
    async fn check(&self, wanted: &ReadRequest) -> Result<Facts, SourceError> {
        let now = jiff::Timestamp::now().as_second();
        check::facts(&self.client, &self.name, &self.config, wanted, now).await.map_err(|e| e.into_source(&self.name))
    }

    async fn read(&self, request: &ReadRequest, sink: &Sink) -> Result<ReadDone, SourceError> {
        let done = tokio::time::timeout(DEADLINE, self.work(request, sink)).await.unwrap_or_else(|_| {
            Err(GraphError::Incomplete(format!("it was not done after {} hours", DEADLINE.as_secs() / 3600)))
        });
        done.map_err(|e| e.into_source(&self.name))
    }
}
