//! The gateway under callgrind, and what callgrind has counted.

use std::{
    collections::HashMap,
    env, fs,
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
};

use super::exchange::Variant;

/// The secret of the tokens. It is no secret.
pub(crate) const SECRET: &str = "a secret for measuring, of 32 bytes or more";

/// A gateway that is being counted.
pub(crate) struct Gateway {
    child: Child,
    address: SocketAddr,
    folder: PathBuf,
}

/// Instructions by the place in whose source they stand.
pub(crate) struct Counts(HashMap<String, i64>);

impl Gateway {
    /// Starts one whose upstream listens on this port of the loopback, and takes its traces too.
    pub(crate) fn start(upstream: u16, variant: Variant) -> Self {
        let folder = env::temp_dir().join(format!("vingate-instructions-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder can be made");
        let config = folder.join("vingate.toml");
        fs::write(&config, configuration(upstream, variant)).expect("a file can be written");
        let mut child = Command::new("valgrind")
            .arg("--tool=callgrind")
            .arg(format!("--callgrind-out-file={}", folder.join("out").display()))
            .arg(released())
            .args(["serve", "--config"])
            .arg(&config)
            .env("SECRET", SECRET)
            .env("CREDENTIAL", "Bearer bench")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("valgrind is installed");
        let mut lines = BufReader::new(child.stderr.take().expect("it is piped")).lines();
        let mut said = String::new();
        let address = loop {
            let line = lines.next().and_then(Result::ok);
            let line = line.unwrap_or_else(|| panic!("the gateway ended:\n{said}"));
            if let Some((_, address)) = line.split_once("\"gateway\":\"") {
                let address = address.split('"').next().and_then(|text| text.parse().ok());
                break address.expect("the gateway says where it listens");
            }
            said.push_str(&line);
            said.push('\n');
        };
        // Read on, or the gateway would wait.
        thread::spawn(move || lines.for_each(drop));
        Self { child, address, folder }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends it. Gives what was counted from start to end.
    pub(crate) fn stop(mut self) -> Counts {
        let kill = format!("kill -TERM {}", self.child.id());
        let sent = Command::new("/bin/sh").args(["-c", &kill]).status();
        assert!(sent.expect("there is a shell").success());
        let status = self.child.wait().expect("it is a child");
        assert!(status.success(), "{status}");
        let out = fs::read_to_string(self.folder.join("out")).expect("callgrind has written");
        fs::remove_dir_all(&self.folder).expect("the folder can be removed");
        Counts::parse(&out)
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // It may have ended before.
        let _ = self.child.kill();
    }
}

impl Counts {
    /// Reads callgrind's output: a cost line counts for the file that a line above it has named,
    /// but what stands behind `calls=` is the cost of what was called, which has lines of its own.
    fn parse(out: &str) -> Self {
        let (mut names, mut counts) = (HashMap::new(), HashMap::new());
        let (mut place, mut is_called) = (String::new(), false);
        for line in out.lines() {
            if let Some((key @ ("fl" | "fi" | "fe" | "cfi" | "cfl"), value)) = line.split_once('=')
            {
                // `(id) name` at first, later `(id)`.
                let (id, name) = value.split_once(' ').unwrap_or((value, ""));
                if !name.is_empty() {
                    names.insert(id.to_owned(), self::place(name));
                }
                // What begins with `c` is where the next call goes.
                if !key.starts_with('c') {
                    place = names.get(id).cloned().unwrap_or_default();
                }
            } else if line.starts_with("calls=") {
                is_called = true;
            } else if line.starts_with(|c: char| c.is_ascii_digit() || "+-*".contains(c)) {
                let cost = line
                    .split_once(' ')
                    .and_then(|(_, cost)| cost.parse::<i64>().ok());
                if !std::mem::take(&mut is_called)
                    && let Some(cost) = cost
                {
                    *counts.entry(place.clone()).or_default() += cost;
                }
            }
        }
        Self(counts)
    }

    /// What is counted here and not in `before`, for each of so many requests.
    pub(crate) fn since(mut self, before: &Self, requests: u64) -> Self {
        for (place, cost) in &before.0 {
            *self.0.entry(place.clone()).or_default() -= cost;
        }
        for cost in self.0.values_mut() {
            *cost /= requests.cast_signed();
        }
        self
    }

    pub(crate) fn total(&self) -> u64 {
        self.0
            .values()
            .sum::<i64>()
            .try_into()
            .expect("more requests cost more")
    }

    /// Prints the places that cost most.
    pub(crate) fn print(&self, most: usize) {
        let mut places: Vec<_> = self.0.iter().collect();
        places.sort_by_key(|&(_, cost)| std::cmp::Reverse(cost));
        for (place, cost) in places.into_iter().take(most) {
            println!("{:<10} {cost:>10} {place}", "");
        }
    }
}

/// Builds the program as it is released.
pub(crate) fn build() {
    let built = Command::new(env!("CARGO"))
        .args(["build", "--release", "--locked", "--bin", "vingate"])
        .status();
    assert!(built.expect("there is cargo").success());
}

fn released() -> PathBuf {
    let of_profile = Path::new(env!("CARGO_BIN_EXE_vingate"));
    let target = of_profile
        .ancestors()
        .nth(2)
        .expect("a profile has a folder");
    target.join("release/vingate")
}

/// The room of a file of this crate; else its crate, or the library that it belongs to.
fn place(file: &str) -> String {
    let first = |rest: &str| rest.split(['/', '.']).next().unwrap_or_default().to_owned();
    let sources = concat!(env!("CARGO_MANIFEST_DIR"), "/src/");
    if let Some(rest) = file
        .strip_prefix(sources)
        .or_else(|| file.strip_prefix("src/"))
    {
        return format!("vingate::{}", first(rest));
    }
    // …/registry/src/INDEX/CRATE-VERSION/src/…
    if let Some((_, rest)) = file.split_once("/registry/src/") {
        let name = rest.split('/').nth(1).unwrap_or_default();
        return name
            .rsplit_once('-')
            .map_or(name, |(name, _)| name)
            .to_owned();
    }
    if let Some((_, rest)) = file.split_once("/library/") {
        return first(rest);
    }
    file.rsplit('/').next().unwrap_or(file).to_owned()
}

fn configuration(upstream: u16, variant: Variant) -> String {
    let rate = if variant == Variant::Limited { 1 } else { 10_000_000 };
    let common = format!(
        r#"
[server]
listen = "127.0.0.1:0"
workers = 1
[admin]
listen = "127.0.0.1:0"
[upstream]
url = "http://127.0.0.1:{upstream}"
[[account]]
name = "bench"
header = "Authorization"
value = {{ env = "CREDENTIAL" }}
subjects = ["*"]
[auth]
issuer = "bench"
audience = ["gateway"]
algorithms = ["HS256"]
[[auth.key]]
id = "k"
algorithm = "HS256"
secret = {{ env = "SECRET" }}
[auth.scope]
read = "vehicles:read"
write = "vehicles:write"
[cache.ttl]
finished = "1h"
[limit.rate]
requests_per_second = {rate}
burst = {rate}
[log]
access = "off"
format = "json"
"#
    );
    let trace = format!(
        r#"
[trace]
otlp = "http://127.0.0.1:{upstream}"
sample = 0.01
"#
    );
    if variant == Variant::Traced { common + &trace } else { common }
}
