//! A log that nobody reads, or that cannot be written: it holds up nothing.

use std::{
    fs::{self, File},
    net::SocketAddr,
    path::PathBuf,
    process::{ExitStatus, Stdio},
};

use tokio::{
    io::{AsyncBufRead, AsyncBufReadExt as _, BufReader},
    process::{Child, ChildStderr, ChildStdout, Command},
    time::timeout,
};

use crate::caller::{PATIENCE, exchange, statuses};

/// The program, and its log up to the line that tells where it listens.
struct Program {
    child: Child,
    gateway: SocketAddr,
    admin: SocketAddr,
    /// Open, and not read any more.
    unread: Option<BufReader<ChildStderr>>,
    /// Open as long as it may print.
    _printed: Option<BufReader<ChildStdout>>,
    file: Option<PathBuf>,
}

impl Program {
    async fn start(name: &str, log: &str) -> Self {
        let file = std::env::temp_dir().join(format!("vingate-{name}-{}", std::process::id()));
        let toml = format!(
            "server.listen = \"127.0.0.1:0\"\nadmin.listen = \"127.0.0.1:0\"\n\
             upstream.url = \"http://127.0.0.1:1\"\n{log}\n[[auth.key]]\nid = \"a\"\n\
             algorithm = \"HS256\"\nsecret = {{ env = \"SECRET\" }}\n[auth]\nissuer = \"a\"\n\
             audience = [\"a\"]\n"
        );
        fs::write(&file, toml).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_vingate"))
            .args(["serve", "--config"])
            .arg(&file)
            .env("SECRET", "x".repeat(32))
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let line: serde_json::Value = serde_json::from_str(&next_line(&mut log).await).unwrap();
        let address = |name: &str| line[name].as_str().unwrap().parse().unwrap();
        let (gateway, admin) = (address("gateway"), address("admin"));
        Self { child, gateway, admin, unread: Some(log), _printed: None, file: Some(file) }
    }

    /// The demo, which says on standard output where it listens, with a log that goes elsewhere.
    async fn demo(log: File) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_vingate"))
            .args(["demo", "--listen", "127.0.0.1:0"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut printed = BufReader::new(child.stdout.take().unwrap());
        let mut address = async || loop {
            let line = next_line(&mut printed).await;
            if let Some((_, address)) = line.split_once("http://") {
                break address.trim().parse().unwrap();
            }
        };
        let (gateway, admin) = (address().await, address().await);
        Self { child, gateway, admin, unread: None, _printed: Some(printed), file: None }
    }

    async fn metric(&self, series: &str) -> u64 {
        let text = exchange(self.admin, "GET /metrics HTTP/1.0\r\n\r\n").await;
        let value = text
            .lines()
            .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        value
            .unwrap_or_else(|| panic!("no {series}"))
            .parse()
            .unwrap()
    }

    /// Sends refused requests, each of which has a line, until lines are dropped.
    async fn until_lines_are_dropped(&self) {
        const REQUESTS: usize = 500;
        let requests = "GET /api/vehicles HTTP/1.1\r\nHost: a\r\n\r\n".repeat(REQUESTS - 1)
            + "GET /api/vehicles HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        while self.metric(DROPPED).await == 0 {
            let responses = exchange(self.gateway, &requests).await;
            assert_eq!(statuses(&responses), [401; REQUESTS]);
        }
    }

    async fn is_alive(&self) {
        for path in ["/healthz", "/readyz"] {
            let request =
                format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
            assert_eq!(statuses(&exchange(self.admin, request).await), [200], "{path}");
        }
    }

    /// Tells it to end, and gives the status it exits with.
    async fn stop(mut self) -> Option<i32> {
        // A shell has it built in; the program of that name is not everywhere.
        let kill = format!("kill -TERM {}", self.child.id().unwrap());
        Command::new("/bin/sh")
            .args(["-c", &kill])
            .status()
            .await
            .unwrap();
        let ended: ExitStatus = timeout(PATIENCE, self.child.wait()).await.unwrap().unwrap();
        self.file.map(fs::remove_file).transpose().unwrap();
        ended.code()
    }
}

async fn next_line(from: &mut (impl AsyncBufRead + Unpin)) -> String {
    let mut line = String::new();
    let read = timeout(PATIENCE, from.read_line(&mut line)).await;
    read.unwrap().unwrap();
    line
}

const DROPPED: &str = "vingate_log_dropped_lines_total";

#[tokio::test]
async fn a_pipe_that_nobody_reads_holds_up_nothing() {
    for (name, log) in [("unread", ""), ("unread-all", "[log]\naccess = \"all\"")] {
        let program = Program::start(name, log).await;
        program.until_lines_are_dropped().await;
        program.is_alive().await;
        assert_eq!(program.stop().await, Some(0), "{name}");
    }
}

#[tokio::test]
async fn a_log_whose_reader_is_gone_holds_up_nothing() {
    let mut program = Program::start("reader-gone", "").await;
    program.unread = None;
    program.until_lines_are_dropped().await;
    program.is_alive().await;
    assert_eq!(program.stop().await, Some(0));
}

#[tokio::test]
#[cfg(target_os = "linux")]
async fn a_full_disk_holds_up_nothing() {
    let full = File::options().write(true).open("/dev/full").unwrap();
    let program = Program::demo(full).await;
    program.until_lines_are_dropped().await;
    program.is_alive().await;
    assert_eq!(program.stop().await, Some(0));
}
