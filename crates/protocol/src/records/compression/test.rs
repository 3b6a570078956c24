//! Framings that other clients write and our encoders do not.

use super::*;

fn decompress(codec: Codec, stream: &[u8]) -> Result<Vec<u8>, CodecError> {
    let mut scratch = Scratch::new();
    let plain = scratch.decompress(codec, stream, Budget::default(), true)?;
    Ok(plain.to_vec())
}

#[track_caller]
fn is_corrupt(codec: Codec, stream: &[u8]) {
    let verdict = decompress(codec, stream);
    assert!(matches!(verdict, Err(CodecError::Corrupt { .. })), "{verdict:?}");
}

fn compressed(codec: Codec, plain: &[u8]) -> Vec<u8> {
    let mut stream = Vec::new();
    compress(codec, None, plain, &mut stream).unwrap();
    stream
}

#[test]
fn every_codec_takes_every_size_and_level() {
    let sizes = [0, 1, 100, 32_767, 32_768, 32_769, 65_536, 65_537, 300_000];
    for codec in Codec::ALL {
        for len in sizes {
            let plain: Vec<u8> = (0..len).map(|at: u32| (at.wrapping_mul(at) >> 7) as u8).collect();
            for level in [None, Some(1), Some(9), Some(-1)] {
                let mut stream = vec![0xaa];
                compress(codec, level, &plain, &mut stream).unwrap();
                let read = decompress(codec, &stream[1..]);
                assert!(read == Ok(plain.clone()), "{codec:?} {len} {level:?}");
            }
        }
    }
}

#[test]
fn gzip_with_everything_in_its_header_and_two_members() {
    let plain = compressed(Codec::Gzip, b"one");
    let mut named = vec![0x1f, 0x8b, 8, 0x1e, 0, 0, 0, 0, 0, 3];
    named.extend_from_slice(&[2, 0, 7, 7]);
    named.extend_from_slice(b"name\0comment\0cc");
    named.extend_from_slice(&plain[10..]);
    assert_eq!(decompress(Codec::Gzip, &named), Ok(b"one".to_vec()));
    let both = [&named[..], &compressed(Codec::Gzip, b"two")].concat();
    assert_eq!(decompress(Codec::Gzip, &both), Ok(b"onetwo".to_vec()));
    is_corrupt(Codec::Gzip, &[&named[..], b"rest"].concat());
    let mut wrong_length = plain.clone();
    *wrong_length.last_mut().unwrap() ^= 1;
    is_corrupt(Codec::Gzip, &wrong_length);
}

#[test]
fn snappy_as_one_raw_block() {
    let plain = b"snappy ".repeat(20_000);
    let raw = snap::raw::Encoder::new().compress_vec(&plain).unwrap();
    assert_eq!(decompress(Codec::Snappy, &raw), Ok(plain));
}

#[test]
fn lz4_with_checksums_and_content_size() {
    let (flags, plain) = (0x40 | 0x20 | 0x10 | 0x08 | 0x04, b"stored as it is");
    let mut descriptor = vec![flags, 0x70];
    descriptor.extend_from_slice(&(plain.len() as u64).to_le_bytes());
    let checksum = |bytes: &[u8]| twox_hash::XxHash32::oneshot(0, bytes);
    let mut frame = 0x184d_2204_u32.to_le_bytes().to_vec();
    frame.extend_from_slice(&descriptor);
    frame.push((checksum(&descriptor) >> 8) as u8);
    frame.extend_from_slice(&(plain.len() as u32 | 0x8000_0000).to_le_bytes());
    frame.extend_from_slice(plain);
    frame.extend_from_slice(&checksum(plain).to_le_bytes());
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(&checksum(plain).to_le_bytes());
    assert_eq!(decompress(Codec::Lz4, &frame), Ok(plain.to_vec()));
    for at in 0..frame.len() {
        let mut harmed = frame.clone();
        harmed[at] ^= 0x20;
        is_corrupt(Codec::Lz4, &harmed);
    }
}

#[test]
fn lz4_of_magic_0_has_a_checksum_that_is_not_looked_at() {
    let mut frame = compressed(Codec::Lz4, b"old");
    frame[6] ^= 0xff;
    is_corrupt(Codec::Lz4, &frame);
    let mut scratch = Scratch::new();
    let read = scratch.decompress(Codec::Lz4, &frame, Budget::default(), false);
    assert_eq!(read, Ok(&b"old"[..]));
}

#[test]
fn zstd_in_two_frames_with_one_to_skip() {
    let skipped = [0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3];
    let stream = [&compressed(Codec::Zstd, b"one")[..], &skipped, &compressed(Codec::Zstd, b"two")];
    assert_eq!(decompress(Codec::Zstd, &stream.concat()), Ok(b"onetwo".to_vec()));
    is_corrupt(Codec::Zstd, &[&compressed(Codec::Zstd, b"one")[..], b"rest"].concat());
}

#[test]
fn one_scratch_serves_all_codecs_after_any_error() {
    let mut scratch = Scratch::new();
    for _ in 0..3 {
        for codec in Codec::ALL {
            let stream = compressed(codec, b"whole");
            if codec != Codec::None {
                let cut = &stream[..stream.len() - 1];
                assert!(scratch.decompress(codec, cut, Budget::default(), true).is_err());
                let tight = scratch.decompress(codec, &stream, Budget::bytes(4), true);
                assert_eq!(tight, Err(CodecError::OverBudget { codec, budget: 4 }));
            }
            let read = scratch.decompress(codec, &stream, Budget::default(), true);
            assert_eq!(read, Ok(&b"whole"[..]), "{codec:?}");
        }
    }
}
