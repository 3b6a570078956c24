//! Members of consumer groups that sleep, are replaced, or make no sense, and the others.

use std::time::{Duration, Instant};

use milena_protocol::{
    ErrorCode, Uuid,
    api::{
        ApiKey, ApiVersionsRequest, ApiVersionsResponse, ConsumerGroupDescribeRequest,
        ConsumerGroupDescribeResponse, ListGroupsRequest, ListGroupsResponse,
        UpdateFeaturesRequest, UpdateFeaturesResponse, update_features::request::FeatureUpdateKey,
    },
};

use crate::{
    client::{Client, code},
    consumer::Consumer,
    member::Member,
    rig::Rig,
};

/// Sessions that end soon, and yet later than it takes a member to come again.
const SETTINGS: &str = "group.consumer.min.session.timeout.ms=1000
group.consumer.session.timeout.ms=2000
group.consumer.min.heartbeat.interval.ms=100
group.consumer.heartbeat.interval.ms=500
group.consumer.assignment.interval.ms=0";

fn rig(settings: &str) -> (Rig, Client) {
    let rig = Rig::start(&format!("{SETTINGS}\n{settings}"));
    let mut client = rig.client();
    assert_eq!(client.create_topic("news", 2, &[]), ErrorCode::None);
    client.find_coordinator("readers");
    (rig, client)
}

fn reader() -> Consumer<'static> {
    Consumer { topics: Some(vec!["news"]), ..Consumer::of("readers") }
}

/// Both have one partition.
fn two(client: &mut Client) -> [Consumer<'static>; 2] {
    let (mut one, mut two) = (reader(), reader());
    one.beat_until(client, |one| one.has.len() == 2);
    assert_eq!(two.beat(client), ErrorCode::None);
    one.beat_until(client, |one| one.has.len() == 1);

    one.beat_until(client, |one| one.epoch >= two.epoch);
    two.beat_until(client, |two| two.has.len() == 1);
    [one, two]
}

#[test]
fn fault_34_a_consumer_that_sleeps_beyond_its_session_cannot_commit_when_it_wakes() {
    let (_rig, mut client) = rig("");
    let [mut one, mut two] = two(&mut client);
    let (its, others) = (one.has[0].1, two.has[0].1);
    assert_eq!(one.commit(&mut client, "news", &[(its, 5)]), ErrorCode::None);
    assert_eq!(two.commit(&mut client, "news", &[(others, 7)]), ErrorCode::None);
    let asleep = Instant::now();
    two.beat_until(&mut client, |two| two.has.len() == 2);
    assert!(asleep.elapsed() > Duration::from_secs(1), "too soon");
    assert_eq!(two.commit(&mut client, "news", &[(its, 9)]), ErrorCode::None);

    let told = one.commit(&mut client, "news", &[(its, 6), (others, 6)]);
    assert_eq!(told, ErrorCode::UnknownMemberId);
    assert_eq!(one.clone().beat(&mut client), ErrorCode::UnknownMemberId);
    assert_eq!(client.committed("readers", "news", &[its, others]).unwrap(), Ok(vec![9, 7]));

    // It comes back with nothing, and what it said before its sleep is of yesterday.
    let yesterday = one.clone();
    (one.epoch, one.has) = (0, Vec::new());
    assert_eq!(one.beat(&mut client), ErrorCode::None);
    assert_eq!(yesterday.clone().beat(&mut client), ErrorCode::FencedMemberEpoch);
    let told = yesterday.commit(&mut client, "news", &[(its, 8)]);
    assert_eq!(told, ErrorCode::StaleMemberEpoch);
    two.beat_until(&mut client, |two| two.has.len() == 1 && two.epoch >= one.epoch);
    one.beat_until(&mut client, |one| one.has.len() == 1);
    assert_ne!(one.has, two.has);
    assert_eq!(client.committed("readers", "news", &[its, others]).unwrap(), Ok(vec![9, 7]));
}

#[test]
fn fault_34_a_static_consumer_that_was_replaced_is_fenced() {
    let (_rig, mut client) = rig("");
    let mut old = Consumer { instance_id: Some("desk-1"), ..reader() };
    old.beat_until(&mut client, |old| old.has.len() == 2);
    assert_eq!(old.commit(&mut client, "news", &[(0, 5)]), ErrorCode::None);
    let mut new = Consumer { instance_id: Some("desk-1"), ..reader() };
    assert_eq!(new.beat(&mut client), ErrorCode::UnreleasedInstanceId);
    let mut away = Consumer { epoch: -2, ..old.clone() };
    assert_eq!(away.beat(&mut client), ErrorCode::None);
    assert_eq!(new.beat(&mut client), ErrorCode::None);
    assert_eq!(new.has.len(), 2, "all that the one before had");

    assert_eq!(old.clone().beat(&mut client), ErrorCode::FencedInstanceId);
    assert_eq!(old.commit(&mut client, "news", &[(0, 6)]), ErrorCode::UnknownMemberId);
    assert_eq!(new.commit(&mut client, "news", &[(0, 9)]), ErrorCode::None);
    assert_eq!(client.committed("readers", "news", &[0, 1]).unwrap(), Ok(vec![9, -1]));
}

