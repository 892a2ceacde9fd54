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

use crate::{gzip::Member, vehicle_cache::Entry};

/// `{"vehicleData":[…]}` with the bytes of each entry that has some.
#[derive(Debug)]
pub struct Splice {
    /// With bytes, in order.
    entries: std::vec::IntoIter<Arc<Entry>>,
    /// How much of the response is still to come.
    left: usize,
    is_begun: bool,
    coding: Coding,
}

/// How the bytes are written (RFC 9110 section 8.4.1).
#[derive(Debug)]
enum Coding {
    Identity,
    Gzip(Member),
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
            coding: Coding::Identity,
        }
    }

    /// The same in gzip, from the entries' pieces and what has none as it is. `Err`: that is no
    /// smaller.
    pub fn gzipped(mut self) -> Result<Self, Self> {
        let element = |entry: &Arc<Entry>| match entry.piece() {
            // The comma behind it is in the stored block that it ends with.
            Some(piece) => piece.deflated_len() - 1,
            None => Member::stored_len(entry.bytes().len()),
        };
        let entries = self.entries.as_slice();
        let elements: usize = entries.iter().map(element).sum();
        let commas = entries.len().saturating_sub(1) * Member::stored_len(1);
        let ends = Member::stored_len(HEAD.len()) + Member::stored_len(TAIL.len());
        let length = Member::OVERHEAD + ends + elements + commas;
        if self.is_begun || length >= self.left {
            return Err(self);
        }
        self.left = length;
        self.coding = Coding::Gzip(Member::default());
        Ok(self)
    }

    /// What is still to come.
    pub(super) fn entries(&self) -> &[Arc<Entry>] {
        self.entries.as_slice()
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
            self.coding.begin(&mut frame);
            self.coding.write(HEAD, &mut frame);
        }
        while frame.len() < FRAME
            && let Some(entry) = self.entries.next()
        {
            if std::mem::replace(&mut self.is_begun, true) {
                self.coding.write(b",", &mut frame);
            }
            self.coding.write_element(&entry, &mut frame);
        }
        if self.entries.len() == 0 {
            self.coding.write(TAIL, &mut frame);
            self.coding.end(&mut frame);
        }
        self.left -= frame.len();
        Some(frame.freeze())
    }
}

impl Coding {
    fn begin(&mut self, frame: &mut BytesMut) {
        if let Self::Gzip(member) = self {
            member.begin(frame);
        }
    }

    fn write(&mut self, text: &[u8], frame: &mut BytesMut) {
        match self {
            Self::Identity => frame.extend_from_slice(text),
            Self::Gzip(member) => member.store(text, frame),
        }
    }

    fn write_element(&mut self, entry: &Entry, frame: &mut BytesMut) {
        match (&mut *self, entry.piece()) {
            (Self::Gzip(member), Some(piece)) => member.add(piece, entry.bytes().len(), frame),
            _ => self.write(entry.bytes(), frame),
        }
    }

    fn end(&self, frame: &mut BytesMut) {
        if let Self::Gzip(member) = self {
            member.end(frame);
        }
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
        gzip,
        loader::Failure,
        vehicle::{Plate, Vehicle, Vin},
        vehicle_cache::{
            self, Class, Directives, Element, Lookup, Moment, Partition, StaleWindows, Ttl,
            VehicleCache,
        },
    };

    /// Entries with these bytes, as a cache makes them; those in compressed form, too, for which
    /// `is_compressed` says so.
    fn entries(elements: &[String], is_compressed: impl Fn(usize) -> bool) -> Vec<Arc<Entry>> {
        let life = std::time::Duration::from_secs(60);
        let ttl = Ttl { finished: life, pending: life, failed: life, absent: life, jitter: 0.0 };
        let stale = StaleWindows { while_revalidate: life, if_error: life };
        let config = vehicle_cache::Config { enabled: true, capacity: 1 << 30 };
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
        let (partition, directives) = (Partition::new(&[1; 32]), Directives::default());
        let vehicles = || (0..elements.len()).map(vehicle);
        let look_up = || cache.lookup(Some(partition), vehicles(), &directives, Instant::now());
        let element = |text: &String| Element {
            bytes: text.as_bytes().into(),
            classes: Class::Finished.into(),
        };
        let leases = look_up().leases;
        leases.fill(elements.iter().map(element).collect(), true, Moment::now());
        let held = || {
            let found = look_up().found.into_iter();
            found.map(|lookup| match lookup {
                Lookup::Hit(entry) => entry,
                _ => panic!("it is held"),
            })
        };
        for (_, entry) in held().enumerate().filter(|(nth, _)| is_compressed(*nth)) {
            cache.compress(&entry);
        }
        held().collect()
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
        let frames = frames(Splice::new(entries(&elements, |_| false)));
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
        let frames = frames(Splice::new(entries(&elements, |_| false)));
        // Five elements fill a frame.
        assert_eq!(frames.len(), 20);
        assert!(frames.iter().all(|frame| frame.len() < FRAME + 10_002));
    }

