//! Looks for what other replicas have leased, which wait to be made together.

use std::{mem, time::Duration};

use parking_lot::Mutex;
use tokio::{
    sync::{Notify, oneshot},
    time::sleep,
};

use crate::{
    vehicle::Vehicle,
    vehicle_cache::{Partition, Sought},
};

/// Those that wait.
#[derive(Default)]
pub(super) struct Polls {
    waiting: Mutex<Vec<Poll>>,
    has_some: Notify,
}

/// A look for as many vehicles as are asked for at once, or fewer.
pub(super) struct Poll {
    pub(super) partition: Partition,
    pub(super) vehicles: Vec<Vehicle>,
    /// Theirs.
    pub(super) names: Vec<Vec<u8>>,
    pub(super) sender: oneshot::Sender<Vec<Sought>>,
}

/// How long one waits for company.
const GATHER_FOR: Duration = Duration::from_millis(5);

impl Polls {
    pub(super) fn push(&self, poll: Poll) {
        self.waiting.lock().push(poll);
        self.has_some.notify_one();
    }

    /// Waits until there are some, and gives all for which somebody waits.
    pub(super) async fn gathered(&self) -> Vec<Poll> {
        self.has_some.notified().await;
        sleep(GATHER_FOR).await;
        let mut waiting = mem::take(&mut *self.waiting.lock());
        waiting.retain(|poll| !poll.sender.is_closed());
        waiting
    }
}
