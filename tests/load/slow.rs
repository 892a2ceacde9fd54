//! Callers who drip and callers who do nothing: what they take, and what others feel of them.

use std::{fs, net::SocketAddr, sync::Arc};

use bytes::Bytes;
use futures_util::future::join_all;
use tokio::{
    io::AsyncWriteExt as _,
    net::TcpStream,
    task::JoinSet,
    time::{Duration, Instant, MissedTickBehavior, interval, sleep, timeout},
};
use vingate::sandbox::Class;

use crate::{
    connection::asking_for,
    figures::{Times, ratio},
    process::Process,
    support::{PATIENCE, eventually},
};

/// Between two bytes of a head, or of a body.
const DRIP: Duration = Duration::from_secs(1);

/// Between two requests of who is neither slow nor idle.
const EVERY: Duration = Duration::from_millis(5);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "opens thousands of connections and takes a minute"]
async fn thousands_of_slow_callers_are_hardly_felt() {
    crowd(5000, 500, 1000, Duration::from_secs(20)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_callers_keep_nobody_from_being_served() {
    crowd(300, 50, 50, Duration::from_millis(500)).await;
}

/// So many slow callers, of whom some have got as far as a body, and so many idle ones.
async fn crowd(slow: usize, bodies: usize, idle: usize, lasting: Duration) {
    has_files(slow + idle + 500);
    let process = Arc::new(Process::start("").await);
    let vehicle = process.sandbox.vehicles(Class::Finished).next().unwrap();
    let body = asking_for(&[vehicle]);
    let quiet = call(&process, &body, lasting).await;
    let before = process.resident();

    let mut idlers = Vec::new();
    for _ in 0..idle {
        let mut idler = process.connect().await;
        idler.batch(&body).await.expect(200);
        idlers.push(idler);
    }
    let with_idle = process.resident();
    let (address, token) = (process.address, process.token("slow"));
    // So long a body is forwarded while it comes.
    let post = format!(
        "POST /sandbox/sink HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\
         Content-Length: 1000000\r\n\r\n"
    );
    let heads = ["GET / HTTP/1.1\r\nHost: a\r\nX: ".to_owned(), post].map(Arc::<str>::from);
    let mut drips = JoinSet::new();
    for nth in 0..slow {
        // Spread over the time between two bytes, as those who do not know of one another are.
        let pause = DRIP.mul_f64(nth as f64 / slow as f64);
        let head = Arc::clone(&heads[usize::from(nth < bodies)]);
        drips.spawn(async move {
            sleep(pause).await;
            drip(address, &head).await;
        });
    }
    let coming = async || process.metric("vingate_http_in_flight").await;
    eventually(async || process.files() >= slow + idle && coming().await >= bodies as f64).await;
    let crowded = call(&process, &body, lasting).await;
    let with_slow = process.resident();
    let asked_at = Instant::now();
    let mut forwarded = process.connect().await;
    let response = timeout(PATIENCE, forwarded.get("/sandbox/bytes/3")).await;
    assert_eq!(response.unwrap().expect(200).body, [0, 1, 2].as_slice());
    let (took, open) = (asked_at.elapsed(), process.sandbox.counters().open);
    println!("{bodies} slow bodies, {open} on their way up; a forwarded GET took {took:.2?}");
    assert_ne!(open, 0, "no body is on its way");
    assert!(drips.try_join_next().is_none(), "a slow caller failed");

    join_all(idlers.iter_mut().map(async |idler| {
        idler.batch(&body).await.expect(200);
    }))
    .await;
    drips.shutdown().await;
    let timeouts = "vingate_http_connection_errors_total{reason=\"header_timeout\"}";
    let timed_out = process.metric(timeouts).await;
    let each =
        |more: u64, less: u64, count| more.saturating_sub(less) as f64 / 1024.0 / count as f64;
    println!(
        "{idle} idle: {:.1} KiB each; {slow} slow: {:.1} KiB each; {} KiB in all before, {} \
         after; {timed_out} slow heads ran out of time",
        each(with_idle, before, idle),
        each(with_slow, with_idle, slow),
        before / 1024,
        with_slow / 1024,
    );
    let [calm, busy] = [&quiet, &crowded].map(|times| times.quantile(0.99));
    println!("quiet {quiet}; crowded {crowded}; p99 × {:.2}", ratio(busy, calm));
}

/// Asks for what is held, at a leisurely rate, from a thread that nobody else is on.
async fn call(process: &Arc<Process>, body: &Bytes, lasting: Duration) -> Times {
    let (process, body) = (Arc::clone(process), body.clone());
    let calling = async move {
        let mut connection = process.connect().await;
        let right = connection.batch(&body).await.expect(200).body;
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut times, began_at) = (Times::default(), Instant::now());
        while began_at.elapsed() < lasting {
            ticks.tick().await;
            let asked_at = Instant::now();
            let response = connection.batch(&body).await.expect(200);
            times.push(asked_at.elapsed());
            assert!(response.body == right);
        }
        assert_ne!(times.count(), 0);
        times
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let thread = tokio::task::spawn_blocking(move || runtime.block_on(calling));
    thread.await.unwrap()
}

/// Sends this and what follows byte by byte, and begins again when the gateway has had enough.
async fn drip(address: SocketAddr, head: &str) {
    loop {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let mut sent = stream.write_all(head.as_bytes()).await;
        while sent.is_ok() {
            sleep(DRIP).await;
            sent = stream.write_all(b"x").await;
        }
    }
}

/// Fails where this process, or a child of it, may not have so many files open.
fn has_files(count: usize) {
    let limits = fs::read_to_string("/proc/self/limits").unwrap();
    let line = limits
        .lines()
        .find(|line| line.starts_with("Max open files"));
    let soft = line.unwrap().split_whitespace().nth(3).unwrap();
    let has = soft.parse::<usize>().unwrap_or(usize::MAX);
    assert!(has >= count, "this takes {count} open files: `ulimit -n {count}`; there are {has}");
}
