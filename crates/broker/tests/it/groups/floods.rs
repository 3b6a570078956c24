//! Bad input of row 33: members that make no sense, and more of them than a group can have.

use std::time::{Duration, Instant};

use milena_protocol::{
    ErrorCode,
    api::{
        ApiKey, DescribeGroupsRequest, DescribeGroupsResponse, OffsetCommitRequest,
        OffsetCommitResponse, OffsetFetchRequest, OffsetFetchResponse,
        offset_commit::request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic},
        offset_fetch::request::{
            OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
        },
    },
};

use crate::{
    client::{Client, code},
    member::Member,
    rig::Rig,
};

/// What DescribeGroups tells: the state, and of every member its metadata and its assignment.
type Described = (String, Vec<(Vec<u8>, Vec<u8>)>);

/// A broker with a group of one member, which minds its own business.
struct Scene {
    rig: Rig,
    member: Member,
    bystander: Client,
    committed: i64,
}

impl Scene {
    fn with(settings: &str) -> Self {
        let rig = Rig::start(&format!("group.initial.rebalance.delay.ms=0\n{settings}"));
        let mut bystander = rig.client();
        assert_eq!(bystander.create_topic("news", 1, &[]), ErrorCode::None);
        bystander.find_coordinator("bystanders");
        let mut member = Member::of("bystanders");
        member.join(&mut bystander).unwrap().unwrap();
        member.sync(&mut bystander, &[]).unwrap().unwrap();
        Self { rig, member, bystander, committed: 0 }
    }

    /// The other group goes on as if nothing were.
    fn all_is_well(&mut self) {
        self.committed += 1;
        let Self { member, bystander, committed, .. } = self;
        assert_eq!(member.heartbeat(bystander).unwrap(), ErrorCode::None);
        let told = member.commit(bystander, "news", &[(0, *committed)]).unwrap();
        assert_eq!(told, ErrorCode::None);
        let fetched = bystander.committed("bystanders", "news", &[0]).unwrap();
        assert_eq!(fetched, Ok(vec![*committed]));
    }

    fn describe(&mut self, group: &str) -> Described {
        let request = DescribeGroupsRequest { groups: vec![group], ..Default::default() };
        let answer = self.bystander.call(ApiKey::DescribeGroups, 5, &request).unwrap();
        let described: DescribeGroupsResponse<'_> = answer.read();
        let group = &described.groups[0];
        let members = group.members.iter();
        let members =
            members.map(|it| (it.member_metadata.to_vec(), it.member_assignment.to_vec()));
        (group.group_state.to_owned(), members.collect())
    }
}

#[test]
fn hostile_33_who_makes_no_sense_is_told_so() {
    let mut scene = Scene::with("");
    let mut client = scene.rig.client();
    client.find_coordinator("g");
    let usual = || Member::of("g");
    for session_ms in [i32::MIN, -1, 0, 5999, 1_800_001, i32::MAX] {
        let told = Member { session_ms, ..usual() }.join(&mut client).unwrap();
        assert_eq!(told, Err(ErrorCode::InvalidSessionTimeout), "{session_ms}");
    }
    let mut nameless = || Member::of("").join(&mut client).unwrap();
    while nameless() == Err(ErrorCode::CoordinatorLoadInProgress) {}
    assert_eq!(nameless(), Err(ErrorCode::InvalidGroupId));
    assert_eq!(Member::of("").heartbeat(&mut client).unwrap(), ErrorCode::InvalidGroupId);
    assert_eq!(Member::of("").sync(&mut client, &[]).unwrap(), Err(ErrorCode::InvalidGroupId));
    let disagreeing = ErrorCode::InconsistentGroupProtocol;
    let told = Member { protocols: vec![], ..usual() }.join(&mut client).unwrap();
    assert_eq!(told, Err(disagreeing));
    let told = Member { protocol_type: "", ..usual() }.join(&mut client).unwrap();
    assert_eq!(told, Err(disagreeing));
    let many = vec![("range", vec![]); 1000];
    let told = Member { protocols: many, ..usual() }.join(&mut client).unwrap();
    assert_eq!(told, Err(ErrorCode::InvalidRequest));
    let stranger = Member { id: "made up".to_owned(), ..usual() };
    assert_eq!(stranger.clone().join(&mut client).unwrap(), Err(ErrorCode::UnknownMemberId));
    assert_eq!(stranger.heartbeat(&mut client).unwrap(), ErrorCode::UnknownMemberId);
    assert_eq!(scene.describe("g"), ("Dead".to_owned(), vec![]), "nothing came of it");
    // No bound is set to how long a rebalance may take; the broker has its own for newcomers.
    for rebalance_ms in [i32::MIN, -1, 0, i32::MAX] {
        let group = format!("g{rebalance_ms}");
        client.find_coordinator(&group);
        let mut member = Member { rebalance_ms, ..Member::of(&group) };
        assert!(member.join(&mut client).unwrap().is_ok(), "{rebalance_ms}");
    }
    scene.all_is_well();
}

