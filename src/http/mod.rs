//! What every HTTP conversation of the program shares: TLS, authorisation, retry, pace, bodies.

pub mod tls;
