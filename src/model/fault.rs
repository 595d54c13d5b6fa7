//! What kind of fault an error is: the one answer that drives retry, park and stop.

/// The kind of a fault. Every error type of the crate answers `fault()`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// May pass by itself (connection reset, timeout, 5xx): try again soon.
    Transient,
    /// The other side asked us to slow down (429, 503 with Retry-After).
    Throttled,
    /// Credentials are wrong or not sufficient (401, 403, LDAP 49): stop the sync, mark no record as bad.
    Auth,
    /// The value is taken (409, uniqueness): look it up, adopt only by the match rules.
    Conflict,
    /// The object is not there (404, 410): confirm by a read before believing it.
    Gone,
    /// This record was refused (400 with a reason): park it and say why.
    Invalid,
    /// Will not pass by itself and concerns more than one record (501, wrong address, wrong configuration).
    Permanent,
    /// No licence or seat is left: nobody's own fault, and one for all who have no account yet.
    Full,
}

impl Fault {
    /// The word used in logs and JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Transient => "transient",
            Self::Throttled => "throttled",
            Self::Auth => "auth",
            Self::Conflict => "conflict",
            Self::Gone => "gone",
            Self::Invalid => "invalid",
            Self::Permanent => "permanent",
            Self::Full => "full",
        }
    }

    /// Whether the same request may succeed later without anybody changing anything.
    #[must_use]
    pub fn is_retryable(self) -> bool {
        matches!(self, Self::Transient | Self::Throttled)
    }

    /// Whether the next cycle tries again: in between somebody may have freed a seat, too.
    #[must_use]
    pub fn passes_by_the_next_cycle(self) -> bool {
        self.is_retryable() || self == Self::Full
    }
}
