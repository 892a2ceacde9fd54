//! What it costs to bring VINs and plates into the one spelling that is keyed and sent.
//!
//! A batch of 500 is parsed 500 times, so nanoseconds here are microseconds a request. `clean`
//! is what callers who take care send; `typed` is what people type, every habit in equal parts;
//! `unicode` leaves the ASCII path.
//!
//! ```text
//! cargo bench --bench vehicle            # all
//! cargo bench --bench vehicle -- vin     # those with "vin" in their name
//! ```

mod fleet;

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use vingate::vehicle::{Plate, Vin, clean};

/// Vehicles of a full upstream call.
const COUNT: usize = 500;

fn vehicle(c: &mut Criterion) {
    let fleet = fleet::fleet(COUNT);
    let (vins, plates): (Vec<_>, Vec<_>) =
        fleet.into_iter().map(|row| (row.vin, row.plate)).unzip();
    parse(c, "vin", &vins, |text| Vin::parse(text).is_ok());
    parse(c, "plate", &plates, |text| Plate::parse(text).is_ok());
    // The query of the vehicle list is cleaned, not judged.
    parse(c, "clean", &vins, |text| !clean(text).is_empty());
}

/// Parses all of `texts`, in each of the spellings.
fn parse(c: &mut Criterion, what: &str, texts: &[String], parse: impl Fn(&str) -> bool) {
    let mut group = c.benchmark_group(format!("vehicle/{what}"));
    group.throughput(Throughput::Elements(texts.len() as u64));
    let typed = texts.iter().enumerate().map(|(nth, text)| typed(nth, text));
    let unicode = texts.iter().map(|text| full_width(text));
    for (name, texts) in
        [("clean", texts.to_vec()), ("typed", typed.collect()), ("unicode", unicode.collect())]
    {
        assert!(texts.iter().all(|text| parse(text)), "{what} {name}");
        group.bench_function(name, |b| {
            b.iter(|| texts.iter().filter(|text| parse(black_box(text))).count());
        });
    }
    group.finish();
}

/// One of the ways in which people write `text`.
fn typed(nth: usize, text: &str) -> String {
    let (head, tail) = text.split_at(3);
    match nth % 5 {
        0 => text.to_lowercase(),
        1 => format!(" {head} {tail}\t"),
        2 => format!("{head}-{tail}"),
        3 => format!("*{text}*"),
        _ => format!("{head}.{tail}").to_lowercase(),
    }
}

/// `text` as an East Asian keyboard may write it.
fn full_width(text: &str) -> String {
    let wide = |c: char| char::from_u32(u32::from(c) + 0xfee0).expect("full-width forms exist");
    text.chars().map(wide).collect()
}

criterion_group!(benches, vehicle);
criterion_main!(benches);
