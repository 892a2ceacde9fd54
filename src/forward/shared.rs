use std::sync::Arc;

use tokio_util::task::TaskTracker;

use super::Config;
use crate::{limit::QueueRefusals, upstream::Origin, vehicle_cache::Invalidate};

/// What every request needs.
pub(super) struct Shared {
    pub(super) config: Config,
    pub(super) origin: Origin,
    pub(super) cache: Arc<dyn Invalidate>,
    pub(super) tasks: TaskTracker,
    pub(super) queue_refusals: QueueRefusals,
}
