//! Every order of steps of a few requests, held against what must be true of any queue.

use std::{
    collections::{BTreeMap, HashSet},
    time::Duration,
};

use super::*;
use crate::{
    loader::tests::vehicle,
    trace::RequestTrace,
    upstream::ClientId,
    vehicle::Vehicle,
    vehicle_cache::{
        self, Directives, Lookup, Lookups, Partition, StaleWindows, Ttl, VehicleCache,
    },
};
use futures_util::FutureExt as _;
use http::HeaderMap;
use prometheus::Registry;

/// What requests ask for, and what calls may take.
struct Program {
    requests: [&'static [u32]; 4],
    limits: Limits,
}

const PATIENCE: Duration = Duration::from_millis(25);

/// Nobody gathers. The second joins one of the first's, the third has more than fits into a call.
const APART: Program = Program {
    requests: [&[1, 2], &[2, 3], &[4, 5, 6, 7], &[8]],
    limits: Limits {
        chunk: 3,
        max_parallel: 1,
        refresh_wait: Duration::ZERO,
        gather: Terms { from: 0, patience: PATIENCE },
    },
};

/// Those with one vehicle are small, and the fourth would fill a call with the others; the third
/// is large.
const GATHERING: Program = Program {
    requests: [&[1], &[1, 2], &[3, 4], &[5]],
    limits: Limits {
        chunk: 4,
        max_parallel: 1,
        refresh_wait: Duration::ZERO,
        gather: Terms { from: 1, patience: PATIENCE },
    },
};

/// All are small, and four fill a call.
const SMALL: Program = Program { requests: [&[1], &[2], &[3], &[4]], limits: GATHERING.limits };

const PARTITION: [u8; 32] = [1; 32];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// A request comes.
    Push(usize),
    /// A request has its permit.
    Take(usize),
    /// The oldest call ends.
    End,
    /// A request waits no more.
    Leave(usize),
    /// The patience of all who wait is over.
    Pass,
}

struct Scene<'a> {
    program: &'a Program,
    cache: &'a VehicleCache<Failure>,
    queue: Queue,
    now: Instant,
    requests: BTreeMap<usize, Request>,
    calls: VecDeque<Taken>,
    /// Vehicles that are in a call.
    sent: HashSet<Vehicle>,
}

struct Request {
    ticket: Arc<Ticket>,
    came_at: Instant,
    is_small: bool,
    /// What it was told when it last asked.
    told: Option<Next>,
    /// What it leads, as long as no call for it has ended.
    led: HashSet<Vehicle>,
    /// What it has joined.
    joined: HashSet<Vehicle>,
    /// What it has found, which is what keeps others' leases wanted.
    found: Option<Vec<Lookup<Failure>>>,
    flight: Option<Arc<vehicle_cache::Flight<Failure>>>,
}

fn cache() -> VehicleCache<Failure> {
    let life = Duration::ZERO;
    let ttl = Ttl { finished: life, pending: life, failed: life, absent: life, jitter: 0.0 };
    let stale = StaleWindows { while_revalidate: life, if_error: life };
    let config = vehicle_cache::Config { enabled: true, capacity: 1 << 20 };
    let metrics = vehicle_cache::Metrics::register(&Registry::new()).unwrap();
    VehicleCache::of_vehicles(&config, vehicle_cache::Lifetimes { ttl, stale }, metrics)
}

/// Looks up these vehicles for a client.
fn look_up(
    cache: &VehicleCache<Failure>,
    vehicles: &[u32],
    client: Option<ClientId>,
) -> (Lookups<Failure>, Arc<CallContext>) {
    let (partition, directives) = (Some(Partition::new(&PARTITION)), Directives::default());
    let headers = HeaderMap::new();
    let vehicles = vehicles.iter().map(|&n| vehicle(n));
    let lookups = cache.lookup(partition, vehicles, &directives, Instant::now());
    let context = CallContext {
        partition,
        account: None,
        client,
        is_account: true,
        directives,
        trace: RequestTrace::default(),
        headers,
    };
    (lookups, Arc::new(context))
}

