//! The program itself, as a child, and all that it writes.

use std::{
    io::{BufRead as _, BufReader, Read},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use tokio::{sync::mpsc, time::timeout};

use super::watch;

/// A running `vingate`.
pub(crate) struct Program {
    child: Child,
    lines: mpsc::UnboundedReceiver<String>,
    /// What was read of its lines, from both outputs.
    written: String,
}

/// How long anything may take that is not to hang.
const PATIENCE: Duration = Duration::from_secs(60);

impl Program {
    /// Starts `vingate` with these arguments, and with these variables and no others.
    pub(crate) fn start(arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_vingate"))
            .args(arguments)
            .env_clear()
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let (sender, lines) = mpsc::unbounded_channel();
        // What a subcommand prints is for its reader; what is logged is for everybody.
        read(child.stdout.take().expect("it is piped"), sender.clone(), |_| {});
        read(child.stderr.take().expect("it is piped"), sender, watch::search);
        Self { child, lines, written: String::new() }
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Where it listens: for clients, and for operators.
    pub(crate) async fn addresses(&mut self) -> (SocketAddr, SocketAddr) {
        let line = self.line_with("serving").await;
        let line = line.replace(['"', ',', '}'], " ").replace([':', '='], " ");
        let words: Vec<_> = line.split_whitespace().collect();
        let after = |name: &str| {
            let at = words.iter().position(|word| *word == name);
            let at = at.unwrap_or_else(|| panic!("no {name} in {line}"));
            format!("{}:{}", words[at + 1], words[at + 2])
                .parse()
                .expect("it is an address")
        };
        (after("gateway"), after("admin"))
    }

    /// The first line with this text: its parts do not say things in a fixed order.
    pub(crate) async fn line_with(&mut self, text: &str) -> String {
        if let Some(line) = self.written.lines().find(|line| line.contains(text)) {
            return line.to_owned();
        }
        loop {
            match self.next_line().await {
                Some(line) if line.contains(text) => return line,
                Some(_) => {}
                None => panic!("no line has {text:?}:\n{}", self.written),
            }
        }
    }

    /// Sends it SIGHUP.
    pub(crate) fn hang_up(&self) {
        self.kill("-HUP");
    }

    /// Asks it to end. Gives its exit status and everything that it has written.
    pub(crate) async fn stop(self) -> (Option<i32>, String) {
        self.kill("-TERM");
        self.end().await
    }

    /// Ends it as a crash would. Gives everything that it has written.
    pub(crate) async fn crash(self) -> String {
        self.kill("-KILL");
        self.end().await.1
    }

    fn kill(&self, signal: &str) {
        // A shell has it built in; the program of that name is not everywhere.
        let kill = format!("kill {signal} {}", self.child.id());
        let sent = Command::new("/bin/sh").args(["-c", &kill]).status();
        assert!(sent.expect("there is a shell").success());
    }

    /// Waits for its end. Gives its exit status and everything that it has written.
    pub(crate) async fn end(mut self) -> (Option<i32>, String) {
        while self.next_line().await.is_some() {}
        let status = self.child.wait().expect("it is a child");
        (status.code(), std::mem::take(&mut self.written))
    }

    async fn next_line(&mut self) -> Option<String> {
        let line = timeout(PATIENCE, self.lines.recv()).await;
        let line = line.unwrap_or_else(|_| panic!("it hangs:\n{}", self.written))?;
        self.written.push_str(&line);
        self.written.push('\n');
        Some(line)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended before.
        let _ = self.child.kill();
    }
}

/// Passes on the lines of an output, whatever bytes they are of, after a `look` at each.
fn read(output: impl Read + Send + 'static, lines: mpsc::UnboundedSender<String>, look: fn(&str)) {
    thread::spawn(move || {
        for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line);
            look(&line);
            let _ = lines.send(line.into_owned());
        }
    });
}
