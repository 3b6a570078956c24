//! What hostile bytes cost in memory, measured where it counts: of a real process.

use milena_protocol::{
    ErrorCode, Offset,
    api::{
        ApiKey, JoinGroupRequest, JoinGroupResponse, join_group::request::JoinGroupRequestProtocol,
    },
    records::{BatchBuilder, Codec},
};

use crate::{
    client::{Client, batch, built, code, frame, with_length},
    process::{Folder, Process},
};

struct Scene {
    process: Process,
    bystander: Client,
    before_kib: u64,
    _folder: Folder,
}

impl Scene {
    fn new(name: &str) -> Self {
        let folder = Folder::new(name);
        let process = Process::start(&folder, &[]);
        let mut bystander = process.client();
        assert_eq!(bystander.create_topic("t", 1, &[]), ErrorCode::None);
        let mut scene = Self { process, bystander, before_kib: 0, _folder: folder };
        // What is allocated once, for good, is no fault of what comes then.
        let usual = batch(&[vec![7; 500_000]]);
        (0..10).for_each(|_| drop(scene.bystander.produce("t", 0, &usual)));
        scene.process.forget_peak();
        scene.before_kib = scene.process.peak_kib();
        scene
    }

    /// No more than so much memory was taken, and the other connection goes on.
    fn costs_at_most(&mut self, kib: u64) {
        assert_eq!(self.bystander.produce("t", 0, &batch(&["well"])).code, ErrorCode::None);
        let more = self.process.peak_kib().saturating_sub(self.before_kib);
        println!("{more} KiB, of {kib} that it may take");
        assert!(more <= kib, "{more} KiB more than {} KiB", self.before_kib);
    }
}

#[test]
fn hostile_03_frames_that_claim_100_mib_and_send_little() {
    let mut scene = Scene::new("hostile-03");
    let mut claims: Vec<Client> = (0..50).map(|_| scene.process.client()).collect();
    for client in &mut claims {
        client.send_bytes(&(100_u32 << 20).to_be_bytes()).unwrap();
        client.send_bytes(&[0; 20_000]).unwrap();
    }
    // A frame that has begun gets room for a megabyte, of which only what arrives is resident.
    scene.costs_at_most(50 * 20 * 2 + 2048);
}

#[test]
fn hostile_03_unfinished_frames_that_spend_the_budget_hold_nobody_up_for_long() {
    let mut scene = Scene::new("hostile-03-budget");
    let mut claims: Vec<Client> = (0..48).map(|_| scene.process.client()).collect();
    for client in &mut claims {
        let mut client = client.another_hand();
        // Not all of it is read: the budget is 32 MiB.
        std::thread::spawn(move || {
            let _ = client.send_bytes(&(100_u32 << 20).to_be_bytes());
            let _ = client.send_bytes(&vec![0; 1 << 20]);
        });
    }
    std::thread::sleep(std::time::Duration::from_millis(500));
    let large = batch(&[vec![7; 500_000]]);
    assert_eq!(scene.bystander.produce("t", 0, &large).code, ErrorCode::None);
    scene.costs_at_most((32 << 10) * 2);
}

#[test]
fn hostile_08_counts_that_no_bytes_stand_behind() {
    let mut scene = Scene::new("hostile-08");
    for api in [ApiKey::Metadata, ApiKey::Produce, ApiKey::Fetch, ApiKey::CreateTopics] {
        for version in api.api().version_min..=api.api().stable_max {
            for count in [&i32::MAX.to_be_bytes()[..], &[0xff, 0xff, 0xff, 0xff, 0x07]] {
                // Key and version, correlation id, no client id, perhaps no tags; then it begins.
                let mut bytes = [api.number().to_be_bytes(), version.to_be_bytes()].concat();
                bytes.extend_from_slice(&[0, 0, 0, 1, 0xff, 0xff]);
                for _ in 0..30 {
                    bytes.extend_from_slice(count);
                }
                let mut client = scene.process.client();
                client.send_bytes(&with_length(&bytes)).unwrap();
                // Closed, or answered where the bytes happen to make sense; never without an end.
                drop(client.receive(api, version));
            }
        }
    }
    scene.costs_at_most(4096);
}

#[test]
fn hostile_20_bombs_of_every_codec() {
    let mut scene = Scene::new("hostile-20");
    for codec in [Codec::Gzip, Codec::Lz4, Codec::Zstd] {
        let builder = BatchBuilder::new(Offset(0)).with_codec(codec, None);
        let bomb = built(builder, &[vec![0; 150 << 20]]);
        assert!(bomb.len() < 1_000_000, "{codec:?}: {}", bomb.len());
        let produced = scene.process.client().produce("t", 0, &bomb);
        let expected = [ErrorCode::InvalidRecord, ErrorCode::None];
        assert!(expected.contains(&produced.code), "{codec:?}: {produced:?}");
    }
    scene.costs_at_most(16 << 10);
}

/// A JoinGroup of somebody whose client has a name of that length.
fn newcomer(group: &str, name_len: usize) -> Vec<u8> {
    let protocols = vec![JoinGroupRequestProtocol { name: "range", ..Default::default() }];
    let request = JoinGroupRequest {
        group_id: group,
        session_timeout_ms: 30_000,
        protocol_type: "consumer",
        protocols,
        ..Default::default()
    };
    let bytes = frame(ApiKey::JoinGroup, 9, 1, &request);
    // The usual name stands behind length, key, version, correlation id and its own length.
    let name = [&(name_len as u16).to_be_bytes()[..], &vec![b'n'; name_len]].concat();
    with_length(&[&bytes[4..12], &name, &bytes[18..]].concat())
}

#[test]
fn hostile_33_newcomers_with_long_names_and_groups_that_never_come_to_be() {
    let mut scene = Scene::new("hostile-33");
    let mut client = scene.process.client();
    client.find_coordinator("g");
    let others = (0..5000).map(|number| newcomer(&format!("group-{number}"), 10));
    let flood = (0..3000).map(|_| newcomer("g", 32_000)).chain(others);
    for bytes in flood {
        client.send_bytes(&bytes).unwrap();
        let answer = client.receive(ApiKey::JoinGroup, 9).unwrap();
        let told = code(answer.read::<JoinGroupResponse<'_>>().error_code);
        let expected = [ErrorCode::MemberIdRequired, ErrorCode::CoordinatorLoadInProgress];
        assert!(expected.contains(&told), "{told:?}");
    }
    // Less than 4 KiB for each of them, where the frames were 100 MB.
    scene.costs_at_most(32 << 10);
}
