//! The members of a group: one added or removed costs the same in a group of ten and of a hundred thousand.

use crate::model::ObjectKind;
use std::collections::{BTreeMap, HashMap};
use uuid::Uuid;

/// A member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) id: Uuid,
    pub(super) kind: ObjectKind,
}

/// Members in the order in which they came, each once.
#[derive(Debug, Default)]
pub(super) struct Members {
    order: BTreeMap<u64, Member>,
    places: HashMap<Uuid, u64>,
    next: u64,
}

/// A step that [`Members::undo`] takes back.
#[derive(Debug)]
pub(super) enum Undo {
    Added(Uuid),
    Removed(u64, Member),
}

impl Members {
    pub(super) fn len(&self) -> usize {
        self.order.len()
    }

    pub(super) fn contains(&self, id: &Uuid) -> bool {
        self.places.contains_key(id)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Member> {
        self.order.values().copied()
    }

    /// Adds a member; `None` if it was one.
    pub(super) fn add(&mut self, member: Member) -> Option<Undo> {
        if self.places.contains_key(&member.id) {
            return None;
        }
        self.places.insert(member.id, self.next);
        self.order.insert(self.next, member);
        self.next += 1;
        Some(Undo::Added(member.id))
    }

    /// Removes a member; `None` if it was none.
    pub(super) fn remove(&mut self, id: &Uuid) -> Option<Undo> {
        let place = self.places.remove(id)?;
        self.order.remove(&place).map(|member| Undo::Removed(place, member))
    }

    /// Takes back one step; steps are taken back last first.
    pub(super) fn undo(&mut self, step: &Undo) {
        match step {
            Undo::Added(id) => {
                self.remove(id);
            }
            Undo::Removed(place, member) => {
                self.places.insert(member.id, *place);
                self.order.insert(*place, *member);
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn undo_gives_back_the_same_members_in_the_same_order() {
        let ids: Vec<Uuid> = (0..6).map(Uuid::from_u128).collect();
        let member = |n: usize| Member { id: ids[n], kind: ObjectKind::User };
        let mut members = Members::default();
        for n in 0..4 {
            assert!(members.add(member(n)).is_some());
        }
        assert!(members.add(member(2)).is_none());
        let before: Vec<Member> = members.iter().collect();
        let steps = [
            members.remove(&ids[1]).unwrap(),
            members.add(member(5)).unwrap(),
            members.add(member(1)).unwrap(),
            members.remove(&ids[5]).unwrap(),
        ];
        assert!(members.remove(&ids[4]).is_none());
        assert_eq!(members.len(), 4);
        for step in steps.iter().rev() {
            members.undo(step);
        }
        assert_eq!(members.iter().collect::<Vec<_>>(), before);
        assert!(members.contains(&ids[1]) && !members.contains(&ids[5]));
    }
}
