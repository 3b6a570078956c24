//! How much memory a hostile request gets: rows 7 to 9 of the hostile inputs, measured.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use milena_protocol::api::{APIS, Request};

use crate::fixture::{Sample, samples};

/// Counts what each thread holds, so that tests beside this one do not show.
struct Counting;

thread_local! {
    static NOW: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

// SAFETY: every call is handed to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let now = NOW.get() + layout.size() as isize;
        NOW.set(now);
        PEAK.set(PEAK.get().max(now));
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        NOW.set(NOW.get() - layout.size() as isize);
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The most memory that decoding takes at any moment.
fn peak(key: i16, bytes: &[u8], version: i16) -> usize {
    let before = NOW.get();
    PEAK.set(before);
    drop(Request::decode(key, bytes, version));
    (PEAK.get() - before) as usize
}

fn requests() -> impl Iterator<Item = (i16, Sample)> {
    samples().into_iter().filter_map(|sample| {
        let api = sample.name.strip_suffix("Request")?;
        let api = APIS.iter().find(|known| known.name == api)?;
        Some((api.key.number(), sample))
    })
}

/// Counts and lengths that lie, in every width in which they are written.
const LIES: [&[u8]; 6] = [
    &[0x7f, 0xff, 0xff, 0xff],
    &[0x00, 0x0f, 0xff, 0xff],
    &[0xff, 0xff, 0xff, 0xff, 0x0f],
    &[0xff, 0xff, 0x3c],
    &[0x7f],
    &[0x7f, 0xff],
];

/// A frame of short texts turns into structs of slices: the most that any request was seen to
/// take, with room for a new version.
const TIMES: usize = 40;

#[test]
fn hostile_08_a_count_that_lies_gets_no_memory() {
    let mut worst = 0.0_f64;
    for (key, sample) in requests() {
        for lie in LIES {
            for at in 0..sample.bytes.len().saturating_sub(lie.len()) {
                let mut bytes = sample.bytes.clone();
                bytes[at..at + lie.len()].copy_from_slice(lie);
                let peak = peak(key, &bytes, sample.version);
                let (name, version) = (&sample.name, sample.version);
                let times = peak as f64 / bytes.len() as f64;
                worst = worst.max(times);
                let allowed = TIMES * bytes.len() + 1024;
                assert!(peak <= allowed, "{name} v{version}, byte {at}: {peak} of {allowed} bytes");
            }
        }
    }
    println!("at most {worst:.1} bytes of memory for a byte of the frame");
}

#[test]
fn hostile_08_a_large_frame_gets_a_small_multiple_of_itself() {
    let mut worst = (0, String::new());
    for api in &APIS {
        for version in api.version_min..=api.version_max {
            for filler in [0_u8, 1, 2, 3, 0x7f] {
                let mut frame = vec![filler; 1 << 18];
                // As many elements as can be there, in case the message begins with an array.
                for start in [&[0x80, 0x80, 4][..], &[0, 1, 0, 0], &[]] {
                    frame[..start.len()].copy_from_slice(start);
                    let peak = peak(api.key.number(), &frame, version);
                    worst = worst.max((peak / frame.len(), format!("{} v{version}", api.name)));
                }
            }
        }
    }
    assert!(worst.0 <= TIMES, "{worst:?}");
    println!("at most {worst:?} times the frame");
}
