//! What systemd hears of the gateway, if it was started by it (`sd_notify(3)`).
//!
//! Without `$NOTIFY_SOCKET` nothing is sent. What cannot be sent is no reason to fail, nor to wait for
//! long: a service manager that does not read for a while must not stop the gateway.

use std::{
    env,
    ffi::OsStr,
    io,
    os::{
        linux::net::SocketAddrExt as _,
        unix::{ffi::OsStrExt as _, net::SocketAddr, net::UnixDatagram as StdDatagram},
    },
    time::Duration,
};

use sd_notify::{NotifyState, watchdog_enabled};
use tokio::{
    net::UnixDatagram,
    time::{interval, timeout},
};
use tracing::debug;

/// How long a message may wait until there is room for it.
const PATIENCE: Duration = Duration::from_secs(1);

/// It serves, with the configuration that it has now.
pub async fn ready() {
    tell(&[NotifyState::Ready]).await;
}

/// It reads its configuration again; [`ready`] ends that.
pub(super) async fn reloading() {
    if let Ok(now) = NotifyState::monotonic_usec_now() {
        tell(&[NotifyState::Reloading, now]).await;
    }
}

/// It drains.
pub async fn stopping() {
    tell(&[NotifyState::Stopping]).await;
}

/// Says that it is alive, twice as often as the watchdog wants it, as long as there are threads
/// that have time for it. Never ends.
pub async fn keep_alive() {
    let Some(patience) = watchdog_enabled().filter(|patience| !patience.is_zero()) else { return };
    let mut ticks = interval(patience / 2);
    loop {
        ticks.tick().await;
        tell(&[NotifyState::Watchdog]).await;
    }
}

async fn tell(states: &[NotifyState<'_>]) {
    let Some(path) = env::var_os("NOTIFY_SOCKET") else { return };
    let message: String = states.iter().map(|state| format!("{state}\n")).collect();
    let sent = timeout(PATIENCE, send(&path, message.as_bytes())).await;
    if let Err(error) = sent.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
        debug!(%error, "service manager not told");
    }
}

/// `path` may begin with `@`: then it is a name without a file.
async fn send(path: &OsStr, message: &[u8]) -> io::Result<()> {
    let socket = StdDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    socket.connect_addr(&match path.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(path)?,
    })?;
    UnixDatagram::from_std(socket)?.send(message).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn whoever_does_not_read_is_waited_for_and_stops_nothing_else() {
        let name = format!("@vingate-notified-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name.as_bytes()[1..]).unwrap();
        let manager = StdDatagram::bind_addr(&address).unwrap();
        let mut sent = 0;
        while timeout(PATIENCE, send(name.as_ref(), b"x")).await.is_ok() {
            sent += 1;
        }
        assert!(sent > 0, "it has room for some");

        let late = tokio::spawn(async move { send(name.as_ref(), b"late").await });
        sleep(PATIENCE).await;
        assert!(!late.is_finished(), "others have gone on");
        let mut message = [0; 8];
        for _ in 0..sent {
            assert_eq!(manager.recv(&mut message).unwrap(), 1);
        }
        late.await.unwrap().unwrap();
        assert_eq!(manager.recv(&mut message).unwrap(), 4);
    }
}
