//! Other processes that hold the same vehicles.
//!
//! They have to hear of writes through this one, and what is held here is good only as long as
//! this one hears of theirs. What one has fetched the others need not fetch.

use std::{sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use tokio::time::Instant;

use super::{Change, Entry, Failure, InvalidationScope, Record, VehicleCache};
use crate::{
    cache::{Guard, Key, Partition},
    vehicle::Vehicle,
};

/// The other replicas of a gateway.
pub trait Replicas: Tell {
    /// Nothing that is older may be served at `now`; `None`: what other replicas wrote is known
    /// here, so that the age does not matter.
    fn max_age(&self, now: Instant) -> Option<Duration>;

    /// Begins to look for this many vehicles of a partition among what the others have fetched;
    /// `None`: they cannot be asked.
    fn search(&self, partition: Partition, vehicles: usize) -> Option<Box<dyn Search>>;

    /// Lets `fill` store what a call has brought of a partition, and the others have what that
    /// gives: all that no write has touched since it was asked for.
    fn share(&self, partition: Partition, fill: &mut dyn FnMut() -> Vec<(Vehicle, Arc<Entry>)>);

    /// How much is known here of what the others wrote; `None`: too little.
    fn known(&self) -> Option<Stamp>;

    /// Tells what nobody has written since a process knew so much; `None`: that is not known.
    fn unwritten_since(&self, stamp: Stamp) -> Option<Unwritten>;

    /// A write that may change what `scope` covers is about to be sent. Ready when the others
    /// know, or cannot be told in time, with what they are told its outcome by. That is dropped
    /// when the write is over, whatever came of it.
    fn announce(&self, scope: InvalidationScope) -> BoxFuture<'static, Arc<dyn Tell>>;
}

/// How much a process knows of what others wrote, in the words of those who tell it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp(pub [u8; 24]);

/// Whether it is known that nobody has written the vehicle of a key.
pub type Unwritten = Box<dyn Fn(&Key<Vehicle>) -> bool + Send>;

/// It is not known what other replicas write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is not known what other replicas write")]
pub struct Unheard;

/// A search for vehicles among what other replicas have fetched, and what they fetch.
pub trait Search: Send + 'static {
    /// What the others have of `vehicles`, one for each: ready soon, with what is there by then.
    fn find(&mut self, vehicles: Vec<Vehicle>) -> BoxFuture<'_, Vec<Option<Found>>>;

    /// Leases `vehicles`, which nobody has: one replica asks for each, and the others wait for it.
    /// As soon.
    fn lease(&mut self, vehicles: Vec<Vehicle>) -> BoxFuture<'_, Vec<Sought>>;

    /// Looks again for `vehicles`, for which other replicas ask, after a while.
    fn wait(&mut self, vehicles: Vec<Vehicle>) -> BoxFuture<'_, Vec<Sought>>;
}

/// What is known of a vehicle that is leased.
pub enum Sought {
    /// Another replica has fetched it by now.
    Found(Found),
    /// Another replica asks for it.
    Awaited,
    /// This one has to ask. With a guard, the others wait for it until that is dropped.
    Missing(Option<Guard>),
}

/// What another replica has fetched.
#[derive(Clone, Debug)]
pub struct Found {
    /// What it was.
    pub record: Record,
    /// How long ago Sync's response came.
    pub age: Duration,
}

/// Tells other replicas.
pub trait Tell: Send + Sync + 'static {
    /// This has changed. Ready when no replica that hears of it serves what was there before;
    /// they are told all the same if nobody waits for that.
    ///
    /// `fence_for`: it may have changed or not, and nothing of it is to be stored for this long.
    fn tell(&self, change: Change, fence_for: Option<Duration>) -> BoxFuture<'static, ()>;
}

impl<F: Failure> VehicleCache<F> {
    /// How much is known of what other replicas wrote, of all that is held from now on; `None`:
    /// there are none.
    ///
    /// # Errors
    ///
    /// There are, and too little is known.
    pub fn known(&self) -> Result<Option<Stamp>, Unheard> {
        let replicas = self.contents().replicas.as_ref();
        replicas.map_or(Ok(None), |it| it.known().map(Some).ok_or(Unheard))
    }

    /// Tells what other replicas have not written since a process knew so much.
    ///
    /// # Errors
    ///
    /// That is not known.
    pub fn unwritten_since(&self, stamp: Option<Stamp>) -> Result<Unwritten, Unheard> {
        match (&self.contents().replicas, stamp) {
            (None, None) => Ok(Box::new(|_| true)),
            (Some(replicas), Some(stamp)) => replicas.unwritten_since(stamp).ok_or(Unheard),
            // Others may have written while nobody listened.
            _ => Err(Unheard),
        }
    }
}
