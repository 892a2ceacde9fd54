//! Two accounts, many clients and everything that they may do at once: whatever happens, nobody
//! is served what is older than the last write, or what is not theirs.
//!
//! The environment sets `VINGATE_SEED`, which steers what is asked and what fails, though not
//! what meets what, and `VINGATE_SOAK_SECONDS`.

mod client;
mod reads;
mod world;
mod writes;

use std::{env, num::NonZeroU64, sync::Arc};

use tokio::time::{Duration, Instant, sleep};
use vingate::sandbox::{Faults, Mutation, Only};

use self::{
    client::Client,
    world::{Count, World},
};
use crate::support::{Dice, now};

const CLIENTS: usize = 32;

/// Lives so short that every one ends often, and room for a part of it all.
const CONFIG: &str = r#"
[[account]]
name = "a"
value = { env = "SYNC_A" }
subjects = ["a"]
[[account]]
name = "b"
value = { env = "SYNC_B" }
subjects = ["*"]
[upstream]
attempt_timeout = "1s"
[batch]
chunk = 20
[cache]
capacity = "1MiB"
stale_while_revalidate = "300ms"
stale_if_error = "1s"
[cache.ttl]
finished = "200ms"
pending = "50ms"
failed = "50ms"
absent = "50ms"
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes a minute, or as long as it is told to"]
async fn for_a_minute_nobody_sees_what_is_old_or_foreign() {
    soak(60).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_sees_what_is_old_or_foreign() {
    soak(2).await;
}

async fn soak(seconds: u64) {
    let seed = from_env("VINGATE_SEED").unwrap_or(now().as_nanos() as u64);
    let lasting = Duration::from_secs(from_env("VINGATE_SOAK_SECONDS").unwrap_or(seconds));
    println!("VINGATE_SEED={seed}");
    let world = Arc::new(World::start(CONFIG).await);
    let until = Instant::now() + lasting;
    let clients: Vec<_> = (0..CLIENTS)
        .map(|nth| {
            let (world, dice) = (Arc::clone(&world), Dice::new(seed.wrapping_add(nth as u64)));
            tokio::spawn(async move {
                let mut client = Client::new(world, nth % 2, dice).await;
                while Instant::now() < until {
                    client.act().await;
                }
            })
        })
        .collect();
    let mut dice = Dice::new(seed ^ u64::MAX);
    while Instant::now() < until {
        world.process.sandbox.set_faults(faults(&mut dice));
        sleep(Duration::from_millis(dice.throw(80) as u64)).await;
    }
    for client in clients {
        client.await.unwrap();
    }
    println!("{CLIENTS} clients, {lasting:?}: {}", world.seen());
    for what in [Count::Vehicles, Count::Writes] {
        assert_ne!(world.counted(what), 0, "{}", what.name());
    }
    assert_eq!(world.process.sandbox.counters().rejected, 0, "the upstream's own rules are kept");
}

fn from_env(name: &str) -> Option<u64> {
    let text = env::var(name).ok()?;
    Some(text.parse().expect("it is a number"))
}

/// What fails next. A write that is answered with 4xx has not happened, which the sandbox cannot
/// play, so that none is.
fn faults(dice: &mut Dice) -> Vec<Faults> {
    let calls = Some(1 + dice.throw(3) as u64);
    let a_little = Duration::from_millis(dice.throw(40) as u64);
    let batch = Faults { calls, ..Faults::default() };
    let status = [400, 401, 403, 404, 429, 500, 503][dice.throw(7)];
    let twist = [Mutation::Extra, Mutation::Reversed, Mutation::Truncated][dice.throw(3)];
    let batch = match dice.throw(16) {
        0 => Faults { status: Some(status), hold: a_little, ..batch },
        1 => Faults { close: true, hold: a_little, ..batch },
        2 => Faults { cut_after: Some(500), ..batch },
        3 => Faults { mutations: vec![twist], ..batch },
        4 => Faults { chunked: true, bytes_per_second: NonZeroU64::new(1 << 20), ..batch },
        // Longer than a try may take; rarely, because everybody waits.
        5 if dice.throw(8) == 0 => {
            Faults { latency: Duration::from_millis(1300), calls: Some(1), ..batch }
        }
        6..=9 => Faults { latency: a_little, jitter: a_little, ..batch },
        10..=12 => Faults { hold: a_little, ..batch },
        _ => batch,
    };
    let write = Faults { only: Only::Writes, calls, ..Faults::default() };
    let write = match dice.throw(8) {
        0 => Faults { status: Some(500), ..write },
        1 => Faults { close: true, ..write },
        2 | 3 => Faults { latency: a_little, ..write },
        4 | 5 => Faults { hold: a_little, ..write },
        _ => write,
    };
    vec![batch, write]
}
