//! Every order of steps of a few requests, held against what must be true of any queue.

use std::collections::{BTreeMap, HashSet};

use http::HeaderMap;
use prometheus::Registry;
use tokio::time::Instant;

use super::*;
use crate::{
    loader::tests::vehicle,
    vehicle::Vehicle,
    vehicle_cache::{
        self, Directives, Lookup, Lookups, Partition, StaleWindows, Ttl, VehicleCache,
    },
};

const LIMITS: Limits = Limits { chunk: 3, max_parallel: 1 };

/// What each request asks for: the second joins one of the first's, the third has more than fits
/// into a call.
const REQUESTS: [&[u32]; 4] = [&[1, 2], &[2, 3], &[4, 5, 6, 7], &[8]];

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
}

struct Scene<'a> {
    cache: &'a VehicleCache<Failure>,
    queue: Queue,
    requests: BTreeMap<usize, Request>,
    calls: VecDeque<Vec<Part>>,
    /// Vehicles that are in a call.
    sent: HashSet<Vehicle>,
}

struct Request {
    ticket: Arc<Ticket>,
    /// What it leads, as long as no call for it has ended.
    led: HashSet<Vehicle>,
    /// What it has joined.
    joined: HashSet<Vehicle>,
    /// What it has found, which is what keeps others' leases wanted.
    found: Option<Vec<Lookup<Failure>>>,
    flight: Option<Arc<vehicle_cache::Flight<Failure>>>,
}

fn cache() -> VehicleCache<Failure> {
    let life = std::time::Duration::ZERO;
    let ttl = Ttl { finished: life, pending: life, failed: life, absent: life, jitter: 0.0 };
    let stale = StaleWindows { while_revalidate: life, if_error: life };
    let config = vehicle_cache::Config { enabled: true, capacity: 1 << 20 };
    let metrics = vehicle_cache::Metrics::register(&Registry::new()).unwrap();
    VehicleCache::of_vehicles(&config, vehicle_cache::Lifetimes { ttl, stale }, metrics)
}

/// Runs every order of up to so many steps, and gives the number of orders.
fn explore(cache: &VehicleCache<Failure>, steps: &mut Vec<Step>, left: usize) -> usize {
    let mut scene = Scene::new(cache);
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
        orders += explore(cache, steps, left - 1);
        steps.pop();
    }
    orders
}

#[test]
fn no_order_of_steps_loses_or_repeats_a_vehicle_or_overfills_a_call() {
    let orders = explore(&cache(), &mut Vec::new(), 8);
    println!("{orders} orders");
    assert!(orders > 5_000, "{orders} orders");
}

impl<'a> Scene<'a> {
    fn new(cache: &'a VehicleCache<Failure>) -> Self {
        Self {
            cache,
            queue: Queue::default(),
            requests: BTreeMap::new(),
            calls: VecDeque::new(),
            sent: HashSet::new(),
        }
    }

    /// What can happen next.
    fn possible(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        // They come in order: which is which makes no difference.
        steps.extend(
            (self.requests.len() < REQUESTS.len()).then_some(Step::Push(self.requests.len())),
        );
        for (&nth, request) in &self.requests {
            if self.queue.next(&request.ticket, LIMITS) == Next::Call {
                steps.push(Step::Take(nth));
            }
            if request.found.is_some() {
                steps.push(Step::Leave(nth));
            }
        }
        steps.extend((!self.calls.is_empty()).then_some(Step::End));
        steps
    }

    fn act(&mut self, step: Step) {
        match step {
            Step::Push(nth) => self.push(nth),
            Step::Take(nth) => {
                let ticket = &self.requests[&nth].ticket;
                let wanted = self.wanted(nth);
                let parts = self.queue.take(ticket, LIMITS);
                self.taken(nth, &parts, wanted);
                if !parts.is_empty() {
                    self.calls.push_back(parts);
                }
            }
            Step::End => {
                let parts = self.calls.pop_front().unwrap();
                for Part { ticket, leases, .. } in parts {
                    let mut requests = self.requests.values_mut();
                    let leader = requests.find(|request| Arc::ptr_eq(&request.ticket, &ticket));
                    let led = &mut leader.unwrap().led;
                    for vehicle in leases.items() {
                        led.remove(&vehicle);
                        self.sent.remove(&vehicle);
                    }
                    leases.fail(Arc::new(crate::loader::CallError::Abandoned));
                    self.queue.call_ended(&ticket);
                }
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
        let vehicles = REQUESTS[nth].iter().map(|&n| vehicle(n));
        let (partition, directives) = (Some(Partition::new(&PARTITION)), Directives::default());
        let lookups = self
            .cache
            .lookup(partition, vehicles, &directives, Instant::now());
        let Lookups { found, leases } = lookups;
        let led: HashSet<_> = leases.items().collect();
        let joined = REQUESTS[nth].iter().map(|&n| vehicle(n));
        let joined = joined.filter(|it| !led.contains(it)).collect();
        let flight = leases.flight().cloned();
        let context = Arc::new(CallContext {
            partition,
            account: None,
            client: None,
            is_account: true,
            directives,
            headers: HeaderMap::new(),
        });
        let ticket = match leases.is_empty() {
            true => Arc::default(),
            false => self.queue.push(leases, context),
        };
        self.requests
            .insert(nth, Request { ticket, led, joined, found: Some(found), flight });
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
        let count: usize = parts.iter().map(|part| part.leases.len()).sum();
        assert!(count <= LIMITS.chunk, "overfull");
        let own = parts.first().map_or(0, |part| part.leases.len());
        let calls = wanted.div_ceil(LIMITS.chunk);
        assert_eq!(own, if calls == 0 { 0 } else { wanted.div_ceil(calls) }, "not balanced");
        for part in parts {
            for vehicle in part.leases.items() {
                assert!(self.sent.insert(vehicle), "sent twice");
            }
            if !Arc::ptr_eq(&part.ticket, &self.requests[&nth].ticket) {
                let next = self.queue.next(&part.ticket, LIMITS);
                assert_eq!(next, Next::Done, "another's is taken in part");
            }
        }
    }

    /// What must be true at any time.
    fn check(&self, steps: &[Step]) {
        for (&nth, request) in &self.requests {
            let own = |call: &&Vec<Part>| {
                call.iter()
                    .any(|part| Arc::ptr_eq(&part.ticket, &request.ticket))
            };
            let calls = self.calls.iter().filter(own).count();
            let (wanted, next) = (self.wanted(nth), self.queue.next(&request.ticket, LIMITS));
            match next {
                Next::Done => assert_eq!(wanted, 0, "forgotten after {steps:?}"),
                Next::Wait => assert!(calls >= LIMITS.max_parallel, "waits after {steps:?}"),
                Next::Call => assert!(calls < LIMITS.max_parallel, "too many after {steps:?}"),
            }
        }
    }

    /// Lets everybody have what they wait for.
    fn end(mut self, steps: &[Step]) {
        for _ in 0..20 {
            match self
                .possible()
                .into_iter()
                .find(|step| matches!(step, Step::Take(_) | Step::End))
            {
                Some(step) => self.act(step),
                None => break,
            }
        }
        assert!(self.queue.is_empty() && self.calls.is_empty(), "never ends after {steps:?}");
        for (&nth, request) in &mut self.requests {
            for (lookup, &n) in request.found.iter_mut().flatten().zip(REQUESTS[nth]) {
                let outcome = futures_util::FutureExt::now_or_never(lookup.outcome());
                assert!(outcome.is_some(), "{n} of {nth} waits for ever after {steps:?}");
            }
        }
        let vehicles = REQUESTS
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