#[test]
fn hostile_33_a_flood_of_members_finds_the_group_full() {
    let mut scene = Scene::with("group.max.size=3");
    let mut clients: Vec<Client> = (0..20).map(|_| scene.rig.client()).collect();
    clients[0].find_coordinator("full");
    let mut members: Vec<Member> = (0..20).map(|_| Member::of("full")).collect();
    // Three get in, one after the other.
    members[0].join(&mut clients[0]).unwrap().unwrap();
    for (member, client) in members.iter_mut().zip(&mut clients).take(3).skip(1) {
        member.begin_join(client);
    }
    members[0].begin_join(&mut clients[0]);
    for (member, client) in members.iter_mut().zip(&mut clients).take(3) {
        member.receive_join(client).unwrap().unwrap();
    }
    // The second is assigned something, and the leader forgets the third.
    let second = (members[1].id.clone(), b"all".to_vec());
    members[0].sync(&mut clients[0], &[second]).unwrap().unwrap();
    for (member, client) in members.iter_mut().zip(&mut clients).skip(3) {
        assert_eq!(member.join(client).unwrap(), Err(ErrorCode::GroupMaxSizeReached));
        let mut named = Member { instance_id: Some("desk-1"), ..Member::of("full") };
        assert_eq!(named.join(client).unwrap(), Err(ErrorCode::GroupMaxSizeReached));
    }
    for (member, client) in members.iter().zip(&mut clients).take(3) {
        assert_eq!(member.heartbeat(client).unwrap(), ErrorCode::None);
    }
    assert_eq!(members[1].sync(&mut clients[1], &[]).unwrap(), Ok(b"all".to_vec()));
    assert_eq!(members[2].sync(&mut clients[2], &[]).unwrap(), Ok(vec![]));
    scene.all_is_well();
}

#[test]
fn hostile_33_a_flood_of_newcomers_passes_and_the_group_goes_on() {
    let mut scene = Scene::with("");
    let (mut client, mut flood) = (scene.rig.client(), scene.rig.client());
    client.find_coordinator("flooded");
    let mut member = Member::of("flooded");
    member.join(&mut client).unwrap().unwrap();
    member.sync(&mut client, &[]).unwrap().unwrap();
    let newcomer = Member { session_ms: 6000, ..Member::of("flooded") };
    let mut told = std::collections::BTreeMap::new();
    for _ in 0..12 {
        for _ in 0..1000 {
            newcomer.send_join(&mut flood).unwrap();
        }
        for _ in 0..1000 {
            let refused = newcomer.clone().receive_join(&mut flood).unwrap().unwrap_err();
            *told.entry(refused.name()).or_insert(0) += 1;
        }
        assert_eq!(member.heartbeat(&mut client).unwrap(), ErrorCode::None);
        scene.all_is_well();
    }
    assert_eq!(told, [("MEMBER_ID_REQUIRED", 12_000)].into());
    assert_eq!(scene.describe("flooded").1.len(), 1);
}

