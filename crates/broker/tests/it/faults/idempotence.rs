//! What an idempotent producer sends again is stored once; what it must not send is not stored.

use milena_protocol::{
    ErrorCode, Offset, ProducerEpoch, ProducerId, api::ApiKey, records::BatchBuilder,
};

use crate::{
    client::{Client, built, frame, produce_request},
    rig::Rig,
};

struct Producer {
    id: ProducerId,
    epoch: ProducerEpoch,
}

impl Producer {
    fn new(client: &mut Client) -> Self {
        let (id, epoch) = client.init_producer_id().unwrap();
        Self { id: ProducerId(id), epoch: ProducerEpoch(epoch) }
    }

    /// A batch of one record, which is its sequence.
    fn batch(&self, sequence: i32) -> Vec<u8> {
        let builder = BatchBuilder::new(Offset(0)).with_producer(self.id, self.epoch, sequence);
        built(builder, &[sequence.to_string()])
    }
}

fn values(client: &mut Client) -> Vec<String> {
    let read = client.read_all("t", 0, 0).unwrap();
    read.into_iter().map(|(_, value)| String::from_utf8(value).unwrap()).collect()
}

#[test]
fn fault_24_a_retry_after_a_lost_answer_gets_the_same_offset() {
    let mut rig = Rig::start("");
    let mut client = rig.client();
    client.create_topic("t", 1, &[]);
    let producer = Producer::new(&mut client);
    for sequence in 0..5 {
        let batch = producer.batch(sequence);
        let request = produce_request("t", -1, &[(0, &batch)]);
        let mut lost = rig.client();
        lost.send_bytes(&frame(ApiKey::Produce, 12, 1, &request)).unwrap();
        // The connection ends, perhaps before the answer; the retry comes by another one.
        drop(lost);
        let retried = client.produce("t", 0, &batch);
        assert_eq!((retried.code, retried.base_offset), (ErrorCode::None, i64::from(sequence)));
    }
    // The last five of them, also after the broker was stopped, and after it was killed.
    for ending in [Rig::stop, Rig::kill, Rig::cut_power] {
        ending(&mut rig);
        rig.start_again().unwrap();
        let mut client = rig.client();
        for sequence in (0..5).chain(0..5) {
            let retried = client.produce("t", 0, &producer.batch(sequence));
            assert_eq!((retried.code, retried.base_offset), (ErrorCode::None, i64::from(sequence)));
        }
        assert_eq!(values(&mut client), ["0", "1", "2", "3", "4"]);
    }
}

#[test]
fn fault_25_a_gap_and_a_batch_of_long_ago_are_refused() {
    let mut rig = Rig::start("");
    let mut client = rig.client();
    client.create_topic("t", 1, &[]);
    let producer = Producer::new(&mut client);
    for sequence in 0..8 {
        assert_eq!(client.produce("t", 0, &producer.batch(sequence)).code, ErrorCode::None);
    }
    for is_restarted in [false, true] {
        if is_restarted {
            rig.kill();
            rig.start_again().unwrap();
            client = rig.client();
        }
        for gap in [9, 100, i32::MAX] {
            let refused = client.produce("t", 0, &producer.batch(gap));
            assert_eq!(refused.code, ErrorCode::OutOfOrderSequenceNumber, "{gap}");
        }
        for old in [0, 1, 2] {
            let refused = client.produce("t", 0, &producer.batch(old)).code;
            let expected =
                [ErrorCode::OutOfOrderSequenceNumber, ErrorCode::DuplicateSequenceNumber];
            assert!(expected.contains(&refused), "{old}: {refused:?}");
        }
        let stale = Producer { id: producer.id, epoch: ProducerEpoch(-1) };
        assert_ne!(client.produce("t", 0, &stale.batch(8)).code, ErrorCode::None);
        assert_eq!(values(&mut client), ["0", "1", "2", "3", "4", "5", "6", "7"]);
    }
    assert_eq!(client.produce("t", 0, &producer.batch(8)).base_offset, 8);
}
