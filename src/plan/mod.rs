//! Deciding. Pure: no I/O, no clock, deterministic. [`user`] and [`group`] turn facts about one object into changes with
//! reasons, [`matching`] says which account is whose, [`guard`] judges all changes of a cycle together, [`digest`] gives
//! a plan its name, [`undo`] reverses a cycle, [`undone`] keeps what was reversed from being done again,
//! [`userids`] says whose an account from before is.

mod diff;
pub mod digest;
pub mod drift;
pub mod group;
pub mod guard;
pub mod held;
pub mod matching;
pub mod rename;
pub mod render;
pub mod undo;
pub mod undone;
pub mod user;
pub mod userids;

use crate::model::{Flat, ObjectKind, SourceKey, TargetId};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The kinds of change, which are also the keys of `counts`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A new account.
    Create,
    /// Link an account that exists, and write to it.
    Adopt,
    /// Changed attributes.
    Update,
    /// A changed user ID (with whatever else changed).
    Rename,
    /// `active` becomes false.
    Deactivate,
    /// `active` becomes true again (with whatever else changed).
    Reactivate,
    /// The account is removed.
    Delete,
    /// A new group.
    GroupCreate,
    /// Link a group that exists.
    GroupAdopt,
    /// Changed attributes of a group.
    GroupUpdate,
    /// The group is removed.
    GroupDelete,
    /// Members join.
    MembersAdd,
    /// Members leave.
    MembersRemove,
}

/// All kinds, in the order in which they are counted and shown.
pub const KINDS: [Kind; 13] = [
    Kind::Create,
    Kind::Adopt,
    Kind::Update,
    Kind::Rename,
    Kind::Deactivate,
    Kind::Reactivate,
    Kind::Delete,
    Kind::GroupCreate,
    Kind::GroupAdopt,
    Kind::GroupUpdate,
    Kind::GroupDelete,
    Kind::MembersAdd,
    Kind::MembersRemove,
];

impl Kind {
    /// The word in JSON, journal and text.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Adopt => "adopt",
            Self::Update => "update",
            Self::Rename => "rename",
            Self::Deactivate => "deactivate",
            Self::Reactivate => "reactivate",
            Self::Delete => "delete",
            Self::GroupCreate => "group_create",
            Self::GroupAdopt => "group_adopt",
            Self::GroupUpdate => "group_update",
            Self::GroupDelete => "group_delete",
            Self::MembersAdd => "members_add",
            Self::MembersRemove => "members_remove",
        }
    }

    /// The kind of this word.
    #[must_use]
    pub fn parse(s: &str) -> Option<Self> {
        KINDS.into_iter().find(|k| k.as_str() == s)
    }

    /// User or group.
    #[must_use]
    pub fn object(self) -> ObjectKind {
        match self {
            Self::Create | Self::Adopt | Self::Update | Self::Rename | Self::Deactivate | Self::Reactivate | Self::Delete => {
                ObjectKind::User
            }
            Self::GroupCreate
            | Self::GroupAdopt
            | Self::GroupUpdate
            | Self::GroupDelete
            | Self::MembersAdd
            | Self::MembersRemove => ObjectKind::Group,
        }
    }

    /// When it is carried out: phases run one after another, each to its end. Leavers first: they never wait behind ten
    /// thousand joiners.
    #[must_use]
    pub fn phase(self) -> u8 {
        match self {
            Self::Deactivate => 0,
            Self::Reactivate => 1,
            Self::Rename => 2,
            Self::Create | Self::Adopt => 3,
            Self::Update => 4,
            Self::GroupCreate | Self::GroupAdopt | Self::GroupUpdate => 5,
            Self::MembersAdd => 6,
            Self::MembersRemove => 7,
            Self::Delete | Self::GroupDelete => 8,
        }
    }

    /// Whether it takes something away from somebody: these are held when a read cannot be trusted.
    #[must_use]
    pub fn takes_away(self) -> bool {
        matches!(self, Self::Deactivate | Self::Delete | Self::GroupDelete | Self::MembersRemove)
    }
}

