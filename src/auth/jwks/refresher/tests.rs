use std::{collections::VecDeque, future::pending};

use jsonwebtoken::Algorithm;
use parking_lot::Mutex;
use prometheus::Registry;
use tokio::time::{sleep, timeout_at};

use super::{
    super::{
        key_set::Found,
        testing::{config, keys, named, set, with},
        unknown_kids::MAX_WAIT,
        usable_keys::UsableKeys,
    },
    *,
};

/// What the next fetches bring, each after a while. When there are no more, they hang.
type Script = Mutex<VecDeque<(Duration, Result<Fetched, Error>)>>;

struct Play {
    published: Arc<KeySet>,
    script: Arc<Script>,
    /// When fetches began, since the start.
    begun: Arc<Mutex<Vec<f64>>>,
    registry: Registry,
}

const LONG: Duration = Duration::from_secs(20 * 60 * 60);
const AT_ONCE: Duration = Duration::ZERO;

fn brings(ids: &[&str], fresh_for: Duration) -> Result<Fetched, Error> {
    Ok(Fetched { usable: UsableKeys { keys: keys(ids), left_out: LeftOut::default() }, fresh_for })
}

fn fails() -> Result<Fetched, Error> {
    Err(Error::Empty(LeftOut::default()))
}

impl Play {
    /// Runs the task against this script.
    fn start(script: impl IntoIterator<Item = (Duration, Result<Fetched, Error>)>) -> Self {
        let registry = Registry::new();
        let play = Self {
            published: Arc::new(KeySet::new()),
            script: Arc::new(Mutex::new(script.into_iter().collect())),
            begun: Arc::default(),
            registry: registry.clone(),
        };
        let (published, script) = (Arc::clone(&play.published), Arc::clone(&play.script));
        let (begun, start) = (Arc::clone(&play.begun), Instant::now());
        let metrics = Metrics::register(&registry).unwrap();
        tokio::spawn(async move {
            let fetch = || {
                begun.lock().push(start.elapsed().as_secs_f64());
                let next = script.lock().pop_front();
                async {
                    let Some((after, fetched)) = next else { return pending().await };
                    sleep(after).await;
                    fetched
                }
            };
            refresh(&published, &metrics, fetch).await;
        });
        play
    }

    fn begun(&self) -> Vec<f64> {
        self.begun.lock().clone()
    }

    /// Whether there is a key for `id`, perhaps after a fetch, as a request asks for it.
    async fn finds(&self, id: &str) -> bool {
        let deadline = Instant::now() + MAX_WAIT;
        loop {
            match self.published.find(id, Algorithm::ES256) {
                Found::Key(_) => return true,
                Found::Nothing => return false,
                Found::Awaited(fetch) => {
                    if timeout_at(deadline, fetch).await.is_err() {
                        return false;
                    }
                }
            }
        }
    }

