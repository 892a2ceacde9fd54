//! Vehicles that travel in the free room of calls, shortly before they expire.
//!
//! A vehicle that is asked for all the time is fetched again when its time is over, in a call that
//! may be for nothing else. In the room of a call that leaves before that it costs no call. But who
//! is not asked for any more is fetched in vain, so only those ride that were served since they
//! were fetched, that are finished, and that expire soon, and only on calls that nobody waits for or
//! that are large already. Where more than one in ten is fetched [in vain](super::worth), a few do.
//!
//! What a call of this process has brought is noted: what came from another replica is for that one
//! to fetch again.

use std::{sync::Arc, time::Duration};

use foldhash::{HashMap, HashSet};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::{
    Failure, Metrics,
    expiring::{Expiring, Held},
    worth::Worth,
};
use crate::{
    latest::Latest,
    vehicle::Vehicle,
    vehicle_cache::{Class, Entry, Leases, Partition, Stored, VehicleCache},
};

/// What is known of entries that expire: a handle, cheap to clone.
#[derive(Clone)]
pub(super) struct Riders(Arc<Mutex<State>>);

struct State {
    accounts: HashMap<Partition, Account>,
    /// Entries that are noted, of all accounts.
    noted: usize,
    latest: Latest,
    /// The period that was the current one lately.
    period: u64,
    started_at: Instant,
}

#[derive(Default)]
struct Account {
    expiring: Expiring,
    worth: Worth,
    /// The period in which it was noted last that something expires.
    noted: u64,
}

/// Entries that are told apart by when they expire: the seconds of a period.
const PERIOD: u64 = 15;

/// Entries that are noted at most, in eight bytes each.
const MOST: usize = 1 << 20;

/// Periods for which it is known of an account that expects nothing whether riding pays: an hour.
const REMEMBERED: u64 = 240;

/// Accounts of which that is known at most.
const MOST_ACCOUNTS: usize = 1024;

impl Riders {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(State {
            accounts: HashMap::default(),
            noted: 0,
            latest: Latest::default(),
            period: 0,
            started_at: Instant::now(),
        })))
    }

    /// Forgets everything: nobody rides any more.
    pub(super) fn clear(&self) {
        let State { accounts, noted, .. } = &mut *self.0.lock();
        accounts.clear();
        *noted = 0;
    }

    /// A call has come back.
    pub(super) fn note_call(&self, took: Duration) {
        self.0.lock().latest.note(took);
    }

    /// A call has brought these, of which `riders` were fetched before their time.
    pub(super) fn note(
        &self,
        cache: &VehicleCache<Failure>,
        partition: Partition,
        stored: &[Stored<Failure>],
        riders: &HashSet<Vehicle>,
        metrics: &Metrics,
    ) {
        let state = &mut *self.0.lock();
        state.pass(cache, Instant::now(), metrics);
        for Stored { item, entry, replaced } in stored {
            let account = state.accounts.entry(partition).or_default();
            if account.expiring.end(entry.hash())
                && let Some(replaced) = replaced
            {
                account.ended(replaced, metrics);
            }
            account.noted = state.period;
            if entry.classes().are_only(Class::Finished) && state.noted < MOST {
                let period = period_of(entry.fresh_until(), state.started_at);
                account
                    .expiring
                    .note(entry.hash(), period, riders.contains(item));
                state.noted += 1;
            }
        }
    }

    /// Leases on vehicles that expire within `ride`, for a call that has `room` for so many.
    pub(super) fn take(
        &self,
        cache: &VehicleCache<Failure>,
        partition: Partition,
        room: usize,
        ride: Duration,
        metrics: &Metrics,
    ) -> Leases<Failure> {
        let now = Instant::now();
        let entries = {
            let state = &mut *self.0.lock();
            state.pass(cache, now, metrics);
            state.take(cache, partition, room, ride, now)
        };
        cache.refresh(partition, &entries, now)
    }
}

impl State {
    fn take(
        &mut self,
        cache: &VehicleCache<Failure>,
        partition: Partition,
        room: usize,
        ride: Duration,
        now: Instant,
    ) -> Vec<Arc<Entry>> {
        let Some(Account { expiring, worth, .. }) = self.accounts.get_mut(&partition) else {
            return Vec::new();
        };
        // A larger call takes longer.
        let room = if self.latest.are_slow() { room / 2 } else { room };
        let room = room.min(worth.allowance(expiring.riders()));
        let (started_at, until) = (self.started_at, now + ride);
        let periods = period_of(now, started_at)..=period_of(until, started_at);
        let before = expiring.len();
        let entries = expiring.take(periods, room, |hash, period| {
            let held = cache.find_held(partition, hash);
            let held = held.filter(|held| period_of(held.fresh_until(), started_at) == period);
            match held {
                None => Held::Other,
                Some(held)
                    if held.was_hit()
                        && held.fresh_until() > now
                        && held.fresh_until() <= until =>
                {
                    Held::Wanted(held)
                }
                Some(_) => Held::NotYet,
            }
        });
        self.noted -= before - expiring.len();
        entries
    }

    /// Forgets what has expired, of all accounts, once in a period.
    fn pass(&mut self, cache: &VehicleCache<Failure>, now: Instant, metrics: &Metrics) {
        let period = period_of(now, self.started_at);
        if period == self.period {
            return;
        }
        self.period = period;
        for (&partition, account) in &mut self.accounts {
            for hash in account.expiring.pass(period) {
                // What is held may be later: then it was noted what became of the rider.
                if let Some(held) = cache.find_held(partition, hash) {
                    account.ended(&held, metrics);
                }
            }
        }
        let few = self.accounts.len() <= MOST_ACCOUNTS;
        self.accounts.retain(|_, account| {
            let is_remembered = few && period < account.noted + REMEMBERED;
            account.expiring.len() > 0 || is_remembered
        });
        self.noted = self
            .accounts
            .values()
            .map(|account| account.expiring.len())
            .sum();
    }
}

impl Account {
    /// A rider has ended.
    fn ended(&mut self, rider: &Entry, metrics: &Metrics) {
        self.worth.note(rider.was_hit());
        metrics.rider_ended(rider.was_hit());
    }
}

fn period_of(time: Instant, started_at: Instant) -> u64 {
    time.saturating_duration_since(started_at).as_secs() / PERIOD
}
