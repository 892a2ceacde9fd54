//! Keys that rotate under load, and names of keys that somebody makes up.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, UNIX_EPOCH},
};

use bytes::Bytes;
use futures_util::future::join_all;
use tokio::time::{Instant, MissedTickBehavior, interval};
use vingate::sandbox::Class;

use crate::{
    connection::{Connection, asking_for},
    figures::{Times, ratio},
    issuer::{Issuer, Says, Signer},
    process::Process,
};

/// Connections over which the load is spread.
const CONNECTIONS: u32 = 16;

/// Tokens of each key: each has to be verified once.
const TOKENS: usize = 500;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes half a minute"]
async fn keys_rotate_under_load_without_a_false_refusal() {
    rotate(2000, Duration::from_secs(20)).await;
}

#[tokio::test]
async fn keys_rotate_without_a_false_refusal() {
    rotate(100, Duration::from_secs(2)).await;
}

/// Half of the time with tokens of an old key, then with those of both, then of the new one.
async fn rotate(per_second: u32, lasting: Duration) {
    let (old, new) = (Signer::new("old"), Signer::new("new"));
    let issuer = Issuer::start(Says::Keys(vec![old.jwk()])).await;
    let process = Process::start(&issuer.toml()).await;
    let tokens = [&old, &new].map(|signer| {
        let subjects = (0..TOKENS).map(|nth| signer.sign(&format!("s{}", nth % 10)));
        subjects.collect::<Arc<[_]>>()
    });
    let vehicle = process.sandbox.vehicles(Class::Finished).next().unwrap();
    let body = asking_for(&[vehicle]);
    let mut connection = Connection::open(process.address).await;
    connection.show(&tokens[0][0]);
    let right = connection.batch(&body).await.expect(200).body;

    let is_published = Arc::new(AtomicBool::new(false));
    let began_at = Instant::now();
    let callers = (0..CONNECTIONS).map(|nth| {
        let (address, tokens) = (process.address, tokens.clone());
        let (body, right) = (body.clone(), right.clone());
        let is_published = Arc::clone(&is_published);
        tokio::spawn(async move {
            let connection = Connection::open(address).await;
            let mut caller = Caller { connection, tokens, is_published, nth };
            let every = Duration::from_secs(1) * CONNECTIONS / per_second;
            caller.call(every, lasting, &body, &right).await
        })
    });
    let callers: Vec<_> = callers.collect();
    tokio::time::sleep_until(began_at + lasting / 2).await;
    issuer.say(Says::Keys(vec![old.jwk(), new.jwk()]));
    is_published.store(true, Ordering::SeqCst);
    let times: Times = join_all(callers)
        .await
        .into_iter()
        .flat_map(Result::unwrap)
        .collect();
    let reached = times.count() as f64 / began_at.elapsed().as_secs_f64();
    println!("{reached:.0} requests/s through a rotation, none refused: {times}");
    assert_eq!(issuer.fetches(), 2, "one at the start, one for the new key");
}

struct Caller {
    connection: Connection,
    /// Of the old key and of the new.
    tokens: [Arc<[String]>; 2],
    /// Whether the new key may be used.
    is_published: Arc<AtomicBool>,
    nth: u32,
}

impl Caller {
    async fn call(
        &mut self,
        every: Duration,
        lasting: Duration,
        body: &Bytes,
        right: &Bytes,
    ) -> Times {
        let began_at = Instant::now();
        let mut ticks = interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let (mut times, mut nth) = (Times::default(), self.nth as usize);
        loop {
            let due_at = ticks.tick().await;
            let passed = began_at.elapsed();
            if passed >= lasting {
                assert_ne!(times.count(), 0);
                return times;
            }
            let key = match self.is_published.load(Ordering::SeqCst) {
                false => 0,
                true if passed < lasting * 3 / 4 => nth % 2,
                true => 1,
            };
            self.connection.show(&self.tokens[key][nth % TOKENS]);
            let response = self.connection.batch(body).await.expect(200);
            assert!(response.body == right);
            // From when it was due: who waits for an answer is late for the next.
            times.push(due_at.elapsed());
            nth += CONNECTIONS as usize + 1;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes half a minute"]
async fn made_up_kids_cost_no_more_than_bad_signatures() {
    make_up(10_000).await;
}

#[tokio::test]
async fn made_up_kids_cause_one_fetch() {
    make_up(300).await;
}

async fn make_up(count: usize) {
    let (good, foreign) = (Signer::new("good"), Signer::new("foreign"));
    let issuer = Issuer::start(Says::Keys(vec![good.jwk()])).await;
    let process = Process::start(&issuer.toml()).await;
    let until = UNIX_EPOCH.elapsed().unwrap().as_secs() + 600;
    let subject = |nth: usize| format!("s{nth}");
    let tokens = |kid: &str, signer: &Signer, exp| -> Vec<_> {
        let kid = |nth| kid.replace("{}", &format!("{nth:x}"));
        let sign = |nth| signer.sign_as(&kid(nth), &subject(nth), exp);
        (0..count).map(sign).collect()
    };
    let first = [good.sign("first")];
    knock(&process, &first, 404).await;

    let expired = knock(&process, &tokens("good", &good, 1), 401).await;
    let forged = knock(&process, &tokens("good", &foreign, until), 401).await;
    assert_eq!(issuer.fetches(), 1);
    let made_up = tokens("kid-{}", &foreign, until);
    let began_at = Instant::now();
    let unknown = knock(&process, &made_up, 401).await;
    let fetches = issuer.fetches() - 1;
    let most = 1 + began_at.elapsed().as_secs() / 10;
    assert!((1..=most as usize).contains(&fetches), "{fetches} fetches");
    knock(&process, &first, 404).await;
    knock(&process, &[good.sign("second")], 404).await;
    println!(
        "CPU of a refusal: made-up kid {unknown:.1?}, bad signature {forged:.1?}, expired \
         {expired:.1?}; {:.2} times that of a bad signature; {fetches} fetches for {count} kids",
        ratio(unknown, forged)
    );
}

/// Shows each token once. Gives the CPU time that one takes.
async fn knock(process: &Process, tokens: &[String], status: u16) -> Duration {
    let before = process.cpu();
    let knocking = tokens.chunks(tokens.len().div_ceil(8)).map(async |tokens| {
        let mut connection = Connection::open(process.address).await;
        for token in tokens {
            connection.show(token);
            connection.get("/no/such").await.expect(status);
        }
    });
    join_all(knocking).await;
    (process.cpu() - before) / tokens.len() as u32
}
