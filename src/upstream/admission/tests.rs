//! Every order of steps of a few calls, held against what must be true of any admission.

use super::*;

const LIMITS: Limits = Limits { calls: 2, streaming: 1, of_client: 1 };

/// Who asks, in this order: two clients, and both kinds.
const CALLS: [(u128, Kind); 6] = [
    (1, Kind::Buffered),
    (1, Kind::Streaming),
    (1, Kind::Buffered),
    (2, Kind::Streaming),
    (2, Kind::Buffered),
    (1, Kind::Streaming),
];

#[derive(Clone, Copy, Debug)]
enum Step {
    /// The next call asks.
    Enter,
    /// A call under way ends.
    End(usize),
    /// A call that waits is given up.
    Leave(usize),
}

/// Where a call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Waiting(Ticket),
    UnderWay(Generation),
    Over,
}

struct Scene {
    state: State,
    now: Instant,
    calls: Vec<Place>,
}

fn reservation((client, kind): (u128, Kind)) -> Reservation {
    Reservation { client: Some(ClientId(client)), ..Reservation::of(kind) }
}

/// Runs every order of up to so many steps, and gives the number of orders.
fn explore(steps: &mut Vec<Step>, left: usize) -> usize {
    let mut scene = Scene::new();
    for &step in &*steps {
        scene.act(step);
        scene.check(steps);
    }
    if left == 0 {
        return 1;
    }
    let mut orders = 1;
    for step in scene.possible() {
        steps.push(step);
        orders += explore(steps, left - 1);
        steps.pop();
    }
    orders
}

#[test]
fn no_order_of_steps_admits_too_many_or_leaves_a_permit_unused() {
    let orders = explore(&mut Vec::new(), 11);
    println!("{orders} orders");
    assert!(orders > 10_000, "{orders} orders");
}

#[test]
fn clients_take_turns_whatever_kind_their_calls_are_of() {
    let mut scene = Scene::new();
    let mut wait = |client: u128, kind, vehicles| {
        let reservation = Reservation { vehicles, ..reservation((client, kind)) };
        matches!(scene.state.enter(reservation, scene.now), Entered::Queued(..))
    };
    assert!(!wait(9, Kind::Buffered, 0) && !wait(9, Kind::Buffered, 0));
    for _ in 0..5 {
        assert!(wait(1, Kind::Buffered, 0));
    }
    for _ in 0..3 {
        assert!(wait(2, Kind::Streaming, 0));
    }
    // What a client had as one kind counts for the other.
    assert!(wait(1, Kind::Streaming, 0) && wait(3, Kind::Buffered, 100));
    assert!(wait(3, Kind::Streaming, 0));
    let mut turns = Vec::new();
    scene.state.release(Some(ClientId(9)), false);
    while let Some((Reservation { client, kind, .. }, ..)) = scene.state.next(scene.now) {
        scene.state.release(client, false);
        scene.state.streaming -= usize::from(kind == Kind::Streaming);
        turns.push(client.unwrap().0);
    }
    assert_eq!(turns, [1, 2, 3, 1, 2, 1, 2, 1, 1, 3, 1]);
}

#[test]
fn a_lower_limit_lets_as_many_more_wait() {
    for (limit, want) in [(8, 8), (4, 12)] {
        let Scene { now, state, .. } = Scene::new();
        let limits = Limits { calls: 8, streaming: 8, of_client: 8 };
        let adaptive = Some(Adaptive::new(limit, now));
        let queues = Kind::ALL.map(|_| Queue::new(8 * QUEUE));
        let mut state = State { adaptive, own: 8, limits, queues, ..state };
        let one = reservation((1, Kind::Buffered));
        for _ in 0..limit + 2 {
            assert!(!matches!(state.enter(one, now), Entered::Refused(_)));
        }
        // The queue is no burst, and its pace is known.
        let later = now + Duration::from_millis(150);
        state.release(one.client, false);
        assert!(state.next(later).is_some());
        let waiting = (1..100).find(|_| matches!(state.enter(one, later), Entered::Refused(_)));
        assert_eq!(waiting, Some(want), "{limit}");
    }
}

/// Tunnels and downloads would otherwise keep everybody else out for hours.
#[test]
fn what_goes_at_its_clients_pace_takes_no_part_of_the_adaptive_limit() {
    let Scene { now, state, .. } = Scene::new();
    let limits = Limits { calls: 8, streaming: 2, of_client: 8 };
    let adaptive = Some(Adaptive::new(4, now));
    let mut state = State { adaptive, own: 8, limits, ..state };
    let admits = |state: &mut State, kind| match state.enter(Reservation::of(kind), now) {
        Entered::Admitted(entrance) => Some(entrance.under_way),
        Entered::Queued(..) => None,
        Entered::Refused(error) => panic!("{error}"),
    };
    assert_eq!(admits(&mut state, Kind::Streaming), Some(0));
    for under_way in 1..=4 {
        assert_eq!(admits(&mut state, Kind::Buffered), Some(under_way));
    }
    assert_eq!(admits(&mut state, Kind::Buffered), None);
    state.answered = 3;
    assert!(state.next(now).is_some(), "three have their head");
    assert_eq!(admits(&mut state, Kind::Buffered), Some(3));
    assert_eq!(admits(&mut state, Kind::Buffered), Some(4), "all that may be at once");
    assert_eq!(admits(&mut state, Kind::Buffered), None);
    state.answered = 7;
    assert!(state.next(now).is_none(), "more than may be at once");
}

