//! Why a request that names a vehicle is refused before it goes anywhere.

use crate::{body, problem::Violation, vehicle::Invalid};

/// Why a request cannot be brought into its one spelling.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "each says in words what it means")]
pub enum Error {
    /// The VIN in the path has a malformed escape, or is not UTF-8 once decoded.
    #[error("the VIN in the path is not percent-encoded text")]
    PathEscape,
    #[error("the VIN in the path contains an encoded slash, backslash or control character")]
    PathCharacter,
    #[error("the VIN in the path {0}")]
    PathVin(#[source] Invalid),
    #[error("the member {pointer} appears twice")]
    Twice {
        /// Which, as a JSON pointer (RFC 6901).
        pointer: &'static str,
    },
    #[error("the vehicle in the body is not valid")]
    Vehicle(Vec<Violation>),
    #[error(transparent)]
    Body(#[from] body::Failure),
}
