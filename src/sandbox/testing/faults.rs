//! What breaks on request.

use std::{collections::BTreeMap, num::NonZeroU64, time::Duration};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::{calls::CallKind, fault_text as text, mutation::Mutation};
use crate::vehicle::{Vehicle, Vin};

/// What is done to calls, and to which.
///
/// The first of the active faults that matches a call is applied to it, and no other; a default
/// with `calls` set lets that many calls pass unharmed. In this order: the request is read and
/// recorded, `latency` passes, the work is done (a write takes effect), `hold` passes, then the
/// response is spoilt. So a write whose response is lost has happened, and a read that was held
/// is as old as it looks. As JSON, durations are texts with units such as `"150ms"`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Faults {
    /// The calls that are meant.
    pub only: Only,
    /// Of these, only batch calls that name this VIN.
    #[serde(with = "text::vin")]
    pub vin: Option<Vin>,
    /// Of these, only batch calls that name a VIN that begins with one of these texts.
    pub vin_prefixes: Vec<String>,
    /// Of these, the next so many; `None`: all until the faults are replaced.
    pub calls: Option<u64>,
    /// Between the last byte of the request and the work.
    #[serde(with = "text::duration")]
    pub latency: Duration,
    /// At most this much more latency, spread evenly by the number of the call.
    #[serde(with = "text::duration")]
    pub jitter: Duration,
    /// So much more latency for each vehicle of a batch call.
    #[serde(with = "text::duration")]
    pub latency_per_vehicle: Duration,
    /// Calls at once up to which latency does not grow with their number.
    pub knee: u64,
    /// So much more latency for each call that is open above the knee.
    #[serde(with = "text::duration")]
    pub latency_above_knee: Duration,
    /// Between the work and the first byte of the response.
    #[serde(with = "text::duration")]
    pub hold: Duration,
    /// After `hold`: no response until the faults are replaced, then the right one.
    pub hang: bool,
    /// The connection closes instead of a response.
    pub close: bool,
    /// This status with a short JSON body instead of the response; 500 if it is none.
    pub status: Option<u16>,
    /// This body instead of the response's, whatever its status is.
    pub body: Option<String>,
    /// Headers set on the response, such as `Retry-After`; malformed ones are left out.
    pub headers: BTreeMap<String, String>,
    /// What a batch response does to its elements, one after the other.
    pub mutations: Vec<Mutation>,
    /// Blanks behind the body until it has so many bytes.
    pub pad_to: Option<u64>,
    /// The connection closes after so many bytes of the body, which announced more.
    pub cut_after: Option<u64>,
    /// The speed of the body.
    pub bytes_per_second: Option<NonZeroU64>,
    /// The response does not announce its length.
    pub chunked: bool,
}

/// The calls that faults are meant for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Only {
    /// All calls but those that read or steer the sandbox.
    All,
    /// `GET /api/batch/scraping/`.
    #[default]
    Batch,
    /// `PATCH` and `PUT`.
    Writes,
}

/// The active faults.
#[derive(Debug)]
pub(in crate::sandbox) struct ActiveFaults(watch::Sender<Vec<Faults>>);

impl From<Faults> for Vec<Faults> {
    fn from(faults: Faults) -> Self {
        vec![faults]
    }
}

impl Faults {
    /// How long the call with this number waits before its work, one of `open` at this moment.
    pub(super) fn latency_of(&self, number: u64, vehicles: usize, open: u64) -> Duration {
        // Multiples of the golden ratio, modulo one, are spread evenly.
        let spread = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        let jitter = self.jitter.mul_f64(spread as f64 / f64::from(u32::MAX));
        let of_vehicles = self.latency_per_vehicle.mul_f64(vehicles as f64);
        let above = open.saturating_sub(self.knee) as f64;
        self.latency + jitter + of_vehicles + self.latency_above_knee.mul_f64(above)
    }

    fn matches(&self, kind: CallKind, vehicles: &[Vehicle]) -> bool {
        let only = match self.only {
            Only::All => true,
            Only::Batch => kind == CallKind::Batch,
            Only::Writes => matches!(kind, CallKind::Patch | CallKind::Put),
        };
        let names = |is_meant: &dyn Fn(&Vin) -> bool| vehicles.iter().any(|it| is_meant(&it.vin));
        let begins = |vin: &Vin| {
            self.vin_prefixes
                .iter()
                .any(|prefix| vin.as_str().starts_with(prefix.as_str()))
        };
        only && self.vin.is_none_or(|vin| names(&|it| *it == vin))
            && (self.vin_prefixes.is_empty() || names(&begins))
    }
}

impl ActiveFaults {
    pub(in crate::sandbox) fn none() -> Self {
        Self(watch::Sender::new(Vec::new()))
    }

    /// Replaces all active faults, and releases what hangs.
    pub(super) fn set(&self, faults: Vec<Faults>) {
        self.0.send_replace(faults);
    }

