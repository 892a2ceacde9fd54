//! What systemd does with a service: sockets that it passes, and what it is told.

use std::{
    fs,
    net::TcpListener,
    path::PathBuf,
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use tokio::{
    net::UnixDatagram,
    process::{Child, Command},
    time::timeout,
};
use vingate::sandbox::Sandbox;

use crate::support::{PATIENCE, SECRET, Wire, configuration};

/// In the place of systemd: a socket that it listens on, one that it keeps, a file.
struct Manager {
    folder: PathBuf,
    notified: UnixDatagram,
    listener: TcpListener,
}

impl Manager {
    async fn new(name: &str, upstream: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("vingate-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let notified = UnixDatagram::bind(folder.join("notify")).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let listen = format!("listen = \"{}\"", listener.local_addr().unwrap());
        let text = configuration("[server]\n", upstream);
        let text = text.replacen("listen = \"127.0.0.1:0\"", &listen, 1);
        fs::write(folder.join("vingate.toml"), text).unwrap();
        Self { folder, notified, listener }
    }

    /// Starts the program with the socket as its first.
    fn start(&self) -> Child {
        let script =
            "exec 3<&0 </dev/null; LISTEN_PID=$$ LISTEN_FDS=1 exec \"$0\" serve --config \"$1\"";
        let socket = self.listener.try_clone().unwrap();
        Command::new("/bin/sh")
            .args(["-c", script, env!("CARGO_BIN_EXE_vingate")])
            .arg(self.folder.join("vingate.toml"))
            .env("NOTIFY_SOCKET", self.folder.join("notify"))
            .env("WATCHDOG_USEC", "200000")
            .envs([("SYNC_ALL", "Bearer a"), ("JWT_SECRET", SECRET)])
            .stdin(std::os::fd::OwnedFd::from(socket))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap()
    }

    /// Waits until it is told this.
    async fn until(&self, wanted: &str) {
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

fn signal(child: &Child, name: &str) {
    let kill = format!("kill -{name} {}", child.id().unwrap());
    let sent = std::process::Command::new("/bin/sh")
        .args(["-c", &kill])
        .status();
    assert!(sent.unwrap().success());
}

async fn ended(mut child: Child) {
    let status = timeout(PATIENCE, child.wait()).await.unwrap().unwrap();
    assert_eq!(status.code(), Some(0));
}

#[tokio::test]
async fn systemd_hears_what_the_gateway_does() {
    let sandbox = Sandbox::spawn().await.unwrap();
    let manager = Manager::new("told", &sandbox.url()).await;
    let gateway = manager.start();
    manager.until("READY=1").await;
    manager.until("WATCHDOG=1").await;
    signal(&gateway, "HUP");
    manager.until("RELOADING=1\nMONOTONIC_USEC=").await;
    manager.until("READY=1").await;
    signal(&gateway, "TERM");
    manager.until("STOPPING=1").await;
    ended(gateway).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_refuses_no_connection() {
    let sandbox = Sandbox::spawn().await.unwrap();
    let manager = Manager::new("restart", &sandbox.url()).await;
    let address = manager.listener.local_addr().unwrap();
    let mut gateway = manager.start();
    manager.until("READY=1").await;

    let over = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let over = Arc::clone(&over);
            tokio::spawn(async move {
                let mut responses = 0;
                while !over.load(Relaxed) {
                    let mut wire = Wire::connect(address).await;
                    wire.send("GET /x HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
                        .await;
                    let response = timeout(PATIENCE, wire.rest()).await.unwrap();
                    assert!(response.starts_with(b"HTTP/1.1 401 "), "{response:?}");
                    responses += 1;
                }
                responses
            })
        })
        .collect();
    for _ in 0..5 {
        signal(&gateway, "TERM");
        ended(gateway).await;
        gateway = manager.start();
        manager.until("READY=1").await;
    }
    over.store(true, Relaxed);
    for client in clients {
        let responses: u32 = timeout(PATIENCE, client).await.unwrap().unwrap();
        assert!(responses > 0);
    }
}
