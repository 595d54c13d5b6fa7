//! Records in the order of their creation, where the n-th living one is found without walking over all before it.

/// Slots per block: one block's walk is a microsecond, one million slots are a thousand blocks.
const BLOCK: usize = 1024;

/// A growing list with holes. A slot number stays valid for as long as its record lives, and is never used again.
#[derive(Debug)]
pub(super) struct Table<T> {
    slots: Vec<Option<Box<T>>>,
    /// Living records per block of slots.
    living: Vec<usize>,
    len: usize,
}

impl<T> Table<T> {
    pub(super) fn new() -> Self {
        Self { slots: Vec::new(), living: Vec::new(), len: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Appends a record and gives its slot.
    pub(super) fn push(&mut self, record: T) -> usize {
        let slot = self.slots.len();
        if slot.is_multiple_of(BLOCK) {
            self.living.push(0);
        }
        self.slots.push(Some(Box::new(record)));
        if let Some(block) = self.living.last_mut() {
            *block += 1;
        }
        self.len += 1;
        slot
    }

    pub(super) fn get(&self, slot: usize) -> Option<&T> {
        self.slots.get(slot)?.as_deref()
    }

    pub(super) fn get_mut(&mut self, slot: usize) -> Option<&mut T> {
        self.slots.get_mut(slot)?.as_deref_mut()
    }

    pub(super) fn remove(&mut self, slot: usize) -> Option<T> {
        let record = self.slots.get_mut(slot)?.take()?;
        if let Some(block) = self.living.get_mut(slot / BLOCK) {
            *block -= 1;
        }
        self.len -= 1;
        Some(*record)
    }

    /// Living records in order, the first `skip` left out.
    pub(super) fn iter_from(&self, skip: usize) -> impl Iterator<Item = &T> {
        let mut rest = skip;
        let mut block = 0;
        while let Some(living) = self.living.get(block).filter(|living| **living <= rest) {
            rest -= living;
            block += 1;
        }
        self.slots.get(block * BLOCK..).unwrap_or_default().iter().filter_map(Option::as_deref).skip(rest)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.slots.iter().filter_map(Option::as_deref)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nth_living_record_is_found_over_holes_and_blocks() {
        let mut table = Table::new();
        for n in 0..3 * BLOCK + 7 {
            assert_eq!(table.push(n), n);
        }
        for n in (0..3 * BLOCK).filter(|n| n % 3 == 0 || (BLOCK..2 * BLOCK).contains(n)) {
            assert_eq!(table.remove(n), Some(n));
            assert_eq!(table.remove(n), None);
        }
        let expected: Vec<usize> = table.iter().copied().collect();
        assert_eq!(table.len(), expected.len());
        for skip in [0, 1, 682, 683, 684, 1000, expected.len() - 1, expected.len(), expected.len() + 5] {
            let found: Vec<usize> = table.iter_from(skip).take(3).copied().collect();
            assert_eq!(found, expected.iter().skip(skip).take(3).copied().collect::<Vec<_>>(), "skip {skip}");
        }
    }
}
