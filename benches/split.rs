//! What it costs to cut a batch into calls: nothing beside the calls, and it should stay so.
//!
//! ```text
//! cargo bench --bench split
//! ```

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use vingate::loader::balanced;

/// Vehicles that the upstream takes in one call.
const CHUNK: usize = 500;

fn split(c: &mut Criterion) {
    let mut group = c.benchmark_group("loader/balanced");
    // One call, a full one, one vehicle too many for that, and the most a request may have.
    for count in [1, 500, 501, 10_000] {
        group.bench_with_input(BenchmarkId::from_parameter(count), &count, |b, &count| {
            b.iter(|| balanced(black_box(count), black_box(CHUNK)).sum::<usize>());
        });
    }
    group.finish();
}

criterion_group!(benches, split);
criterion_main!(benches);
