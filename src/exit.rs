//! Exit codes: each documented once, here.

/// What the process tells its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Exit {
    /// Done; nothing is left over.
    Done = 0,
    /// A bug in the program: a panic, or a state that must not be.
    Bug = 1,
    /// The command line is wrong.
    Usage = 2,
    /// The configuration is wrong.
    Config = 3,
    /// A source failed: it cannot be reached, refused us, or its answer was incomplete.
    Source = 4,
    /// A target failed as a whole.
    Target = 5,
    /// The guard held changes; they wait for `approve`.
    Held = 6,
    /// Done, but records are parked.
    Parked = 7,
    /// Another instance holds the state.
    Locked = 8,
    /// The state store cannot be used.
    State = 9,
    /// `plan --exit-code`, and there are changes.
    Changes = 10,
    /// The world moved since the plan was made.
    Moved = 11,
}

impl Exit {
    /// Every exit code, in numeric order.
    pub const ALL: [Self; 12] = [
        Self::Done,
        Self::Bug,
        Self::Usage,
        Self::Config,
        Self::Source,
        Self::Target,
        Self::Held,
        Self::Parked,
        Self::Locked,
        Self::State,
        Self::Changes,
        Self::Moved,
    ];

    /// Which of several outcomes a process reports: the first of these that applies. A bug and a wrong command line end
    /// the process before there is anything to compare; they stand first for completeness.
    const ORDER: [Self; 12] = [
        Self::Bug,
        Self::Usage,
        Self::Config,
        Self::Locked,
        Self::State,
        Self::Source,
        Self::Target,
        Self::Moved,
        Self::Held,
        Self::Parked,
        Self::Changes,
        Self::Done,
    ];

    /// The number given to the operating system.
    #[must_use]
    pub fn code(self) -> u8 {
        self as u8
    }

    /// What it means, in words: for `--help`, manual pages and the JSON `kind` of errors.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Bug => "a bug in the program",
            Self::Usage => "the command line is wrong",
            Self::Config => "the configuration is wrong",
            Self::Source => "a source failed",
            Self::Target => "a target failed",
            Self::Held => "the guard held changes",
            Self::Parked => "done, but records are parked",
            Self::Locked => "another instance holds the state",
            Self::State => "the state store cannot be used",
            Self::Changes => "plan --exit-code, and there are changes",
            Self::Moved => "the world moved since the plan was made",
        }
    }

    /// The word used in JSON (`error.kind`).
    #[must_use]
    pub fn kind(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Bug => "bug",
            Self::Usage => "usage",
            Self::Config => "configuration",
            Self::Source => "source",
            Self::Target => "target",
            Self::Held => "held",
            Self::Parked => "parked",
            Self::Locked => "locked",
            Self::State => "state",
            Self::Changes => "changes",
            Self::Moved => "moved",
        }
    }

    /// The one code for several outcomes; none at all is [`Exit::Done`].
    pub fn worst(outcomes: impl IntoIterator<Item = Self>) -> Self {
        let rank = |e: &Self| Self::ORDER.iter().position(|o| o == e);
        outcomes.into_iter().min_by_key(rank).unwrap_or(Self::Done)
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::Exit;

    #[test]
    fn the_first_in_the_documented_order_wins() {
        // 3, 8, 9, 4, 5, 11, 6, 7, 10, 0: each beats everything behind it, whichever comes first.
        let order = [
            Exit::Config,
            Exit::Locked,
            Exit::State,
            Exit::Source,
            Exit::Target,
            Exit::Moved,
            Exit::Held,
            Exit::Parked,
            Exit::Changes,
            Exit::Done,
        ];
        assert_eq!(order.map(Exit::code), [3, 8, 9, 4, 5, 11, 6, 7, 10, 0]);
        for (i, better) in order.iter().enumerate() {
            for worse in &order[i..] {
                assert_eq!(Exit::worst([*worse, *better]), *better);
                assert_eq!(Exit::worst([*better, *worse]), *better);
            }
        }
        assert_eq!(Exit::worst([]), Exit::Done);
    }

    #[test]
    fn codes_are_their_own_index() {
        for (i, e) in Exit::ALL.iter().enumerate() {
            assert_eq!(usize::from(e.code()), i);
        }
    }
}
