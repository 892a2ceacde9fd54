//! What the protocol must not leave out. Tests leave it out, and see that they find out.

/// Each is a shortcut that looks as if it would do.
pub(super) trait Rules {
    /// In another era, what is held is not believed any more.
    const FORGETS: bool = true;
    /// In another era, the log is read from its beginning: a write may be under way.
    const READS_FROM_THE_BEGINNING: bool = true;
    /// The response of a write waits until others have read of it or trust nothing any more.
    const WAITS: bool = true;
    /// What was announced in a log that may have been lost since is not known.
    const MINDS_LOSS: bool = true;
    /// A value that others share is compared with the last write of its vehicle.
    const COMPARES: bool = true;
    /// Over another connection it is counted anew who signs.
    const COUNTS_ANEW: bool = true;
    /// Those who sign are believed to be all there are once that has been so for a lease.
    const WAITS_FOR_THE_MARK: bool = true;
    /// That a sign was removed shows.
    const REMOVES_THE_MARK: bool = true;
}

/// All of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Strict;

impl Rules for Strict {}
