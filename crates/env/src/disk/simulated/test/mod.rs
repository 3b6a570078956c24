//! What the simulated disk promises to those who test on it.

mod crash;
mod faults;
mod model;

use std::{io::IoSlice, path::Path, sync::Arc};

use super::SimulatedDisk;
use crate::disk::{Disk, DiskFile, Open};

type File = Arc<dyn DiskFile>;

/// A disk with a durable folder `/data`.
fn disk_with_folder(seed: u64) -> Arc<SimulatedDisk> {
    let disk = SimulatedDisk::new(seed);
    disk.create_dir_all(Path::new("/data")).unwrap();
    disk.sync_dir(Path::new("/")).unwrap();
    disk
}

/// A durable file in it, of `len` bytes `A`.
fn durable_file(disk: &SimulatedDisk, name: &str, len: usize) -> File {
    let file = disk.open(&path(name), Open::Create).unwrap();
    write(&file, &vec![b'A'; len], 0);
    file.sync_data().unwrap();
    disk.sync_dir(Path::new("/data")).unwrap();
    file
}

fn path(name: &str) -> std::path::PathBuf {
    Path::new("/data").join(name)
}

fn write(file: &File, bytes: &[u8], position: u64) {
    file.write_all_at(&[IoSlice::new(bytes)], position).unwrap();
}

fn read(disk: &Arc<SimulatedDisk>, name: &str) -> Vec<u8> {
    (Arc::clone(disk) as Arc<dyn Disk>).read(&path(name)).unwrap()
}

fn exists(disk: &SimulatedDisk, name: &str) -> bool {
    disk.metadata(&path(name)).is_ok()
}