#[test]
fn hostile_33_a_subscription_that_does_not_parse_is_kept_as_it_is() {
    let mut scene = Scene::with("");
    let mut client = scene.rig.client();
    let garbage =
        [vec![], vec![0xff], vec![0xff; 64], b"\0\x01\x7f\xff\xff\xff".to_vec(), vec![0; 3]];
    for (number, metadata) in garbage.iter().enumerate() {
        let group = format!("opaque-{number}");
        client.find_coordinator(&group);
        let protocols = vec![("range", metadata.clone())];
        let mut member = Member { protocols, ..Member::of(&group) };
        let others = member.join(&mut client).unwrap().unwrap();
        assert_eq!(others, [(member.id.clone(), metadata.clone())], "shown to the leader");
        let assignment = [(member.id.clone(), metadata.clone())];
        assert_eq!(member.sync(&mut client, &assignment).unwrap(), Ok(metadata.clone()));
        assert_eq!(member.commit(&mut client, "news", &[(0, 1)]).unwrap(), ErrorCode::None);
        let shown = vec![(metadata.clone(), metadata.clone())];
        assert_eq!(scene.describe(&group), ("Stable".to_owned(), shown));
    }
    scene.all_is_well();
    // It is read again from the log.
    scene.rig.kill();
    scene.rig.start_again().unwrap();
    scene.bystander = scene.rig.client();
    scene.bystander.find_coordinator("bystanders");
    scene.all_is_well();
    for (number, metadata) in garbage.iter().enumerate() {
        let shown = vec![(metadata.clone(), metadata.clone())];
        let group = format!("opaque-{number}");
        scene.bystander.find_coordinator(&group);
        assert_eq!(scene.describe(&group), ("Stable".to_owned(), shown));
    }
}

#[test]
fn hostile_33_a_commit_of_a_huge_list_of_topics_is_answered_soon_or_refused_whole() {
    let mut scene = Scene::with("");
    let mut client = scene.rig.client();
    client.find_coordinator("g");
    let names: Vec<String> = (0..30_000).map(|number| format!("t{number:06}")).collect();
    let mut commit = |names: &[&str]| -> Vec<ErrorCode> {
        let topics = names.iter().map(|name| OffsetCommitRequestTopic {
            name,
            partitions: vec![OffsetCommitRequestPartition {
                committed_offset: 1,
                ..Default::default()
            }],
            ..Default::default()
        });
        let request =
            OffsetCommitRequest { group_id: "g", topics: topics.collect(), ..Default::default() };
        let answer = client.call(ApiKey::OffsetCommit, 9, &request).unwrap();
        let committed: OffsetCommitResponse<'_> = answer.read();
        let partitions = committed.topics.iter().flat_map(|topic| &topic.partitions);
        partitions.map(|it| code(it.error_code)).collect()
    };
    // None of them is there.
    let strangers: Vec<&str> = names.iter().map(String::as_str).collect();
    let since = Instant::now();
    let told = commit(&strangers);
    let usual = since.elapsed();
    assert_eq!(told.len(), names.len());
    assert!(told.iter().all(|code| *code == ErrorCode::UnknownTopicOrPartition));
    scene.all_is_well();
    // One that is there, again and again: more than a batch of the group's log can hold.
    let told = commit(&vec!["news"; 30_000]);
    assert!(told.iter().all(|code| *code == ErrorCode::InvalidCommitOffsetSize), "{:?}", told[0]);
    scene.all_is_well();
    // Both, so that the answer to each could be looked for among those to all others.
    let both: Vec<&str> = strangers.iter().copied().chain(vec!["news"; 7000]).collect();
    let since = Instant::now();
    let told = commit(&both);
    let took = since.elapsed();
    assert_eq!(told.iter().filter(|code| **code == ErrorCode::None).count(), 7000);
    assert!(took < usual * 5 + Duration::from_millis(200), "{took:?}, alone {usual:?}");
    scene.all_is_well();
    assert_eq!(scene.bystander.committed("g", "news", &[0]).unwrap(), Ok(vec![1]));
}

