use std::{hash::Hash, time::SystemTime};

use tokio::time::Instant;

/// Tags that each item has.
pub const TAGS: usize = 2;

/// What a cache is of.
pub trait Contents: Send + Sync + Sized + 'static {
    /// What is looked up.
    type Item: Copy + Eq + Hash + Send + Sync;
    /// What items have in common: a write drops all items that have one of its tags.
    type Tag: Copy + Eq + Hash + Send + Sync;
    /// What a call brings of an item.
    type Fetched;
    /// What is held of an item. Immutable: a refresh makes another.
    type Value: Send + Sync;
    /// Why an item could not be fetched: shared by everybody who waited for it.
    type Failure: Clone + Send + Sync;

    /// The tags of an item, which differ from one another.
    fn tags(item: &Self::Item) -> [Self::Tag; TAGS];

    /// Bytes that a value takes, with all that the cache has beside it.
    fn weight(value: &Self::Value) -> usize;

    /// What is held of what was fetched. `draw` is evenly spread over all of `u64`, and may decide
    /// whatever is to differ between items.
    fn value(&self, fetched: Self::Fetched, draw: u64, now: Moment) -> Self::Value;
}

/// One moment on two clocks: the one that only runs forward, by which lifetimes are counted, and
/// the one that other processes have, too.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// Of this process.
    pub instant: Instant,
    /// Of the wall.
    pub wall: SystemTime,
}

impl Moment {
    /// This one.
    pub fn now() -> Self {
        Self { instant: Instant::now(), wall: SystemTime::now() }
    }
}
