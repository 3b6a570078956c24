//! Offsets that transactions commit: seen when they count, and not before.

use milena_protocol::{
    ErrorCode,
    api::{
        ApiKey, DeleteGroupsRequest, DeleteGroupsResponse, TxnOffsetCommitRequest,
        TxnOffsetCommitResponse,
        txn_offset_commit::request::{
            TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
        },
    },
};

use super::{UNVERIFIED, Writer};
use crate::{
    client::{Client, code},
    member::Member,
    producer::Producer,
    rig::Rig,
};

/// Up to this version clients add the group's partition themselves.
const ADDS: i16 = 4;

fn settings() -> String {
    format!("{UNVERIFIED}offsets.topic.num.partitions=1\ngroup.initial.rebalance.delay.ms=0\n")
}

impl Client {
    /// Commits offset `offset` of `news-0` within the writer's transaction.
    fn commit_within(&mut self, writer: &Writer, member: &Member, offset: i64) -> ErrorCode {
        let partition =
            TxnOffsetCommitRequestPartition { committed_offset: offset, ..Default::default() };
        let topic = TxnOffsetCommitRequestTopic { name: "news", partitions: vec![partition] };
        let request = TxnOffsetCommitRequest {
            transactional_id: "id",
            group_id: &member.group,
            producer_id: writer.id,
            producer_epoch: writer.epoch,
            generation_id: member.generation,
            member_id: &member.id,
            group_instance_id: member.instance_id,
            topics: vec![topic],
        };
        let answer = self.call(ApiKey::TxnOffsetCommit, ADDS, &request).unwrap();
        let told: TxnOffsetCommitResponse<'_> = answer.read();
        code(told.topics[0].partitions[0].error_code)
    }

    /// What `group` has committed of `news-0`, for who wants no offset that may still change.
    fn stable_offset(&mut self, group: &str, require_stable: bool) -> Result<i64, ErrorCode> {
        self.offset_of(group, ("news", 0), require_stable).unwrap()
    }

    fn end_offsets(&mut self, writer: &Writer, is_commit: bool) {
        let places = [("__consumer_offsets", 0)];
        loop {
            match self.mark(1, &writer.end(is_commit), &places)[..] {
                [ErrorCode::None] => return,
                // It reads its log.
                [ErrorCode::NotLeaderOrFollower] => {}
                ref other => panic!("{other:?}"),
            }
        }
    }
}

#[test]
fn fault_31_offsets_of_a_transaction_count_at_its_end_through_kills_and_power_cuts() {
    const UNSTABLE: Result<i64, ErrorCode> = Err(ErrorCode::UnstableOffsetCommit);
    let mut rig = Rig::start(&settings());
    let mut client = rig.client();
    client.create_topic("news", 1, &[]);
    client.find_coordinator("readers");
    let nobody = Member::of("readers");
    let mut seen = -1;
    let endings = [Rig::stop, Rig::kill, Rig::cut_power];
    for (offset, ending) in (1..).zip(endings.iter().cycle().take(6)) {
        let is_commit = offset % 2 == 0;
        let writer = Writer::new(&mut client);
        assert_eq!(client.commit_within(&writer, &nobody, offset), ErrorCode::None);
        for is_again in [false, true] {
            assert_eq!(client.stable_offset("readers", true), UNSTABLE);
            assert_eq!(client.stable_offset("readers", false), Ok(seen), "as it was");
            if !is_again {
                ending(&mut rig);
                rig.start_again().unwrap();
                client = rig.client();
            }
        }
        client.end_offsets(&writer, is_commit);
        seen = if is_commit { offset } else { seen };
        assert_eq!(client.stable_offset("readers", true), Ok(seen));
        ending(&mut rig);
        rig.start_again().unwrap();
        client = rig.client();
        assert_eq!(client.stable_offset("readers", true), Ok(seen));
    }
}

#[test]
fn fault_31_what_was_committed_after_a_transactions_offset_stays() {
    let mut rig = Rig::start(&settings());
    let mut client = rig.client();
    client.create_topic("news", 1, &[]);
    client.find_coordinator("readers");
    let nobody = Member::of("readers");
    let (one, other) = (Writer::new(&mut client), Writer::new(&mut client));
    assert_eq!(client.commit_within(&one, &nobody, 5), ErrorCode::None);
    assert_eq!(client.commit_within(&other, &nobody, 6), ErrorCode::None);
    assert_eq!(nobody.commit(&mut client, "news", &[(0, 7)]).unwrap(), ErrorCode::None);
    client.end_offsets(&one, true);
    assert_eq!(client.stable_offset("readers", true), Err(ErrorCode::UnstableOffsetCommit));
    client.end_offsets(&other, true);
    for _ in 0..2 {
        assert_eq!(client.stable_offset("readers", true), Ok(7), "it lies behind them");
        rig.kill();
        rig.start_again().unwrap();
        client = rig.client();
    }
}

