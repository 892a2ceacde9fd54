//! Many clients of two accounts at once: nobody is ever told a byte that is another's.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use http::Request;
use tokio::time::{sleep, timeout};
use vingate::{
    sandbox::{Class, Faults, Only},
    vehicle::Vehicle,
};

use crate::support::{BATCH, Dice, Gateway, JSON, PATIENCE, batch_body};

const CLIENTS: usize = 32;

/// Lives so short that every request finds some of what it asks for, and misses some.
const TOML: &str = r#"
[[account]]
name = "a"
value = { env = "SYNC_A" }
subjects = ["client-0", "client-2", "client-4", "client-6"]
[[account]]
name = "b"
value = { env = "SYNC_B" }
subjects = ["*"]
[cache.ttl]
finished = "60ms"
"#;

/// Requests of each client; `VINGATE_REQUESTS` asks for more.
fn requests() -> usize {
    std::env::var("VINGATE_REQUESTS").map_or(16, |number| number.parse().unwrap())
}

/// Asks for some of `vehicles` again and again, in every way that there is.
async fn ask(gateway: Arc<Gateway>, vehicles: Arc<Vec<Vehicle>>, client: usize, mut dice: Dice) {
    let token = gateway.token(&format!("client-{}", client % 8), None);
    let credential = if client.is_multiple_of(2) { "SYNC_A" } else { "SYNC_B" };
    for _ in 0..requests() {
        let first = dice.throw(vehicles.len());
        let length = 1 + dice.throw(20);
        let some: Vec<_> = vehicles.iter().cycle().skip(first).take(length).collect();
        let typed: Vec<_> = some.iter().map(|vehicle| dice.typed(**vehicle)).collect();
        let typed: Vec<_> = typed.iter().map(|typed| typed.as_typed()).collect();
        let method = ["GET", "QUERY", "POST"][dice.throw(3)];
        let directive = ["", "", "", "no-cache", "no-store", "max-age=0"][dice.throw(6)];
        let mut request = Request::builder()
            .method(method)
            .uri(BATCH)
            .header("authorization", &token)
            .header("cache-control", directive)
            .header("content-type", JSON)
            // None of these is anybody's credential here.
            .header("cookie", format!("a={}", dice.throw(3)))
            .header("x-api-key", ["SYNC_A", "SYNC_B"][dice.throw(2)]);
        if method == "POST" {
            request = request.header("x-http-method-override", "GET");
        }
        let asked = gateway.send_bare(request, batch_body(&typed));
        if dice.throw(8) == 0 {
            // Whoever hangs up leaves a call behind that others have joined.
            let _ = timeout(Duration::from_millis(dice.throw(4) as u64), asked).await;
            continue;
        }
        let answer = asked.await.expect(200);
        let told = gateway.answer_for(some, credential);
        assert_eq!(answer.text(), told, "client {client}: {method} {directive}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_of_two_accounts_are_never_told_what_is_the_others() {
    let gateway = Arc::new(Gateway::start(TOML).await);
    gateway.sandbox.set_faults(Faults {
        only: Only::Batch,
        jitter: Duration::from_millis(4),
        ..Faults::default()
    });
    let vehicles: Vec<_> = gateway.sandbox.vehicles(Class::Finished).take(60).collect();
    assert_ne!(gateway.answer_for(&vehicles, "SYNC_A"), gateway.answer_for(&vehicles, "SYNC_B"));
    let vehicles = Arc::new(vehicles);
    let seed = match std::env::var("VINGATE_SEED") {
        Ok(seed) => seed.parse().unwrap(),
        Err(_) => u64::from(std::time::UNIX_EPOCH.elapsed().unwrap().subsec_nanos()),
    };
    // Shown when the test fails.
    println!("VINGATE_SEED={seed}");
    let purging = tokio::spawn({
        let gateway = Arc::clone(&gateway);
        async move {
            loop {
                gateway.purge().await;
                sleep(Duration::from_millis(150)).await;
            }
        }
    });
    let clients = (0..CLIENTS).map(|client| {
        let dice = Dice::new(seed.wrapping_add(client as u64));
        tokio::spawn(ask(Arc::clone(&gateway), Arc::clone(&vehicles), client, dice))
    });
    let all = timeout(PATIENCE * (1 + requests() as u32 / 500), join_all(clients)).await;
    for client in all.expect("it takes too long") {
        client.unwrap();
    }
    purging.abort();
    // It was about the cache: much was answered from there, and much was joined.
    for outcome in ["hit", "joined", "miss"] {
        let series = format!("vingate_cache_vehicles_total{{outcome=\"{outcome}\"}}");
        assert!(gateway.metric(&series).await > 100.0, "{outcome}");
    }
    // And each credential went up by itself.
    for call in gateway.sandbox.calls() {
        let sent = &call.headers["authorization"];
        assert!(sent == "SYNC_A" || sent == "SYNC_B");
        assert!(!call.headers.contains_key("cookie") && !call.headers.contains_key("x-api-key"));
    }
}
