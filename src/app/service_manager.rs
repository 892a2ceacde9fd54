//! What systemd hears of the gateway, if it was started by it (`sd_notify(3)`).
//!
//! Without `$NOTIFY_SOCKET` nothing is sent. What cannot be sent is no reason to fail.

use sd_notify::{NotifyState, notify, watchdog_enabled};
use tokio::time::interval;
use tracing::debug;

/// It serves, with the configuration that it has now.
pub fn ready() {
    tell(&[NotifyState::Ready]);
}

/// It reads its configuration again; [`ready`] ends that.
pub(super) fn reloading() {
    if let Ok(now) = NotifyState::monotonic_usec_now() {
        tell(&[NotifyState::Reloading, now]);
    }
}

/// It drains.
pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// Says that it is alive, twice as often as the watchdog wants it, as long as there are threads
/// that have time for it. Never ends.
pub async fn keep_alive() {
    let Some(patience) = watchdog_enabled().filter(|patience| !patience.is_zero()) else { return };
    let mut ticks = interval(patience / 2);
    loop {
        ticks.tick().await;
        tell(&[NotifyState::Watchdog]);
    }
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = notify(states) {
        debug!(%error, "service manager not told");
    }
}
