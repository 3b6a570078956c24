//! The contract of a disk, asserted of the real and the simulated one alike.

use std::{
    io::{ErrorKind, IoSlice},
    path::{Path, PathBuf},
    process,
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use super::{Disk, DiskFile, Open, RealDisk, SimulatedDisk};

/// A folder of the machine that goes with the test.
struct TemporaryFolder(PathBuf);

impl TemporaryFolder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("milena-disk-{}-{name}", process::id()));
        RealDisk.create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        RealDisk.remove_dir_all(&self.0).unwrap();
    }
}

macro_rules! contract {
    ($($name:ident),* $(,)?) => {
        mod real {
            use super::*;
            $(#[test]
            fn $name() {
                let folder = TemporaryFolder::new(stringify!($name));
                super::$name(&(Arc::new(RealDisk) as Arc<dyn Disk>), &folder.0);
            })*
        }
        mod simulated {
            use super::*;
            $(#[test]
            fn $name() {
                let disk: Arc<dyn Disk> = SimulatedDisk::new(1);
                disk.create_dir_all(Path::new("/data")).unwrap();
                super::$name(&disk, Path::new("/data"));
            })*
        }
    };
}

contract!(
    bytes_are_read_where_they_were_written,
    many_slices_are_one_write,
    the_length_can_be_set,
    opening_tells_what_it_wants,
    a_reader_cannot_write,
    a_rename_replaces_its_target,
    a_renamed_folder_takes_its_files_along,
    an_open_file_outlives_its_name,
    a_list_is_in_the_order_of_names,
    a_tree_is_removed_whole,
    a_lock_has_one_holder,
    syncs_answer,
    the_time_of_change_can_be_set,
    space_is_free,
    a_small_file_is_replaced_whole,
    a_read_range_is_cached,
);

type DynDisk = Arc<dyn Disk>;

fn write(file: &Arc<dyn DiskFile>, bytes: &[u8], position: u64) {
    file.write_all_at(&[IoSlice::new(bytes)], position).unwrap();
}

fn kind<T>(result: std::io::Result<T>) -> ErrorKind {
    result.err().expect("an error").kind()
}

fn bytes_are_read_where_they_were_written(disk: &DynDisk, root: &Path) {
    let file = disk.open(&root.join("a.log"), Open::CreateNew).unwrap();
    write(&file, b"0123456789", 0);
    write(&file, b"abc", 4);
    write(&file, b"end", 10_000);
    assert_eq!(file.size().unwrap(), 10_003);
    let mut bytes = [1; 10];
    file.read_exact_at(&mut bytes, 0).unwrap();
    assert_eq!(&bytes, b"0123abc789");
    let mut across = [1; 5];
    file.read_exact_at(&mut across, 9_998).unwrap();
    assert_eq!(&across, b"\0\0end");
    assert_eq!(file.read_at(&mut bytes, 10_001).unwrap(), 2);
    assert_eq!(file.read_at(&mut bytes, 10_003).unwrap(), 0);
    assert_eq!(file.read_at(&mut bytes, 99_999).unwrap(), 0);
    assert_eq!(kind(file.read_exact_at(&mut bytes, 9_999)), ErrorKind::UnexpectedEof);
}

fn many_slices_are_one_write(disk: &DynDisk, root: &Path) {
    let file = disk.open(&root.join("a.log"), Open::Create).unwrap();
    // More slices than one system call takes, some of them empty.
    let pieces: Vec<Vec<u8>> = (0..2_500_usize).map(|n| vec![n as u8; n % 5]).collect();
    let slices: Vec<IoSlice<'_>> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
    file.write_all_at(&slices, 7).unwrap();
    file.write_all_at(&[], 0).unwrap();
    file.write_all_at(&[IoSlice::new(b"")], 1 << 20).unwrap();
    let expected: Vec<u8> = [vec![0; 7], pieces.concat()].concat();
    assert_eq!(disk.read(&root.join("a.log")).unwrap(), expected);
}

fn the_length_can_be_set(disk: &DynDisk, root: &Path) {
    let path = root.join("a.index");
    let file = disk.open(&path, Open::Create).unwrap();
    write(&file, &[7; 9_000], 0);
    file.set_len(5_000).unwrap();
    file.set_len(9_000).unwrap();
    let bytes = disk.read(&path).unwrap();
    assert_eq!((bytes.len(), &bytes[..5_000]), (9_000, &[7; 5_000][..]));
    assert!(bytes[5_000..].iter().all(|byte| *byte == 0));
    assert_eq!(disk.metadata(&path).unwrap().len, 9_000);
}

