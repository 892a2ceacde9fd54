//! A fleet of vehicles, and how people type them.

use vingate::vehicle::{Plate, Vehicle, Vin};

/// A vehicle and one way to type it.
#[derive(Clone, Debug)]
pub(crate) struct Typed {
    pub(crate) vehicle: Vehicle,
    pub(crate) vin: String,
    pub(crate) plate: String,
}

/// Numbers that look random and are the same for the same seed (SplitMix64).
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

const VIN_ALPHABET: &[u8] = b"0123456789ABCDEFGHJKLMNPRSTUVWXYZ";

/// What people put between, before and after characters.
const NOISE: [&str; 14] = [
    " ", "-", ".", "_", "/", "*", "\t", "\u{a0}", "\u{2010}", "\u{2013}", "\u{2212}", "\u{200b}",
    "\u{feff}", "\u{3000}",
];

/// `count` vehicles that differ in VIN and plate, always the same ones; or those of the csv file
/// that the environment variable `VINGATE_FLEET` names, with the columns
/// `vin,plate,vin_as_typed,plate_as_typed`.
pub(crate) fn fleet(count: usize) -> Vec<Typed> {
    if let Some(path) = std::env::var_os("VINGATE_FLEET") {
        let csv = std::fs::read_to_string(path).unwrap();
        return csv.lines().skip(1).map(Typed::of_csv).collect();
    }
    let mut dice = Dice::new(12);
    (0..count)
        .map(|nth| {
            let vehicle = dice.vehicle(nth);
            dice.typed(vehicle)
        })
        .collect()
}

impl Typed {
    fn of_csv(line: &str) -> Self {
        let [vin, plate, vin_as_typed, plate_as_typed] =
            <[_; 4]>::try_from(line.split(',').collect::<Vec<_>>()).unwrap();
        Self {
            vehicle: Vehicle { vin: Vin::parse(vin).unwrap(), plate: Plate::parse(plate).unwrap() },
            vin: vin_as_typed.to_owned(),
            plate: plate_as_typed.to_owned(),
        }
    }

    /// As [`batch_body`](super::batch_body) wants it.
    pub(crate) fn as_typed(&self) -> (&str, &str) {
        (&self.vin, &self.plate)
    }
}

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// One of `0..sides`.
    pub(crate) fn throw(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((bits ^ (bits >> 31)) % sides as u64) as usize
    }

    /// Some vehicle; with other numbers its VIN and its plate are others.
    fn vehicle(&mut self, number: usize) -> Vehicle {
        let mut letter = || char::from(VIN_ALPHABET[self.throw(VIN_ALPHABET.len())]);
        let maker: String = (0..11).map(|_| letter()).collect();
        let letters: String = (0..self.throw(3)).map(|_| self.plate_letter()).collect();
        Vehicle {
            vin: Vin::parse(&format!("{maker}{number:06}")).unwrap(),
            // The number ends where a letter stands, so that no two plates are the same.
            plate: Plate::parse(&format!("{number}{}{letters}", self.plate_letter())).unwrap(),
        }
    }

    fn plate_letter(&mut self) -> char {
        char::from(b'A' + self.throw(26) as u8)
    }

    /// One way to type a vehicle.
    pub(crate) fn typed(&mut self, vehicle: Vehicle) -> Typed {
        let vin = self.mistype(vehicle.vin.as_str());
        let plate = self.mistype(vehicle.plate.as_str());
        Typed { vehicle, vin, plate }
    }

    /// One time in three cleanly, else in another case, full width, with noise, or all of that.
    fn mistype(&mut self, clean: &str) -> String {
        let (case, width, noise) = match self.throw(3) {
            0 => return clean.to_owned(),
            _ => (self.throw(2), self.throw(8), self.throw(3)),
        };
        let mut typed = String::new();
        for letter in clean.chars() {
            if noise > 0 && self.throw(5) == 0 {
                typed.push_str(NOISE[self.throw(NOISE.len())]);
            }
            let letter = if case == 0 { letter.to_ascii_lowercase() } else { letter };
            typed.push(match width {
                0 => char::from_u32(letter as u32 + 0xfee0).unwrap(),
                _ => letter,
            });
        }
        if noise > 1 {
            typed.push_str(NOISE[self.throw(NOISE.len())]);
        }
        typed
    }
}
