//! What the log says of a write: as replicas see it, and as bytes.

use std::time::Duration;

use crate::{
    upstream::Account,
    vehicle::{Plate, Vin},
    vehicle_cache::{Change, InvalidationScope, Partition},
};

/// One entry of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum LogEntry {
    /// Nothing: a log has at least one entry, so that its loss shows.
    Beginning,
    /// This write is about to be sent.
    Intent(WriteId, InvalidationScope),
    /// A write has changed this; `Some`: the one that was announced, and it is over.
    Done(Option<WriteId>, Change),
    /// A write may have changed this, or may change it within this time.
    Unknown(InvalidationScope, Duration),
    /// Sync wants no call of an account for so long.
    Pause(Pause),
}

/// Sync's `Retry-After`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pause {
    /// Who was told.
    pub(super) replica: u64,
    pub(super) account: Option<Account>,
    pub(super) rest: Duration,
}

/// A write that was announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct WriteId {
    /// Drawn when the replica started.
    pub(super) replica: u64,
    /// Among those of the replica.
    pub(super) number: u64,
}

/// Names of one entry; of more nothing is said one by one.
pub(super) const MAX_NAMES: usize = 1000;

const BEGINNING: u8 = 0;
const INTENT: u8 = 1;
const DONE: u8 = 2;
const OVER: u8 = 3;
const EVERYTHING: u8 = 4;
const EVERYTHING_OVER: u8 = 5;
const UNKNOWN: u8 = 6;
const PAUSE: u8 = 7;

/// Reads what was written, from the front.
struct Reader<'a>(&'a [u8]);

impl LogEntry {
    /// The entry of a write that ended, as short as it has to be.
    pub(super) fn of(write: Option<WriteId>, change: Change, fence_for: Option<Duration>) -> Self {
        match (change, fence_for) {
            (Change::Of(scope), None) if names(&scope) <= MAX_NAMES => {
                Self::Done(write, Change::Of(scope))
            }
            (Change::Of(scope), Some(fence_for)) if names(&scope) <= MAX_NAMES => {
                Self::Unknown(scope, fence_for)
            }
            _ => Self::Done(write, Change::Everything),
        }
    }

    /// How many vehicles and partitions it names.
    pub(super) fn names(&self) -> usize {
        match self {
            Self::Intent(_, scope) | Self::Unknown(scope, _) | Self::Done(_, Change::Of(scope)) => {
                names(scope)
            }
            Self::Beginning | Self::Done(_, Change::Everything) | Self::Pause(_) => 0,
        }
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        match self {
            Self::Beginning => bytes.push(BEGINNING),
            Self::Intent(write, scope) => {
                bytes.push(INTENT);
                write_id(&mut bytes, *write);
                write_scope(&mut bytes, scope);
            }
            Self::Done(write, change) => {
                let (kind, kind_if_over, scope) = match change {
                    Change::Of(scope) => (DONE, OVER, Some(scope)),
                    Change::Everything => (EVERYTHING, EVERYTHING_OVER, None),
                };
                bytes.push(if write.is_some() { kind_if_over } else { kind });
                if let Some(write) = write {
                    write_id(&mut bytes, *write);
                }
                if let Some(scope) = scope {
                    write_scope(&mut bytes, scope);
                }
            }
            Self::Unknown(scope, fence_for) => {
                bytes.push(UNKNOWN);
                write_duration(&mut bytes, *fence_for);
                write_scope(&mut bytes, scope);
            }
            Self::Pause(Pause { replica, account, rest }) => {
                bytes.push(PAUSE);
                bytes.extend_from_slice(&replica.to_le_bytes());
                write_duration(&mut bytes, *rest);
                bytes.push(u8::from(account.is_some()));
                bytes.extend(account.iter().flat_map(|Account(digest)| digest));
            }
        }
        bytes
    }

    /// `None`: no replica of this version writes that.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let (&kind, rest) = bytes.split_first()?;
        let mut reader = Reader(rest);
        let entry = match kind {
            BEGINNING => Self::Beginning,
            INTENT => Self::Intent(reader.write_id()?, reader.scope()?),
            DONE => Self::Done(None, Change::Of(reader.scope()?)),
            OVER => Self::Done(Some(reader.write_id()?), Change::Of(reader.scope()?)),
            EVERYTHING => Self::Done(None, Change::Everything),
            EVERYTHING_OVER => Self::Done(Some(reader.write_id()?), Change::Everything),
            UNKNOWN => {
                let fence_for = reader.duration()?;
                Self::Unknown(reader.scope()?, fence_for)
            }
            PAUSE => Self::Pause(reader.pause()?),
            _ => return None,
        };
        reader.0.is_empty().then_some(entry)
    }
}

/// How many vehicles and partitions a scope names.
pub(super) fn names(scope: &InvalidationScope) -> usize {
    scope.vins.len() + scope.plates.len() + usize::from(scope.partition.is_some())
}

fn write_duration(bytes: &mut Vec<u8>, duration: Duration) {
    let milliseconds = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    bytes.extend_from_slice(&milliseconds.to_le_bytes());
}

fn write_id(bytes: &mut Vec<u8>, WriteId { replica, number }: WriteId) {
    bytes.extend_from_slice(&replica.to_le_bytes());
    bytes.extend_from_slice(&number.to_le_bytes());
}

