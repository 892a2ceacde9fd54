//! Instructions that the gateway executes for a request, in user space.
//!
//! The program itself runs under callgrind; client and upstream are in this process and do not
//! count. Each exchange is made with n and with 2n requests, and the difference is divided by n: so
//! that starting, warming up and ending cancel out. Times shake on a shared machine, instructions
//! hardly do. Callgrind has no instructions for SHA or AVX-512, so the figures are for comparison.
//!
//! The counts are compared with `benches/instructions/baseline.txt`: more than 3 % above it is a
//! failure, unless the baseline is of another compiler or processor. Needs valgrind.
//!
//! ```text
//! cargo bench --profile dev --bench instructions                  # every exchange
//! cargo bench --profile dev --bench instructions -- hit1 forward  # some, and where they go
//! cargo bench --profile dev --bench instructions -- --write       # writes the baseline
//! ```
//!
//! The profile is that of client and upstream; the gateway is built as it is released.

#[path = "instructions/callgrind.rs"]
mod callgrind;
#[path = "instructions/exchange.rs"]
mod exchange;
mod fleet;
#[path = "instructions/upstream.rs"]
mod upstream;

use std::{
    collections::BTreeMap,
    env, fs,
    process::{Command, ExitCode},
};

use self::{callgrind::Counts, exchange::Exchange};

const BASELINE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/instructions/baseline.txt");

/// How far above the baseline a count may be, in percent.
const TOLERANCE: f64 = 3.0;

/// Places that are printed of an exchange that was asked for by name.
const PLACES: usize = 40;

fn main() -> ExitCode {
    // cargo says `--bench`, a test run says nothing.
    let arguments: Vec<_> = env::args().skip(1).collect();
    let has = |name: &str| arguments.iter().any(|argument| argument == name);
    if !has("--bench") {
        return ExitCode::SUCCESS;
    }
    let is_named = exchange::ALL.iter().any(|exchange| has(exchange.name));
    callgrind::build();
    let upstream = upstream::start();
    let mut baseline = Baseline::read();
    let mut is_exceeded = false;
    println!("{:<10} {:>10} {:>10}", "exchange", "now", "baseline");
    for exchange in exchange::ALL
        .iter()
        .filter(|exchange| !is_named || has(exchange.name))
    {
        let counts = count(exchange, upstream);
        let (total, before) = (counts.total(), baseline.counts.get(exchange.name).copied());
        let ratio = before.map_or(1.0, |before| total as f64 / before as f64);
        is_exceeded |= ratio > 1.0 + TOLERANCE / 100.0;
        println!("{:<10} {total:>10} {:>10} {ratio:.3}", exchange.name, before.unwrap_or(0));
        if is_named {
            counts.print(PLACES);
        }
        baseline.counts.insert(exchange.name.to_owned(), total);
    }
    if has("--write") {
        baseline.write();
    } else if baseline.machine != machine() {
        println!("the baseline is of another machine: {}", baseline.machine);
    } else if is_exceeded {
        eprintln!("more than {TOLERANCE} % above the baseline");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// What one request of an exchange takes.
fn count(exchange: &Exchange, upstream: u16) -> Counts {
    let run = |requests| {
        let running = callgrind::Gateway::start(upstream, exchange.gateway);
        exchange.run(running.address(), requests);
        running.stop()
    };
    let once = run(exchange.requests);
    run(2 * exchange.requests).since(&once, exchange.requests as u64)
}

/// What was counted before.
struct Baseline {
    /// The compiler and the processor.
    machine: String,
    /// Instructions a request, of each exchange.
    counts: BTreeMap<String, u64>,
}

impl Baseline {
    fn read() -> Self {
        let text = fs::read_to_string(BASELINE).unwrap_or_default();
        let (machine, counts) = text.split_once('\n').unwrap_or_default();
        let counts = counts.lines().filter_map(|line| line.split_once(' '));
        let count = |(name, count): (&str, &str)| Some((name.to_owned(), count.parse().ok()?));
        Self { machine: machine.to_owned(), counts: counts.filter_map(count).collect() }
    }

    fn write(&self) {
        let mut text = machine() + "\n";
        for (name, count) in &self.counts {
            text += &format!("{name} {count}\n");
        }
        fs::write(BASELINE, text).expect("the baseline can be written");
    }
}

/// The compiler, and the processor, of which libc chooses its functions.
fn machine() -> String {
    let rustc = Command::new("rustc").arg("--version").output();
    let rustc = rustc.expect("there is rustc").stdout;
    let processor = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = processor
        .lines()
        .find_map(|line| line.strip_prefix("model name\t: "));
    let rustc = String::from_utf8_lossy(&rustc);
    format!("{}, {}", rustc.trim(), model.unwrap_or("an unknown processor"))
}
