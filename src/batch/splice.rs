//! The body of a batch response, spliced from elements as the upstream sent them.
//!
//! Its length is known from the start, and it is put together while it is taken: a reader that
//! is slow, or gone, holds references to cached elements and one frame, not a copy of the
//! response.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::{Bytes, BytesMut};
use http_body::{Frame, SizeHint};

use crate::vehicle_cache::Entry;

/// `{"vehicleData":[…]}` with the bytes of each entry that has some.
#[derive(Debug)]
pub struct Splice {
    /// With bytes, in order.
    entries: std::vec::IntoIter<Arc<Entry>>,
    /// How much of the response is still to come.
    left: usize,
    is_begun: bool,
}

const HEAD: &[u8] = br#"{"vehicleData":["#;
const TAIL: &[u8] = b"]}";

/// Bytes after which a frame is full. Large enough that the socket takes most of it at a time,
/// small enough to be still in the processor's cache when it does.
const FRAME: usize = 48 * 1024;

impl Splice {
    /// The response of these entries, in this order.
    pub fn new(entries: impl IntoIterator<Item = Arc<Entry>>) -> Self {
        let has_bytes = |entry: &Arc<Entry>| !entry.bytes().is_empty();
        let entries: Vec<_> = entries.into_iter().filter(has_bytes).collect();
        let elements: usize = entries.iter().map(|entry| entry.bytes().len()).sum();
        let commas = entries.len().saturating_sub(1);
        Self {
            left: HEAD.len() + elements + commas + TAIL.len(),
            entries: entries.into_iter(),
            is_begun: false,
        }
    }

    /// Bytes of the whole response, as long as none was taken.
    pub fn len(&self) -> usize {
        self.left
    }

    /// Whether everything was taken.
    pub fn is_empty(&self) -> bool {
        self.left == 0
    }

    fn next_frame(&mut self) -> Option<Bytes> {
        if self.left == 0 {
            return None;
        }
        let mut frame = BytesMut::with_capacity(self.left.min(FRAME + FRAME / 4));
        if !self.is_begun {
            frame.extend_from_slice(HEAD);
        }
        while frame.len() < FRAME
            && let Some(entry) = self.entries.next()
        {
            if std::mem::replace(&mut self.is_begun, true) {
                frame.extend_from_slice(b",");
            }
            frame.extend_from_slice(entry.bytes());
        }
        if self.entries.len() == 0 {
            frame.extend_from_slice(TAIL);
        }
        self.left -= frame.len();
        Some(frame.freeze())
    }
}

impl http_body::Body for Splice {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.next_frame().map(|frame| Ok(Frame::data(frame))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left as u64)
    }
}

#[cfg(test)]
mod tests {
    use http_body::Body as _;
    use prometheus::Registry;
    use proptest::prelude::*;
    use tokio::time::Instant;

    use super::*;
    use crate::{
        loader::Failure,
        vehicle::{Plate, Vehicle, Vin},
        vehicle_cache::{
            self, Class, Directives, Element, Lookup, Lookups, Moment, Outcome, StaleWindows, Ttl,
            VehicleCache,
        },
    };

    /// Entries with these bytes, as a cache makes them.
    fn entries(elements: &[String]) -> Vec<Arc<Entry>> {
        let life = std::time::Duration::ZERO;
        let ttl = Ttl { finished: life, pending: life, failed: life, absent: life, jitter: 0.0 };
        let stale = StaleWindows { while_revalidate: life, if_error: life };
        let config = vehicle_cache::Config { enabled: false, capacity: 0 };
        let metrics = vehicle_cache::Metrics::register(&Registry::new()).unwrap();
        let cache = VehicleCache::<Failure>::of_vehicles(
            &config,
            vehicle_cache::Lifetimes { ttl, stale },
            metrics,
        );

        let vehicle = |nth| Vehicle {
            vin: Vin::parse(&format!("3VWFE21C0{nth:08}")).unwrap(),
            plate: Plate::parse("A1").unwrap(),
        };
        let vehicles = (0..elements.len()).map(vehicle);
        let lookups = cache.lookup(None, vehicles, &Directives::default(), Instant::now());
        let Lookups { found, leases } = lookups;
        let element = |text: &String| Element {
            bytes: text.as_bytes().into(),
            classes: Class::Finished.into(),
        };
        leases.fill(elements.iter().map(element).collect(), true, Moment::now());
        let filled = |mut lookup: Lookup<Failure>| {
            let outcome = futures_util::FutureExt::now_or_never(lookup.outcome());
            match outcome.flatten() {
                Some(Outcome::Filled(entry)) => entry,
                _ => panic!("it is not filled"),
            }
        };
        found.into_iter().map(filled).collect()
    }

    /// All frames; what is left is checked after each.
    fn frames(mut splice: Splice) -> Vec<Bytes> {
        let mut frames = Vec::new();
        let mut left = splice.len();
        while let Some(frame) = splice.next_frame() {
            left -= frame.len();
            assert_eq!(splice.size_hint().exact(), Some(left as u64));
            assert_eq!(splice.is_end_stream(), left == 0);
            frames.push(frame);
        }
        assert!(splice.is_empty());
        frames
    }

    fn spliced(elements: &[&str]) -> String {
        let elements: Vec<_> = elements.iter().map(ToString::to_string).collect();
        let frames = frames(Splice::new(entries(&elements)));
        assert_eq!(frames.len(), 1);
        String::from_utf8(frames.concat()).unwrap()
    }

    #[test]
    fn leaves_out_vehicles_without_an_element() {
        for (elements, body) in [
            (&[][..], r#"{"vehicleData":[]}"#),
            (&[""], r#"{"vehicleData":[]}"#),
            (&["1"], r#"{"vehicleData":[1]}"#),
            (&["", "1", "", " 2", ""], r#"{"vehicleData":[1, 2]}"#),
        ] {
            assert_eq!(spliced(elements), body);
        }
    }

    #[test]
    fn comes_in_frames_that_are_not_much_larger_than_they_need_be() {
        let elements = vec!["x".repeat(10_000); 100];
        let frames = frames(Splice::new(entries(&elements)));
        // Five elements fill a frame.
        assert_eq!(frames.len(), 20);
        assert!(frames.iter().all(|frame| frame.len() < FRAME + 10_002));
    }

    #[test]
    fn an_element_larger_than_a_frame_is_one() {
        let elements = vec!["x".repeat(2 * FRAME); 3];
        assert_eq!(frames(Splice::new(entries(&elements))).len(), 3);
    }

    proptest! {
        #[test]
        fn is_all_the_elements_between_commas(
            sizes in proptest::collection::vec(0..2 * FRAME, 0..8),
        ) {
            let elements: Vec<_> = sizes.iter().map(|&size| "x".repeat(size)).collect();
            let found = frames(Splice::new(entries(&elements))).concat();
            let some: Vec<_> = elements.into_iter().filter(|text| !text.is_empty()).collect();
            let want = format!(r#"{{"vehicleData":[{}]}}"#, some.join(","));
            prop_assert!(found == want.as_bytes());
        }
    }
}
