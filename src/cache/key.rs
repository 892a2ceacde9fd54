use crate::vehicle::Vehicle;

/// Whose entries: the upstream and the credential that a call would carry, hashed.
///
/// Two requests share bytes only if they would go upstream with the same credential, and this
/// is how they are told apart. A changed secret therefore opens an empty partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Partition(u128);

/// What an entry is found by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    /// For whom.
    pub partition: Partition,
    /// Which vehicle.
    pub vehicle: Vehicle,
}

// === impl Partition ===

impl Partition {
    /// Of calls that nobody shares; no entry has it.
    pub(super) const NONE: Self = Self(0);

    /// The partition of a credential with this digest (SHA-256 of origin and credential).
    pub fn new(digest: &[u8; 32]) -> Self {
        let (halves, _) = digest.as_chunks();
        Self(u128::from_le_bytes(halves[0]))
    }
}
