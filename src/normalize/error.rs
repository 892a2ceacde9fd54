//! Why a request that names a vehicle is refused before it goes anywhere.

use crate::{body, problem::Violation, vehicle::Invalid};

/// Why a request cannot be brought into its one spelling.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The VIN in the path has a malformed escape, or is not UTF-8 once decoded.
    #[error("the VIN in the path is not percent-encoded text")]
    PathEscape,
    /// The VIN in the path hides a slash, a backslash or a control character.
    #[error("the VIN in the path contains an encoded slash, backslash or control character")]
    PathCharacter,
    /// The path has no VIN where one has to be.
    #[error("the VIN in the path {0}")]
    PathVin(#[source] Invalid),
    /// A member that decides about the vehicle stands twice in the body.
    #[error("the member {pointer} stands twice")]
    Twice {
        /// Which, as a JSON pointer (RFC 6901).
        pointer: &'static str,
    },
    /// The body names a vehicle that cannot be one; at least one problem.
    #[error("the vehicle in the body is not valid")]
    Vehicle(Vec<Violation>),
    /// The body did not come in whole.
    #[error(transparent)]
    Body(#[from] body::Failure),
}
