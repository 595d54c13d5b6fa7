//! What can go wrong with Graph, and what an administrator does about it.

use crate::source::SourceError;
use serde_json::Value;

/// What is asked for: names the permission that it needs (Microsoft, "Microsoft Graph permissions reference").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// `/users`, `/users/delta`, `/users/{id}`, deleted users.
    Users,
    /// `/groups`, `/groups/delta`, `/groups/{id}`, members.
    Groups,
    /// Assignments to a service principal.
    Assignments,
    /// The roles that a service principal has.
    Roles,
    /// Several of them in one request.
    Batch,
}

impl Call {
    /// The least application permission that lets it.
    #[must_use]
    pub fn permission(self) -> &'static str {
        match self {
            Self::Users => "User.Read.All",
            Self::Groups => "GroupMember.Read.All",
            Self::Assignments | Self::Roles => "Application.Read.All",
            Self::Batch => "User.Read.All and GroupMember.Read.All",
        }
    }

    fn what(self) -> &'static str {
        match self {
            Self::Users => "people",
            Self::Groups => "groups and their members",
            Self::Assignments => "who is assigned to the application (assigned_to)",
            Self::Roles => "the roles of the application, whose names [appRoleAssignments] stands for",
            Self::Batch => "people and groups",
        }
    }
}

/// An error answer of Graph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What was asked for.
    pub call: Call,
    /// HTTP status.
    pub status: u16,
    /// `error.code`; may be empty.
    pub code: String,
    /// `error.message`, without secrets, for people to read. Never to be judged by.
    pub message: String,
    /// `error.innerError.request-id`, which Microsoft's support asks for.
    pub request_id: String,
}

impl Refusal {
    /// Reads an error body (Microsoft, "Microsoft Graph error responses"): `innerError` is spelled in two ways.
    #[must_use]
    pub fn of(call: Call, status: u16, body: &Value, message: String) -> Self {
        let error = &body["error"];
        let inner = ["innerError", "innererror"].iter().map(|n| &error[n]).find(|v| v.is_object()).unwrap_or(&Value::Null);
        let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
        Self { call, status, code: text(&error["code"]), message, request_id: text(&inner["request-id"]) }
    }

    /// A link of a change feed that is not good any more: everything has to be read again. 410, or 400 and 404 with one of
    /// two codes, whose case differs between services (Microsoft, "Use delta query", synchronization reset).
    #[must_use]
    pub fn is_expired(&self) -> bool {
        let code = self.code.to_ascii_lowercase();
        self.status == 410
            || (matches!(self.status, 400 | 404) && matches!(code.as_str(), "syncstatenotfound" | "resyncrequired"))
    }

    /// The directory itself says that there is no such object (any more). A 404 of a proxy, or one without this code, says
    /// nothing (Microsoft, "Microsoft Graph error responses").
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.status == 404 && self.code.eq_ignore_ascii_case("Request_ResourceNotFound")
    }

    /// The error where this was said of one object, which may be there all the same.
    #[must_use]
    pub fn about(self: Box<Self>, object: &str) -> GraphError {
        if self.status != 404 {
            return GraphError::Refused(self);
        }
        GraphError::Incomplete(format!(
            "{object}: {}; that is not Graph's own code for what is gone (Request_ResourceNotFound), so nobody knows whether it is \
             there: does a proxy answer?",
            self.words()
        ))
    }

    /// The page marker of a list was refused in the middle: the list has to be begun again.
    #[must_use]
    pub fn is_lost_page(&self) -> bool {
        self.status == 400 && self.code.eq_ignore_ascii_case("Directory_ExpiredPageToken")
    }

    /// The service has no such thing here: another way may be open.
    #[must_use]
    pub fn is_unsupported(&self) -> bool {
        matches!(self.status, 400 | 404 | 405 | 410 | 501)
    }

    /// For people: what was refused, why, and what to do.
    #[must_use]
    pub fn words(&self) -> String {
        let Self { call, status, code, message, request_id } = self;
        let advice = match status {
            403 => format!(
                "; the application lacks the permission {} to read {}: add it (kind: application) to the app registration and \
                 grant admin consent",
                call.permission(),
                call.what()
            ),
            401 => "; the token was given and is not taken: is the application disabled (its enterprise application, \
                 Properties > Enabled for users to sign in), does conditional access for workload identities keep it from \
                 here, and do graph_url and login_url belong to the same cloud?"
                .to_owned(),
            404 if *call == Call::Assignments => "; assigned_to is the object id of the enterprise application (service \
                 principal), not its application id and not the object id of the app registration"
                .to_owned(),
            _ => String::new(),
        };
        let code = if code.is_empty() { String::new() } else { format!(" {code}") };
        let message = if message.is_empty() { String::new() } else { format!(": {message}") };
        let id = if request_id.is_empty() { String::new() } else { format!(" (request-id {request_id})") };
        format!("Graph refuses to show {} with {status}{code}{message}{id}{advice}", call.what())
    }
}

