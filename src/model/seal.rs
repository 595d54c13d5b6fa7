//! Seals: a short way past an entry that the source sent octet for octet as it did before.

/// A 128-bit hash over everything that an [`Entry`](super::Entry) is made of, before it is made: the octets as the source
/// sent them, the rules by which they are read, and their version. Equal seals mean equal entries; unequal ones mean
/// nothing (values may have come in another order).
pub type Seal = [u8; 16];

/// What was kept of earlier reads: asked by a source before it takes an entry apart.
pub trait Seals: std::fmt::Debug + Send + Sync {
    /// Where the entry with this kind and source key stands, if it was kept under this very seal. Waits until that is
    /// known: to be called where a thread may wait.
    fn find(&self, kind: super::ObjectKind, key: &str, seal: &Seal) -> Option<usize>;

    /// Whether an entry with this kind and source key is kept, under whatever seal. Waits like [`Seals::find`].
    fn knows(&self, kind: super::ObjectKind, key: &str) -> bool;
}
