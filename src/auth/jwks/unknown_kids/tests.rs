use super::*;

fn kid(number: u32) -> Digest {
    crate::digest::of(&number.to_be_bytes())
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A search after its first fetch, which nobody waited for.
fn settled(now: Instant) -> UnknownKids {
    let mut search = UnknownKids::new(now);
    search.begin(now);
    assert!(!search.succeed([]));
    search
}

/// A search with a fetch that kid 0 has just caused.
fn running(now: Instant) -> UnknownKids {
    let mut search = settled(now);
    assert_eq!(search.ask(kid(0), now), Decision::Fetch);
    search.begin(now);
    search
}

#[tokio::test]
async fn the_first_fetch_is_waited_for_but_not_caused() {
    let start = Instant::now();
    let mut search = UnknownKids::new(start);
    assert_eq!(search.ask(kid(1), start), Decision::Wait);
    search.begin(start);
    assert_eq!(search.ask(kid(2), start), Decision::Wait);
    assert!(search.succeed([kid(2)]), "1 is not there");
    assert_eq!(search.ask(kid(1), start), Decision::Refuse);
    assert_eq!(search.ask(kid(2), start), Decision::Fetch, "there is room for one in ten seconds");
}

#[tokio::test]
async fn one_fetch_is_for_everybody() {
    let now = Instant::now();
    let mut search = settled(now);
    assert!(!search.wants_fetch());
    assert_eq!(search.ask(kid(1), now), Decision::Fetch);
    assert!(search.wants_fetch());
    for number in [1, 2, 1] {
        assert_eq!(search.ask(kid(number), now), Decision::Wait);
    }
    search.begin(now);
    assert!(!search.wants_fetch(), "it has begun");
    for number in [1, 2, 3, 3] {
        assert_eq!(search.ask(kid(number), now), Decision::Wait);
    }
}

#[tokio::test]
async fn a_flood_of_kids_causes_a_fetch_in_ten_seconds_and_waits_for_nothing_else() {
    let start = Instant::now();
    let mut search = settled(start);
    let (mut fetches, mut waits) = (0, 0);
    for number in 0..100_000 {
        let now = start + Duration::from_millis(number.into());
        match search.ask(kid(number), now) {
            Decision::Fetch => {
                fetches += 1;
                search.begin(now);
            }
            Decision::Wait => waits += 1,
            Decision::Refuse => {}
        }
        // The fetch takes 20 ms.
        if number % 10_000 == 20 {
            assert!(search.succeed([]));
        }
    }
    assert_eq!(fetches, 10, "in 100 seconds");
    assert_eq!(waits, 10 * 20);
}

#[tokio::test]
async fn a_kid_that_a_fetch_did_not_bring_is_refused_until_the_next_has_succeeded() {
    let start = Instant::now();
    let mut search = running(start);
    assert!(search.succeed([kid(7)]));
    let later = start + seconds(3600);
    assert_eq!(search.ask(kid(0), later), Decision::Refuse);

    search.begin(later);
    search.fail();
    assert_eq!(search.ask(kid(0), later), Decision::Refuse, "a failure shows nothing");
    search.begin(later);
    assert!(!search.succeed([]), "nothing was sought");
    assert_eq!(search.ask(kid(0), later), Decision::Fetch);
}

#[tokio::test]
async fn a_kid_that_came_is_not_missed() {
    let mut search = running(Instant::now());
    assert!(!search.succeed([kid(0), kid(1)]));
    assert!(search.absent.is_empty());
}

#[tokio::test]
async fn a_kid_that_came_while_a_fetch_was_running_may_cause_the_next() {
    let start = Instant::now();
    let mut search = settled(start);
    search.begin(start);
    assert_eq!(search.ask(kid(1), start), Decision::Wait);
    assert!(!search.succeed([]), "it was not sought by this fetch");
    assert_eq!(search.ask(kid(1), start), Decision::Fetch, "nor had a kid caused that one");
}

#[tokio::test]
async fn a_failure_shows_nothing_of_a_kid_but_does_not_open_the_window() {
    let start = Instant::now();
    let mut search = running(start);
    search.fail();
    assert_eq!(search.ask(kid(0), start), Decision::Refuse);
    let before = start + FETCH_EVERY - Duration::from_nanos(1);
    assert_eq!(search.ask(kid(0), before), Decision::Refuse);
    assert_eq!(search.ask(kid(0), start + FETCH_EVERY), Decision::Fetch);
}

#[tokio::test]
async fn nobody_begins_to_wait_for_a_fetch_that_hangs() {
    let start = Instant::now();
    let mut search = running(start);
    let before = start + MAX_WAIT - Duration::from_nanos(1);
    assert_eq!(search.ask(kid(0), before), Decision::Wait);
    for after in [start + MAX_WAIT, start + seconds(3600)] {
        assert_eq!(search.ask(kid(0), after), Decision::Refuse);
        assert_eq!(search.ask(kid(1), after), Decision::Refuse);
    }
}

#[tokio::test]
async fn nobody_waits_long_for_a_fetch_that_does_not_begin() {
    let start = Instant::now();
    let mut search = settled(start);
    assert_eq!(search.ask(kid(0), start), Decision::Fetch);
    assert_eq!(search.ask(kid(0), start + MAX_WAIT), Decision::Refuse);
}

#[tokio::test]
async fn remembers_a_bounded_number_of_kids() {
    let start = Instant::now();
    let mut search = settled(start);
    for number in 0..1000 {
        search.ask(kid(number), start);
    }
    search.begin(start);
    for number in 1000..2000 {
        assert_eq!(search.ask(kid(number), start), Decision::Refuse);
    }
    assert_eq!(search.ask(kid(1), start), Decision::Wait, "who was first stays");
    assert_eq!(search.sought.len() + search.late.len(), MAX_SOUGHT);
    search.succeed([]);
    assert_eq!(search.absent.len(), MAX_SOUGHT);
    assert!(search.sought.is_empty() && search.late.is_empty());
}
