use futures_util::FutureExt as _;
use serde_json::json;

use super::{
    super::{
        super::testing::key,
        testing::{jwk, keys, set, with},
        usable_keys::UsableKeys,
    },
    *,
};
use crate::auth::keys::Keys;

const ES256: Algorithm = Algorithm::ES256;

fn published(ids: &[&str]) -> KeySet {
    let published = KeySet::new();
    published.succeed(keys(ids));
    published
}

fn known(published: &KeySet, id: &str) -> Option<Arc<Key>> {
    match published.find(id, ES256) {
        Found::Key(key) => Some(key),
        Found::Awaited(_) | Found::Nothing => None,
    }
}

fn awaited(published: &KeySet, id: &str) -> Option<Fetch> {
    match published.find(id, ES256) {
        Found::Awaited(fetch) => Some(fetch),
        Found::Key(_) | Found::Nothing => None,
    }
}

#[tokio::test]
async fn a_key_that_stays_is_the_same_and_one_that_goes_is_gone() {
    let published = published(&["a", "b"]);
    let a = known(&published, "a").unwrap();
    let b = Arc::downgrade(&known(&published, "b").unwrap());

    let change = published.succeed(keys(&["c", "a"]));
    assert!(change.differs);
    assert!(Arc::ptr_eq(&a, &known(&published, "a").unwrap()));
    assert_eq!(b.strong_count(), 0, "and with it what was verified with it");
    assert!(known(&published, "c").is_some());
    assert!(!published.succeed(keys(&["c", "a"])).differs);
}

#[tokio::test]
async fn another_key_under_the_same_name_is_another_key() {
    let of = |algorithm| {
        let text = set([with(jwk(algorithm), json!({ "kid": "a" }))]);
        UsableKeys::parse(text.as_bytes()).unwrap().keys
    };
    let published = KeySet::new();
    published.succeed(of(ES256));
    let old = Arc::downgrade(&known(&published, "a").unwrap());
    assert!(published.succeed(of(Algorithm::EdDSA)).differs);
    assert_eq!(old.strong_count(), 0);
    assert_eq!(known(&published, "a").unwrap().algorithm, Algorithm::EdDSA);
}

#[tokio::test]
async fn of_keys_with_one_name_that_for_the_algorithm_counts() {
    let both = [ES256, Algorithm::RS256].map(|one| with(jwk(one), json!({ "kid": "a" })));
    let published = KeySet::new();
    published.succeed(UsableKeys::parse(set(both).as_bytes()).unwrap().keys);
    for (algorithm, found) in
        [(Algorithm::RS256, Algorithm::RS256), (ES256, ES256), (Algorithm::EdDSA, ES256)]
    {
        let Found::Key(key) = published.find("a", algorithm) else { panic!("{algorithm:?}") };
        assert_eq!(key.algorithm, found);
    }
}

#[tokio::test]
async fn who_waits_is_told_when_the_fetch_has_ended() {
    let published = published(&["a"]);
    let succeed = |published: &KeySet| _ = published.succeed(keys(&["a", "b"]));
    for end in [KeySet::fail, succeed] {
        published.begin();
        let mut fetches: Vec<_> = (0..3).map(|_| awaited(&published, "b").unwrap()).collect();
        assert!(
            fetches
                .iter_mut()
                .all(|fetch| fetch.now_or_never().is_none())
        );
        end(&published);
        assert!(
            fetches
                .iter_mut()
                .all(|fetch| fetch.now_or_never().is_some())
        );
    }
    assert!(known(&published, "b").is_some());
}

#[tokio::test]
async fn an_unknown_kid_wants_a_fetch_once() {
    let published = published(&["a"]);
    assert!(published.wanted().now_or_never().is_none());
    let fetch = awaited(&published, "b");
    assert!(fetch.is_some() && published.wanted().now_or_never().is_some());
    published.begin();
    assert!(published.wanted().now_or_never().is_none());
    published.succeed(keys(&["a"]));
    assert!(awaited(&published, "b").is_none(), "it is known not to be there");
    assert!(published.wanted().now_or_never().is_none());
}

#[tokio::test]
async fn says_whether_keys_are_in_force() {
    let published = KeySet::new();
    let in_force = published.in_force();
    published.begin();
    published.fail();
    assert!(!*in_force.borrow());
    published.succeed(keys(&["a"]));
    assert!(*in_force.borrow());
    published.expire();
    assert!(!*in_force.borrow());
    assert!(known(&published, "a").is_none());
}

#[tokio::test]
async fn the_configured_key_counts_under_one_name_with_a_published_one() {
    let configured = |id: &str| {
        let mut key = key(ES256);
        key.id = id.into();
        key.issuer = Some("configured".into());
        vec![key]
    };
    for (configured, published, id, found) in [
        (configured("a"), &["a"][..], Some("a"), Some(true)),
        (configured("a"), &["b"], Some("b"), Some(false)),
        (configured("a"), &["a"], None, Some(true)),
        (configured("a"), &["b"], None, None),
        (vec![], &["a"], None, Some(false)),
        (vec![], &["a", "b"], None, None),
    ] {
        let names = format!("{published:?} {id:?}");
        let keys = Keys::new(configured, Some(Arc::new(self::published(published))));
        let is_configured = match keys.find(id, ES256) {
            Found::Key(key) => Some(key.issuer.is_some()),
            Found::Awaited(_) | Found::Nothing => None,
        };
        assert_eq!(is_configured, found, "{names}");
    }
}

#[tokio::test]
async fn nobody_waits_for_a_published_secret_or_a_key_without_a_name() {
    let keys = Keys::new(vec![], Some(Arc::new(KeySet::new())));
    for (id, algorithm, waits) in [
        (Some("a"), Algorithm::HS256, false),
        (Some("a"), Algorithm::HS512, false),
        (None, ES256, false),
        (Some("a"), ES256, true),
        (Some(""), Algorithm::EdDSA, true),
    ] {
        let found = keys.find(id, algorithm);
        assert_eq!(matches!(found, Found::Awaited(_)), waits, "{id:?} {algorithm:?}");
    }
}
