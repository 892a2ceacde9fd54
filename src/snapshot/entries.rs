//! What is in a snapshot, before it is sealed:
//! `2 · origin (16) · writer (16) · stamp · entries · 0 · written at (8) · number of entries (8)`.
//!
//! The stamp is how much its writer knew of what other replicas wrote, `1 · stamp (24)`, or `0`
//! where there are none.
//!
//! An entry is `1 · partition (16) · VIN (17) · length of the plate (1) · plate · length of the
//! record (4) · record`. Numbers have their lowest byte first, times are milliseconds since 1970.
//! All of it was sealed, so that what cannot be read was written by another version.

use std::io::{self, Read};

use super::{origin::Origin, owner::Owner};
use crate::{
    vehicle::{Plate, Vehicle, Vin},
    vehicle_cache::{Entry, Key, Partition, Record, Stamp},
};

/// Reads what is in a snapshot, in its order.
pub(super) struct Entries<R> {
    input: R,
    /// The bytes of a record.
    record: Vec<u8>,
}

/// What stands before the entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) origin: Origin,
    pub(super) writer: Owner,
    pub(super) stamp: Option<Stamp>,
}

/// What stands behind the entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Trailer {
    /// When it was written to its end.
    pub(super) written_at: u64,
    pub(super) entries: u64,
}

/// What comes next.
pub(super) enum Next {
    Entry(Key<Vehicle>, Record),
    End(Trailer),
}

/// Of what is written here.
const VERSION: u8 = 2;

const END: u8 = 0;
const ENTRY: u8 = 1;

/// Puts an entry into `bytes`, in place of what is there.
pub(super) fn write(key: &Key<Vehicle>, entry: &Entry, fetched_at: u64, bytes: &mut Vec<u8>) {
    let Key { partition, item: Vehicle { vin, plate } } = key;
    bytes.clear();
    bytes.push(ENTRY);
    bytes.extend_from_slice(&partition.to_bytes());
    bytes.extend_from_slice(vin.as_bytes());
    bytes.push(plate.as_bytes().len() as u8);
    bytes.extend_from_slice(plate.as_bytes());
    let length_at = bytes.len();
    bytes.extend_from_slice(&[0; 4]);
    let record_at = bytes.len();
    Record::write(entry, fetched_at, bytes);
    let length = (bytes.len() - record_at) as u32;
    bytes[length_at..record_at].copy_from_slice(&length.to_le_bytes());
}

impl Head {
    pub(super) fn to_bytes(self) -> Vec<u8> {
        let Self { origin, writer, stamp } = self;
        let stamp = stamp.map_or(vec![0], |stamp| [&[1][..], &stamp.0].concat());
        [&[VERSION][..], &origin.to_bytes(), &writer.0, &stamp].concat()
    }

    fn read(input: &mut impl Read) -> io::Result<Self> {
        if byte(input)? != VERSION {
            return Err(unknown());
        }
        let (origin, writer) = (Origin::from_bytes(array(input)?), Owner(array(input)?));
        let stamp = match byte(input)? {
            0 => None,
            1 => Some(Stamp(array(input)?)),
            _ => return Err(unknown()),
        };
        Ok(Self { origin, writer, stamp })
    }
}

impl Trailer {
    pub(super) fn to_bytes(self) -> Vec<u8> {
        let Self { written_at, entries } = self;
        [&[END][..], &written_at.to_le_bytes(), &entries.to_le_bytes()].concat()
    }
}

impl<R: Read> Entries<R> {
    /// The head, and what follows.
    pub(super) fn begin(mut input: R) -> io::Result<(Head, Self)> {
        let head = Head::read(&mut input)?;
        Ok((head, Self { input, record: Vec::new() }))
    }

    pub(super) fn next(&mut self) -> io::Result<Next> {
        let input = &mut self.input;
        match byte(input)? {
            END => {
                let [written_at, entries] = [array(input)?, array(input)?].map(u64::from_le_bytes);
                match input.read(&mut [0])? {
                    0 => Ok(Next::End(Trailer { written_at, entries })),
                    _ => Err(unknown()),
                }
            }
            ENTRY => {
                let partition = Partition::from_bytes(array(input)?);
                let vin = array::<{ Vin::LENGTH }>(input)?;
                let mut plate = [0; Plate::MAX_LENGTH];
                let length = usize::from(byte(input)?);
                let plate = plate.get_mut(..length).ok_or_else(unknown)?;
                input.read_exact(plate)?;
                let item = vehicle(&vin, plate).ok_or_else(unknown)?;
                let length = u32::from_le_bytes(array(input)?);
                self.record.clear();
                input.take(length.into()).read_to_end(&mut self.record)?;
                let record = Record::parse(&self.record).ok_or_else(unknown)?;
                Ok(Next::Entry(Key { partition, item }, record))
            }
            _ => Err(unknown()),
        }
    }
}

fn vehicle(vin: &[u8], plate: &[u8]) -> Option<Vehicle> {
    let vin = Vin::parse(str::from_utf8(vin).ok()?).ok()?;
    let plate = Plate::parse(str::from_utf8(plate).ok()?).ok()?;
    Some(Vehicle { vin, plate })
}

fn byte(input: &mut impl Read) -> io::Result<u8> {
    array(input).map(|[byte]| byte)
}

fn array<const N: usize>(input: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    input.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn unknown() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "it was written by another version")
}
