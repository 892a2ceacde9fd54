/// Whose entries: the upstream and the credential that a call would carry, hashed.
///
/// Two requests share bytes only if they would go upstream with the same credential, and this
/// is how they are told apart. A changed secret therefore opens an empty partition.
///
/// Aligned as half of it is, or every key would have room for nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(Rust, packed(8))]
pub struct Partition(u128);

/// What an entry is found by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key<I> {
    /// For whom.
    pub partition: Partition,
    /// Which item.
    pub item: I,
}

/// What a write may have changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope<T> {
    /// Every entry of an item that has one of these, in every partition.
    pub tags: Vec<T>,
    /// Everything in this partition.
    pub partition: Option<Partition>,
}

/// A key with its hash, taken once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hashed<I> {
    pub(super) key: Key<I>,
    pub(super) hash: u64,
}

impl Partition {
    /// Of calls that nobody shares; no entry has it.
    pub(super) const NONE: Self = Self(0);

    /// The partition of a credential with this digest (SHA-256 of origin and credential).
    pub fn new(digest: &[u8; 32]) -> Self {
        let (halves, _) = digest.as_chunks();
        Self(u128::from_le_bytes(halves[0]))
    }

    /// The same partition in every process.
    pub fn to_bytes(self) -> [u8; 16] {
        self.0.to_le_bytes()
    }

    /// The partition with these [bytes](Self::to_bytes).
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(u128::from_le_bytes(bytes))
    }
}
