//! What an administrator cannot switch on in a test tenant: SCIM switched off, accounts that belong to others. In the words
//! of the application whose preset the sandbox has.

use super::reply::Reply;
use super::routes::Result;
use super::server::{Received, Shared};
use crate::model::ObjectKind;
use crate::scim::error::ScimError;
use crate::scim::eval;
use http::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Which requests are refused although they are right.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Off {
    /// None.
    #[default]
    No,
    /// Those that write.
    Writes,
    /// All.
    All,
}

/// Trouble with the application.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Trouble {
    /// SCIM is switched off.
    pub off: Off,
    /// Accounts (userName) that this token may not manage.
    pub foreign: Vec<String>,
    /// Accounts (userName) that exist, are managed elsewhere, and are not shown.
    pub elsewhere: Vec<String>,
}

impl Trouble {
    fn any(&self) -> bool {
        *self != Self::default()
    }
}

/// The words of a refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words {
    /// SCIM is switched off, or the account is foreign.
    pub not_permitted: String,
    /// The account is managed elsewhere.
    pub exists: String,
}

impl Default for Words {
    fn default() -> Self {
        Self { not_permitted: "Operation not permitted".to_owned(), exists: "User already exists".to_owned() }
    }
}

/// Refuses a request that meets trouble.
pub(super) fn meet(shared: &Shared, kind: ObjectKind, id: Option<&str>, request: &Received<'_>) -> Result<()> {
    let trouble = shared.trouble();
    if !trouble.any() {
        return Ok(());
    }
    let words = &shared.behaviour.words;
    let refused = || Err(ScimError::new(403, words.not_permitted.clone()));
    let writes = !matches!(*request.method, Method::GET);
    match trouble.off {
        Off::All => return refused(),
        Off::Writes if writes => return refused(),
        _ => {}
    }
    if kind != ObjectKind::User || !writes {
        return Ok(());
    }
    let name = match id {
        Some(id) => name_of(shared, id),
        None => sent_name(request),
    };
    let Some(name) = name else { return Ok(()) };
    let is_in = |list: &[String]| list.iter().any(|n| n.eq_ignore_ascii_case(&name));
    if is_in(&trouble.foreign) {
        return refused();
    }
    if id.is_none() && is_in(&trouble.elsewhere) {
        return Err(ScimError::conflict(words.exists.clone()));
    }
    Ok(())
}

fn name_of(shared: &Shared, id: &str) -> Option<String> {
    let store = shared.read();
    let record = store.find(ObjectKind::User, id).ok()?;
    let (doc, _) = super::render::take_apart(&record.body);
    doc.get("userName").and_then(Value::as_str).map(str::to_owned)
}

fn sent_name(request: &Received<'_>) -> Option<String> {
    let body: Value = serde_json::from_slice(&request.body).ok()?;
    eval::field(body.as_object()?, "userName").and_then(Value::as_str).map(str::to_owned)
}

/// `PUT /_sandbox/trouble`.
pub(super) fn set(shared: &Shared, body: &[u8]) -> Reply {
    match serde_json::from_slice(body) {
        Ok(trouble) => {
            shared.set_trouble(trouble);
            Reply::empty(StatusCode::NO_CONTENT)
        }
        Err(e) => Reply::error(&ScimError::new(
            400,
            format!("the body is {{\"off\": \"no|writes|all\", \"foreign\": [userName], \"elsewhere\": [userName]}}: {e}"),
        )),
    }
}