#[test]
fn hostile_33_a_consumer_that_makes_no_sense_is_told_so() {
    let (_rig, mut client) = rig("group.consumer.max.size=3");
    let mut calm = Consumer { group: "calm", ..reader() };
    client.find_coordinator("calm");
    calm.beat_until(&mut client, |calm| calm.has.len() == 2);
    let (no, some) = (ErrorCode::InvalidRequest, Uuid::from_be_bytes([7; 16]));
    let nonsense = [
        (Consumer { group: " ", ..reader() }, no),
        (Consumer { id: String::new(), ..reader() }, no),
        (Consumer { instance_id: Some(""), ..reader() }, no),
        (Consumer { epoch: i32::MIN, ..reader() }, no),
        (Consumer { epoch: -3, ..reader() }, no),
        (Consumer { epoch: -2, ..reader() }, no),
        (Consumer { rebalance_ms: -1, ..reader() }, no),
        (Consumer { topics: None, ..reader() }, no),
        (Consumer { has: vec![(some, 1)], ..reader() }, no),
        (Consumer { assignor: Some("mine"), ..reader() }, ErrorCode::UnsupportedAssignor),
        (Consumer { pattern: Some("a("), ..reader() }, ErrorCode::InvalidRegularExpression),
        (Consumer { epoch: 1, ..reader() }, ErrorCode::GroupIdNotFound),
        (Consumer { epoch: i32::MAX, ..reader() }, ErrorCode::GroupIdNotFound),
        (Consumer { epoch: -1, ..reader() }, ErrorCode::GroupIdNotFound),
    ];
    for (mut consumer, code) in nonsense {
        assert_eq!(consumer.beat(&mut client), code, "{consumer:?}");
        assert_eq!(calm.beat(&mut client), ErrorCode::None);
    }
    // A flood of members finds the group full, and those who are there stay.
    let mut members: Vec<_> = (0..20).map(|_| reader()).collect();
    for (number, member) in members.iter_mut().enumerate() {
        let told = member.beat(&mut client);
        let expected = if number < 3 { ErrorCode::None } else { ErrorCode::GroupMaxSizeReached };
        assert_eq!(told, expected, "{number}");
    }
    // One of them claims to have what nobody has, and a great deal of it.
    let claims = (0..100_000).map(|partition| (some, partition)).collect();
    let mut liar = Consumer { has: claims, ..members[0].clone() };
    assert_eq!(liar.beat(&mut client), ErrorCode::None);
    assert!(liar.has.len() <= 2, "{}", liar.has.len());
    for member in &mut members[1..3] {
        assert_eq!(member.beat(&mut client), ErrorCode::None);
    }
    assert_eq!(calm.beat(&mut client), ErrorCode::None);
}

#[test]
fn hostile_33_a_consumer_with_a_huge_list_of_topics_is_refused_whole() {
    let (_rig, mut client) = rig("");
    let mut calm = Consumer { group: "calm", ..reader() };
    client.find_coordinator("calm");
    calm.beat_until(&mut client, |calm| calm.has.len() == 2);
    let names: Vec<String> = (0..30_000).map(|number| format!("{number:060}")).collect();
    let names = names.iter().map(String::as_str).collect();
    let mut greedy = Consumer { topics: Some(names), ..reader() };
    let told = greedy.beat(&mut client);
    assert_ne!(told, ErrorCode::None, "it fits no record");
    let mut modest = reader();
    modest.beat_until(&mut client, |modest| modest.has.len() == 2);
    assert_eq!(modest.epoch, 2, "nothing was left of the other");
    assert_eq!(calm.beat(&mut client), ErrorCode::None);
}

#[test]
fn the_cluster_says_that_there_are_consumer_groups() {
    let (_rig, mut client) = rig("");
    let request = ApiVersionsRequest {
        client_software_name: "test",
        client_software_version: "1",
        ..Default::default()
    };
    let answer = client.call(ApiKey::ApiVersions, 4, &request).unwrap();
    let told: ApiVersionsResponse<'_> = answer.read();
    let supported = told.supported_features.iter().find(|it| it.name == "group.version").unwrap();
    assert_eq!((supported.min_version, supported.max_version), (0, 1));
    let finalized = told.finalized_features.iter().find(|it| it.name == "group.version").unwrap();
    assert_eq!((finalized.min_version_level, finalized.max_version_level), (1, 1));

    let mut reader = reader();
    assert_eq!(reader.beat(&mut client), ErrorCode::None);
    let feature = "group.version";
    let off =
        FeatureUpdateKey { feature, max_version_level: 0, upgrade_type: 2, ..Default::default() };
    let request = UpdateFeaturesRequest { feature_updates: vec![off], ..Default::default() };
    let answer = client.call(ApiKey::UpdateFeatures, 2, &request).unwrap();
    let told: UpdateFeaturesResponse<'_> = answer.read();
    assert_eq!((told.error_code, told.error_message), (0, None));
    assert_eq!(reader.beat(&mut client), ErrorCode::UnsupportedVersion);
    let request = ConsumerGroupDescribeRequest { group_ids: vec!["readers"], ..Default::default() };
    let answer = client.call(ApiKey::ConsumerGroupDescribe, 1, &request).unwrap();
    let told: ConsumerGroupDescribeResponse<'_> = answer.read();
    assert_eq!(code(told.groups[0].error_code), ErrorCode::UnsupportedVersion);
}

