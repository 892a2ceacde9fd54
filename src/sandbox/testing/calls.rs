//! What the sandbox saw: counters always, calls as long as there is room.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    sync::Arc,
};

use bytes::Bytes;
use http::{HeaderMap, Method, Uri, Version};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use crate::{
    sandbox::{api::Endpoint, received::Received},
    vehicle::Vehicle,
};

/// Vehicles that are told apart, at about 50 bytes each. Later ones are counted in `vehicles`
/// only.
const MAX_DISTINCT: usize = 1_000_000;

/// What a recorded call holds besides its body and vehicles, roughly, in bytes.
const CALL_OVERHEAD: usize = 2048;

/// A call as it came in.
#[derive(Clone)]
pub struct Call {
    /// The method.
    pub method: Method,
    /// The target, as far as HTTP shows it to a server: path and query over HTTP/1.1.
    pub target: Uri,
    /// HTTP/1.0, 1.1 or 2.
    pub version: Version,
    /// All headers, credentials too. A body of unknown length shows as `Transfer-Encoding`.
    pub headers: HeaderMap,
    /// The trailers.
    pub trailers: HeaderMap,
    /// The whole body, or nothing if it is above 1 MiB.
    pub body: Bytes,
    /// Bytes of the whole body.
    pub length: u64,
    /// SHA-256 of the whole body, in hexadecimal.
    pub sha256: String,
    /// What a batch call asked for, in its order; empty for an invalid one and for other calls.
    pub vehicles: Vec<Vehicle>,
}

/// Sums of what was seen since the start or the last reset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Batch calls, invalid ones too.
    pub batches: u64,
    /// Vehicles in valid batch calls.
    pub vehicles: u64,
    /// Different vehicles among them, up to a million.
    pub distinct: u64,
    /// How often the vehicle was requested that was requested most.
    pub most_requested: u64,
    /// Vehicles in the largest batch call.
    pub largest: u64,
    /// Calls that got an error of the API; responses made by faults do not count.
    pub rejected: u64,
    /// Calls at this moment: from the head of the request to the last byte of the response.
    pub open: u64,
    /// The most of them at once.
    pub peak: u64,
    /// Calls that the fault `hang` holds at this moment.
    pub hanging: u64,
    /// `PATCH` calls.
    pub patches: u64,
    /// `PUT` calls.
    pub puts: u64,
    /// All other calls, but for those that read or steer the sandbox.
    pub others: u64,
}

/// What kind of call: the counter it goes to, and the faults that reach it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CallKind {
    Batch,
    Patch,
    Put,
    Other,
}

/// The record of all calls, shared by all connections.
pub(in crate::sandbox) struct Calls {
    record: Mutex<Record>,
    changed: Notify,
    /// Bytes of calls that are kept.
    max_bytes: usize,
}

#[derive(Default)]
struct Record {
    counters: Counters,
    requested: HashMap<Vehicle, u64>,
    calls: VecDeque<Call>,
    bytes: usize,
}

/// A call that counts in a gauge as long as this lives.
#[must_use]
pub(super) struct Counted {
    calls: Arc<Calls>,
    gauge: fn(&mut Counters) -> &mut u64,
}

impl Call {
    /// What the call takes of the room there is.
    fn bytes(&self) -> usize {
        CALL_OVERHEAD + self.body.len() + size_of_val(self.vehicles.as_slice())
    }
}

impl fmt::Debug for Call {
    /// Neither target nor headers nor body: they hold vehicles and credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("method", &self.method)
            .field("version", &self.version)
            .field("length", &self.length)
            .field("vehicles", &self.vehicles.len())
            .finish_non_exhaustive()
    }
}

impl CallKind {
    pub(super) fn of(endpoint: &Endpoint<'_>) -> Self {
        match endpoint {
            Endpoint::Batch(_) => Self::Batch,
            Endpoint::PatchStatus(_) => Self::Patch,
            Endpoint::PutTax | Endpoint::PutVehicle => Self::Put,
            Endpoint::ListVehicles | Endpoint::Unknown => Self::Other,
        }
    }
}

