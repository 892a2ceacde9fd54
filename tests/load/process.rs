//! The program in a process of its own, and what it takes.

use std::{
    fs,
    net::SocketAddr,
    path::PathBuf,
    sync::atomic::{AtomicU32, Ordering},
};

use tokio::time::{Duration, sleep};
use vingate::{auth, sandbox::Handle};

use crate::{
    connection::Connection,
    support::{HOUR, Program, SECRET, configuration, now, parse},
};

/// A running gateway, with a sandbox in this process behind it.
pub(crate) struct Process {
    program: Program,
    pub(crate) address: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) sandbox: Handle,
    issuer: auth::Config,
    _file: File,
}

/// A configuration file, as long as this lives.
struct File(PathBuf);

/// What `/proc` counts time in: Linux shows hundredths of a second to everybody.
const TICK: Duration = Duration::from_millis(10);

impl Process {
    /// With the tests' key, one account for everybody, and whatever else `toml` says.
    pub(crate) async fn start(toml: &str) -> Self {
        let sandbox = vingate::sandbox::Sandbox::bind(([127, 0, 0, 1], 0).into());
        // Counters are enough, and records would take the time of what is measured.
        let sandbox = sandbox.await.unwrap().with_recording(0).start();
        let text = configuration(toml, &sandbox.url());
        let file = File::write(&text);
        // Variables have their own names for values, as in every test.
        let names = text
            .split("env = \"")
            .skip(1)
            .filter_map(|rest| rest.split('"').next());
        let environment: Vec<_> = names
            .map(|name| (name, if name == "JWT_SECRET" { SECRET } else { name }))
            .collect();
        let path = file.0.to_str().unwrap();
        let mut program = Program::start(&["serve", "--config", path], &environment);
        let (address, admin) = program.addresses().await;
        Self { program, address, admin, sandbox, issuer: parse(&text).reloadable.auth, _file: file }
    }

    /// A token of this subject.
    pub(crate) fn token(&self, subject: &str) -> String {
        self.issuer.issue(subject, None, HOUR, now()).unwrap()
    }

    /// A connection that shows the token of this subject.
    pub(crate) async fn connect_as(&self, subject: &str) -> Connection {
        let mut connection = Connection::open(self.address).await;
        connection.show(&self.token(subject));
        connection
    }

    pub(crate) async fn connect(&self) -> Connection {
        self.connect_as("tester").await
    }

    /// The value of one series of `/metrics`, 0 if it is not there.
    pub(crate) async fn metric(&self, series: &str) -> f64 {
        let text = Connection::open(self.admin)
            .await
            .get("/metrics")
            .await
            .text();
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.map_or(0.0, |value| value.parse().unwrap())
    }

    /// The CPU time that it has taken until now, its own and the kernel's for it.
    pub(crate) fn cpu(&self) -> Duration {
        let stat = self.read("stat");
        // The second field is a name in parentheses, which may have anything in it.
        let (_, fields) = stat.rsplit_once(')').unwrap();
        let ticks = fields.split_whitespace().skip(11).take(2);
        TICK * ticks
            .map(|field| field.parse::<u32>().unwrap())
            .sum::<u32>()
    }

    /// Waits until it has nothing left to do. On a busy machine it may have much to do and get no
    /// time for it, so that no thread may want to run either.
    pub(crate) async fn until_idle(&self) {
        let mut quiet = 0;
        while quiet < 30 {
            let before = self.cpu();
            sleep(TICK).await;
            let is_quiet = self.cpu() == before && !self.wants_to_run();
            quiet = if is_quiet { quiet + 1 } else { 0 };
        }
    }

    /// Whether one of its threads runs, or waits for its turn to.
    fn wants_to_run(&self) -> bool {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.program.id())).unwrap();
        tasks.flatten().any(|task| {
            let stat = fs::read_to_string(task.path().join("stat")).unwrap_or_default();
            // The state stands behind the name, which may contain anything.
            stat.rsplit_once(") ")
                .is_some_and(|(_, rest)| rest.starts_with('R'))
        })
    }

    /// Its resident memory, in bytes.
    pub(crate) fn resident(&self) -> u64 {
        self.memory("VmRSS:")
    }

    /// The most of it until now.
    pub(crate) fn peak(&self) -> u64 {
        self.memory("VmHWM:")
    }

    fn memory(&self, name: &str) -> u64 {
        let status = self.read("status");
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let kib = line.unwrap().trim().strip_suffix(" kB").unwrap();
        kib.parse::<u64>().unwrap() * 1024
    }

    /// How many files it has open, connections among them.
    pub(crate) fn files(&self) -> usize {
        let path = format!("/proc/{}/fd", self.program.id());
        fs::read_dir(path).unwrap().count()
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(format!("/proc/{}/{name}", self.program.id())).unwrap()
    }
}

impl File {
    fn write(text: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let nth = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("vingate-load-{}-{nth}.toml", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::write(&path, text).unwrap();
        Self(path)
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}
