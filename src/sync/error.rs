//! Why a cycle or plan failed as a whole.

use crate::apply::ApplyError;
use crate::exit::Exit;
use crate::model::Fault;
use crate::source::SourceError;
use crate::state::StateError;
use crate::target::TargetError;

/// Why a cycle or plan failed as a whole.
#[derive(Debug, thiserror::Error)]
pub enum CycleError {
    /// Mapping, scope or a file that the configuration names.
    #[error("{0}")]
    Config(String),
    /// The source failed; nothing of the read is used.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The target failed as a whole; no record is marked as bad.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// This is not the target that the links belong to.
    #[error("{0}")]
    WrongTarget(String),
    /// Accounts have to be renamed before a first cycle may take over.
    #[error(
        "{application} still has {accounts} accounts that are not named by email (such as {example}): nothing was written. Rename them first: scim-sync --migrate-userids {sync}"
    )]
    Unconverted {
        /// The sync.
        sync: String,
        /// The application.
        application: &'static str,
        /// How many there are.
        accounts: usize,
        /// One of them, and whose it is.
        example: String,
    },
    /// The state store cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// Asked to stop before everything was done.
    #[error("stopped when asked to: {open} changes were not made; the next cycle goes on")]
    Interrupted {
        /// Changes that were planned and not made.
        open: u64,
    },
    /// The plan is not the reviewed one.
    #[error(
        "the world moved since the plan was made: {meanwhile}reviewed {reviewed}, now {now}; nothing was written. Make and review a new plan"
    )]
    Moved {
        /// Digest of the reviewed plan.
        reviewed: String,
        /// Digest of the plan as it would be now.
        now: String,
        /// What is known to have come in between, in words; may be empty.
        meanwhile: &'static str,
    },
    /// A filter of the command line goes by what nobody has: a slip of the pen would choose everybody, or nobody.
    #[error(
        "--only: no account of {application} and nobody in the directory of {sync} has an attribute {attribute}: whom it means cannot be told; nothing was written"
    )]
    UnknownAttribute {
        /// The sync.
        sync: String,
        /// Its target.
        application: String,
        /// As written.
        attribute: String,
    },
    /// The plan's document was changed after it was made.
    #[error(
        "the plan was changed by hand after it was made: its changes are not those of its digest; nothing was written. Make and review a new plan; what of a plan the guard holds can be released in part: scim-sync approve --plan FILE"
    )]
    Altered,
}

impl From<ApplyError> for CycleError {
    fn from(e: ApplyError) -> Self {
        match e {
            ApplyError::State(e) => Self::State(e),
            ApplyError::Target(e) => Self::Target(e),
        }
    }
}

impl CycleError {
    /// The exit code.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::UnknownAttribute { .. } => Exit::Usage,
            Self::Config(_) => Exit::Config,
            Self::Source(e) => e.exit(),
            Self::Target(e) => e.exit(),
            Self::WrongTarget(_) | Self::Unconverted { .. } | Self::Interrupted { .. } => Exit::Target,
            Self::State(StateError::Locked { .. } | StateError::Served { .. }) => Exit::Locked,
            Self::State(_) => Exit::State,
            Self::Moved { .. } | Self::Altered => Exit::Moved,
        }
    }

    /// The kind of fault.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::Source(e) => e.fault(),
            Self::Target(e) => e.fault(),
            Self::State(e) => e.fault(),
            Self::Interrupted { .. } => Fault::Transient,
            Self::Config(_)
            | Self::WrongTarget(_)
            | Self::Unconverted { .. }
            | Self::UnknownAttribute { .. }
            | Self::Moved { .. }
            | Self::Altered => Fault::Permanent,
        }
    }
}