#[test]
fn fault_31_a_group_that_is_deleted_takes_pending_offsets_with_it() {
    let mut rig = Rig::start(&settings());
    let mut client = rig.client();
    client.create_topic("news", 1, &[]);
    client.find_coordinator("readers");
    let writer = Writer::new(&mut client);
    assert_eq!(client.commit_within(&writer, &Member::of("readers"), 5), ErrorCode::None);
    let request = DeleteGroupsRequest { groups_names: vec!["readers"] };
    let answer = client.call(ApiKey::DeleteGroups, 2, &request).unwrap();
    let deleted: DeleteGroupsResponse<'_> = answer.read();
    assert_eq!(code(deleted.results[0].error_code), ErrorCode::None, "it was there");
    client.end_offsets(&writer, true);
    for _ in 0..2 {
        assert_eq!(client.stable_offset("readers", true), Ok(-1));
        rig.kill();
        rig.start_again().unwrap();
        client = rig.client();
    }
}

#[test]
fn hostile_offsets_of_a_foreign_group_and_of_an_old_member_are_refused() {
    let rig = Rig::start(&settings());
    let mut client = rig.client();
    client.create_topic("news", 1, &[]);
    client.find_coordinator("readers");
    let mut member = Member::of("readers");
    assert!(member.join(&mut client).unwrap().is_ok());
    let writer = Writer::new(&mut client);
    // Assigned or not: the transaction knows best what it has read.
    assert_eq!(client.commit_within(&writer, &member, 1), ErrorCode::None);
    let assignment = [(member.id.clone(), b"all of it".to_vec())];
    assert!(member.sync(&mut client, &assignment).unwrap().is_ok());
    let refused = [
        (
            Member { generation: member.generation - 1, ..member.clone() },
            ErrorCode::IllegalGeneration,
        ),
        (
            Member { generation: member.generation + 1, ..member.clone() },
            ErrorCode::IllegalGeneration,
        ),
        (Member { id: "stranger".to_owned(), ..member.clone() }, ErrorCode::UnknownMemberId),
        (Member { instance_id: Some("nobody"), ..member.clone() }, ErrorCode::UnknownMemberId),
        (Member { group: "others".to_owned(), ..member.clone() }, ErrorCode::IllegalGeneration),
        (Member { group: String::new(), ..member.clone() }, ErrorCode::InvalidGroupId),
    ];
    for (stranger, expected) in refused {
        assert_eq!(client.commit_within(&writer, &stranger, 9), expected, "{stranger:?}");
    }
    // Producers of before version 3 say nothing of members.
    assert_eq!(client.commit_within(&writer, &Member::of("readers"), 2), ErrorCode::None);
    client.end_offsets(&writer, true);
    assert_eq!(client.stable_offset("readers", true), Ok(2));

    let zombie = Writer { epoch: writer.epoch - 1, ..writer };
    let told = client.commit_within(&zombie, &member, 3);
    assert_eq!(told, ErrorCode::InvalidProducerEpoch);
    assert_eq!(client.stable_offset("readers", true), Ok(2));
}

#[test]
fn fault_31_records_and_offsets_of_a_transaction_count_together() {
    let mut rig = Rig::start("offsets.topic.num.partitions=1\n");
    let mut client = rig.client();
    client.create_topic("news", 1, &[]);
    client.create_topic("copies", 1, &[]);
    client.find_coordinator("readers");
    let place = ("news", 0);
    for (version, committed) in [(0, true), (2, false), (0, false), (2, true)] {
        let before = client.offset_of("readers", place, true).unwrap();
        let mut producer = Producer::new("copier", version);
        assert_eq!(producer.init(&mut client).unwrap(), ErrorCode::None);
        for (number, ending) in (1..).zip([Rig::kill as fn(&mut Rig), Rig::cut_power]) {
            let value = format!("{version} {committed} {number}");
            let told = producer.produce(&mut client, "copies", 0, &value).unwrap();
            assert_eq!(told, ErrorCode::None);
            let offset = before.unwrap().max(0) + number;
            let told = producer.commit_offset(&mut client, "readers", place, offset).unwrap();
            assert_eq!(told, ErrorCode::None);
            ending(&mut rig);
            rig.start_again().unwrap();
            client = rig.client();
            let told = client.offset_of("readers", place, true).unwrap();
            assert_eq!(told, Err(ErrorCode::UnstableOffsetCommit));
        }
        assert_eq!(producer.end(&mut client, committed).unwrap(), ErrorCode::None);
        let expected = if committed { before.unwrap().max(0) + 2 } else { before.unwrap() };
        // Decided, and soon carried out.
        client.all_is_stable("copies", 0);
        client.all_is_stable("__consumer_offsets", 0);
        assert_eq!(client.offset_of("readers", place, true).unwrap(), Ok(expected));
    }
    assert_eq!(
        client.read_committed("copies", 0).0,
        ["0 true 1", "0 true 2", "2 true 1", "2 true 2"]
    );
}