fn opening_tells_what_it_wants(disk: &DynDisk, root: &Path) {
    let path = root.join("a.log");
    assert_eq!(kind(disk.open(&path, Open::Read)), ErrorKind::NotFound);
    assert_eq!(kind(disk.open(&path, Open::ReadWrite)), ErrorKind::NotFound);
    assert_eq!(kind(disk.metadata(&path)), ErrorKind::NotFound);
    assert_eq!(kind(disk.open(&path.join("b"), Open::Create)), ErrorKind::NotFound);
    write(&disk.open(&path, Open::CreateNew).unwrap(), b"kept", 0);
    assert_eq!(kind(disk.open(&path, Open::CreateNew)), ErrorKind::AlreadyExists);
    assert_eq!(disk.open(&path, Open::Create).unwrap().size().unwrap(), 4);
    assert_eq!(kind(disk.open(&path.join("b"), Open::Create)), ErrorKind::NotADirectory);
    assert_eq!(kind(disk.open(root, Open::ReadWrite)), ErrorKind::IsADirectory);
    assert_eq!(kind(disk.create_dir_all(&path)), ErrorKind::AlreadyExists);
    disk.create_dir_all(root).unwrap();
}

fn a_reader_cannot_write(disk: &DynDisk, root: &Path) {
    let path = root.join("a.log");
    write(&disk.open(&path, Open::Create).unwrap(), b"kept", 0);
    let reader = disk.open(&path, Open::Read).unwrap();
    assert!(reader.write_all_at(&[IoSlice::new(b"x")], 0).is_err());
    assert!(reader.set_len(0).is_err());
    assert_eq!(disk.read(&path).unwrap(), b"kept");
}

fn a_rename_replaces_its_target(disk: &DynDisk, root: &Path) {
    let (from, to) = (root.join("a.tmp"), root.join("a"));
    assert_eq!(kind(disk.rename(&from, &to)), ErrorKind::NotFound);
    write(&disk.open(&to, Open::Create).unwrap(), b"old and long", 0);
    write(&disk.open(&from, Open::Create).unwrap(), b"new", 0);
    disk.rename(&from, &to).unwrap();
    assert_eq!(disk.read(&to).unwrap(), b"new");
    assert_eq!(kind(disk.metadata(&from)), ErrorKind::NotFound);
    disk.rename(&to, &to).unwrap();
    disk.create_dir_all(&root.join("full/inner")).unwrap();
    disk.create_dir_all(&root.join("empty")).unwrap();
    assert_eq!(kind(disk.rename(&to, &root.join("empty"))), ErrorKind::IsADirectory);
    assert_eq!(kind(disk.rename(&root.join("empty"), &to)), ErrorKind::NotADirectory);
    let onto_full = disk.rename(&root.join("empty"), &root.join("full"));
    assert_eq!(kind(onto_full), ErrorKind::DirectoryNotEmpty);
    disk.rename(&root.join("full"), &root.join("empty")).unwrap();
    assert!(disk.metadata(&root.join("empty/inner")).unwrap().is_dir);
}

fn a_renamed_folder_takes_its_files_along(disk: &DynDisk, root: &Path) {
    disk.create_dir_all(&root.join("t-0")).unwrap();
    let file = disk.open(&root.join("t-0/0.log"), Open::Create).unwrap();
    disk.rename(&root.join("t-0"), &root.join("t-0.x-delete")).unwrap();
    write(&file, b"late", 0);
    assert_eq!(disk.read(&root.join("t-0.x-delete/0.log")).unwrap(), b"late");
    assert_eq!(kind(disk.list(&root.join("t-0"))), ErrorKind::NotFound);
}

fn an_open_file_outlives_its_name(disk: &DynDisk, root: &Path) {
    let path = root.join("a.log");
    let file = disk.open(&path, Open::Create).unwrap();
    write(&file, b"old", 0);
    disk.remove_file(&path).unwrap();
    assert_eq!(kind(disk.remove_file(&path)), ErrorKind::NotFound);
    write(&disk.open(&path, Open::CreateNew).unwrap(), b"new", 0);
    let mut bytes = [0; 3];
    file.read_exact_at(&mut bytes, 0).unwrap();
    assert_eq!(&bytes, b"old");
    file.sync_data().unwrap();
}

