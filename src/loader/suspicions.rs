//! What refusals of shared calls have shown of an account, and whom to let travel alone because of
//! it. Pure.
//!
//! Finding out whose fault a refusal is takes calls. So what was found is remembered for a while,
//! and an account for which too much has to be found out shares no calls for a minute.

use std::{hash::Hash, time::Duration};

use foldhash::HashMap;
use tokio::time::Instant;

use super::Failure;
use crate::{upstream::ClientId, vehicle::Vehicle};

#[derive(Debug, Default)]
pub(super) struct Suspicions {
    /// Vehicles that were refused by themselves.
    vehicles: Passing<Vehicle, Failure>,
    /// Clients whose requests were.
    clients: Passing<ClientId, ()>,
    /// Calls made to find that out, in a minute.
    calls: usize,
    minute_ends: Option<Instant>,
    /// Until when no calls are shared.
    apart_until: Option<Instant>,
}

/// What is remembered until a time, and not more than [`MOST`] of it.
#[derive(Debug)]
struct Passing<K, V>(HashMap<K, (V, Instant)>);

const MOST: usize = 1024;

const MINUTE: Duration = Duration::from_secs(60);

/// Calls in a minute that find out whose fault a refusal is.
const MOST_CALLS: usize = 32;

impl Suspicions {
    /// Whether so many calls may be made to find out whose fault a refusal is; they are counted. If
    /// not, no calls are shared for a while.
    pub(super) fn may_isolate(&mut self, calls: usize, now: Instant) -> bool {
        if self.minute_ends.is_none_or(|end| now >= end) {
            (self.calls, self.minute_ends) = (0, Some(now + MINUTE));
        }
        let may = self.calls + calls <= MOST_CALLS;
        match may {
            true => self.calls += calls,
            false => self.apart_until = Some(now + MINUTE),
        }
        may
    }

    /// A request of this client was refused by itself.
    pub(super) fn note_client(&mut self, client: ClientId, now: Instant) {
        self.clients.keep(client, (), now + MINUTE, now);
    }

    /// A vehicle was refused by itself. That holds for so long.
    pub(super) fn note_vehicle(
        &mut self,
        vehicle: Vehicle,
        failure: Failure,
        life: Duration,
        now: Instant,
    ) {
        self.vehicles.keep(vehicle, failure, now + life, now);
    }

    /// Whether a request of this client shares no call.
    pub(super) fn is_alone(&self, client: Option<ClientId>, now: Instant) -> bool {
        let is_suspect = |client| self.clients.get(&client, now).is_some();
        self.apart_until.is_some_and(|until| now < until) || client.is_some_and(is_suspect)
    }

    /// What a call for this vehicle came to.
    pub(super) fn refusal_of(&self, vehicle: &Vehicle, now: Instant) -> Option<Failure> {
        self.vehicles.get(vehicle, now).cloned()
    }

    /// Whether nothing is known of any vehicle.
    pub(super) fn have_no_vehicle(&self) -> bool {
        self.vehicles.0.is_empty()
    }

    /// Whether all of it is over.
    pub(super) fn are_over(&self, now: Instant) -> bool {
        let is_over = |end: Option<Instant>| end.is_none_or(|end| now >= end);
        is_over(self.minute_ends)
            && is_over(self.apart_until)
            && self.vehicles.is_over(now)
            && self.clients.is_over(now)
    }
}

impl<K, V> Default for Passing<K, V> {
    fn default() -> Self {
        Self(HashMap::default())
    }
}

impl<K: Eq + Hash, V> Passing<K, V> {
    /// Keeps a value, if there is room.
    fn keep(&mut self, key: K, value: V, until: Instant, now: Instant) {
        if self.0.len() >= MOST {
            self.0.retain(|_, (_, until)| now < *until);
        }
        if self.0.len() < MOST {
            self.0.insert(key, (value, until));
        }
    }

    fn get(&self, key: &K, now: Instant) -> Option<&V> {
        let (value, until) = self.0.get(key)?;
        (now < *until).then_some(value)
    }

    fn is_over(&self, now: Instant) -> bool {
        self.0.values().all(|(_, until)| now >= *until)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::loader::{CallError, tests::vehicle};

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn finds_out_so_much_in_a_minute_and_then_lets_all_travel_alone() {
        let (mut suspicions, now) = (Suspicions::default(), Instant::now());
        assert!(suspicions.are_over(now));
        assert!(suspicions.may_isolate(24, now) && suspicions.may_isolate(8, now + 59 * SECOND));
        assert!(!suspicions.is_alone(None, now));
        assert!(suspicions.may_isolate(32, now + 60 * SECOND), "another minute");
        let now = now + 61 * SECOND;
        assert!(!suspicions.may_isolate(1, now));
        assert!(suspicions.is_alone(None, now + 59 * SECOND));
        assert!(!suspicions.is_alone(None, now + 60 * SECOND));
        assert!(suspicions.are_over(now + 60 * SECOND));
    }

    #[test]
    fn remembers_clients_and_vehicles_for_their_time_and_not_too_many() {
        let (mut suspicions, now) = (Suspicions::default(), Instant::now());
        let failure: Failure = Arc::new(CallError::Abandoned);
        suspicions.note_client(ClientId(1), now);
        suspicions.note_vehicle(vehicle(1), failure.clone(), 30 * SECOND, now);
        let later = now + 29 * SECOND;
        assert!(suspicions.is_alone(Some(ClientId(1)), later));
        assert!(!suspicions.is_alone(Some(ClientId(2)), later) && !suspicions.are_over(later));
        assert!(suspicions.refusal_of(&vehicle(1), later).is_some());
        assert!(suspicions.refusal_of(&vehicle(2), later).is_none());
        assert!(
            suspicions
                .refusal_of(&vehicle(1), now + 30 * SECOND)
                .is_none()
        );
        assert!(!suspicions.is_alone(Some(ClientId(1)), now + 60 * SECOND));
        for n in 0..5_000 {
            let since = now + 100 * SECOND + SECOND * (n / 100);
            suspicions.note_vehicle(vehicle(n), failure.clone(), 5 * SECOND, since);
            assert!(suspicions.vehicles.0.len() <= MOST);
        }
        let late = now + 149 * SECOND;
        assert!(suspicions.refusal_of(&vehicle(4_999), late).is_some(), "room was made");
    }
}