#[test]
fn hostile_33_who_asks_about_too_many_partitions_is_refused() {
    const MOST: i32 = 200_000;
    let mut scene = Scene::with("");
    let mut client = scene.rig.client();
    client.find_coordinator("g");
    assert_eq!(client.commit_with("g", "news", 7, ""), ErrorCode::None);
    let ask = |client: &mut Client, groups: &[&'static str], count| {
        let of_group = |group_id| {
            let partition_indexes = (0..count).collect();
            let topic =
                OffsetFetchRequestTopics { name: "news", partition_indexes, ..Default::default() };
            OffsetFetchRequestGroup { group_id, topics: Some(vec![topic]), ..Default::default() }
        };
        let groups = groups.iter().map(|group| of_group(*group)).collect();
        let request = OffsetFetchRequest { groups, ..Default::default() };
        let answer = client.call(ApiKey::OffsetFetch, 9, &request).unwrap();
        let fetched: OffsetFetchResponse<'_> = answer.read();
        let group = &fetched.groups[0];
        let partitions = group.topics.first().map_or(0, |topic| topic.partitions.len());
        (code(group.error_code), partitions)
    };
    assert_eq!(ask(&mut client, &["g"], MOST), (ErrorCode::None, MOST as usize));
    assert_eq!(ask(&mut client, &["g"], MOST + 1), (ErrorCode::InvalidRequest, 0));
    assert_eq!(ask(&mut client, &["g", "h"], MOST / 2 + 1), (ErrorCode::InvalidRequest, 0));
    scene.all_is_well();
    let topic =
        |count| OffsetFetchRequestTopic { name: "news", partition_indexes: (0..count).collect() };
    let old = |count| OffsetFetchRequest {
        group_id: "g",
        topics: Some(vec![topic(count)]),
        ..Default::default()
    };
    let answer = client.call(ApiKey::OffsetFetch, 5, &old(MOST + 1)).unwrap();
    let fetched: OffsetFetchResponse<'_> = answer.read();
    assert_eq!((code(fetched.error_code), fetched.topics.len()), (ErrorCode::InvalidRequest, 0));
    client.send(ApiKey::OffsetFetch, 1, &old(MOST + 1)).unwrap();
    assert!(client.is_closed());
    scene.all_is_well();
}

#[test]
fn hostile_33_what_is_asked_for_again_and_again_is_told_once() {
    const TIMES: usize = 20_000;
    let mut scene = Scene::with("");
    let mut client = scene.rig.client();
    client.find_coordinator("g");
    assert_eq!(client.commit_with("g", "news", 7, &"m".repeat(4096)), ErrorCode::None);
    let once = |codes: &[ErrorCode]| {
        let (first, rest) = codes.split_first().unwrap();
        assert_eq!((*first, rest.len()), (ErrorCode::None, TIMES - 1));
        assert!(rest.iter().all(|code| *code == ErrorCode::InvalidRequest), "{:?}", rest[0]);
    };

    let (name, partition_indexes) = ("news", vec![0; TIMES]);
    let topic = OffsetFetchRequestTopics { name, partition_indexes, ..Default::default() };
    let (group_id, topics) = ("g", Some(vec![topic]));
    let groups = vec![OffsetFetchRequestGroup { group_id, topics, ..Default::default() }];
    let request = OffsetFetchRequest { groups, ..Default::default() };
    let answer = client.call(ApiKey::OffsetFetch, 9, &request).unwrap();
    let fetched: OffsetFetchResponse<'_> = answer.read();
    let told = &fetched.groups[0].topics[0].partitions;
    once(&told.iter().map(|it| code(it.error_code)).collect::<Vec<_>>());
    assert_eq!((told[0].committed_offset, told[0].metadata.unwrap().len()), (7, 4096));

    let all = OffsetFetchRequestGroup { group_id, topics: None, ..Default::default() };
    let request = OffsetFetchRequest { groups: vec![all; TIMES], ..Default::default() };
    let answer = client.call(ApiKey::OffsetFetch, 9, &request).unwrap();
    let fetched: OffsetFetchResponse<'_> = answer.read();
    once(&fetched.groups.iter().map(|it| code(it.error_code)).collect::<Vec<_>>());

    let request = DescribeGroupsRequest { groups: vec!["g"; TIMES], ..Default::default() };
    let answer = client.call(ApiKey::DescribeGroups, 5, &request).unwrap();
    let described: DescribeGroupsResponse<'_> = answer.read();
    once(&described.groups.iter().map(|it| code(it.error_code)).collect::<Vec<_>>());
    scene.all_is_well();
}
