//! The records, byte for byte as the classes of Kafka 4.3.1 write them.

use milena_protocol::ErrorCode;

use super::{Rig, Transactions, Verdict, replayed};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn the_records_are_kafkas_byte_for_byte() {
    let mut rig = Rig::new(2, &[]);
    let me = rig.init().unwrap();
    assert_eq!(hex(&rig.log[0].0), "0000000473686f70");
    // Version, producer, epoch, timeout, state, no partitions, updated, begun; then the tagged
    // fields: the producer before (0), and of which version the client was (2) unless it was 0.
    let time = "0000018bcfe56800";
    assert_eq!(
        hex(rig.log[0].1.as_ref().unwrap()),
        format!("000100000000000003e900000000ea600000{time}ffffffffffffffff01000800000000000003e9")
    );
    assert_eq!(rig.add_in(me, &[("orders", 2), ("orders", 0)], 2), ErrorCode::None);
    assert_eq!(
        hex(rig.log[1].1.as_ref().unwrap()),
        format!(
            "000100000000000003e900000000ea600102076f7264657273030000000000000002 00{time}{time}\
             02000800000000000003e902020002"
        )
        .replace(' ', "")
    );
    // Before version 1 of the feature there are no tagged fields.
    let mut rig = Rig::new(0, &[]);
    rig.init().unwrap();
    assert_eq!(
        hex(rig.log[0].1.as_ref().unwrap()),
        format!("000000000000000003e900000000ea6000ffffffff{time}ffffffffffffffff")
    );
}

#[test]
fn what_only_a_newer_kafka_writes_is_skipped() {
    let mut rig = Rig::new(2, &[]);
    let me = rig.init().unwrap();
    rig.add_in(me, &[("orders", 0)], 2);
    rig.end_in(me, Verdict::Commit, 2).unwrap();
    let key = rig.log[0].0.clone();
    let mut value = rig.log[0].1.clone().unwrap();
    value[1] = 2;
    rig.log.push((key, Some(value)));
    rig.log.push((b"\x00\x05what".to_vec(), Some(b"ever".to_vec())));
    let core: Transactions = replayed(&rig.log).unwrap();
    assert_eq!(core.get(super::ID).unwrap().state, rig.state());
    assert_eq!(core.ids.len(), 1);
}

#[test]
fn a_state_that_nobody_knows_keeps_the_coordinator_from_serving() {
    let mut rig = Rig::new(0, &[]);
    rig.init().unwrap();
    let (key, value) = rig.log[0].clone();
    let mut value = value.unwrap();
    // Behind version, producer, epoch and timeout.
    value[2 + 8 + 2 + 4] = 9;
    rig.log.push((key, Some(value)));
    let refused = replayed::<Transactions>(&rig.log).unwrap_err();
    assert_eq!(refused.to_string(), "no transaction can be in state 9");
}
