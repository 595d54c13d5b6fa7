//! Whether the pages of a list still bring anything: a service that goes round in circles under ever new links never ends.

use std::collections::HashSet;

/// What came so far.
#[derive(Debug)]
pub(super) struct News {
    /// Eight octets of a hash are enough: they only tell whether the service goes round in circles.
    seen: HashSet<u64>,
    idle: u32,
    most: u32,
}

impl News {
    /// `most`: pages in a row that may bring nothing new.
    pub(super) fn new(most: u32) -> Self {
        Self { seen: HashSet::new(), idle: 0, most }
    }

    /// One more page, by the [`mark`] of each row; `false`: so many in a row brought nothing new.
    pub(super) fn page(&mut self, rows: impl Iterator<Item = u64>) -> bool {
        let mut news = false;
        for row in rows {
            news |= self.seen.insert(row);
        }
        self.idle = if news { 0 } else { self.idle + 1 };
        self.idle < self.most
    }
}

/// What tells a row from others.
pub(super) fn mark(octets: &[u8]) -> u64 {
    short(&blake3::hash(octets))
}

/// The same of a hash that was made in another way.
pub(super) fn short(hash: &blake3::Hash) -> u64 {
    hash.as_bytes().iter().take(8).fold(0, |n, octet| n << 8 | u64::from(*octet))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_pages_in_a_row_may_bring_nothing() {
        let mut news = News::new(3);
        let page = |ids: &[&str]| ids.iter().map(|id| mark(id.as_bytes())).collect::<Vec<_>>().into_iter();
        assert!(news.page(page(&["a", "b"])));
        assert!(news.page(page(&["a"])) && news.page(page(&[])));
        assert!(news.page(page(&["b", "c"])), "one new row is enough");
        assert!(news.page(page(&["b"])) && news.page(page(&["c", "a"])));
        assert!(!news.page(page(&[])));
    }
}