    #[test]
    fn an_element_larger_than_a_frame_is_one() {
        let elements = vec!["x".repeat(2 * FRAME); 3];
        assert_eq!(frames(Splice::new(entries(&elements, |_| false))).len(), 3);
    }

    /// What is unpacked from the frames of a response in gzip, which has to be smaller.
    fn gzip_unpacked(entries: &[Arc<Entry>]) -> Option<Vec<u8>> {
        let gzipped = Splice::new(entries.iter().cloned()).gzipped().ok()?;
        let length = gzipped.len();
        assert!(length < Splice::new(entries.iter().cloned()).len());
        let packed = frames(gzipped).concat();
        assert_eq!(packed.len(), length);
        Some(gzip::tests::unpacked(&packed))
    }

    /// So many random responses of 1 to `most` entries, a part of which is compressed.
    fn unpacks_to_the_plain_one(responses: usize, most: usize) {
        let mut draw = {
            let mut runner = proptest::test_runner::TestRunner::deterministic();
            move |below: usize| runner.rng().random_range(0..below)
        };
        let words = [
            "\"vin\":\"3VWFE21C04M",
            "{\"key\":\"WithTicketsDebts\"},",
            "\u{f1}",
            "\\u00e9",
            "1e-7",
        ];
        let element = |_| (0..draw(120)).map(|_| words[draw(words.len())]).collect();
        let elements: Vec<String> = (0..400).map(element).collect();
        let entries = entries(&elements, |nth| nth % 4 != 0);
        let mut gzipped = 0;
        for _ in 0..responses {
            let some: Vec<_> = (0..=draw(most))
                .map(|_| Arc::clone(&entries[draw(entries.len())]))
                .collect();
            let plain = frames(Splice::new(some.iter().cloned())).concat();
            if let Some(text) = gzip_unpacked(&some) {
                assert!(text == plain);
                gzipped += 1;
            }
        }
        assert!(gzipped > responses / 2);
    }

    #[test]
    fn gzip_unpacks_to_the_plain_response() {
        unpacks_to_the_plain_one(300, 40);
    }

    #[test]
    #[ignore = "ten thousand responses of up to 500 vehicles take minutes"]
    fn gzip_unpacks_to_the_plain_response_ten_thousand_times() {
        unpacks_to_the_plain_one(10_000, 500);
    }

    #[test]
    fn gzip_that_is_no_smaller_is_not_sent() {
        let elements = vec!["some element of a response".to_owned(); 3];
        assert!(Splice::new(entries(&elements, |_| true)).gzipped().is_err());
        let elements = vec!["some element ".repeat(10); 3];
        assert!(
            Splice::new(entries(&elements, |_| false))
                .gzipped()
                .is_err()
        );
        assert!(Splice::new(entries(&elements, |_| true)).gzipped().is_ok());
    }

    proptest! {
        #[test]
        fn is_all_the_elements_between_commas(
            sizes in proptest::collection::vec(0..2 * FRAME, 0..8),
        ) {
            let elements: Vec<_> = sizes.iter().map(|&size| "x".repeat(size)).collect();
            let found = frames(Splice::new(entries(&elements, |_| false))).concat();
            let some: Vec<_> = elements.into_iter().filter(|text| !text.is_empty()).collect();
            let want = format!(r#"{{"vehicleData":[{}]}}"#, some.join(","));
            prop_assert!(found == want.as_bytes());
        }
    }
}
