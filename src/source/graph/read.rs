//! A full read.
//!
//! People come as a list, 999 a page; a change feed "from now on", asked for before, makes up for whatever changes meanwhile.
//! The first round of the change feed would show them too, in pages whose size the service chooses. Groups come as that first
//! round, because it carries the members: a list would take a request more for each group.

use super::connect::Client;
use super::cursor::GraphCursor;
use super::delta::{self, Start};
use super::entry;
use super::fault::{Call, GraphError};
use super::out::Out;
use super::pages::{End, Pages};
use super::select::Fields;
use super::walk;
use crate::source::Item;

/// Most objects on a page (Microsoft, "List users": 1 to 999).
pub const TOP: &str = "999";

/// How often a list is begun again when the service loses its place in it.
const RESTARTS: u32 = 2;

/// Reads everything; gives the cursor, where the service has change feeds.
///
/// # Errors
/// The read failed.
pub async fn full(
    client: &Client,
    users: &Fields,
    groups: Option<&Fields>,
    out: &mut Out<'_>,
) -> Result<Option<GraphCursor>, GraphError> {
    let mut restarts = Restarts::default();
    loop {
        match once(client, users, groups, out).await {
            Err(e) => restarts.bear(e)?,
            // Everything was said again; but whoever vanished between the two beginnings was said, and is in no change. So the
            // next read is a full one too.
            Ok(_) if restarts.0 > 0 => return Ok(None),
            done => return done,
        }
    }
}

/// Beginnings after the first one.
#[derive(Default)]
pub struct Restarts(u32);

impl Restarts {
    /// Whether to begin again after this error: where the service lost its place.
    ///
    /// # Errors
    /// It is another one, or there were too many.
    pub fn bear(&mut self, error: GraphError) -> Result<(), GraphError> {
        match error {
            GraphError::Refused(r) if (r.is_lost_page() || r.is_expired()) && self.0 < RESTARTS => {
                self.0 += 1;
                tracing::info!("{}; begun again", r.words());
                Ok(())
            }
            GraphError::Refused(r) if r.is_lost_page() || r.is_expired() => Err(GraphError::Incomplete(r.words())),
            e => Err(e),
        }
    }
}

async fn once(
    client: &Client,
    users: &Fields,
    groups: Option<&Fields>,
    out: &mut Out<'_>,
) -> Result<Option<GraphCursor>, GraphError> {
    let start = delta::users_from_now(client, users).await?;
    let groups_link = match groups {
        Some(fields) => match delta::all_groups(client, fields, out).await {
            Ok(link) => Some(link),
            Err(GraphError::Refused(r)) if r.is_unsupported() && !r.is_expired() && !r.is_lost_page() => {
                tracing::debug!("{}", r.words());
                walk::all_groups(client, fields, out).await?;
                None
            }
            Err(e) => return Err(e),
        },
        None => None,
    };
    let users_link = match start {
        Start::FromNow(link) => {
            list_users(client, users, out).await?;
            Some(link)
        }
        Start::Everybody(pages, first) => Some(delta::all_users(*pages, first, users, out).await?),
        Start::None => {
            list_users(client, users, out).await?;
            None
        }
    };
    let Some(link) = users_link.filter(|_| groups.is_some() == groups_link.is_some()) else { return Ok(None) };
    let mut cursor = GraphCursor::new(users.delta_select(), groups.map(Fields::delta_select), link, groups_link);
    if groups.is_some() {
        cursor.deleted = delta::deleted_users(client).await?;
    }
    Ok(Some(cursor))
}

/// The list of people; whoever vanishes while it is read is in the changes since before.
async fn list_users(client: &Client, fields: &Fields, out: &mut Out<'_>) -> Result<(), GraphError> {
    let mut restarts = Restarts::default();
    loop {
        match list_users_once(client, fields, out).await {
            Err(e) => restarts.bear(e)?,
            Ok(()) => return Ok(()),
        }
    }
}

async fn list_users_once(client: &Client, fields: &Fields, out: &mut Out<'_>) -> Result<(), GraphError> {
    let select = fields.select();
    let mut query = vec![("$select", select.as_str()), ("$top", TOP)];
    query.extend(fields.expand().map(|e| ("$expand", e)));
    let mut pages = Pages::new(client, Call::Users, End::NoLink, client.url(&["users"], &query));
    while let Some(page) = pages.next().await? {
        for object in &page {
            out.push(Item::Present(entry::entry(fields, &object.json, &[])?)).await?;
        }
        out.flush().await?;
    }
    Ok(())
}
