//! How much memory a decompression bomb gets: row 20 of the hostile inputs, measured.
//!
//! One test alone in its process, since it counts every allocation of Rust's and looks at the
//! peak of the resident set for what zstd allocates in C.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use milena_protocol::records::{
    Attributes, BatchHeader, Budget, Codec, HEADER_LEN, LOG_OVERHEAD, Origin, RecordError, Rules,
    Scratch, TimestampRule, compress, refresh_crc, validate,
};
use milena_protocol::{LeaderEpoch, Offset, ProducerEpoch, ProducerId};

struct Counting;

static NOW: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is handed to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let now = NOW.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        PEAK.fetch_max(now, Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const MIB: usize = 1 << 20;

/// The peak of the resident set in bytes, since the last call with `reset`.
#[expect(clippy::disallowed_methods, reason = "the process looks at itself")]
fn resident_peak(reset: bool) -> usize {
    if reset {
        std::fs::write("/proc/self/clear_refs", "5").unwrap();
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
}

fn sealed(codec: Codec, payload: &[u8]) -> Vec<u8> {
    let header = BatchHeader {
        base_offset: Offset::ZERO,
        length: (HEADER_LEN - LOG_OVERHEAD + payload.len()) as i32,
        leader_epoch: LeaderEpoch::UNKNOWN,
        crc: 0,
        attributes: Attributes(0).with_codec_id(codec.id()),
        last_offset_delta: 0,
        base_timestamp: -1,
        max_timestamp: -1,
        producer_id: ProducerId::NONE,
        producer_epoch: ProducerEpoch::NONE,
        base_sequence: -1,
        record_count: 1,
    };
    let mut batch = header.to_bytes().to_vec();
    batch.extend_from_slice(payload);
    refresh_crc(&mut batch);
    batch
}

fn zigzag(value: usize) -> Vec<u8> {
    let mut raw = value * 2;
    let mut bytes = Vec::new();
    while raw >= 0x80 {
        bytes.push(raw as u8 | 0x80);
        raw >>= 7;
    }
    bytes.push(raw as u8);
    bytes
}

/// The front of one well-formed record whose value is `value_len` bytes; that many zeros and one
/// more (no headers) complete it.
fn record_front(value_len: usize) -> Vec<u8> {
    let value = zigzag(value_len);
    let mut front = zigzag(4 + value.len() + value_len + 1);
    front.extend_from_slice(&[0, 0, 0, 1]);
    front.extend_from_slice(&value);
    front
}

fn bomb(codec: Codec, value_len: usize) -> Vec<u8> {
    let mut plain = record_front(value_len);
    plain.resize(plain.len() + value_len + 1, 0);
    let mut payload = Vec::new();
    compress(codec, None, &plain, &mut payload).unwrap();
    sealed(codec, &payload)
}

/// Zstd frames repeat a byte 128 Ki times in four bytes, so 10 GiB fit in 320 KiB; the window
/// that the frame asks for is 128 MiB.
fn zstd_bomb(value_len: usize) -> Vec<u8> {
    let front = record_front(value_len);
    let mut payload = vec![0x28, 0xb5, 0x2f, 0xfd, 0, 0x88];
    let block = |last: u32, kind: u32, len: usize| {
        let word = last | kind << 1 | (len as u32) << 3;
        [word as u8, (word >> 8) as u8, (word >> 16) as u8]
    };
    payload.extend_from_slice(&block(0, 0, front.len()));
    payload.extend_from_slice(&front);
    let mut left = value_len + 1;
    while left > 0 {
        let len = left.min(128 << 10);
        left -= len;
        payload.extend_from_slice(&block(u32::from(left == 0), 1, len));
        payload.push(0);
    }
    sealed(Codec::Zstd, &payload)
}

struct Cost {
    verdict: Result<(), RecordError>,
    counted: usize,
    resident: usize,
}

fn judge(batch: &[u8], budget: Budget) -> Cost {
    let rules = Rules {
        produce_version: 11,
        batch_bytes_max: usize::MAX,
        is_compacted: false,
        timestamps: TimestampRule::Create { before_max_ms: i64::MAX, after_max_ms: i64::MAX },
        now_ms: 0,
        origin: Origin::Client,
        budget,
    };
    let resident_before = resident_peak(true);
    PEAK.store(NOW.load(Ordering::Relaxed), Ordering::Relaxed);
    let before = NOW.load(Ordering::Relaxed);
    let mut scratch = Scratch::new();
    let verdict = validate(batch, &rules, &mut scratch).map(drop);
    let counted = PEAK.load(Ordering::Relaxed) - before;
    Cost { verdict, counted, resident: resident_peak(false).saturating_sub(resident_before) }
}

#[test]
fn hostile_20_bombs_cost_a_window_and_no_more() {
    // What a thread keeps for zstd's level 3 lies below this, and a window of 64 KiB.
    let small = 2 * MIB;
    for codec in [Codec::Gzip, Codec::Lz4, Codec::Snappy] {
        let batch = bomb(codec, 100 * MIB);
        let over = judge(&batch, Budget::bytes(64 * MIB));
        assert!(matches!(over.verdict, Err(RecordError::OverBudget { .. })), "{codec:?}");
        let whole = judge(&batch, Budget::bytes(101 * MIB));
        assert_eq!(whole.verdict, Ok(()), "{codec:?}: as a stream it is harmless");
        for cost in [over, whole] {
            println!("{codec:?}: {} B counted, {} B resident", cost.counted, cost.resident);
            assert!(cost.counted < small, "{codec:?}: {} bytes", cost.counted);
            assert!(cost.resident < 2 * small, "{codec:?}: {} bytes", cost.resident);
        }
    }
    // As large as a record can be: 2 GiB less a little, in 64 KiB.
    let batch = zstd_bomb(i32::MAX as usize - 64);
    let cost = judge(&batch, Budget::default());
    println!("zstd, {} B: {} B counted, {} B resident", batch.len(), cost.counted, cost.resident);
    assert!(matches!(cost.verdict, Err(RecordError::OverBudget { .. })));
    assert!(cost.counted < small && cost.resident < 36 * MIB, "32 MiB of the window");
    // A frame that asks for 128 MiB and holds one record pays for what it holds.
    let cost = judge(&zstd_bomb(1_000), Budget::default());
    println!("zstd, large window: {} B counted, {} B resident", cost.counted, cost.resident);
    assert_eq!(cost.verdict, Ok(()));
    assert!(cost.resident < 2 * small, "{} bytes", cost.resident);
}