    fn counted(&self, outcome: &str) -> f64 {
        let families = self.registry.gather();
        let name = "vingate_auth_jwks_refreshes_total";
        let family = families
            .iter()
            .find(|family| family.name() == name)
            .unwrap();
        let of_outcome = family
            .get_metric()
            .iter()
            .find(|metric| metric.get_label()[0].value() == outcome);
        of_outcome.unwrap().get_counter().get_value()
    }
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[tokio::test(start_paused = true)]
async fn fetches_at_once_and_then_somewhat_before_the_set_is_stale() {
    let life = seconds(1000);
    let play = Play::start((0..4).map(|_| (AT_ONCE, brings(&["a"], life))));
    assert!(play.finds("a").await, "the first request waits for the first fetch");
    // Four fetches take at least 3 × 850 s and at most 3 × 951 s, and a fifth comes at 3,400 s or later.
    sleep(seconds(3300)).await;
    let begun = play.begun();
    assert_eq!((begun[0], begun.len()), (0.0, 4));
    for pair in begun.windows(2) {
        assert!((850.0..=951.0).contains(&(pair[1] - pair[0])), "{begun:?}");
    }
    assert_eq!(play.counted("loaded"), 4.0);
}

#[tokio::test(start_paused = true)]
async fn recovers_by_itself_when_the_key_server_was_down_at_the_start() {
    let script = (0..5).map(|_| (AT_ONCE, fails()));
    let play = Play::start(script.chain([(AT_ONCE, brings(&["a"], LONG))]));
    let mut in_force = play.published.in_force();
    assert!(!*in_force.borrow_and_update());
    in_force.changed().await.unwrap();
    assert!(*in_force.borrow());
    assert!(play.finds("a").await);

    let begun = play.begun();
    for (pair, longest) in begun.windows(2).zip([1.0, 2.0, 4.0, 8.0, 16.0]) {
        let passed = pair[1] - pair[0];
        assert!((longest / 2.0..=longest + 0.01).contains(&passed), "{begun:?}");
    }
    assert_eq!((play.counted("empty"), play.counted("loaded")), (5.0, 1.0));
}

#[tokio::test(start_paused = true)]
async fn the_last_good_set_serves_for_a_day_and_no_longer() {
    let play = Play::start([(AT_ONCE, brings(&["a"], seconds(60)))]);
    assert!(play.finds("a").await);
    // From here on every fetch hangs until its time is over.
    sleep(SERVES_FOR - seconds(20)).await;
    assert!(play.finds("a").await);
    sleep(seconds(40)).await;
    assert!(!*play.published.in_force().borrow());
    assert!(!play.finds("a").await);
    assert!(play.counted("timeout") > 1000.0, "it goes on trying");
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_no_longer_published_stops_working_with_the_next_fetch() {
    let life = seconds(60);
    let play = Play::start([(AT_ONCE, brings(&["a", "b"], life)), (AT_ONCE, brings(&["b"], LONG))]);
    assert!(play.finds("a").await);
    sleep(life).await;
    assert!(!play.finds("a").await);
    assert!(play.finds("b").await);
}

#[tokio::test(start_paused = true)]
async fn an_unknown_kid_is_fetched_once_for_everybody() {
    let play =
        Play::start([(AT_ONCE, brings(&["a"], LONG)), (seconds(1), brings(&["a", "b"], LONG))]);
    assert!(play.finds("a").await);
    sleep(seconds(100)).await;
    let found = futures_util::future::join_all((0..1000).map(|_| play.finds("b"))).await;
    assert!(found.into_iter().all(|found| found));
    assert_eq!(play.begun(), [0.0, 100.0]);
}

#[tokio::test(start_paused = true)]
async fn a_rotation_right_after_a_fetch_is_no_reason_to_refuse() {
    let play =
        Play::start([(seconds(1), brings(&["a"], LONG)), (AT_ONCE, brings(&["a", "b"], LONG))]);
    // The first fetch is on its way and was too early, which the request cannot know.
    sleep(Duration::from_millis(500)).await;
    assert!(play.finds("b").await);
    assert_eq!(play.begun(), [0.0, 1.0]);
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_kids_makes_a_fetch_in_ten_seconds_and_the_others_do_not_wait() {
    let script = (0..100).map(|_| (Duration::from_millis(50), brings(&["a"], LONG)));
    let play = Play::start(script);
    sleep(seconds(1)).await;
    let mut waited = 0;
    for number in 0..10_000 {
        let before = Instant::now();
        assert!(!play.finds(&format!("made up {number}")).await);
        waited += usize::from(before.elapsed() > Duration::ZERO);
        assert!(play.finds("a").await);
        sleep(Duration::from_millis(5)).await;
    }
    let fetches = play.begun();
    assert_eq!(fetches.len(), 1 + 6, "{fetches:?}");
    assert!(
        fetches
            .windows(2)
            .skip(1)
            .all(|pair| pair[1] - pair[0] >= 10.0),
        "{fetches:?}"
    );
    assert_eq!(waited, 6);
}

#[tokio::test(start_paused = true)]
async fn a_key_server_that_hangs_holds_nobody_longer_than_the_bound() {
    let play = Play::start([(AT_ONCE, brings(&["a"], LONG))]);
    assert!(play.finds("a").await);
    let start = Instant::now();
    let waiting = (0..1000).map(|number| {
        let play = &play;
        async move {
            sleep(Duration::from_millis(number * 10)).await;
            let before = Instant::now();
            assert!(!play.finds("b").await);
            assert!(play.finds("a").await);
            before.elapsed()
        }
    });
    let waited = futures_util::future::join_all(waiting).await;
    // The timer is exact to a millisecond.
    assert!(
        waited
            .iter()
            .all(|waited| *waited <= MAX_WAIT + Duration::from_millis(1))
    );
    let at_once = waited.iter().filter(|waited| waited.is_zero()).count();
    assert!(at_once >= 790, "after two seconds nobody begins to wait: {at_once}");
    assert!(start.elapsed() <= seconds(10));
    assert_eq!(play.begun().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_fetch_that_hangs_is_given_up() {
    let play = Play::start([]);
    sleep(seconds(9)).await;
    assert_eq!(play.counted("timeout"), 0.0);
    sleep(seconds(2)).await;
    assert_eq!(play.counted("timeout"), 1.0);
    assert_eq!(play.begun().len(), 2, "and tried again");
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_an_unknown_kid_caused_is_not_retried_while_the_set_is_fresh() {
    let play = Play::start([(AT_ONCE, brings(&["a"], LONG)), (AT_ONCE, fails())]);
    assert!(play.finds("a").await);
    assert!(!play.finds("b").await);
    sleep(seconds(3600)).await;
    assert_eq!(play.begun(), [0.0, 0.0]);
    assert!(play.finds("a").await);
}

#[tokio::test(start_paused = true)]
async fn a_set_that_lacks_a_kid_is_not_fresh_for_long() {
    let play = Play::start((0..9).map(|_| (AT_ONCE, brings(&["a"], LONG))));
    assert!(play.finds("a").await);
    assert!(!play.finds("b").await);
    sleep(seconds(3600)).await;
    let begun = play.begun();
    assert_eq!(begun.len(), 3, "{begun:?}");
    assert!((255.0..=286.0).contains(&begun[2]), "{begun:?}");
}

#[tokio::test(start_paused = true)]
async fn runs_until_it_is_told_to_stop() {
    let fetcher = Fetcher::new(config("/nowhere/jwks.json")).unwrap();
    let metrics = Metrics::register(&Registry::new()).unwrap();
    let published = Arc::new(KeySet::new());
    let refresher = Refresher::new(fetcher, Arc::clone(&published), metrics);
    assert!(!*refresher.in_force().borrow());
    let start = Instant::now();
    refresher.run(sleep(seconds(50))).await;
    assert_eq!(start.elapsed().as_secs(), 50);
    assert_eq!(Arc::strong_count(&published), 1);
}

/// What was logged.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Lines {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        self.0.lock().extend_from_slice(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn names_the_keys_that_are_left_out_once_for_each_set() {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::WARN)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);

    let encrypts = |kid| with(named(kid), serde_json::json!({ "use": "enc" }));
    let of = |keys: Vec<_>| {
        let usable = UsableKeys::parse(set(keys).as_bytes());
        usable.map(|usable| Fetched { usable, fresh_for: seconds(60) })
    };
    let one = || of(vec![named("a"), encrypts("one")]);
    let empty = || of(vec![encrypts("two")]);
    let script = [one(), one(), empty(), empty(), one()];
    let play = Play::start(script.map(|fetched| (AT_ONCE, fetched)));
    sleep(seconds(600)).await;
    assert!(play.begun().len() > 5);

    let lines = String::from_utf8(lines.0.lock().clone()).unwrap();
    let named = |kid: &str| lines.matches(&format!("keys=\"{kid}\": ")).count();
    assert_eq!((named("one"), named("two"), named("a")), (2, 1, 0), "{lines}");
    let of_sets = lines.matches("published keys left out").count();
    assert_eq!(of_sets, 3, "a line for each set: {lines}");
}
