//! Faults that a test orders: failing syncs and writes, a full disk, stalls, rot.

use std::{io::ErrorKind, io::IoSlice, path::Path, sync::Arc};

use super::{
    super::{Operation, SimulatedDisk, Survival},
    disk_with_folder, durable_file, exists, path, read, write,
};
use crate::{
    disk::{Disk, Open},
    spawn_thread,
};

#[test]
fn a_failed_sync_lies_ever_after() {
    let disk = disk_with_folder(1);
    let file = durable_file(&disk, "a.log", 8_192);
    write(&file, &[b'B'; 4_096], 0);
    disk.fail_next_sync("a.log");
    let error = file.sync_data().unwrap_err();
    assert_eq!(error.raw_os_error(), Some(rustix::io::Errno::IO.raw_os_error()));
    // It is still read from the cache, and the next sync pretends.
    assert_eq!(read(&disk, "a.log")[0], b'B');
    write(&file, &[b'C'; 4_096], 4_096);
    file.sync_data().unwrap();
    let disk = disk.crash_with(Survival::Everything);
    assert_eq!(read(&disk, "a.log"), [[b'A'; 4_096], [b'C'; 4_096]].concat());
}

#[test]
fn what_a_failed_sync_gave_up_is_gone_once_out_of_the_cache() {
    let disk = disk_with_folder(1);
    let file = durable_file(&disk, "a.log", 100);
    write(&file, &[b'B'; 100], 100);
    disk.fail_next_sync("a.log");
    file.sync_data().unwrap_err();
    file.sync_data().unwrap();
    disk.drop_caches();
    assert!(!file.is_cached(0, 1));
    // The length is metadata and was synced; its bytes were not.
    assert_eq!(read(&disk, "a.log"), [[b'A'; 100], [0; 100]].concat());
    assert!(file.is_cached(0, 1));
}

#[test]
fn what_was_read_again_is_in_memory_and_the_rest_is_not() {
    let disk = disk_with_folder(1);
    let file = durable_file(&disk, "a.log", 20_000);
    disk.drop_caches();
    file.read_exact_at(&mut [0; 10], 8_190).unwrap();
    assert!(file.is_cached(4_096, 8_192));
    assert!(!file.is_cached(0, 1) && !file.is_cached(4_000, 5_000) && !file.is_cached(12_000, 400));
    assert!(file.is_cached(20_000, 0));
}

#[test]
fn a_page_written_again_after_a_failed_sync_can_be_synced() {
    let disk = disk_with_folder(1);
    let file = durable_file(&disk, "a.log", 100);
    write(&file, &[b'B'; 100], 0);
    disk.fail_next_sync("a.log");
    file.sync_data().unwrap_err();
    write(&file, b"C", 0);
    file.sync_data().unwrap();
    assert_eq!(read(&disk.crash(), "a.log")[..2], *b"CB");
}

#[test]
fn a_failed_sync_of_a_folder_lies_too() {
    let disk = disk_with_folder(1);
    drop(disk.open(&path("a.log"), Open::Create).unwrap());
    disk.fail_next_sync("/data");
    disk.sync_dir(Path::new("/data")).unwrap_err();
    disk.sync_dir(Path::new("/data")).unwrap();
    assert!(!exists(&disk.crash_with(Survival::Everything), "a.log"));
}

#[test]
fn a_sync_of_the_file_system_syncs_all_or_lies_about_all() {
    for fails in [false, true] {
        let disk = disk_with_folder(1);
        let file = disk.open(&path("a.log"), Open::Create).unwrap();
        write(&file, b"bytes", 0);
        if fails {
            disk.fail_next_sync("/data");
        }
        assert_eq!(disk.sync_file_system(Path::new("/data")).is_err(), fails);
        assert_eq!(exists(&disk.crash(), "a.log"), !fails);
    }
}

#[test]
fn the_nth_write_fails_and_only_that() {
    let disk = disk_with_folder(1);
    let file = disk.open(&path("a.log"), Open::Create).unwrap();
    let other = disk.open(&path("b.log"), Open::Create).unwrap();
    disk.fail_nth(Operation::Write, "a.log", 2);
    write(&other, b"x", 0);
    write(&file, b"x", 0);
    file.write_all_at(&[IoSlice::new(&[b'y'; 20_000])], 1).unwrap_err();
    write(&file, b"z", 1);
}

#[test]
fn a_write_that_fails_may_have_written_a_part() {
    let lengths: Vec<u64> = (0..100)
        .map(|seed| {
            let disk = disk_with_folder(seed);
            let file = disk.open(&path("a.log"), Open::Create).unwrap();
            disk.fail_nth(Operation::Write, "a.log", 1);
            file.write_all_at(&[IoSlice::new(&[1; 12_288])], 0).unwrap_err();
            file.size().unwrap()
        })
        .collect();
    for len in [0, 4_096, 8_192, 12_288] {
        assert!(lengths.contains(&len), "{len}");
    }
}

