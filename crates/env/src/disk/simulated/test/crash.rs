//! Power failures and kills: what must survive, what may, and that everything that may happen
//! does happen for some seed.

use std::{collections::BTreeSet, path::Path};

use super::{
    super::{SimulatedDisk, Survival, content::SECTOR, is_power_off},
    disk_with_folder, durable_file, exists, path, read, write,
};
use crate::{
    Random,
    disk::{Disk, Entry, Open},
};

#[test]
fn what_was_synced_is_never_lost() {
    for seed in 0..1_000 {
        let disk = disk_with_folder(seed);
        let mut random = Random::from_seed(seed);
        let file = durable_file(&disk, "a.log", 0);
        let mut expected = Vec::new();
        for _ in 0..random.below(20) {
            let mut bytes = vec![0; random.below(6_000) as usize];
            random.fill(&mut bytes);
            write(&file, &bytes, expected.len() as u64);
            expected.extend(bytes);
        }
        file.sync_data().unwrap();
        // What comes after the sync may go, and takes nothing along.
        write(&file, &[7; 5_000], expected.len() as u64);
        drop(disk.open(&path("new.log"), Open::Create).unwrap());
        let disk = disk.crash();
        let mut bytes = read(&disk, "a.log");
        assert!(bytes.len() >= expected.len(), "seed {seed}: {} bytes", bytes.len());
        bytes.truncate(expected.len());
        assert!(bytes == expected, "seed {seed}");
    }
}

#[test]
fn unsynced_pages_are_kept_lost_and_torn() {
    let (mut kept, mut lost, mut torn, mut mixed) = (0, 0, 0, 0);
    for seed in 0..1_000 {
        let disk = disk_with_folder(seed);
        let file = durable_file(&disk, "a.log", 2 * 4096);
        write(&file, &[b'B'; 2 * 4096], 0);
        let bytes = read(&disk.crash(), "a.log");
        assert_eq!(bytes.len(), 2 * 4096, "seed {seed}");
        // A sector is one version or the other, never something between.
        assert!(bytes.chunks(SECTOR).all(|sector| sector == [b'A'; 512] || sector == [b'B'; 512]));
        let of_page = |page: &[u8]| page.chunks(SECTOR).filter(|sector| sector[0] == b'B').count();
        match (of_page(&bytes[..4096]), of_page(&bytes[4096..])) {
            (8, 8) => kept += 1,
            (0, 0) => lost += 1,
            (0, 8) | (8, 0) => mixed += 1,
            _ => torn += 1,
        }
    }
    println!("kept {kept}, lost {lost}, torn {torn}, mixed {mixed}");
    assert!(kept > 200 && lost > 200 && torn > 200 && mixed > 20);
}

#[test]
fn a_page_written_twice_may_be_left_as_it_was_between() {
    let between = (0..1_000).filter(|seed| {
        let disk = disk_with_folder(*seed);
        let file = durable_file(&disk, "a.log", 4096);
        write(&file, &[b'B'; 4096], 0);
        write(&file, &[b'C'; 4096], 0);
        read(&disk.crash(), "a.log").contains(&b'B')
    });
    assert!(between.count() > 20);
}

#[test]
fn a_new_length_is_kept_lost_or_reached_in_part() {
    let mut lengths = BTreeSet::new();
    let mut zeros = 0;
    for seed in 0..1_000 {
        let disk = disk_with_folder(seed);
        let file = durable_file(&disk, "a.log", 1_000);
        write(&file, &[b'B'; 9_000], 1_000);
        let bytes = read(&disk.crash(), "a.log");
        assert!(bytes.starts_with(&[b'A'; 1_000]), "seed {seed}");
        assert!((1_000..=10_000).contains(&bytes.len()), "seed {seed}");
        lengths.insert(bytes.len());
        zeros += usize::from(bytes.contains(&0));
    }
    assert!(lengths.contains(&1_000) && lengths.contains(&10_000) && lengths.len() > 50);
    assert!(zeros > 100, "a length without its bytes reads as zeros, {zeros} times");
}

#[test]
fn a_cut_is_kept_or_lost_and_a_rewritten_file_may_be_found_empty() {
    let mut lengths = BTreeSet::new();
    for seed in 0..1_000 {
        let disk = disk_with_folder(seed);
        let file = durable_file(&disk, "a.log", 1_000);
        file.set_len(0).unwrap();
        write(&file, &[b'B'; 500], 0);
        lengths.insert(read(&disk.crash(), "a.log").len());
    }
    assert!([1_000, 500].iter().all(|len| lengths.contains(len)));
    assert!(lengths.iter().any(|len| *len < 100), "{lengths:?}");
}

