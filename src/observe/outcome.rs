//! What became of a cycle, for those who watch from outside: the status board, the metrics, the notifications.

use std::collections::BTreeMap;

/// How a cycle ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// Everything is done.
    Ok,
    /// Done, but for records that are parked.
    Parked,
    /// The guard holds changes.
    Held,
    /// Source, target or state store failed as a whole.
    Failed,
}

impl Verdict {
    /// All of them, from good to bad.
    pub const ALL: [Self; 4] = [Self::Ok, Self::Parked, Self::Held, Self::Failed];

    /// The word that stands in every document: `ok`, `parked`, `held`, `failed`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Parked => "parked",
            Self::Held => "held",
            Self::Failed => "failed",
        }
    }
}

/// What became of one cycle of one sync, and where the sync stands after it. Times are Unix seconds.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The sync.
    pub sync: String,
    /// Number of the cycle; 0 where it could not even begin.
    pub cycle: i64,
    /// When it ended.
    pub at: i64,
    /// How it ended.
    pub verdict: Verdict,
    /// Why it failed as a whole: kind (`source`, `target`, `state`, ...) and message.
    pub error: Option<(String, String)>,
    /// Changes that were made, by `counts` key.
    pub done: BTreeMap<String, u64>,
    /// What the guard holds, by kind of change.
    pub held: BTreeMap<String, u64>,
    /// Records that are parked: who, why, what to do.
    pub parked: Vec<(String, String, String)>,
    /// People who have left (disabled, out of scope or gone) and whose account is not inactive yet.
    pub leavers_waiting: u64,
    /// When the first of them left.
    pub leavers_since: Option<i64>,
    /// Linked people.
    pub linked_users: u64,
    /// Linked groups.
    pub linked_groups: u64,
    /// When the last complete read was committed.
    pub complete_read_at: Option<i64>,
    /// When the sync runs next.
    pub next_run: Option<i64>,
    /// Milliseconds that the cycle took.
    pub duration_ms: u64,
}