/// Runs every order of up to so many steps, and gives the number of orders.
fn explore(
    program: &Program,
    cache: &VehicleCache<Failure>,
    steps: &mut Vec<Step>,
    left: usize,
) -> usize {
    let mut scene = Scene::new(program, cache);
    for &step in &*steps {
        scene.act(step);
        scene.check(steps);
    }
    let possible = scene.possible();
    scene.end(steps);
    if left == 0 {
        return 1;
    }
    let mut orders = 1;
    for step in possible {
        steps.push(step);
        orders += explore(program, cache, steps, left - 1);
        steps.pop();
    }
    orders
}

#[test]
fn no_order_of_steps_loses_or_repeats_a_vehicle_or_overfills_a_call() {
    explore_all(&APART);
}

#[test]
fn no_order_of_steps_with_large_and_small_ones_lets_one_wait_for_too_long() {
    explore_all(&GATHERING);
}

#[test]
fn no_order_of_steps_with_small_ones_lets_one_wait_for_too_long() {
    explore_all(&SMALL);
}

/// Whoever asks for one vehicle travels with the next call, however much another has asked for.
#[test]
fn a_call_has_room_for_every_client() {
    const FIRST: Option<ClientId> = Some(ClientId(1));
    const SECOND: Option<ClientId> = Some(ClientId(2));
    let cache = cache();
    let gather = Terms { from: 2, patience: PATIENCE };
    let limits = Limits { chunk: 8, max_parallel: 1, refresh_wait: Duration::ZERO, gather };
    let (mut queue, now) = (Queue::default(), Instant::now());
    let mut found = Vec::new();
    let mut push = |client, vehicles: &[u32]| {
        let (lookups, context) = look_up(&cache, vehicles, client);
        found.push(lookups.found);
        queue.push(lookups.leases, context, limits, now)
    };
    let first = push(FIRST, &[1, 2]);
    for nth in 1..6 {
        push(FIRST, &[10 * nth, 10 * nth + 1]);
    }
    push(SECOND, &[100]);
    let taken = queue.take(&first, Some(Trigger::Idle), limits);
    let clients: Vec<_> = taken.parts.iter().map(|part| part.context.client).collect();
    assert_eq!(clients, [FIRST, FIRST, SECOND, FIRST], "what is left over is anybody's");
}

fn explore_all(program: &Program) {
    let orders = explore(program, &cache(), &mut Vec::new(), 8);
    println!("{orders} orders");
    assert!(orders > 5_000, "{orders} orders");
}

impl<'a> Scene<'a> {
    fn new(program: &'a Program, cache: &'a VehicleCache<Failure>) -> Self {
        Self {
            program,
            cache,
            queue: Queue::default(),
            now: Instant::now(),
            requests: BTreeMap::new(),
            calls: VecDeque::new(),
            sent: HashSet::new(),
        }
    }

    /// What can happen next.
    fn possible(&mut self) -> Vec<Step> {
        let mut steps = Vec::new();
        // They come in order: which is which makes no difference.
        let next = self.requests.len();
        steps.extend((next < self.program.requests.len()).then_some(Step::Push(next)));
        let told: Vec<_> = self
            .requests
            .values()
            .filter_map(|request| request.told)
            .collect();
        for (&nth, request) in &self.requests {
            // Who was told to call does so, whatever has changed meanwhile.
            if matches!(request.told, Some(Next::Call(_))) {
                steps.push(Step::Take(nth));
            }
            if request.found.is_some() {
                steps.push(Step::Leave(nth));
            }
        }
        steps.extend((!self.calls.is_empty()).then_some(Step::End));
        let is_waiting = |told: &Next| matches!(told, Next::WaitUntil(due) if *due > self.now);
        steps.extend(told.iter().any(is_waiting).then_some(Step::Pass));
        steps
    }

