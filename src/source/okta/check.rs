//! `check --online`: what the organisation shows, in facts. One page of each list proves that it may be read.

use super::client::{Client, Found, Pages};
use super::entry::Object;
use super::log;
use super::read::scopes;
use crate::config::OktaConfig;
use crate::source::{Facts, NO_GROUPS, ReadRequest, SourceError, clock_warning};
use serde_json::Value;

/// Looks around, for reads that ask for this: what nobody wants is not asked for, so that the rights for it need not be there.
///
/// # Errors
/// Whatever would keep a read from being complete.
pub(super) async fn facts(client: &Client, config: &OktaConfig, wanted: &ReadRequest) -> Result<Facts, SourceError> {
    let of_users = scopes(false, config.assigned_to.is_some());
    let mut facts = vec![("organisation".to_owned(), config.url.origin().ascii_serialization())];
    let mut warnings = Vec::new();
    let mut clocks = None;
    if let Some(app) = &config.assigned_to {
        // Whether it is there, its lists say.
        if let Found::There(found) = client.find::<Object>(&client.url(&["apps", app], &[]), &of_users).await? {
            let text = |name: &str| found.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
            facts.push(("application".to_owned(), text("label")));
            if text("status") == "INACTIVE" {
                warnings.push(format!("the application {} is deactivated", text("label")));
            }
        }
        let url = client.url(&["apps", app, "users"], &[("limit", "500")]);
        facts.push(("people".to_owned(), count(client, &of_users, url, &mut clocks).await?.1));
    } else {
        let filter = "lastUpdated gt \"1970-01-01T00:00:00.000Z\"";
        let url = client.url(&["users"], &[("limit", "200"), ("filter", filter)]);
        let (users, many) = count(client, &of_users, url, &mut clocks).await?;
        facts.push(("people".to_owned(), many));
        let without = users.iter().filter(|u| u.get("profile").and_then(|p| p.get("email")).is_none_or(Value::is_null)).count();
        facts.push(("people_without_mail".to_owned(), without.to_string()));
        if users.is_empty() {
            warnings.push("nobody is shown: does whoever made the token see users?".to_owned());
        }
    }
    if wanted.groups {
        let scopes = scopes(true, config.assigned_to.is_some());
        let path = config.assigned_to.as_deref().map_or(vec!["groups"], |app| vec!["apps", app, "groups"]);
        match count(client, &scopes, client.url(&path, &[("limit", "200")]), &mut clocks).await {
            Ok((groups, many)) => {
                facts.push(("groups".to_owned(), many));
                // That nothing is assigned is the administrator's wish; that an organisation has no groups is not: there is
                // always "Everyone".
                if groups.is_empty() && config.assigned_to.is_none() {
                    warnings.push(
                        "no group is shown: a role that does not show groups gives an empty list; groups that were there before \
                         are held, not removed"
                            .to_owned(),
                    );
                }
            }
            Err(e @ SourceError::Auth { .. }) => {
                facts.push(("groups".to_owned(), "cannot be read".to_owned()));
                facts.push((NO_GROUPS.to_owned(), e.to_string()));
            }
            Err(e) => return Err(e),
        }
    }
    if let Some((server, here)) = clocks {
        facts.push(("clock_skew_s".to_owned(), (server - here).to_string()));
        warnings.extend(clock_warning(server - here));
    }
    if log::is_followed(config) {
        let may = log::look(client, clocks.map(|c| c.0)).await;
        facts.push(("system_log".to_owned(), if may.is_ok() { "can be read" } else { "cannot be read" }.to_owned()));
        let why = may.err().map(|e| format!("{}; until then whoever is deleted waits for the next full read", log::words(&e)));
        warnings.extend(why);
    }
    facts.insert(1, ("signs in by".to_owned(), client.signed_in_as().to_owned()));
    facts.extend(warnings.into_iter().map(|w| ("warning".to_owned(), w)));
    Ok(facts)
}

/// The first page of a list, and how many that is in words.
async fn count(
    client: &Client,
    scopes: &str,
    url: url::Url,
    clocks: &mut Option<(i64, i64)>,
) -> Result<(Vec<Object>, String), SourceError> {
    let mut pages = Pages::new(client, scopes, url);
    let first = pages.page::<Object>().await?.unwrap_or_default();
    *clocks = clocks.or(pages.clocks);
    let many = if pages.has_more() { format!("more than {}", first.len()) } else { first.len().to_string() };
    Ok((first, many))
}
