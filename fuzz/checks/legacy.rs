//! What must hold for any bytes that claim to be an old message set: no panic, and no more
//! records than its bytes can hold.

use milena_protocol::records::{Budget, Codec, LegacyMessage, LegacyMessages, Scratch, compress};

const BUDGET: Budget = Budget::bytes(1 << 20);
const OVERHEAD: usize = 12;

/// The first byte chooses whether the rest is a message set as it is (0), one whose first message
/// gets its true size and checksum (1), or what a compressed wrapper holds (2 and above).
pub(crate) fn check(bytes: &[u8]) {
    let Some((choice, rest)) = bytes.split_first() else {
        return;
    };
    match choice {
        0 => walk(rest),
        1 => walk(&sealed(rest)),
        _ => {
            let codec = Codec::ALL[usize::from(choice >> 1 & 3) + 1];
            let mut value = Vec::new();
            compress(codec, None, rest, &mut value).expect("any bytes compress");
            walk(&sealed(&wrapper(choice & 1, codec, &value)));
        }
    }
}

fn walk(bytes: &[u8]) {
    let mut scratch = Scratch::new();
    let mut at = 0;
    for message in LegacyMessages::new(bytes) {
        let Ok(message) = message else { break };
        at += message.size_in_bytes();
        assert!(at <= bytes.len());
        if let Ok(records) = message.records(&mut scratch, BUDGET) {
            assert!(records.count() <= BUDGET.bytes_min / OVERHEAD);
        }
    }
}

/// A message with its true size and checksum.
fn sealed(bytes: &[u8]) -> Vec<u8> {
    let mut message = bytes.to_vec();
    if message.len() < OVERHEAD + 4 {
        return message;
    }
    let size = (message.len() - OVERHEAD) as i32;
    message[8..12].copy_from_slice(&size.to_be_bytes());
    let crc = crc32(&message[OVERHEAD + 4..]);
    message[OVERHEAD..OVERHEAD + 4].copy_from_slice(&crc.to_be_bytes());
    assert!(!matches!(
        LegacyMessage::read(&message),
        Err(milena_protocol::records::LegacyError::Crc { .. })
    ));
    message
}

fn wrapper(magic: u8, codec: Codec, value: &[u8]) -> Vec<u8> {
    let mut message = vec![0; OVERHEAD + 4];
    message.extend_from_slice(&[magic, codec.id() as u8]);
    if magic == 1 {
        message.extend_from_slice(&1_000i64.to_be_bytes());
    }
    message.extend_from_slice(&(-1i32).to_be_bytes());
    message.extend_from_slice(&(value.len() as i32).to_be_bytes());
    message.extend_from_slice(value);
    message
}

/// CRC-32 of the old formats, bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            crc >> 1 ^ (0xedb8_8320 & (crc & 1).wrapping_neg())
        })
    })
}
