//! Vehicles: parsed once, then carried as small values that cannot be printed.
//!
//! People type VINs and plates with blanks, dashes and in any case; Sync wants them exact.
//! Everything below the edge works on [`Vin`] and [`Plate`], which exist only in the one
//! spelling that is keyed and sent. They are personal data: neither `Debug` nor `Display`
//! shows the value, and only [`Vin::as_str`] and [`Plate::as_str`] hand it out.

mod clean;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod plate;
mod vin;

use std::{
    fmt,
    hash::{Hash, Hasher},
};

pub use self::{clean::clean, plate::Plate, vin::Vin};

/// A VIN together with a plate: what Sync is queried by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vehicle {
    /// The vehicle identification number.
    pub vin: Vin,
    /// The number plate.
    pub plate: Plate,
}

/// Why a text is not a VIN, or not a plate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Invalid {
    /// Nothing is left after cleaning.
    Empty,
    /// A VIN of another length than 17, counted after cleaning.
    VinLength(usize),
    /// A plate of more than 15 characters, counted after cleaning.
    PlateLength(usize),
    /// Two plates in one text.
    TwoPlates,
    /// A character that a VIN cannot have.
    VinCharacter(char),
    /// A character that a plate cannot have.
    PlateCharacter(char),
}

impl Hash for Vehicle {
    /// Both parts at once, as two numbers: a vehicle is hashed on every look-up. The places of a
    /// plate that are not used are zero, so equal vehicles have equal bytes.
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        let mut bytes = [0; Vin::LENGTH + Plate::MAX_LENGTH];
        let (vin, plate) = bytes.split_at_mut(Vin::LENGTH);
        vin.copy_from_slice(self.vin.as_bytes());
        plate.copy_from_slice(self.plate.padded());
        let (halves, _) = bytes.as_chunks();
        for half in halves {
            state.write_u128(u128::from_le_bytes(*half));
        }
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("is empty once blanks and punctuation are removed"),
            Self::VinLength(1) => f.write_str("has 1 character, a VIN has 17"),
            Self::VinLength(found) => write!(f, "has {found} characters, a VIN has 17"),
            Self::PlateLength(found) => write!(f, "has {found} characters, a plate has at most 15"),
            Self::TwoPlates => f.write_str("holds two plates, each needs an entry of its own"),
            Self::VinCharacter(found @ ('I' | 'O' | 'Q')) => {
                write!(f, "contains {found}, which no VIN has")
            }
            Self::VinCharacter(found) => {
                write!(f, "contains {found:?}, a VIN has only 0-9 and A-Z without I, O, Q")
            }
            Self::PlateCharacter(found) => {
                write!(f, "contains {found:?}, a plate has only 0-9 and A-Z")
            }
        }
    }
}

impl std::error::Error for Invalid {}