fn a_list_is_in_the_order_of_names(disk: &DynDisk, root: &Path) {
    for name in ["b.log", "a.log", "00000000000000000010.log", "B.log"] {
        disk.open(&root.join(name), Open::Create).unwrap();
    }
    disk.create_dir_all(&root.join("a-0/deeper")).unwrap();
    let entries = disk.list(root).unwrap();
    let names: Vec<(&str, bool)> = entries.iter().map(|e| (e.name.as_str(), e.is_dir)).collect();
    let expected = [
        ("00000000000000000010.log", false),
        ("B.log", false),
        ("a-0", true),
        ("a.log", false),
        ("b.log", false),
    ];
    assert_eq!(names, expected);
    assert_eq!(kind(disk.list(&root.join("a.log"))), ErrorKind::NotADirectory);
}

fn a_tree_is_removed_whole(disk: &DynDisk, root: &Path) {
    disk.create_dir_all(&root.join("t-0/deeper")).unwrap();
    disk.open(&root.join("t-0/deeper/a.log"), Open::Create).unwrap();
    assert!(disk.remove_file(&root.join("t-0")).is_err());
    disk.remove_dir_all(&root.join("t-0")).unwrap();
    assert_eq!(disk.list(root).unwrap(), []);
    assert_eq!(kind(disk.remove_dir_all(&root.join("t-0"))), ErrorKind::NotFound);
}

fn a_lock_has_one_holder(disk: &DynDisk, root: &Path) {
    let path = root.join(".lock");
    let held = disk.lock(&path).unwrap();
    assert_eq!(kind(disk.lock(&path)), ErrorKind::WouldBlock);
    // To open and close the file does not let go of it.
    drop(disk.open(&path, Open::Read).unwrap());
    assert_eq!(kind(disk.lock(&path)), ErrorKind::WouldBlock);
    drop(held);
    disk.lock(&path).unwrap();
    assert_eq!(disk.metadata(&path).unwrap().len, 0);
}

fn syncs_answer(disk: &DynDisk, root: &Path) {
    let file = disk.open(&root.join("a.log"), Open::Create).unwrap();
    write(&file, &[1; 10_000], 0);
    file.start_write_back(0, 10_000).unwrap();
    file.start_write_back(5_000, 0).unwrap();
    file.sync_data().unwrap();
    disk.sync_dir(root).unwrap();
    disk.sync_file_system(root).unwrap();
    assert_eq!(kind(disk.sync_dir(&root.join("none"))), ErrorKind::NotFound);
    assert_eq!(kind(disk.sync_dir(&root.join("a.log"))), ErrorKind::NotADirectory);
}

fn the_time_of_change_can_be_set(disk: &DynDisk, root: &Path) {
    let path = root.join("a.log");
    let file = disk.open(&path, Open::Create).unwrap();
    let time = UNIX_EPOCH + Duration::new(1_234_567_890, 5_000_000);
    file.set_modified(time).unwrap();
    assert_eq!(disk.metadata(&path).unwrap().modified, time);
    write(&file, b"x", 0);
    assert!(disk.metadata(&path).unwrap().modified > time);
}

fn space_is_free(disk: &DynDisk, root: &Path) {
    let space = disk.space(root).unwrap();
    assert!(0 < space.free && space.free <= space.total, "{space:?}");
}

fn a_small_file_is_replaced_whole(disk: &DynDisk, root: &Path) {
    let path = root.join("checkpoint");
    disk.replace(&path, b"a long first version").unwrap();
    disk.replace(&path, b"short").unwrap();
    assert_eq!(disk.read(&path).unwrap(), b"short");
    assert_eq!(disk.list(root).unwrap().len(), 1);
}

fn a_read_range_is_cached(disk: &DynDisk, root: &Path) {
    let file = disk.open(&root.join("a.log"), Open::Create).unwrap();
    write(&file, &[1; 20_000], 0);
    let mut bytes = [0; 20_000];
    file.read_exact_at(&mut bytes, 0).unwrap();
    assert!(file.is_cached(0, 20_000));
    assert!(file.is_cached(19_999, 1));
}