/// A subscription to `news` by the oldest version: its client gives everything up before it joins.
const NEWS: &[u8] = b"\0\0\0\0\0\x01\0\x04news\xff\xff\xff\xff";

/// State and type, as ListGroups tells them.
fn listed(client: &mut Client) -> Vec<(String, String)> {
    let answer = client.call(ApiKey::ListGroups, 5, &ListGroupsRequest::default()).unwrap();
    let listed: ListGroupsResponse<'_> = answer.read();
    let groups = listed.groups.iter();
    groups.map(|it| (it.group_state.to_owned(), it.group_type.to_owned())).collect()
}

fn is_of(state: &str, kind: &str) -> Vec<(String, String)> {
    vec![(state.to_owned(), kind.to_owned())]
}

/// The classic member joins as soon as it is told to, and has this many partitions then.
fn rejoin(member: &mut Member, client: &mut Client) -> usize {
    let begun = Instant::now();
    while member.heartbeat(client).unwrap() != ErrorCode::RebalanceInProgress {
        assert!(begun.elapsed() < Duration::from_secs(20), "nobody tells it: {member:?}");
    }
    member.join(client).unwrap().unwrap();
    let assignment = member.sync(client, &[]).unwrap().unwrap();
    // Version, one topic with its name, and how many partitions.
    assignment.get(12..16).map_or(0, |count| count[3].into())
}

#[test]
fn a_group_goes_to_the_consumer_protocol_and_back_and_keeps_what_it_committed() {
    let (mut rig, mut client) = rig("group.initial.rebalance.delay.ms=0");
    let mut second = rig.client();
    let mut member = Member { protocols: vec![("range", NEWS.to_vec())], ..Member::of("readers") };
    let led = member.join(&mut client).unwrap().unwrap();
    let all = b"\0\0\0\0\0\x01\0\x04news\0\0\0\x02\0\0\0\0\0\0\0\x01\xff\xff\xff\xff".to_vec();
    member.sync(&mut client, &[(led[0].0.clone(), all.clone())]).unwrap().unwrap();
    assert_eq!(member.commit(&mut client, "news", &[(0, 3), (1, 4)]).unwrap(), ErrorCode::None);
    assert_eq!(listed(&mut second), is_of("Stable", "classic"));

    // One comes that speaks the new protocol, and both have a share.
    let mut consumer = reader();
    assert_eq!(consumer.beat(&mut second), ErrorCode::None);
    assert_eq!(rejoin(&mut member, &mut client), 1);
    consumer.beat_until(&mut second, |consumer| consumer.has.len() == 1);
    assert_eq!(listed(&mut second), is_of("Stable", "consumer"));
    let partition = consumer.has[0].1;
    assert_eq!(consumer.commit(&mut second, "news", &[(partition, 7)]), ErrorCode::None);

    // It goes, and those who are left agree among themselves again.
    assert_eq!(consumer.leave(&mut second), ErrorCode::None);
    let begun = Instant::now();
    while member.heartbeat(&mut client).unwrap() != ErrorCode::RebalanceInProgress {
        assert!(begun.elapsed() < Duration::from_secs(20), "nobody tells it: {member:?}");
    }
    let led = member.join(&mut client).unwrap().unwrap();
    assert_eq!(led, [(member.id.clone(), NEWS.to_vec())], "it leads again");
    let told = member.sync(&mut client, &[(member.id.clone(), all.clone())]).unwrap();
    assert_eq!(told, Ok(all.clone()));
    assert_eq!(listed(&mut second), is_of("Stable", "classic"));
    assert_eq!(consumer.beat(&mut second), ErrorCode::GroupIdNotFound);

    // So it is also for who reads the log, and nothing that was committed went back.
    rig.kill();
    rig.start_again().unwrap();
    let mut client = rig.client();
    client.find_coordinator("readers");
    assert_eq!(member.heartbeat(&mut client).unwrap(), ErrorCode::None);
    assert_eq!(member.sync(&mut client, &[]).unwrap(), Ok(all));
    let mut committed = vec![3, 4];
    committed[partition as usize] = 7;
    assert_eq!(client.committed("readers", "news", &[0, 1]).unwrap(), Ok(committed));
    assert_eq!(listed(&mut client), is_of("Stable", "classic"));
}