impl Scene {
    fn new() -> Self {
        let breaker = BreakerConfig {
            failure_ratio: 1.0,
            min_requests: u32::MAX,
            open_for: Duration::MAX,
            probe_for: Duration::MAX,
        };
        let now = Instant::now();
        Self { state: State::new(LIMITS, breaker, now), now, calls: Vec::new() }
    }

    fn possible(&self) -> Vec<Step> {
        let mut steps = Vec::from_iter((self.calls.len() < CALLS.len()).then_some(Step::Enter));
        for (nth, place) in self.calls.iter().enumerate() {
            match place {
                Place::Waiting(_) => steps.push(Step::Leave(nth)),
                Place::UnderWay(_) => steps.push(Step::End(nth)),
                Place::Over => {}
            }
        }
        steps
    }

    fn act(&mut self, step: Step) {
        match step {
            Step::Enter => {
                let call = CALLS[self.calls.len()];
                self.calls
                    .push(match self.state.enter(reservation(call), self.now) {
                        Entered::Admitted(entrance) => Place::UnderWay(entrance.generation),
                        Entered::Queued(ticket, _) => Place::Waiting(ticket),
                        Entered::Refused(error) => panic!("{error}"),
                    });
            }
            Step::End(nth) => {
                let (client, kind) = CALLS[nth];
                self.calls[nth] = Place::Over;
                self.state.release(Some(ClientId(client)), false);
                self.admit();
                if kind == Kind::Streaming {
                    self.state.streaming -= 1;
                }
            }
            Step::Leave(nth) => {
                let Place::Waiting(ticket) = self.calls[nth] else { panic!("it does not wait") };
                self.calls[nth] = Place::Over;
                self.state.leave(CALLS[nth].1, ticket);
            }
        }
        self.admit();
    }

    /// Admits whom the last step lets in, each in its turn.
    fn admit(&mut self) {
        loop {
            let has_room = self.state.streaming < LIMITS.streaming;
            let Some((Reservation { kind, client, .. }, _, entered)) = self.state.next(self.now)
            else {
                return;
            };
            let is_of = |&(nth, place): &(usize, &Place)| {
                let (of, its) = CALLS[nth];
                matches!(place, Place::Waiting(_)) && client == Some(ClientId(of)) && its == kind
            };
            let waiting = self.calls.iter().enumerate();
            let (first, _) = waiting.filter(is_of).min_by_key(|(nth, _)| *nth).unwrap();
            // Whatever kind they are of, if there was room for them.
            let others = self
                .waiting(Kind::Buffered)
                .into_iter()
                .chain(
                    self.waiting(Kind::Streaming)
                        .into_iter()
                        .filter(|_| has_room),
                )
                .filter(|&nth| CALLS[nth].0 != CALLS[first].0);
            for other in others {
                let has_more = self.under_way_of(CALLS[first].0) >= LIMITS.of_client;
                let has_less = self.under_way_of(CALLS[other].0) < LIMITS.of_client;
                assert!(!(has_more && has_less), "{other} is below its share");
            }
            self.calls[first] =
                Place::UnderWay(entered.expect("nothing stands in the way").generation);
        }
    }

    fn waiting(&self, kind: Kind) -> Vec<usize> {
        let is_waiting =
            |&nth: &usize| matches!(self.calls[nth], Place::Waiting(_)) && CALLS[nth].1 == kind;
        (0..self.calls.len()).filter(is_waiting).collect()
    }

    fn under_way(&self) -> impl Iterator<Item = usize> {
        let is_under_way = |&nth: &usize| matches!(self.calls[nth], Place::UnderWay(_));
        (0..self.calls.len()).filter(is_under_way)
    }

    fn under_way_of(&self, client: u128) -> usize {
        self.under_way()
            .filter(|&nth| CALLS[nth].0 == client)
            .count()
    }

    /// What must be true at any time.
    fn check(&self, steps: &[Step]) {
        let State { in_flight, streaming, ref by_client, .. } = self.state;
        let is_streaming = |&nth: &usize| CALLS[nth].1 == Kind::Streaming;
        assert_eq!(in_flight, self.under_way().count(), "{steps:?}");
        assert_eq!(streaming, self.under_way().filter(is_streaming).count(), "{steps:?}");
        assert!(in_flight <= LIMITS.calls && streaming <= LIMITS.streaming, "{steps:?}");
        assert_eq!(by_client.values().sum::<usize>(), in_flight, "{steps:?}");
        if in_flight < LIMITS.calls {
            assert!(self.waiting(Kind::Buffered).is_empty(), "{steps:?}");
            let has_room = streaming < LIMITS.streaming;
            assert!(!has_room || self.waiting(Kind::Streaming).is_empty(), "{steps:?}");
        }
        let queued = |kind| self.waiting(kind).is_empty();
        for kind in Kind::ALL {
            assert_eq!(self.state.queues[kind as usize].is_empty(), queued(kind));
        }
    }
}