/// Why a read of Graph failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GraphError {
    /// The secret cannot be had, or is none.
    #[error("{0}")]
    Secret(String),
    /// No token, or it is not accepted, or a permission is missing.
    #[error("{0}")]
    Auth(String),
    /// The service cannot be reached, or goes on failing.
    #[error("{0}")]
    Unreachable(String),
    /// Graph answers with an error.
    #[error("{}", .0.words())]
    Refused(Box<Refusal>),
    /// What came is not whole.
    #[error("{0}")]
    Incomplete(String),
    /// What came makes no sense.
    #[error("{0}")]
    Malformed(String),
    /// The cursor is not good any more.
    #[error("{0}")]
    Expired(String),
    /// The consumer went away.
    #[error("the read was stopped")]
    Stopped,
}

impl GraphError {
    /// For the cycle: with the name of the source.
    #[must_use]
    pub fn into_source(self, name: &str) -> SourceError {
        let source_name = name.to_owned();
        let message = self.to_string();
        match self {
            Self::Secret(_) => SourceError::Secret { source_name, message },
            Self::Auth(_) => SourceError::Auth { source_name, message },
            Self::Refused(r) if matches!(r.status, 401 | 403) => SourceError::Auth { source_name, message },
            Self::Unreachable(_) => SourceError::Connect { source_name, message },
            Self::Refused(_) | Self::Incomplete(_) => SourceError::Incomplete { source_name, message },
            Self::Malformed(_) => SourceError::Malformed { source_name, message },
            Self::Expired(_) => SourceError::CursorExpired { source_name, message },
            Self::Stopped => SourceError::Stopped { source_name },
        }
    }

    /// The error answer, where it is one.
    #[must_use]
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(r) => Some(r),
            _ => None,
        }
    }
}

/// What to do about a refusal of the token endpoint, by the number in it (Microsoft, "Microsoft Entra authentication and
/// authorization error codes").
#[must_use]
pub fn sign_in_advice(text: &str) -> &'static str {
    const ADVICE: &[(&str, &str)] = &[
        ("AADSTS7000222", "the client secret has expired: make a new one (App registrations > Certificates & secrets)"),
        ("AADSTS7000215", "the client secret is wrong: it is the secret's Value, not its Secret ID"),
        ("AADSTS700016", "there is no application with this client_id in this tenant: check client_id and tenant"),
        ("AADSTS7000112", "the application is disabled: allow sign-in in its enterprise application"),
        ("AADSTS90002", "there is no such tenant: check tenant, and cloud where it is a national one"),
        ("AADSTS900023", "tenant is neither a domain of the tenant nor its id"),
        ("AADSTS700027", "the signature is not accepted: upload the certificate to the app registration"),
        ("AADSTS700024", "the assertion is out of its time: set the clock of this machine right (NTP)"),
        ("AADSTS1002012", "graph_url and login_url belong to different clouds"),
    ];
    ADVICE
        .iter()
        .find(|(code, _)| text.contains(code))
        .map_or("check tenant, client_id and the secret or certificate", |(_, a)| a)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn refusal(status: u16, code: &str) -> Refusal {
        Refusal::of(Call::Users, status, &json!({"error": {"code": code, "innererror": {"request-id": "r-1"}}}), "why".to_owned())
    }

    #[test]
    fn pitfall_10_expiry_is_told_by_status_and_code_whatever_its_case() {
        for (status, code) in
            [(410, ""), (410, "x"), (400, "syncStateNotFound"), (404, "SyncStateNotFound"), (400, "resyncRequired")]
        {
            assert!(refusal(status, code).is_expired(), "{status} {code}");
        }
        for (status, code) in
            [(400, "Request_BadRequest"), (404, "Request_ResourceNotFound"), (403, "syncStateNotFound"), (500, "")]
        {
            assert!(!refusal(status, code).is_expired(), "{status} {code}");
        }
    }

    #[test]
    fn a_missing_permission_is_named() {
        for (call, permission) in
            [(Call::Users, "User.Read.All"), (Call::Groups, "GroupMember.Read.All"), (Call::Assignments, "Application.Read.All")]
        {
            let words = Refusal { call, ..refusal(403, "Authorization_RequestDenied") }.words();
            assert!(words.contains(permission) && words.contains("r-1"), "{words}");
        }
        assert!(!refusal(404, "x").words().contains("permission"));
    }

    #[test]
    fn sign_in_refusals_have_their_own_advice() {
        assert!(sign_in_advice("AADSTS7000222: The provided client secret keys are expired.").contains("expired"));
        assert!(sign_in_advice("AADSTS7000215: Invalid client secret").contains("Value"));
        assert!(sign_in_advice("something").contains("client_id"));
    }
}