/// Number of phases.
pub const PHASES: u8 = 9;

/// A member in a membership change.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Member {
    /// The member's source key.
    pub source_key: SourceKey,
    /// Its name for people to read.
    pub who: String,
    /// Handle of the member in the state store.
    #[serde(skip)]
    pub id: i64,
}

/// One step of a plan.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// What is done.
    pub kind: Kind,
    /// Handle of the entry in the state store.
    pub id: i64,
    /// Whom it concerns, for people to read.
    pub who: String,
    /// The entry's source key.
    pub source_key: SourceKey,
    /// The account or group at the target; `None` while it has none.
    pub target_id: Option<TargetId>,
    /// Why, in words an administrator understands.
    pub reason: String,
    /// What is there now, of the paths that change.
    pub from: Flat,
    /// What will be there; `null` clears.
    pub to: Flat,
    /// The whole flat resource as it will be known after success (links keep it); empty where `to` is all of it.
    pub pushed: Flat,
    /// Members that join or leave.
    pub members: Vec<Member>,
    /// An account that we linked and that is gone at the target is made anew: judged by `recreate`.
    pub recreate: bool,
    /// Of a new account: what is given once. Where the account turns out to be there already, what it has there stays.
    pub create_only: BTreeSet<String>,
}

impl Change {
    /// The resource as it will be known after success.
    #[must_use]
    pub fn known(&self) -> &Flat {
        if self.pushed.is_empty() { &self.to } else { &self.pushed }
    }

    /// What is known to be there before it: what changes, and everything of ours that stays.
    #[must_use]
    pub fn before(&self) -> Flat {
        let stays = self.pushed.iter().filter(|(path, _)| !self.to.contains_key(*path));
        stays.chain(&self.from).map(|(path, value)| (path.clone(), value.clone())).collect()
    }

    /// Whether an account gets another userName (letter case aside), whatever the change is called.
    #[must_use]
    pub fn renames(&self) -> bool {
        let name = |f: &Flat| f.get("userName").and_then(serde_json::Value::as_str).map(str::to_lowercase);
        self.kind.object() == ObjectKind::User && matches!((name(&self.from), name(&self.to)), (Some(a), Some(b)) if a != b)
    }
}

/// A record that cannot be worked out now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parked {
    /// Handle of the entry.
    pub id: i64,
    /// User or group.
    pub object: ObjectKind,
    /// The kind of change that is parked; `map` where it could not be worked out at all.
    pub kind: &'static str,
    /// Whom it concerns.
    pub who: String,
    /// The entry's source key.
    pub source_key: SourceKey,
    /// Why.
    pub reason: String,
    /// What to do.
    pub advice: String,
}

impl Parked {
    /// A change that has to wait.
    #[must_use]
    pub fn of(change: &Change, reason: String, advice: String) -> Self {
        Self {
            id: change.id,
            object: change.kind.object(),
            kind: change.kind.as_str(),
            who: change.who.clone(),
            source_key: change.source_key.clone(),
            reason,
            advice,
        }
    }
}

/// `counts` of plan, report and journal.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Per kind: changes, or members for the two membership kinds.
    pub kinds: BTreeMap<Kind, u64>,
    /// Entries in scope with nothing to do.
    pub unchanged: u64,
    /// Entries of the directory that do not take part.
    pub out_of_scope: u64,
}

impl Counts {
    /// The number for a kind.
    #[must_use]
    pub fn get(&self, kind: Kind) -> u64 {
        self.kinds.get(&kind).copied().unwrap_or(0)
    }

    /// Whether no change is counted.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.kinds.values().all(|n| *n == 0)
    }
}

impl Serialize for Counts {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap;
        let mut m = s.serialize_map(Some(KINDS.len() + 2))?;
        for k in KINDS {
            m.serialize_entry(k.as_str(), &self.get(k))?;
        }
        m.serialize_entry("unchanged", &self.unchanged)?;
        m.serialize_entry("out_of_scope", &self.out_of_scope)?;
        m.end()
    }
}
