//! What every HTTP conversation of the program shares: TLS, authorisation, retry, pace, bodies.
//!
//! Nothing here knows SCIM. `client` builds the connection pool and judges transport errors, `auth` authorises, `assertion`
//! signs, `pace` slows down, `retry` says how long to wait before the next attempt, `meter` measures, `body` reads what came
//! back within bounds.

pub mod assertion;
pub mod auth;
pub mod body;
pub mod client;
pub mod meter;
mod oauth;
pub mod pace;
pub mod redact;
pub mod retry;
pub mod tls;

/// `scim-sync/VERSION`, sent as User-Agent.
pub const USER_AGENT: &str = concat!("scim-sync/", env!("CARGO_PKG_VERSION"));
