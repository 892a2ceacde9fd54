/// What a result of a vehicle is like, which decides how long it stays fresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// It is finished and has a status.
    Finished,
    /// It is not finished, or has the status -1.
    Pending,
    /// It is finished without a status: processing ended with errors.
    Failed,
    /// There is no result.
    Absent,
}

/// The classes of all the results of one vehicle: at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Classes(u8);

// === impl Class ===

impl Class {
    pub(super) const ALL: [Self; 4] = [Self::Finished, Self::Pending, Self::Failed, Self::Absent];
}

impl From<Class> for Classes {
    fn from(class: Class) -> Self {
        Self(1 << class as u8)
    }
}

// === impl Classes ===

impl Classes {
    /// These and those.
    pub fn and(self, others: impl Into<Self>) -> Self {
        Self(self.0 | others.into().0)
    }

    /// Whether every result is of this class.
    pub fn are_only(self, class: Class) -> bool {
        self == class.into()
    }

    pub(super) fn contain(self, class: Class) -> bool {
        self.0 & Self::from(class).0 != 0
    }
}
