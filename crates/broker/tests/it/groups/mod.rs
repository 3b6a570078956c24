//! Groups over the wire: what they commit is there for whoever comes next.

mod consumers;
mod floods;
pub(crate) mod moving;
mod patterns;
mod sessions;

use milena_protocol::{
    ErrorCode,
    api::{
        ApiKey, DeleteGroupsRequest, DeleteGroupsResponse, ListGroupsRequest, ListGroupsResponse,
        OffsetCommitRequest, OffsetCommitResponse, OffsetFetchRequest, OffsetFetchResponse,
        offset_commit::request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic},
        offset_fetch::request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics},
    },
};

use crate::{
    client::{Client, code},
    rig::Rig,
};

impl Client {
    fn commit_offset(&mut self, group: &str, topic: &str, offset: i64) -> ErrorCode {
        self.commit_with(group, topic, offset, "so far")
    }

    fn commit_with(&mut self, group: &str, topic: &str, offset: i64, metadata: &str) -> ErrorCode {
        let partition = OffsetCommitRequestPartition {
            partition_index: 0,
            committed_offset: offset,
            committed_metadata: Some(metadata),
            ..Default::default()
        };
        let topic = OffsetCommitRequestTopic {
            name: topic,
            partitions: vec![partition],
            ..Default::default()
        };
        let request =
            OffsetCommitRequest { group_id: group, topics: vec![topic], ..Default::default() };
        loop {
            let answer = self.call(ApiKey::OffsetCommit, 9, &request).unwrap();
            let committed: OffsetCommitResponse<'_> = answer.read();
            match code(committed.topics[0].partitions[0].error_code) {
                ErrorCode::CoordinatorLoadInProgress => {}
                code => return code,
            }
        }
    }

    fn committed_offset(&mut self, group: &str, topic: &str) -> (i64, String) {
        let topic = OffsetFetchRequestTopics {
            name: topic,
            partition_indexes: vec![0],
            ..Default::default()
        };
        let group = OffsetFetchRequestGroup {
            group_id: group,
            topics: Some(vec![topic]),
            ..Default::default()
        };
        let request = OffsetFetchRequest { groups: vec![group], ..Default::default() };
        loop {
            let answer = self.call(ApiKey::OffsetFetch, 9, &request).unwrap();
            let fetched: OffsetFetchResponse<'_> = answer.read();
            let group = &fetched.groups[0];
            if code(group.error_code) == ErrorCode::CoordinatorLoadInProgress {
                continue;
            }
            assert_eq!(code(group.error_code), ErrorCode::None);
            let partition = &group.topics[0].partitions[0];
            return (partition.committed_offset, partition.metadata.unwrap().to_owned());
        }
    }
}

#[test]
fn fault_35_what_a_group_has_committed_survives_stops_kills_and_power_cuts() {
    let mut rig = Rig::start("");
    let mut client = rig.client();
    client.create_topic("news", 1, &[]);
    client.find_coordinator("readers");
    assert_eq!(client.committed_offset("readers", "news"), (-1, String::new()));
    for (offset, end) in [Rig::stop, Rig::kill, Rig::cut_power].into_iter().enumerate() {
        let offset = offset as i64 + 1;
        assert_eq!(client.commit_offset("readers", "news", offset), ErrorCode::None);
        end(&mut rig);
        rig.start_again().unwrap();
        client = rig.client();
        assert_eq!(client.committed_offset("readers", "news"), (offset, "so far".to_owned()));
    }

    let answer = client.call(ApiKey::ListGroups, 5, &ListGroupsRequest::default()).unwrap();
    let listed: ListGroupsResponse<'_> = answer.read();
    let told: Vec<_> =
        listed.groups.iter().map(|it| (it.group_id, it.group_state, it.group_type)).collect();
    assert_eq!(told, [("readers", "Empty", "classic")]);

    let request = DeleteGroupsRequest { groups_names: vec!["readers", "strangers"] };
    let answer = client.call(ApiKey::DeleteGroups, 2, &request).unwrap();
    let deleted: DeleteGroupsResponse<'_> = answer.read();
    let codes: Vec<_> = deleted.results.iter().map(|it| code(it.error_code)).collect();
    assert_eq!(codes, [ErrorCode::None, ErrorCode::GroupIdNotFound]);
    rig.kill();
    rig.start_again().unwrap();
    assert_eq!(rig.client().committed_offset("readers", "news"), (-1, String::new()));
}

#[test]
fn offsets_of_a_topic_that_is_not_there_are_refused() {
    let rig = Rig::start("");
    let mut client = rig.client();
    client.find_coordinator("readers");
    let told = client.commit_offset("readers", "nowhere", 1);
    assert_eq!(told, ErrorCode::UnknownTopicOrPartition);
}

#[test]
fn hostile_34_metadata_of_a_commit_that_is_too_long_is_refused() {
    let rig = Rig::start("");
    let mut client = rig.client();
    client.create_topic("news", 1, &[]);
    client.find_coordinator("readers");
    let mut commit = |offset, len| client.commit_with("readers", "news", offset, &"m".repeat(len));
    assert_eq!(commit(1, 4096), ErrorCode::None);
    assert_eq!(commit(2, 4097), ErrorCode::OffsetMetadataTooLarge);
    let (offset, metadata) = client.committed_offset("readers", "news");
    assert_eq!((offset, metadata.len()), (1, 4096));
}