#[test]
fn a_name_is_kept_or_lost_until_its_folder_is_synced() {
    let mut found = [0; 2];
    for seed in 0..1_000 {
        let disk = disk_with_folder(seed);
        let file = disk.open(&path("a.log"), Open::Create).unwrap();
        write(&file, b"synced", 0);
        file.sync_data().unwrap();
        let disk = disk.crash();
        found[usize::from(exists(&disk, "a.log"))] += 1;
        if exists(&disk, "a.log") {
            assert_eq!(read(&disk, "a.log"), b"synced");
        }
        drop(durable_file(&disk, "a.log", 10));
        assert!(exists(&disk.crash(), "a.log"), "seed {seed}");
    }
    assert!(found.iter().all(|times| *times > 300), "{found:?}");
}

#[test]
fn a_synced_change_of_a_name_is_never_undone() {
    for seed in 0..1_000 {
        let disk = disk_with_folder(seed);
        drop(durable_file(&disk, "a.tmp", 1));
        drop(durable_file(&disk, "old", 1));
        disk.rename(&path("a.tmp"), &path("a")).unwrap();
        disk.remove_file(&path("old")).unwrap();
        disk.sync_dir(Path::new("/data")).unwrap();
        let left = disk.crash().list(Path::new("/data")).unwrap();
        assert_eq!(left, [Entry { name: "a".to_owned(), is_dir: false }], "seed {seed}");
    }
}

/// Removes `old`, renames `a.tmp` to `a`, creates `new`; answers with what a crash shows of each.
fn change_three_names(seed: u64, any_order: bool) -> [bool; 4] {
    let disk = disk_with_folder(seed);
    if any_order {
        disk.lose_names_in_any_order();
    }
    drop(durable_file(&disk, "old", 1));
    drop(durable_file(&disk, "a", 2));
    drop(durable_file(&disk, "a.tmp", 3));
    disk.remove_file(&path("old")).unwrap();
    disk.rename(&path("a.tmp"), &path("a")).unwrap();
    drop(disk.open(&path("new"), Open::Create).unwrap());
    let disk = disk.crash();
    let renamed = match (exists(&disk, "a.tmp"), read(&disk, "a").len()) {
        (true, 2) => false,
        (false, 3) => true,
        other => panic!("seed {seed}: a rename that is neither done nor not: {other:?}"),
    };
    [!exists(&disk, "old"), renamed, exists(&disk, "new"), true]
}

#[test]
fn names_change_in_order_unless_any_order_is_asked_for() {
    let in_order: BTreeSet<_> = (0..1_000).map(|seed| change_three_names(seed, false)).collect();
    let prefixes = [[false; 3], [true, false, false], [true, true, false], [true; 3]];
    assert_eq!(in_order, prefixes.map(|[a, b, c]| [a, b, c, true]).into());
    let any_order: BTreeSet<_> = (0..1_000).map(|seed| change_three_names(seed, true)).collect();
    assert_eq!(any_order.len(), 8);
}

#[test]
fn a_file_renamed_twice_never_has_two_names() {
    for seed in 0..1_000 {
        let disk = disk_with_folder(seed);
        disk.lose_names_in_any_order();
        drop(durable_file(&disk, "a", 1));
        disk.rename(&path("a"), &path("b")).unwrap();
        disk.rename(&path("b"), &path("c")).unwrap();
        let left = disk.crash().list(Path::new("/data")).unwrap();
        assert_eq!(left.len(), 1, "seed {seed}: {left:?}");
    }
}

#[test]
fn a_removed_tree_comes_back_whole_in_part_or_not_at_all() {
    let mut left = BTreeSet::new();
    for seed in 0..1_000 {
        let disk = disk_with_folder(seed);
        disk.create_dir_all(&path("t-0")).unwrap();
        drop(durable_file(&disk, "t-0/0.log", 10));
        drop(durable_file(&disk, "t-0/0.index", 10));
        disk.sync_file_system(Path::new("/")).unwrap();
        disk.remove_dir_all(&path("t-0")).unwrap();
        let disk = disk.crash();
        left.insert(disk.list(&path("t-0")).ok().map(|entries| entries.len()));
    }
    assert_eq!(left, BTreeSet::from([None, Some(0), Some(1), Some(2)]));
}

