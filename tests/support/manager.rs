//! A service manager, as systemd is one: it keeps the socket, starts the program with it, and hears
//! what the program tells.

use std::{
    fs,
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    process::Stdio,
};

use tokio::{
    net::UnixDatagram,
    process::{Child, Command},
    time::timeout,
};

use super::{PATIENCE, SECRET, configuration};

/// In the place of systemd: a socket that it listens on, one that it keeps, a file.
pub(crate) struct Manager {
    folder: PathBuf,
    upstream: String,
    notified: UnixDatagram,
    listener: TcpListener,
}

/// The program, as it was started.
pub(crate) struct Service(Child);

impl Manager {
    /// For a gateway in front of `upstream`.
    pub(crate) fn new(name: &str, upstream: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("vingate-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let notified = UnixDatagram::bind(folder.join("notify")).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let manager = Self { folder, upstream: upstream.to_owned(), notified, listener };
        manager.configure("");
        manager
    }

    /// Where clients connect to, whether the program runs or not.
    pub(crate) fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap()
    }

    /// Writes a file that has what `toml` says.
    pub(crate) fn configure(&self, toml: &str) {
        let listen = format!("listen = \"{}\"", self.address());
        let text = configuration(&format!("[server]\n{toml}"), &self.upstream);
        let text = text.replacen("listen = \"127.0.0.1:0\"", &listen, 1);
        let file = self.folder.join("vingate.toml");
        fs::write(self.folder.join("new"), text).unwrap();
        fs::rename(self.folder.join("new"), file).unwrap();
    }

    /// Starts the program with the socket as its first.
    pub(crate) fn start(&self) -> Service {
        let script =
            "exec 3<&0 </dev/null; LISTEN_PID=$$ LISTEN_FDS=1 exec \"$0\" serve --config \"$1\"";
        let socket = self.listener.try_clone().unwrap();
        let child = Command::new("/bin/sh")
            .args(["-c", script, env!("CARGO_BIN_EXE_vingate")])
            .arg(self.folder.join("vingate.toml"))
            .env("NOTIFY_SOCKET", self.folder.join("notify"))
            .env("WATCHDOG_USEC", "200000")
            .envs([("SYNC_ALL", "Bearer a"), ("JWT_SECRET", SECRET)])
            .stdin(std::os::fd::OwnedFd::from(socket))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn();
        Service(child.unwrap())
    }

    /// Waits until it is told this.
    pub(crate) async fn until(&self, wanted: &str) {
        let mut message = [0; 256];
        let told = async {
            loop {
                let length = self.notified.recv(&mut message).await.unwrap();
                if message[..length].starts_with(wanted.as_bytes()) {
                    return;
                }
            }
        };
        timeout(PATIENCE, told)
            .await
            .unwrap_or_else(|_| panic!("never told {wanted}"));
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

impl Service {
    pub(crate) fn signal(&self, name: &str) {
        // A shell has it built in; the program of that name is not everywhere.
        let kill = format!("kill -{name} {}", self.0.id().unwrap());
        let sent = std::process::Command::new("/bin/sh")
            .args(["-c", &kill])
            .status();
        assert!(sent.unwrap().success());
    }

    /// Waits for its end, which is a success.
    pub(crate) async fn ended(mut self) {
        let status = timeout(PATIENCE, self.0.wait()).await.unwrap().unwrap();
        assert_eq!(status.code(), Some(0));
    }
}