fn write_scope(
    bytes: &mut Vec<u8>,
    InvalidationScope { vins, plates, partition }: &InvalidationScope,
) {
    bytes.push(u8::from(partition.is_some()));
    if let Some(partition) = partition {
        bytes.extend_from_slice(&partition.to_bytes());
    }
    // There are at most as many as an entry may have.
    bytes.extend_from_slice(&(vins.len() as u16).to_le_bytes());
    vins.iter()
        .for_each(|vin| bytes.extend_from_slice(vin.as_bytes()));
    bytes.extend_from_slice(&(plates.len() as u16).to_le_bytes());
    for plate in plates {
        bytes.push(plate.as_bytes().len() as u8);
        bytes.extend_from_slice(plate.as_bytes());
    }
}

impl<'a> Reader<'a> {
    fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (read, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(read)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.bytes(N)?.try_into().ok()
    }

    fn number(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    fn duration(&mut self) -> Option<Duration> {
        self.number().map(Duration::from_millis)
    }

    fn pause(&mut self) -> Option<Pause> {
        let (replica, rest) = (self.number()?, self.duration()?);
        let account = match self.array()? {
            [0] => None,
            [1] => Some(Account(self.array()?)),
            _ => return None,
        };
        Some(Pause { replica, account, rest })
    }

    fn count(&mut self) -> Option<usize> {
        self.array().map(|bytes| u16::from_le_bytes(bytes).into())
    }

    fn write_id(&mut self) -> Option<WriteId> {
        Some(WriteId { replica: self.number()?, number: self.number()? })
    }

    fn scope(&mut self) -> Option<InvalidationScope> {
        let partition = match self.array()? {
            [0] => None,
            [1] => Some(Partition::from_bytes(self.array()?)),
            _ => return None,
        };
        let vin =
            |reader: &mut Self| Vin::parse(str::from_utf8(reader.bytes(Vin::LENGTH)?).ok()?).ok();
        let vins = (0..self.count()?)
            .map(|_| vin(self))
            .collect::<Option<_>>()?;
        let plate = |reader: &mut Self| {
            let [length] = reader.array()?;
            Plate::parse(str::from_utf8(reader.bytes(length.into())?).ok()?).ok()
        };
        let plates = (0..self.count()?)
            .map(|_| plate(self))
            .collect::<Option<_>>()?;
        Some(InvalidationScope { vins, plates, partition })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn scope(vins: usize, plates: usize, partition: Option<u8>) -> InvalidationScope {
        let vin = |nth| Vin::parse(&format!("3VWFE21C0{nth:08}")).unwrap();
        let plate = |nth| Plate::parse(&format!("PLATE{nth:010}")).unwrap();
        InvalidationScope {
            vins: (0..vins).map(vin).collect(),
            plates: (0..plates).map(plate).collect(),
            partition: partition.map(|byte| Partition::new(&[byte; 32])),
        }
    }

    fn entries() -> Vec<LogEntry> {
        let write = WriteId { replica: u64::MAX, number: 7 };
        let second = Duration::from_secs(1);
        vec![
            LogEntry::Beginning,
            LogEntry::Intent(write, scope(1, 1, None)),
            LogEntry::Done(None, Change::Of(scope(0, 0, Some(1)))),
            LogEntry::Done(Some(write), Change::Of(scope(2, 3, Some(1)))),
            LogEntry::Done(Some(write), Change::Of(scope(0, 0, None))),
            LogEntry::Done(None, Change::Everything),
            LogEntry::Done(Some(write), Change::Everything),
            LogEntry::Unknown(scope(2, 0, None), 20 * second),
            LogEntry::Pause(Pause { replica: 1, account: None, rest: second }),
            LogEntry::Pause(Pause { replica: 1, account: Some(Account([7; 32])), rest: second }),
        ]
    }

    #[test]
    fn is_read_as_it_was_written_and_not_otherwise() {
        for entry in entries() {
            let bytes = entry.to_bytes();
            assert_eq!(LogEntry::parse(&bytes), Some(entry.clone()));
            assert_eq!(LogEntry::parse(&[&bytes[..], &[0]].concat()), None, "{entry:?} and more");
            for cut in 0..bytes.len() {
                assert_eq!(LogEntry::parse(&bytes[..cut]), None, "{entry:?} cut at {cut}");
            }
        }
    }

    #[test]
    fn more_names_than_are_worth_it_stand_for_everything() {
        let (few, many) = (scope(500, 500, None), scope(501, 500, None));
        let fence = Some(Duration::from_secs(1));
        for fence_for in [None, fence] {
            let entry = LogEntry::of(None, Change::Of(many.clone()), fence_for);
            assert_eq!(entry, LogEntry::Done(None, Change::Everything));
            let entry = LogEntry::of(None, Change::Of(few.clone()), fence_for);
            assert_eq!(entry.names(), MAX_NAMES);
            assert_eq!(LogEntry::parse(&entry.to_bytes()), Some(entry));
        }
    }

    proptest! {
        #[test]
        fn foreign_bytes_are_read_or_not_but_never_more_than_there_is(
            bytes in prop::collection::vec(any::<u8>(), 0..200), kind in 0..9u8,
        ) {
            let bytes = [&[kind], &bytes[..]].concat();
            if let Some(entry) = LogEntry::parse(&bytes) {
                prop_assert!(entry.names() * 2 <= bytes.len());
            }
        }
    }
}