    fn act(&mut self, step: Step) {
        match step {
            Step::Push(nth) => self.push(nth),
            Step::Take(nth) => {
                let wanted = self.wanted(nth);
                let request = self.requests.get_mut(&nth).unwrap();
                let Some(Next::Call(trigger)) = request.told.take() else { unreachable!() };
                let taken = self
                    .queue
                    .take(&request.ticket, trigger, self.program.limits);
                self.taken(nth, &taken.parts, wanted);
                if !taken.parts.is_empty() {
                    self.calls.push_back(taken);
                }
            }
            Step::Pass => self.now += PATIENCE,
            Step::End => {
                let Taken { parts, trigger, .. } = self.calls.pop_front().unwrap();
                let tickets: Vec<_> = parts.iter().map(|part| Arc::clone(&part.ticket)).collect();
                for Part { ticket, leases, .. } in parts {
                    let mut requests = self.requests.values_mut();
                    let leader = requests.find(|request| Arc::ptr_eq(&request.ticket, &ticket));
                    let led = &mut leader.unwrap().led;
                    for vehicle in leases.items() {
                        led.remove(&vehicle);
                        self.sent.remove(&vehicle);
                    }
                    leases.fail(Arc::new(crate::loader::CallError::Abandoned));
                }
                self.queue.call_ended(&tickets, trigger);
            }
            Step::Leave(nth) => {
                let request = self.requests.get_mut(&nth).unwrap();
                request.found = None;
                if let Some(flight) = &request.flight {
                    flight.leader_left();
                }
                self.queue.leave(&request.ticket);
                let mut led = std::mem::take(&mut request.led);
                led.retain(|it| self.sent.contains(it) || self.is_wanted(nth, it));
                self.requests.get_mut(&nth).unwrap().led = led;
            }
        }
    }

    fn push(&mut self, nth: usize) {
        let requested = self.program.requests[nth];
        let (Lookups { found, leases }, context) = look_up(self.cache, requested, None);
        let led: HashSet<_> = leases.items().collect();
        let joined = requested.iter().map(|&n| vehicle(n));
        let joined = joined.filter(|it| !led.contains(it)).collect();
        let flight = leases.flight().cloned();
        let ticket = match leases.is_empty() {
            true => Arc::default(),
            false => self
                .queue
                .push(leases, context, self.program.limits, self.now),
        };
        let (came_at, told, found) = (self.now, None, Some(found));
        let is_small = self.program.limits.gather.from > 0 && led.len() == 1;
        let request = Request { ticket, came_at, is_small, told, led, joined, found, flight };
        self.requests.insert(nth, request);
    }

    /// How much a request leads that is not in a call and that somebody waits for.
    fn wanted(&self, nth: usize) -> usize {
        let led = self.requests[&nth].led.iter();
        led.filter(|it| !self.sent.contains(it) && self.is_wanted(nth, it))
            .count()
    }

    fn is_wanted(&self, nth: usize, vehicle: &Vehicle) -> bool {
        let waits = |request: &Request| request.found.is_some();
        waits(&self.requests[&nth])
            || self
                .requests
                .values()
                .any(|it| waits(it) && it.joined.contains(vehicle))
    }

    /// What must be true of every call.
    fn taken(&mut self, nth: usize, parts: &[Part], wanted: usize) {
        let limits = self.program.limits;
        let count: usize = parts.iter().map(|part| part.leases.len()).sum();
        assert!(count <= limits.chunk, "overfull");
        let own = parts.first().map_or(0, |part| part.leases.len());
        let calls = wanted.div_ceil(limits.chunk);
        assert_eq!(own, if calls == 0 { 0 } else { wanted.div_ceil(calls) }, "not balanced");
        for part in parts {
            for vehicle in part.leases.items() {
                assert!(self.sent.insert(vehicle), "sent twice");
            }
            if !Arc::ptr_eq(&part.ticket, &self.requests[&nth].ticket) {
                let next = self.queue.next(&part.ticket, limits, self.now);
                assert_eq!(next, Next::Done, "another's is taken in part");
            }
        }
    }

