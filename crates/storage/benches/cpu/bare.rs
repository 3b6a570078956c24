//! The bare system calls that a log cannot do without: the measure of everything else.

use std::{
    fs::File,
    io::{IoSlice, Write},
    os::unix::fs::FileExt,
    path::Path,
    time::{Duration, Instant},
};

use bytes::BytesMut;

use crate::rig::measure;

/// CPU of checksumming each batch and writing it to a file, per batch.
pub(crate) fn write_and_checksum(folder: &Path, rounds: Vec<Vec<BytesMut>>) -> Duration {
    let count: usize = rounds.iter().map(Vec::len).sum();
    let mut file = File::create(folder.join("bare")).unwrap();
    let (_, cpu) = measure(|| {
        for batch in rounds.into_iter().flatten() {
            std::hint::black_box(milena_protocol::records::crc32c(&batch));
            file.write_all(&batch).unwrap();
        }
    });
    cpu / count as u32
}

/// CPU of checksumming each batch, writing a round of them to a ring with one fdatasync, and
/// writing it to a second file, per batch.
pub(crate) fn journal_and_segment(folder: &Path, rounds: Vec<Vec<BytesMut>>) -> Duration {
    let count: usize = rounds.iter().map(Vec::len).sum();
    let ring_len = 64 << 20;
    let ring = File::create(folder.join("ring")).unwrap();
    ring.write_all_at(&vec![0; ring_len], 0).unwrap();
    ring.sync_data().unwrap();
    let mut segment = File::create(folder.join("segment")).unwrap();
    let mut position = 0;
    let (_, cpu) = measure(|| {
        for round in rounds {
            let slices: Vec<IoSlice<'_>> = round.iter().map(|b| IoSlice::new(b)).collect();
            for batch in &round {
                std::hint::black_box(milena_protocol::records::crc32c(batch));
            }
            let len: usize = round.iter().map(BytesMut::len).sum();
            if position + len > ring_len {
                position = 0;
            }
            let written = rustix::io::pwritev(&ring, &slices, position as u64).unwrap();
            assert_eq!(written, len);
            ring.sync_data().unwrap();
            position += len;
            assert_eq!(segment.write_vectored(&slices).unwrap(), len);
        }
    });
    cpu / count as u32
}

/// How long it takes to write so many bytes to a preallocated file and sync them.
pub(crate) fn fdatasync(folder: &Path, len: usize, count: usize) -> Vec<Duration> {
    let file = File::create(folder.join("synced")).unwrap();
    let ring = 8 << 20;
    file.write_all_at(&vec![0; ring], 0).unwrap();
    file.sync_data().unwrap();
    let bytes = vec![7; len];
    let slots = ring / len;
    (0..count)
        .map(|round| {
            let start = Instant::now();
            file.write_all_at(&bytes, ((round % slots) * len) as u64).unwrap();
            file.sync_data().unwrap();
            start.elapsed()
        })
        .collect()
}
