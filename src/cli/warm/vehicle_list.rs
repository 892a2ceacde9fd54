//! The vehicles of a CSV, and the lines that name none.

use std::io::{self, BufRead as _, BufReader, Read};

use csv::{ReaderBuilder, StringRecord, Trim};

use crate::vehicle::{Plate, Vehicle, Vin};

/// What a CSV says.
#[derive(Debug, Default)]
pub(super) struct VehicleList {
    pub(super) vehicles: Vec<Listed>,
    /// The number of each line that is left out, and why.
    pub(super) left_out: Vec<(u64, String)>,
}

/// A vehicle, and the number of its line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Listed {
    pub(super) line: u64,
    pub(super) vehicle: Vehicle,
}

impl VehicleList {
    /// Reads `vin,plate` lines. A first line that names both columns says where they are, and the
    /// first with a separator which one it is.
    ///
    /// # Errors
    ///
    /// The input cannot be read.
    pub(super) fn read(input: impl Read) -> io::Result<Self> {
        let (mut list, mut columns, mut by) = (Self::default(), None, None);
        for (line, number) in BufReader::new(input).split(b'\n').zip(1..) {
            // No value of a list of vehicles goes over two lines, so that each has its number.
            let line = line?;
            by = by.or_else(|| separator(&line));
            let (byte, separator) = by.unwrap_or((b',', "comma"));
            let Some(record) = record(&line, byte) else { continue };
            let named = if columns.is_none() { header(&record) } else { None };
            if named.is_some() {
                columns = named;
                continue;
            }
            match vehicle(&record, separator, *columns.get_or_insert((0, 1))) {
                Ok(vehicle) => list.vehicles.push(Listed { line: number, vehicle }),
                Err(reason) => list.left_out.push((number, reason)),
            }
        }
        Ok(list)
    }
}

/// What may stand between columns, and no VIN or plate has; of equally many in a line, the last.
const SEPARATORS: [Separator; 3] = [(b'\t', "tab"), (b';', "semicolon"), (b',', "comma")];

/// A byte, and what it is called.
type Separator = (u8, &'static str);

/// What a line has most of, if it has any.
fn separator(line: &[u8]) -> Option<Separator> {
    let count = |(byte, _): &Separator| line.iter().filter(|it| *it == byte).count();
    let most = SEPARATORS.into_iter().max_by_key(count);
    most.filter(|separator| count(separator) > 0)
}

/// The values of a line; `None` if it is blank. What is no UTF-8 is no VIN and no plate either.
fn record(line: &[u8], separator: u8) -> Option<StringRecord> {
    let mut reader = ReaderBuilder::new();
    let reader = reader
        .has_headers(false)
        .delimiter(separator)
        .trim(Trim::All)
        .buffer_capacity(256);
    let record = reader.from_reader(line).into_byte_records().next()?;
    record.ok().map(StringRecord::from_byte_record_lossy)
}

/// The columns of VIN and plate, if the record names them.
fn header(record: &StringRecord) -> Option<(usize, usize)> {
    let column = |name| {
        record
            .iter()
            .position(|field| field.eq_ignore_ascii_case(name))
    };
    Some((column("vin")?, column("plate")?))
}

fn vehicle(
    record: &StringRecord,
    separator: &str,
    (vin, plate): (usize, usize),
) -> Result<Vehicle, String> {
    let missing = |name| format!("has no {name} behind a {separator}");
    let field = |at, name| record.get(at).ok_or_else(|| missing(name));
    let (vin, plate) = (field(vin, "VIN")?, field(plate, "plate")?);
    Ok(Vehicle {
        vin: Vin::parse(vin).map_err(|invalid| format!("VIN {invalid}"))?,
        plate: Plate::parse(plate).map_err(|invalid| format!("plate {invalid}"))?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The plates of the vehicles, and the numbers of the lines that are left out.
    fn read(text: impl AsRef<[u8]>) -> (Vec<String>, Vec<u64>) {
        let list = VehicleList::read(text.as_ref()).unwrap();
        let plates = list
            .vehicles
            .iter()
            .map(|listed| listed.vehicle.plate.as_str().to_owned());
        (plates.collect(), list.left_out.iter().map(|(line, _)| *line).collect())
    }

    #[test]
    fn reads_vehicles_with_and_without_a_header() {
        const A: &str = "3vw-fe21c04m000001";
        for text in [
            format!("{A},mff 956-m\n"),
            format!("vin,plate\n{A},MFF956M\n"),
            format!("\u{feff}VIN , Plate\r\n\"{A}\",\"MFF 956 M\"\r\n"),
            format!("plate,colour,vin\nMFF956M,red,{A}\n\n"),
            format!("{A},MFF956M,more"),
            format!("{A};MFF956M\n"),
            format!("{A}\tMFF 956 M\n"),
            format!("\u{feff}\r\nPlate\tColour\tVIN\r\nMFF956M\t\t\"{A}\""),
            format!("plate;weight, t;vin\nMFF956M;1,5;{A}"),
        ] {
            assert_eq!(read(&text), (vec!["MFF956M".to_owned()], vec![]), "{text:?}");
        }
        assert_eq!(read(""), (vec![], vec![]));
        assert_eq!(read("vin,plate"), (vec![], vec![]));
    }

    #[test]
    fn takes_columns_apart_at_one_separator() {
        let text = "3VWFE21C04M000001;A1\n3VWFE21C04M000001,A1\n";
        let list = VehicleList::read(text.as_bytes()).unwrap();
        let reason = "has no plate behind a semicolon";
        assert_eq!(list.left_out, [(2, reason.to_owned())]);
    }

    #[test]
    fn leaves_out_lines_that_name_no_vehicle() {
        let text = b"vin,plate\n3VWFE21C04M000001\n3VWFE21C04M000001,A1\nO,A1\n\n\
                     3VWFE21C04M000001,\xff\n3VWFE21C04M000001,B2\n,\n";
        assert_eq!(read(text), (vec!["A1".to_owned(), "B2".to_owned()], vec![2, 4, 6, 8]));
    }
}
