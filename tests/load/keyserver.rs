//! A key server in trouble is nobody's trouble but of those who show keys that nobody knows.

use futures_util::future::join_all;
use tokio::time::{Duration, Instant};
use vingate::sandbox::Class;

use crate::{
    connection::{Connection, asking_for},
    figures::Times,
    issuer::{Issuer, Says, Signer},
    process::Process,
};

/// How long a request may wait for a key.
const BOUND: Duration = Duration::from_secs(2);

/// What a machine that is busy with other tests may take on top.
const SLACK: Duration = Duration::from_secs(3);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes half a minute"]
async fn a_key_server_in_trouble_slows_nobody_down() {
    let new = Signer::new("new");
    for (name, says) in troubles(&new) {
        trouble(name, says, &new, 2000).await;
    }
}

#[tokio::test]
async fn a_key_server_in_trouble_keeps_nobody_out() {
    let new = Signer::new("new");
    let troubles = troubles(&new).into_iter();
    join_all(troubles.map(|(name, says)| trouble(name, says, &new, 20))).await;
}

/// What befalls a key server. Where it shows a key after all, nobody is to see it.
fn troubles(new: &Signer) -> [(&'static str, Says); 5] {
    [
        ("hangs", Says::Hang),
        ("answers 500", Says::Failure),
        ("answers garbage", Says::Garbage),
        ("answers 50 MiB", Says::Large(vec![new.jwk()])),
        ("redirects", Says::Redirect(vec![new.jwk()])),
    ]
}

async fn trouble(name: &str, says: Says, new: &Signer, requests: usize) {
    let good = Signer::new("good");
    let issuer = Issuer::start(Says::Keys(vec![good.jwk()])).await;
    let process = Process::start(&issuer.toml()).await;
    let vehicle = process.sandbox.vehicles(Class::Finished).next().unwrap();
    let body = asking_for(&[vehicle]);
    let mut connection = Connection::open(process.address).await;
    let mut call = async |token: &str| {
        connection.show(token);
        let asked_at = Instant::now();
        connection.batch(&body).await.expect(200);
        asked_at.elapsed()
    };
    let known = good.sign("known");
    call(&known).await;
    let mut quiet = Times::default();
    for _ in 0..requests {
        quiet.push(call(&known).await);
    }

    issuer.say(says);
    let knocking = async {
        let mut connection = Connection::open(process.address).await;
        connection.show(&new.sign("anybody"));
        let asked_at = Instant::now();
        connection.batch(&body).await.expect(401);
        let first = asked_at.elapsed();
        connection.batch(&body).await.expect(401);
        (first, asked_at.elapsed() - first)
    };
    let mut during = Times::default();
    let calling = async {
        for nth in 0..requests {
            // Every other token is new, so that its key is needed.
            let token = if nth % 2 == 0 { known.clone() } else { good.sign(&nth.to_string()) };
            during.push(call(&token).await);
        }
    };
    let ((first, again), ()) = tokio::join!(knocking, calling);
    assert!(first < BOUND + SLACK, "{name}: {first:?}");
    assert!(again < SLACK, "{name}: {again:?}");
    assert_eq!(issuer.fetches(), 2, "{name}: one for the first set, one for the key");
    call(&good.sign("afterwards")).await;
    println!(
        "key server {name}: unknown kid refused after {first:.2?}, again {again:.2?}; known kids \
         before {quiet}; during {during}"
    );
}
