//! A made-up fleet, the same in every run: VINs and plates of the kinds that Sync's customers
//! have, drawn from a seeded generator, so that figures of two runs compare.

/// A vehicle as Sync wants it written.
pub(crate) struct Row {
    /// 17 of `0-9 A-Z` without `I`, `O`, `Q`.
    pub(crate) vin: String,
    /// Three letters, three digits, one letter; or two letters and five digits.
    pub(crate) plate: String,
}

/// Makers and plants, as the first characters of a VIN name them.
const MAKERS: [&str; 8] = ["3VW", "1N4", "3KP", "3GN", "WAU", "LSJ", "VF1", "5YJ"];

const VIN_ALPHABET: &[u8] = b"0123456789ABCDEFGHJKLMNPRSTUVWXYZ";

/// `count` distinct vehicles.
pub(crate) fn fleet(count: usize) -> Vec<Row> {
    let mut draw = Draw(0x5eed);
    (0..count)
        .map(|serial| {
            let maker = MAKERS[draw.below(MAKERS.len())];
            let model: String = (0..8)
                .map(|_| char::from(VIN_ALPHABET[draw.below(VIN_ALPHABET.len())]))
                .collect();
            let vin = format!("{maker}{model}{serial:06}");
            let mut letter = || char::from(b'A' + draw.below(26) as u8);
            let (a, b, c, d) = (letter(), letter(), letter(), letter());
            let plate = match serial % 4 {
                0 => format!("{a}{b}{:05}", draw.below(100_000)),
                _ => format!("{a}{b}{c}{:03}{d}", draw.below(1_000)),
            };
            Row { vin, plate }
        })
        .collect()
}

/// SplitMix64: a few lines, good enough to draw with.
struct Draw(u64);

impl Draw {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % bound as u64) as usize
    }
}
