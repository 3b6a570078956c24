//! What the log and the snapshots hold is what was put into them.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use milena_env::{Disk, SimulatedDisk};
use milena_protocol::{
    Uuid,
    metadata::{NoOpRecord, TopicRecord, Value},
    records::Batch,
};
use openraft::EntryPayload;

use super::{
    entry,
    snapshot::Snapshots,
    types::{Entry, Membership, Proposal, StoredMembership, Voter, log_id},
};
use crate::{
    image::{Endpoint, Position, Replay},
    records::Records,
};

fn voters(ids: &[i32]) -> BTreeMap<i32, Voter> {
    let voter = |id: &i32| Voter {
        directory: Uuid::from_u128(*id as u128 + 0x100),
        endpoints: vec![Endpoint {
            listener: "CONTROLLER".into(),
            host: "localhost".into(),
            port: 9093,
            security_protocol: 0,
        }],
    };
    ids.iter().map(|id| (*id, voter(id))).collect()
}

fn records() -> Records {
    let mut records = Records::default();
    records.push(&Value::NoOpRecord(NoOpRecord::default())).unwrap();
    let topic = TopicRecord { name: "orders", topic_id: Uuid::from_u128(0x777) };
    records.push(&Value::TopicRecord(topic)).unwrap();
    records
}

#[test]
fn every_kind_of_entry_is_a_batch_and_the_same_entry_again() {
    let joint = vec![[1].into(), [1, 2, 3].into()];
    let payloads = [
        EntryPayload::Blank,
        EntryPayload::Normal(Proposal { records: records(), timestamp: 99 }),
        EntryPayload::Membership(Membership::new(vec![[1].into()], voters(&[1]))),
        EntryPayload::Membership(Membership::new(joint, voters(&[1, 2, 3]))),
    ];
    for (index, payload) in (4..).zip(payloads) {
        let entry = Entry { log_id: log_id(7, index), payload };
        let bytes = entry::to_batch(&entry, 100, 1, 5).unwrap();
        let batch = Batch::check(&bytes).unwrap();
        assert_eq!((batch.header().base_offset.0, batch.header().leader_epoch.0), (100, 7));
        assert_eq!(entry::from_batch(&batch, index).unwrap(), entry);
    }
}

#[test]
fn a_learner_has_no_place_in_the_log() {
    let membership = Membership::new(vec![[1].into()], voters(&[1, 2]));
    let entry = Entry { log_id: log_id(1, 0), payload: EntryPayload::Membership(membership) };
    assert!(entry::to_batch(&entry, 0, 1, 5).is_err());
}

#[test]
fn a_snapshot_is_read_as_written_and_the_older_one_goes() {
    let disk = SimulatedDisk::new(1);
    let folder = PathBuf::from("/log");
    disk.create_dir_all(&folder).unwrap();
    let snapshots = Snapshots::new(Arc::clone(&disk) as Arc<dyn Disk>, folder.clone());
    assert!(snapshots.newest().unwrap().is_none());

    let mut replay = Replay::default();
    records().iter().for_each(|record| replay.apply_bytes(record).unwrap());
    let membership = Membership::new(vec![[1, 2].into()], voters(&[1, 2]));
    let membership = StoredMembership::new(Some(log_id(1, 0)), membership);
    for offset in [41, 52] {
        replay.image.position = Position { offset, epoch: 3, timestamp: 1234 };
        snapshots.write(&replay.image, log_id(3, offset as u64 - 30), &membership).unwrap();
    }
    let (meta, image) = snapshots.newest().unwrap().unwrap();
    assert_eq!(image, replay.image);
    assert_eq!(meta.last_log_id, Some(log_id(3, 22)));
    assert_eq!(meta.last_membership, membership);
    let names: Vec<_> = disk.list(&folder).unwrap().into_iter().map(|it| it.name).collect();
    assert_eq!(
        names,
        ["00000000000000000053-0000000003.checkpoint", "00000000000000000053-0000000003.raft"]
    );
}

#[test]
fn a_snapshot_without_its_end_is_damaged() {
    let disk = SimulatedDisk::new(1);
    let folder = PathBuf::from("/log");
    disk.create_dir_all(&folder).unwrap();
    let snapshots = Snapshots::new(Arc::clone(&disk) as Arc<dyn Disk>, folder.clone());
    let image = Replay::default().image;
    let meta = snapshots.write(&image, log_id(0, 0), &StoredMembership::default()).unwrap();
    let path = folder.join(meta.snapshot_id);
    let disk: &dyn Disk = &*disk;
    let bytes = disk.read(&path).unwrap();
    let header_alone = Batch::check(&bytes).unwrap().bytes().len();
    disk.replace(&path, &bytes[..header_alone]).unwrap();
    assert!(snapshots.newest().unwrap_err().to_string().contains("has no end"));
}