impl Calls {
    pub(in crate::sandbox) fn new(max_bytes: usize) -> Arc<Self> {
        Arc::new(Self { record: Mutex::default(), changed: Notify::new(), max_bytes })
    }

    /// Counts a call as open.
    pub(super) fn open(self: &Arc<Self>) -> Counted {
        self.update(|record| {
            record.counters.open += 1;
            record.counters.peak = record.counters.peak.max(record.counters.open);
        });
        Counted { calls: Arc::clone(self), gauge: |counters| &mut counters.open }
    }

    /// Counts a call as hanging.
    pub(super) fn hanging(self: &Arc<Self>) -> Counted {
        self.update(|record| record.counters.hanging += 1);
        Counted { calls: Arc::clone(self), gauge: |counters| &mut counters.hanging }
    }

    /// Counts a call that gets an error of the API.
    pub(super) fn reject(&self) {
        self.update(|record| record.counters.rejected += 1);
    }

    /// Records a call of a kind that asks for `vehicles`; returns its number, from 1.
    pub(super) fn record(&self, kind: CallKind, received: &Received, vehicles: &[Vehicle]) -> u64 {
        let call = (self.max_bytes > 0).then(|| Call {
            method: received.head.method.clone(),
            target: received.head.uri.clone(),
            version: received.head.version,
            headers: received.head.headers.clone(),
            trailers: received.trailers.clone(),
            body: received.body.clone(),
            length: received.length,
            sha256: received.sha256.clone(),
            vehicles: vehicles.to_vec(),
        });
        self.update(|record| {
            record.count(kind, vehicles);
            if let Some(call) = call {
                record.keep(call, self.max_bytes);
            }
            let Counters { batches, patches, puts, others, .. } = record.counters;
            batches + patches + puts + others
        })
    }

    pub(super) fn counters(&self) -> Counters {
        self.record.lock().counters
    }

    pub(super) fn recorded(&self) -> Vec<Call> {
        self.record.lock().calls.iter().cloned().collect()
    }

    /// Forgets all but the calls that are still open.
    pub(super) fn clear(&self) {
        self.update(|record| {
            let Counters { open, hanging, .. } = record.counters;
            let counters = Counters { open, peak: open, hanging, ..Counters::default() };
            *record = Record { counters, ..Record::default() };
        });
    }

    /// Waits until `reached` is true of the counters.
    pub(super) async fn until(&self, reached: impl Fn(&Counters) -> bool) -> Counters {
        loop {
            // Before the look, so that no change between look and wait is missed.
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            let counters = self.counters();
            if reached(&counters) {
                return counters;
            }
            changed.await;
        }
    }

    fn update<T>(&self, update: impl FnOnce(&mut Record) -> T) -> T {
        let updated = update(&mut self.record.lock());
        self.changed.notify_waiters();
        updated
    }
}

impl Record {
    fn count(&mut self, kind: CallKind, vehicles: &[Vehicle]) {
        let counters = &mut self.counters;
        match kind {
            CallKind::Batch => counters.batches += 1,
            CallKind::Patch => counters.patches += 1,
            CallKind::Put => counters.puts += 1,
            CallKind::Other => counters.others += 1,
        }
        counters.vehicles += vehicles.len() as u64;
        counters.largest = counters.largest.max(vehicles.len() as u64);
        for vehicle in vehicles {
            if self.requested.len() >= MAX_DISTINCT && !self.requested.contains_key(vehicle) {
                continue;
            }
            let times = self.requested.entry(*vehicle).or_default();
            *times += 1;
            counters.most_requested = counters.most_requested.max(*times);
        }
        counters.distinct = self.requested.len() as u64;
    }

    /// Keeps `call` and drops the oldest ones for it.
    fn keep(&mut self, call: Call, max_bytes: usize) {
        self.bytes += call.bytes();
        self.calls.push_back(call);
        while self.bytes > max_bytes
            && let Some(oldest) = self.calls.pop_front()
        {
            self.bytes -= oldest.bytes();
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.calls.update(|record| {
            let gauge = (self.gauge)(&mut record.counters);
            *gauge = gauge.saturating_sub(1);
        });
    }
}

impl fmt::Debug for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Counted")
    }
}