    /// The faults of a call, and a receiver that sees when the faults are replaced.
    pub(super) fn match_call(
        &self,
        kind: CallKind,
        vehicles: &[Vehicle],
    ) -> (Faults, watch::Receiver<Vec<Faults>>) {
        // First the receiver: a change right after the look must not be missed.
        let replaced = self.0.subscribe();
        let mut found = Faults::default();
        self.0.send_if_modified(|active| {
            let Some(at) = active
                .iter()
                .position(|faults| faults.matches(kind, vehicles))
            else {
                return false;
            };
            found = active[at].clone();
            if let Some(calls) = &mut active[at].calls {
                *calls = calls.saturating_sub(1);
                if *calls == 0 {
                    active.remove(at);
                }
            }
            false // used up is not replaced
        });
        (found, replaced)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        let faults = Faults {
            only: Only::Writes,
            vin: Some(Vin::parse("3VWFE21C04M000001").unwrap()),
            calls: Some(3),
            latency: Duration::from_millis(1500),
            status: Some(503),
            headers: BTreeMap::from([("Retry-After".into(), "2".into())]),
            mutations: vec![Mutation::Reversed, Mutation::InfoNull],
            bytes_per_second: NonZeroU64::new(100),
            ..Faults::default()
        };
        let json = serde_json::to_string(&faults).unwrap();
        assert_eq!(serde_json::from_str::<Faults>(&json).unwrap(), faults);
        assert!(json.contains(r#""latency":"1s 500ms""#), "{json}");
    }

    #[test]
    fn reads_a_person_s_json() {
        let json = r#"{"latency":"150ms","mutations":["reversed"],"vin":null}"#;
        let faults: Faults = serde_json::from_str(json).unwrap();
        assert_eq!(faults.latency, Duration::from_millis(150));
        assert_eq!(faults.only, Only::Batch);
        for wrong in [r#"{"latnecy":"1s"}"#, r#"{"latency":1}"#, r#"{"vin":"3VW"}"#] {
            assert!(serde_json::from_str::<Faults>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn applies_the_first_that_matches_until_it_is_used_up() {
        let active = ActiveFaults::none();
        let status = |status| Faults { status: Some(status), ..Faults::default() };
        active.set(vec![
            Faults { calls: Some(1), ..Faults::default() },
            Faults { calls: Some(2), ..status(503) },
            Faults { only: Only::All, ..status(500) },
        ]);
        let match_call = |kind| active.match_call(kind, &[]).0.status;
        assert_eq!(match_call(CallKind::Put), Some(500));
        for want in [None, Some(503), Some(503), Some(500), Some(500)] {
            assert_eq!(match_call(CallKind::Batch), want);
        }
        active.set(Vec::new());
        assert_eq!(match_call(CallKind::Batch), None);
    }

    #[test]
    fn latency_grows_with_vehicles_and_above_the_knee() {
        let millis = Duration::from_millis;
        let faults = Faults {
            latency: millis(50),
            latency_per_vehicle: millis(4),
            knee: 8,
            latency_above_knee: millis(40),
            ..Faults::default()
        };
        for (vehicles, open, want) in [(0, 1, 50), (500, 8, 2050), (0, 9, 90), (1, 10, 134)] {
            assert_eq!(faults.latency_of(7, vehicles, open), millis(want), "{vehicles} {open}");
        }
    }

    #[test]
    fn reaches_calls_that_name_a_vin_with_a_prefix() {
        let of = |vin: &str| Vehicle {
            vin: Vin::parse(vin).unwrap(),
            plate: crate::vehicle::Plate::parse("ABC123").unwrap(),
        };
        let (fine, poisoned) = (of("3VWFE21C04M000001"), of("3VWPX21C04M000001"));
        let vin_prefixes = vec!["3VWP".to_owned(), "9".to_owned()];
        let faults = Faults { vin_prefixes, ..Faults::default() };
        assert!(faults.matches(CallKind::Batch, &[fine, poisoned]));
        assert!(!faults.matches(CallKind::Batch, &[fine]));
        assert!(!faults.matches(CallKind::Patch, &[]));
    }

    #[test]
    fn spreads_jitter_within_its_bounds() {
        let jitter = Duration::from_millis(100);
        let faults = Faults { latency: jitter, jitter, ..Faults::default() };
        let all: Vec<_> = (1..=10)
            .map(|number| faults.latency_of(number, 0, 1))
            .collect();
        assert!(
            all.iter()
                .all(|&latency| (jitter..=2 * jitter).contains(&latency))
        );
        for tenth in 0..5 {
            let from = jitter + jitter * tenth / 5;
            assert!(
                all.iter()
                    .any(|&latency| (from..from + jitter / 5).contains(&latency))
            );
        }
    }
}
