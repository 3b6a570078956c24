//! Random stories, held against the machine's file system and against what a crash may leave.

use std::{
    io::{ErrorKind, IoSlice},
    path::Path,
    process,
    sync::Arc,
};

use rustix::io::Errno;

use super::{
    super::{SimulatedDisk, content::SECTOR},
    File, disk_with_folder, durable_file, read, write,
};
use crate::{
    Random,
    disk::{Disk, Open, RealDisk},
};

/// What one random step on one of three names came to.
fn step(disk: &Arc<dyn Disk>, root: &Path, random: &mut Random) -> Result<Vec<u8>, ErrorKind> {
    let names = ["a", "b", "c"].map(|name| root.join(name));
    let [name, other] = [(); 2].map(|()| &names[random.below(3) as usize]);
    let (position, len) = (random.below(20_000), random.below(9_000));
    let how = [Open::Read, Open::ReadWrite, Open::Create, Open::CreateNew];
    let how = how[random.below(4) as usize];
    let mut bytes = vec![0; len as usize];
    // Half of what is written is zeros, which the simulated disk stores in its own way.
    if random.chance(1, 2) {
        random.fill(&mut bytes);
    }
    let choice = random.below(8);
    let answer = || match choice {
        0 => disk.rename(name, other).map(|()| Vec::new()),
        1 => disk.remove_file(name).map(|()| Vec::new()),
        2 => disk.read(name),
        3 => disk.metadata(name).map(|found| found.len.to_be_bytes().to_vec()),
        4 => {
            let file = disk.open(name, how)?;
            file.set_len(position)?;
            file.sync_data()?;
            Ok(file.size()?.to_be_bytes().to_vec())
        }
        5 => {
            let mut bytes = bytes;
            let count = disk.open(name, how)?.read_at(&mut bytes, position)?;
            bytes.truncate(count);
            Ok(bytes)
        }
        _ => {
            let file = disk.open(name, how)?;
            let (one, rest) = bytes.split_at(bytes.len() / 3);
            file.write_all_at(&[IoSlice::new(one), IoSlice::new(rest)], position)?;
            Ok(Vec::new())
        }
    };
    answer().map_err(|error: std::io::Error| match error.kind() {
        // Linux refuses to cut a file that is open for reading in words of its own.
        ErrorKind::InvalidInput => std::io::Error::from(Errno::BADF).kind(),
        kind => kind,
    })
}

#[test]
fn without_faults_it_is_the_machine_s_file_system() {
    let folder = std::env::temp_dir().join(format!("milena-disk-{}-model", process::id()));
    for seed in 0..100 {
        let root = folder.join(seed.to_string());
        let real: Arc<dyn Disk> = Arc::new(RealDisk);
        let simulated: Arc<dyn Disk> = SimulatedDisk::new(seed);
        let mut chance = [Random::from_seed(seed), Random::from_seed(seed)];
        real.create_dir_all(&root).unwrap();
        simulated.create_dir_all(&root).unwrap();
        for number in 0..60 {
            let expected = step(&real, &root, &mut chance[0]);
            let answer = step(&simulated, &root, &mut chance[1]);
            assert!(answer == expected, "seed {seed}, step {number}");
        }
        assert_eq!(simulated.list(&root).unwrap(), real.list(&root).unwrap(), "seed {seed}");
    }
    RealDisk.remove_dir_all(&folder).unwrap();
}

/// Changes the file and keeps every version that it has had since its last sync.
fn change(file: &File, versions: &mut Vec<Vec<u8>>, random: &mut Random) {
    let mut now = versions.last().unwrap().clone();
    let position = random.below(12_000) as usize;
    match random.below(5) {
        0 => {
            file.sync_data().unwrap();
            *versions = vec![now];
            return;
        }
        1 => {
            file.set_len(position as u64).unwrap();
            now.resize(position, 0);
        }
        2 => file.start_write_back(0, 20_000).unwrap(),
        _ => {
            let mut bytes = vec![0; random.below(6_000) as usize];
            random.fill(&mut bytes);
            write(file, &bytes, position as u64);
            if !bytes.is_empty() {
                now.resize(now.len().max(position + bytes.len()), 0);
                now[position..position + bytes.len()].copy_from_slice(&bytes);
            }
        }
    }
    versions.push(now);
}

#[test]
fn each_sector_left_is_one_that_was_written_since_the_sync() {
    for seed in 0..1_000 {
        let disk = disk_with_folder(seed);
        let mut random = Random::from_seed(seed);
        let file = durable_file(&disk, "a.log", 3_000);
        let mut versions = vec![vec![b'A'; 3_000]];
        for _ in 0..random.below(12) {
            change(&file, &mut versions, &mut random);
        }
        let disk = disk.crash();
        let mut left = read(&disk, "a.log");
        let lengths = versions.iter().map(Vec::len);
        let (shortest, longest) = (lengths.clone().min().unwrap(), lengths.max().unwrap());
        assert!((shortest..=longest).contains(&left.len()), "seed {seed}");
        for (index, sector) in left.chunks(SECTOR).enumerate() {
            let is_of = |version: &Vec<u8>| {
                let of_version = version.iter().skip(index * SECTOR).chain(std::iter::repeat(&0));
                sector.iter().zip(of_version).all(|(one, other)| one == other)
            };
            assert!(versions.iter().any(is_of), "seed {seed}, sector {index}");
        }
        // What was beyond the end does not come back when the file grows.
        let file = disk.open(Path::new("/data/a.log"), Open::ReadWrite).unwrap();
        file.set_len(40_000).unwrap();
        left.resize(40_000, 0);
        assert!(read(&disk, "a.log") == left, "seed {seed}");
    }
}
