//! `check --online`: what the application may see, in facts.

use super::connect::Client;
use super::fault::{Call, GraphError};
use super::pages::{End, Pages};
use super::read::TOP;
use super::select::{Fields, LEAVE_PERMISSIONS};
use crate::config::GraphConfig;
use crate::model::ObjectKind;
use crate::source::{Facts, NO_GROUPS, ReadRequest, clock_warning};
use serde_json::Value;
use std::collections::BTreeSet;

/// Permissions of which one is enough for a call, the least first.
fn enough(call: Call) -> &'static [&'static str] {
    match call {
        Call::Users => &["User.Read.All", "User.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All"],
        Call::Groups => &[
            "GroupMember.Read.All",
            "GroupMember.ReadWrite.All",
            "Group.Read.All",
            "Group.ReadWrite.All",
            "Directory.Read.All",
            "Directory.ReadWrite.All",
        ],
        Call::Assignments | Call::Roles => &[
            "Application.Read.All",
            "Application.ReadWrite.All",
            "Application.ReadWrite.OwnedBy",
            "Directory.Read.All",
            "Directory.ReadWrite.All",
        ],
        Call::Batch => &[],
    }
}

/// Looks around, for reads that ask for this; changes nothing. What nobody wants is no permission that is missing.
///
/// # Errors
/// No token, or people (or assignments, where `assigned_to` is set) cannot be read.
pub async fn facts(
    client: &Client,
    name: &str,
    config: &GraphConfig,
    wanted: &ReadRequest,
    now: i64,
) -> Result<Facts, GraphError> {
    let mut facts = Facts::new();
    let mut warnings = Vec::new();
    let mut say = |name: &str, value: String| facts.push((name.to_owned(), value));
    say("graph", client.url(&[], &[]).to_string());
    say("tenant", config.tenant.clone());
    if let Some(end) = Client::certificate_end(config) {
        let days = end.saturating_sub(now) / 86_400;
        say("certificate_days_left", days.to_string());
        if days < 30 {
            warnings.push(format!("the certificate ends in {days} days; upload the next one beside it before"));
        }
    }
    let roles = client.permissions().await?;
    say("token", "received".to_owned());
    let mut needed = vec![Call::Users];
    needed.extend(wanted.groups.then_some(Call::Groups));
    needed.extend(config.assigned_to.as_ref().map(|_| Call::Assignments));
    if let Some(roles) = &roles {
        let list: Vec<&str> = roles.iter().map(String::as_str).collect();
        say("permissions", if list.is_empty() { "none".to_owned() } else { list.join(", ") });
        let mut missing: Vec<&str> =
            needed.iter().filter(|c| !enough(**c).iter().any(|p| roles.contains(*p))).map(|c| c.permission()).collect();
        let leave = Fields::new(ObjectKind::User, &wanted.attributes).lacks_leave(roles);
        missing.extend(leave.then_some(LEAVE_PERMISSIONS[0]));
        say("missing_permissions", if missing.is_empty() { "none".to_owned() } else { missing.join(", ") });
        if !missing.is_empty() {
            warnings.push(format!("grant {} (application permissions, with admin consent)", missing.join(", ")));
        }
        if roles.iter().any(|r| r.contains("ReadWrite")) {
            warnings.push("the application may write to the directory; reading is all that is needed".to_owned());
        }
    }
    say("people", count(client, Call::Users, "users").await?);
    match count(client, Call::Groups, "groups").await {
        Ok(n) => {
            if n == "0" && wanted.groups {
                warnings.push("no group is shown; groups that were there before are held, not removed".to_owned());
            }
            say("groups", n);
        }
        Err(e) if e.refusal().is_some_and(|r| r.status == 403) => {
            say("groups", "cannot be read".to_owned());
            say(NO_GROUPS, e.into_source(name).to_string());
        }
        Err(e) => return Err(e),
    }
    if let Some(application) = &config.assigned_to {
        let url = client.url(&["servicePrincipals", application, "appRoleAssignedTo"], &[("$top", TOP)]);
        let mut pages = Pages::new(client, Call::Assignments, End::NoLink, url);
        let (mut people, mut groups) = (BTreeSet::new(), BTreeSet::new());
        while let Some(page) = pages.next().await? {
            for row in page.iter().map(|o| &o.json) {
                let id = row["principalId"].as_str().unwrap_or_default().to_owned();
                match row["principalType"].as_str() {
                    Some("User") => drop(people.insert(id)),
                    Some("Group") => drop(groups.insert(id)),
                    _ => {}
                }
            }
        }
        say("assigned_people", people.len().to_string());
        say("assigned_groups", groups.len().to_string());
        if people.is_empty() && groups.is_empty() {
            warnings.push("nobody is assigned to the application (assigned_to)".to_owned());
        }
    }
    if let Some(skew) = client.clock_skew() {
        say("clock_skew_s", skew.to_string());
        warnings.extend(clock_warning(skew));
    }
    facts.extend(warnings.into_iter().map(|w| ("warning".to_owned(), w)));
    Ok(facts)
}

/// How many there are: by the service's count, else by counting.
async fn count(client: &Client, call: Call, what: &str) -> Result<String, GraphError> {
    let url = client.url(&[what], &[("$select", "id"), ("$top", "1"), ("$count", "true")]);
    let answer = client.get(call, &url, &[("ConsistencyLevel", "eventual")]).await?;
    if let Some(n) = answer.rest.get("@odata.count").and_then(Value::as_u64) {
        return Ok(n.to_string());
    }
    let mut pages = Pages::new(client, call, End::NoLink, client.url(&[what], &[("$select", "id"), ("$top", TOP)]));
    let mut n = 0;
    while let Some(page) = pages.next().await? {
        n += page.len();
    }
    Ok(n.to_string())
}