#[test]
fn other_operations_fail_without_an_effect() {
    let disk = disk_with_folder(1);
    let file = durable_file(&disk, "a.log", 10);
    disk.fail_nth(Operation::Rename, "b.log", 1);
    disk.rename(&path("a.log"), &path("b.log")).unwrap_err();
    disk.fail_nth(Operation::Create, "new", 1);
    disk.open(&path("new"), Open::Create).unwrap_err();
    disk.fail_nth(Operation::Remove, "a.log", 1);
    disk.remove_file(&path("a.log")).unwrap_err();
    disk.fail_nth(Operation::SetLen, "a.log", 1);
    file.set_len(0).unwrap_err();
    disk.fail_nth(Operation::Read, "a.log", 1);
    file.read_at(&mut [0], 0).unwrap_err();
    assert_eq!(read(&disk, "a.log").len(), 10);
    assert_eq!(disk.list(Path::new("/data")).unwrap().len(), 1);
}

#[test]
fn one_write_is_torn_and_all_else_is_kept() {
    for seed in 0..200 {
        let disk = disk_with_folder(seed);
        let file = durable_file(&disk, "a.log", 0);
        disk.tear_nth_write("a.log", 2);
        write(&file, &[b'B'; 3_000], 0);
        file.write_all_at(&[IoSlice::new(&[b'C'; 3_000])], 3_000).unwrap_err();
        assert!(disk.is_power_off());
        let bytes = read(&disk.crash_with(Survival::Everything), "a.log");
        assert_eq!(bytes[..3_000], [b'B'; 3_000], "seed {seed}");
        let written = bytes.iter().filter(|byte| **byte == b'C').count();
        assert!(written < 3_000, "seed {seed}");
    }
}

#[test]
fn a_full_disk_refuses_new_pages_until_there_is_room() {
    let disk = disk_with_folder(1);
    disk.set_capacity(Some(3 * 4_096));
    let file = durable_file(&disk, "a.log", 4_096);
    let other = durable_file(&disk, "b.log", 4_096);
    let full = file.write_all_at(&[IoSlice::new(&[b'B'; 12_288])], 0).unwrap_err();
    assert_eq!(full.kind(), ErrorKind::StorageFull);
    assert_eq!(disk.space(Path::new("/data")).unwrap().free, 0);
    // What fits was written, and what has its room already still can be.
    assert_eq!(file.size().unwrap(), 8_192);
    write(&file, &[b'C'; 8_192], 0);
    write(&other, &[b'C'; 4_096], 0);
    disk.remove_file(&path("b.log")).unwrap();
    write(&file, &[b'D'; 4_096], 8_192);
    file.write_all_at(&[IoSlice::new(b"x")], 12_288).unwrap_err();
    disk.set_capacity(None);
    write(&file, b"x", 12_288);
}

#[test]
fn zeros_take_room_on_the_disk_and_none_in_memory() {
    let disk = disk_with_folder(1);
    let file = disk.open(&path("milena-journal-0"), Open::Create).unwrap();
    let zeros = vec![0; 1 << 20];
    for n in 0..64 {
        write(&file, &zeros, n << 20);
    }
    file.sync_data().unwrap();
    let space = disk.space(Path::new("/data")).unwrap();
    assert_eq!(space.total - space.free, 64 << 20);
    assert_eq!(disk.crash().metadata(&path("milena-journal-0")).unwrap().len, 64 << 20);
}

#[test]
fn a_stall_holds_a_sync_until_it_is_let_go() {
    let disk = disk_with_folder(1);
    let file = durable_file(&disk, "a.log", 10);
    let stall = disk.stall(Operation::Sync, "a.log");
    let syncing = {
        let file = Arc::clone(&file);
        spawn_thread("syncing", move || file.sync_data()).unwrap()
    };
    stall.wait_until_reached();
    // The rest of the disk goes on meanwhile.
    write(&file, b"more", 10);
    durable_file(&disk, "b.log", 10).sync_data().unwrap();
    assert!(!syncing.is_finished());
    drop(stall);
    syncing.join().unwrap().unwrap();
}

#[test]
fn a_stalled_call_ends_with_its_process() {
    let disk = disk_with_folder(1);
    let file = durable_file(&disk, "a.log", 10);
    let stall = disk.stall(Operation::Sync, "a.log");
    let syncing = spawn_thread("syncing", move || file.sync_data()).unwrap();
    stall.wait_until_reached();
    let _next = disk.crash();
    syncing.join().unwrap().unwrap_err();
}

#[test]
fn one_bit_rots_in_memory_and_on_the_device() {
    let disk = disk_with_folder(1);
    drop(durable_file(&disk, "a.log", 5_000));
    disk.flip_bit(&path("a.log"), 4_500).unwrap();
    let rotten = read(&disk, "a.log");
    assert_eq!((rotten[4_500] ^ b'A').count_ones(), 1);
    assert_eq!(rotten.iter().filter(|byte| **byte != b'A').count(), 1);
    assert_eq!(read(&disk.crash(), "a.log"), rotten);
}

#[test]
fn a_rename_between_folders_is_refused() {
    let disk = SimulatedDisk::new(1);
    disk.create_dir_all(Path::new("/a/b")).unwrap();
    disk.create_dir_all(Path::new("/c")).unwrap();
    let refused = disk.rename(Path::new("/a/b"), Path::new("/c/b")).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::CrossesDevices);
}
