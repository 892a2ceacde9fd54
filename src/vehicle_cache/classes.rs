use crate::labels::labels;

labels! {
    /// What a result of a vehicle is like, which decides how long it stays fresh; a label of
    /// `vingate_cache_refreshes_total`.
    pub enum Class {
        /// It is finished and has a status.
        Finished = "finished",
        /// It is not finished, or has the status -1.
        Pending = "pending",
        /// It is finished without a status: processing ended with errors.
        Failed = "failed",
        /// There is no result.
        Absent = "absent",
    }
}

/// The classes of all the results of one vehicle: at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Classes(u8);

impl From<Class> for Classes {
    fn from(class: Class) -> Self {
        Self(1 << class as u8)
    }
}

impl Classes {
    /// These and those.
    pub fn and(self, others: impl Into<Self>) -> Self {
        Self(self.0 | others.into().0)
    }

    /// Whether every result is of this class.
    pub fn are_only(self, class: Class) -> bool {
        self == class.into()
    }

    /// The one that is counted for all of them: of several, one that is not finished.
    pub(super) fn leading(self) -> Class {
        let others = [Class::Pending, Class::Failed, Class::Absent];
        let other = others.into_iter().find(|&class| self.contain(class));
        other.unwrap_or(Class::Finished)
    }

    /// The same in every process.
    pub(super) fn to_byte(self) -> u8 {
        self.0
    }

    /// `None`: no classes have this [byte](Self::to_byte).
    pub(super) fn from_byte(byte: u8) -> Option<Self> {
        (1..1 << Class::ALL.len())
            .contains(&byte)
            .then_some(Self(byte))
    }

    pub(super) fn contain(self, class: Class) -> bool {
        self.0 & Self::from(class).0 != 0
    }
}