#[test]
fn everything_and_nothing_can_be_asked_for() {
    for (survival, expected) in [(Survival::Everything, b'B'), (Survival::Nothing, b'A')] {
        let disk = disk_with_folder(1);
        let file = durable_file(&disk, "a.log", 100);
        write(&file, &[b'B'; 100], 0);
        drop(disk.open(&path("new"), Open::Create).unwrap());
        let disk = disk.crash_with(survival);
        assert_eq!(read(&disk, "a.log"), [expected; 100]);
        assert_eq!(exists(&disk, "new"), survival == Survival::Everything);
    }
}

#[test]
fn a_kill_loses_nothing_but_the_process() {
    let disk = disk_with_folder(1);
    let held = disk.lock(&path(".lock")).unwrap();
    let file = disk.open(&path("a.log"), Open::Create).unwrap();
    write(&file, b"unsynced", 0);
    let next = disk.kill();
    assert_eq!(read(&next, "a.log"), b"unsynced");
    assert!(is_power_off(&file.sync_data().unwrap_err()));
    assert!(is_power_off(&disk.metadata(&path("a.log")).unwrap_err()));
    let held_again = next.lock(&path(".lock")).unwrap();
    // What is left of the old process does not let go of the new one's lock.
    drop(held);
    assert!(next.lock(&path(".lock")).is_err());
    drop(held_again);
    // A kill makes nothing durable.
    assert!(!exists(&next.crash_with(Survival::Nothing), "a.log"));
}

#[test]
fn handles_of_before_a_crash_are_dead() {
    let disk = disk_with_folder(1);
    let file = durable_file(&disk, "a.log", 10);
    let next = disk.crash();
    assert!(is_power_off(&file.read_at(&mut [0], 0).unwrap_err()));
    assert!(is_power_off(&disk.open(&path("a.log"), Open::Create).unwrap_err()));
    assert!(!next.open(&path("a.log"), Open::Read).unwrap().is_cached(0, 10));
}

/// A little story with all kinds of calls, up to the first that fails.
fn story(disk: &SimulatedDisk) -> std::io::Result<()> {
    let file = disk.open(&path("a.tmp"), Open::Create)?;
    for n in 0..3 {
        file.write_all_at(&[std::io::IoSlice::new(&[n; 700])], u64::from(n) * 700)?;
    }
    file.set_len(2_000)?;
    file.sync_data()?;
    disk.rename(&path("a.tmp"), &path("a"))?;
    disk.sync_dir(Path::new("/data"))?;
    disk.remove_file(&path("a"))
}

#[test]
fn the_power_can_go_at_every_step() {
    let disk = disk_with_folder(0);
    let before = disk.mutations();
    story(&disk).unwrap();
    let steps = disk.mutations() - before;
    assert_eq!(steps, 9);
    for seed in 0..200 {
        for step in 0..steps {
            let disk = disk_with_folder(seed);
            disk.crash_after(step);
            assert!(is_power_off(&story(&disk).unwrap_err()), "seed {seed}, step {step}");
            assert!(disk.is_power_off());
            assert!(is_power_off(&disk.list(Path::new("/data")).unwrap_err()));
            story(&disk.crash()).unwrap();
        }
    }
}

#[test]
fn the_operation_that_the_power_went_in_is_done_or_not() {
    let mut done = [0; 2];
    for seed in 0..200 {
        let disk = disk_with_folder(seed);
        drop(disk.open(&path("a.log"), Open::Create).unwrap());
        disk.crash_after(0);
        assert!(is_power_off(&disk.sync_dir(Path::new("/data")).unwrap_err()));
        done[usize::from(exists(&disk.crash_with(Survival::Nothing), "a.log"))] += 1;
    }
    assert!(done.iter().all(|times| *times > 50), "{done:?}");
}

#[test]
fn the_same_seed_leaves_the_same_trace_and_the_same_bytes() {
    let run = |seed| {
        let disk = disk_with_folder(seed);
        let file = durable_file(&disk, "a.log", 5_000);
        write(&file, &[b'B'; 20_000], 3_000);
        disk.fail_nth(super::super::Operation::Rename, "", 1);
        let _ = story(&disk);
        let disk = disk.crash();
        (read(&disk, "a.log"), disk.trace())
    };
    assert!(run(5) == run(5));
    let different: BTreeSet<_> = (0..50).map(run).collect();
    assert_eq!(different.len(), 50);
}
