//! A `redis-server` of a test, and the gateways that share it.

use std::{
    io::{ErrorKind, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{
        Once,
        atomic::{AtomicU32, Ordering},
    },
};

use redis::Connection;
use tokio::sync::{RwLock, RwLockReadGuard};
use vingate::sandbox::{self, Sandbox};

use crate::support::{Gateway, eventually};

/// Runs until it is dropped.
pub(crate) struct RedisServer {
    child: Child,
    pub(crate) address: SocketAddr,
    folder: PathBuf,
    arguments: Vec<String>,
}

/// Gateways in front of one sandbox that share one server.
pub(crate) struct Replicas {
    pub(crate) redis: RedisServer,
    pub(crate) all: Vec<Gateway>,
    /// Keeps [`ALONE`] from being taken meanwhile.
    pub(crate) _turn: Option<RwLockReadGuard<'static, ()>>,
}

/// Taken by a test that wants the machine for itself: it counts what depends on how soon replicas
/// hear of something.
pub(crate) static ALONE: RwLock<()> = RwLock::const_new(());

/// At least 32 bytes; the tests' environment has every name as its own value.
pub(crate) const SHARED_SECRET: &str = "WHAT_ALL_REPLICAS_OF_A_TEST_KNOW_AND_NO_OTHERS";

static TOLD: Once = Once::new();

impl RedisServer {
    /// Starts one, with its own port for `PORT`; `None`: none is installed.
    pub(crate) async fn start(arguments: &[&str]) -> Option<Self> {
        let address = free_address();
        // Of arguments that contradict each other, the last counts.
        let port = address.port().to_string();
        let arguments = arguments.iter().map(|text| text.replace("PORT", &port));
        Self::start_at(address, arguments.collect()).await
    }

    async fn start_at(address: SocketAddr, arguments: Vec<String>) -> Option<Self> {
        let name = format!("vingate-redis-{}-{}", std::process::id(), address.port());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let started = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .args(["--port", &address.port().to_string(), "--dir"])
            .arg(&folder)
            .args(&arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let child = match started {
            Ok(child) => child,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                TOLD.call_once(|| {
                    // Past what the test harness keeps for itself.
                    let line = b"left out: the tests of [shared], which need redis-server\n";
                    let _ = std::io::stderr().write_all(line);
                });
                return None;
            }
            Err(error) => panic!("{error}"),
        };
        let server = Self { child, address, folder, arguments };
        eventually(async || std::net::TcpStream::connect(server.address).is_ok()).await;
        Some(server)
    }

    /// The same, empty, in the place of this one, which is killed.
    pub(crate) async fn restart(&mut self) {
        self.kill();
        let again = Self::start_at(self.address, self.arguments.clone()).await;
        // What is dropped is the one that is dead already.
        *self = again.unwrap();
    }

    /// Ends it at once.
    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// It does nothing any more, and its connections stand.
    pub(crate) fn freeze(&self) {
        self.signal("-STOP");
    }

    /// It goes on.
    pub(crate) fn thaw(&self) {
        self.signal("-CONT");
    }

    /// Asks it something.
    pub(crate) fn ask<T: redis::FromRedisValue>(&self, command: &[&str]) -> T {
        let command: Vec<_> = command.iter().map(|text| text.as_bytes()).collect();
        self.ask_bytes(&command)
    }

    /// The same with what is no text.
    pub(crate) fn ask_bytes<T: redis::FromRedisValue>(&self, command: &[&[u8]]) -> T {
        let client = redis::Client::open(format!("redis://{}", self.address)).unwrap();
        let mut connection: Connection = client.get_connection().unwrap();
        let mut asked = redis::Cmd::new();
        command.iter().for_each(|argument| {
            asked.arg(argument);
        });
        asked.query(&mut connection).unwrap()
    }

    fn signal(&self, signal: &str) {
        let kill = format!("kill {signal} {}", self.child.id());
        let sent = Command::new("/bin/sh").args(["-c", &kill]).status();
        assert!(sent.unwrap().success());
    }
}

/// An address that nobody else is given while a server there is down: it is outside of the ports
/// that systems give to whoever asks for any, and each is taken once.
fn free_address() -> SocketAddr {
    const FIRST: u32 = 15_000;
    const COUNT: u32 = 15_000;
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    loop {
        let at = (std::process::id() % FIRST) * 101 + TAKEN.fetch_add(1, Ordering::Relaxed);
        let port = u16::try_from(FIRST + at % COUNT).unwrap();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl Replicas {
    /// So many, with more `keys` in `[shared]`; `None`: no server is installed.
    pub(crate) async fn start(count: usize, keys: &str) -> Option<Self> {
        let turn = ALONE.read().await;
        let replicas = Self::sharing(RedisServer::start(&[]).await?, count, keys).await?;
        Some(Self { _turn: Some(turn), ..replicas })
    }

    /// The same with this server, which all of them hear of when this is ready.
    pub(crate) async fn sharing(redis: RedisServer, count: usize, keys: &str) -> Option<Self> {
        let toml = shared(&format!("redis://{}", redis.address), keys);
        let replicas = Self { redis, all: gateways(count, &toml).await, _turn: None };
        replicas.until_valid(1.0).await;
        Some(replicas)
    }

    pub(crate) fn sandbox(&self) -> &sandbox::Handle {
        &self.all[0].sandbox
    }

    /// Waits until all of them hear of writes, or none.
    pub(crate) async fn until_valid(&self, valid: f64) {
        for gateway in &self.all {
            gateway.until_metric("vingate_shared_valid", valid).await;
        }
    }
}

/// The table of gateways that share what is at `url`, with more `keys`.
pub(crate) fn shared(url: &str, keys: &str) -> String {
    // Indented, so that it is not taken for the URL of an upstream.
    format!("[shared]\n url = \"{url}\"\n secret = {{ env = \"{SHARED_SECRET}\" }}\n{keys}\n")
}

/// So many gateways, the first with the sandbox that all have as their upstream.
pub(crate) async fn gateways(count: usize, toml: &str) -> Vec<Gateway> {
    gateways_at(&vec![toml.to_owned(); count]).await
}

/// The same, each with a table of its own.
pub(crate) async fn gateways_at(tables: &[String]) -> Vec<Gateway> {
    let first = Gateway::start(&tables[0]).await;
    let upstream = format!("[upstream]\nurl = \"{}\"\n", first.sandbox.url());
    let mut all = vec![first];
    for toml in &tables[1..] {
        let toml = match toml.contains("[upstream]\n") {
            true => toml.replace("[upstream]\n", &upstream),
            false => format!("{toml}\n{upstream}"),
        };
        // Nobody calls its own sandbox.
        let own = Sandbox::spawn().await.unwrap();
        all.push(Gateway::in_front_of(own, &toml).await);
    }
    all
}