    /// What must be true at any time.
    fn check(&mut self, steps: &[Step]) {
        let Limits { max_parallel, gather, .. } = self.program.limits;
        let small_calls = self.calls.iter().filter(|call| {
            call.trigger
                .is_some_and(|trigger| trigger != Trigger::Along)
        });
        let small_calls = small_calls.count();
        let mut first_small = None;
        for nth in 0..self.requests.len() {
            let calls = self.calls_of(nth);
            let Request { is_small, came_at, .. } = self.requests[&nth];
            let (wanted, now) = (self.wanted(nth), self.now);
            let next = self.ask(nth, steps);
            let waits = is_small && next != Next::Done;
            let is_first = waits && *first_small.get_or_insert(nth) == nth;
            match next {
                Next::Done => assert_eq!(wanted, 0, "forgotten after {steps:?}"),
                Next::Wait if is_small => assert!(!is_first, "asks for nobody after {steps:?}"),
                Next::Wait => assert!(calls >= max_parallel, "waits after {steps:?}"),
                Next::WaitUntil(due) => {
                    assert!(is_first, "gathers after {steps:?}");
                    assert!(small_calls >= gather.from, "could go at once after {steps:?}");
                    assert!(due == came_at + PATIENCE && due > now, "waits after {steps:?}");
                }
                Next::Call(trigger) => {
                    assert!(calls < max_parallel, "too many after {steps:?}");
                    assert_eq!(trigger.is_some(), is_small);
                    assert!(!is_small || is_first, "does not wait for the first after {steps:?}");
                    let is_full = trigger == Some(Trigger::Full);
                    let may = small_calls < gather.from || is_full || now >= came_at + PATIENCE;
                    assert!(!is_small || may, "goes too early after {steps:?}");
                }
            }
        }
        let waits_in_vain = self.requests.is_empty() && !self.queue.is_idle();
        assert!(!waits_in_vain, "{steps:?}");
    }

    /// What is to be done for a request. It asks only when it has a reason to; that it has one
    /// whenever there is something for it, is what is looked at here.
    fn ask(&mut self, nth: usize, steps: &[Step]) -> Next {
        let request = self.requests.get_mut(&nth).unwrap();
        let next = self
            .queue
            .next(&request.ticket, self.program.limits, self.now);
        let is_notified = request.ticket.changed.notified().now_or_never().is_some();
        let is_due = match request.told {
            Some(Next::WaitUntil(due)) => self.now >= due,
            Some(Next::Wait) => false,
            // It waits for a permit, or is over.
            Some(Next::Call(_) | Next::Done) => false,
            None => true,
        };
        // Whoever waits for a permit looks only whether it is done.
        let waits_for_permit = matches!(request.told, Some(Next::Call(_)));
        if (is_notified && (!waits_for_permit || next == Next::Done)) || is_due {
            request.told = Some(next);
        }
        let is_asleep = matches!(request.told, Some(Next::Wait | Next::WaitUntil(_)));
        let is_needed = matches!(next, Next::Call(_) | Next::Done);
        assert!(!(is_asleep && is_needed), "{nth} sleeps on after {steps:?}");
        next
    }

    /// Calls under way that carry something of a request.
    fn calls_of(&self, nth: usize) -> usize {
        let ticket = &self.requests[&nth].ticket;
        let is_own = |part: &Part| Arc::ptr_eq(&part.ticket, ticket);
        let calls = self.calls.iter();
        calls.filter(|call| call.parts.iter().any(is_own)).count()
    }

    /// Lets everybody have what they wait for.
    fn end(mut self, steps: &[Step]) {
        for _ in 0..20 {
            match self
                .possible()
                .into_iter()
                .find(|step| matches!(step, Step::Take(_) | Step::End | Step::Pass))
            {
                Some(step) => {
                    self.act(step);
                    self.check(steps);
                }
                None => break,
            }
        }
        assert!(self.queue.is_idle() && self.calls.is_empty(), "never ends after {steps:?}");
        for (&nth, request) in &mut self.requests {
            for (lookup, &n) in request
                .found
                .iter_mut()
                .flatten()
                .zip(self.program.requests[nth])
            {
                let outcome = futures_util::FutureExt::now_or_never(lookup.outcome());
                assert!(outcome.is_some(), "{n} of {nth} waits for ever after {steps:?}");
            }
        }
        let vehicles = self
            .program
            .requests
            .concat()
            .into_iter()
            .map(vehicle)
            .collect::<HashSet<_>>();
        let (partition, directives) = (Some(Partition::new(&PARTITION)), Directives::default());
        let lookups =
            self.cache
                .lookup(partition, vehicles.iter().copied(), &directives, Instant::now());
        assert_eq!(lookups.leases.len(), vehicles.len(), "left in the table after {steps:?}");
    }
}
