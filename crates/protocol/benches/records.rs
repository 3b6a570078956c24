//! What the broker pays for a produced batch, beside what its parts cost alone: the checksum for
//! uncompressed batches, the bare decoder for compressed ones. `cargo bench -p milena-protocol
//! --bench records`.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a bench")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use milena_protocol::Offset;
use milena_protocol::records::{
    Batch, BatchBuilder, Budget, Codec, HEADER_LEN, Origin, Rules, Scratch, TimestampRule,
    checksum, validate,
};

const BATCH_LEN: usize = 64 << 10;

fn rules() -> Rules {
    Rules {
        produce_version: 11,
        batch_bytes_max: 1 << 20,
        is_compacted: false,
        timestamps: TimestampRule::Create { before_max_ms: i64::MAX, after_max_ms: 3_600_000 },
        now_ms: 1_700_000_000_000,
        origin: Origin::Client,
        budget: Budget::default(),
    }
}

/// About 64 KiB of records before compression: half of each value is random.
fn batch(value_len: usize, codec: Codec) -> Vec<u8> {
    let mut builder = BatchBuilder::new(Offset::ZERO).with_codec(codec, None);
    let mut noise = 7u64;
    let mut timestamp = 1_699_999_999_000;
    while builder.plain_len() + value_len + 16 < BATCH_LEN {
        let value: Vec<u8> = (0..value_len)
            .map(|at| {
                noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                if at % 32 < 16 { (noise >> 56) as u8 } else { b'a' }
            })
            .collect();
        builder.append(timestamp, None, Some(&value), []);
        timestamp += 1;
    }
    let mut out = Vec::new();
    builder.build(&mut out).unwrap();
    out
}

fn uncompressed(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("uncompressed");
    for value_len in [1_024, 100] {
        let batch = batch(value_len, Codec::None);
        group.throughput(Throughput::Bytes(batch.len() as u64));
        group.bench_function(format!("crc_{value_len}"), |bencher| {
            bencher.iter(|| checksum(black_box(&batch)));
        });
        let (rules, mut scratch) = (rules(), Scratch::new());
        group.bench_function(format!("validate_{value_len}"), |bencher| {
            bencher.iter(|| validate(black_box(&batch), &rules, &mut scratch).unwrap());
        });
        group.bench_function(format!("iterate_{value_len}"), |bencher| {
            bencher.iter(|| {
                let batch = Batch::read(black_box(&batch)).unwrap();
                let records = batch.records(&mut scratch, Budget::default()).unwrap();
                records.map(|record| record.unwrap().value.map_or(0, <[u8]>::len)).sum::<usize>()
            });
        });
    }
    group.finish();
}

fn compressed(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("compressed");
    for codec in [Codec::Lz4, Codec::Snappy, Codec::Zstd, Codec::Gzip] {
        let batch = batch(1_024, codec);
        let (rules, mut scratch) = (rules(), Scratch::new());
        group.bench_function(format!("validate_{}", codec.name()), |bencher| {
            bencher.iter(|| validate(black_box(&batch), &rules, &mut scratch).unwrap());
        });
    }
    // The block behind the frame's header of 7 bytes and its own length.
    let batch = batch(1_024, Codec::Lz4);
    let block = &batch[HEADER_LEN + 11..batch.len() - 4];
    let mut plain = vec![0; BATCH_LEN];
    group.bench_function("bare_lz4", |bencher| {
        bencher.iter(|| lz4_flex::block::decompress_into(black_box(block), &mut plain).unwrap());
    });
    group.finish();
}

criterion_group!(benches, uncompressed, compressed);
criterion_main!(benches);
