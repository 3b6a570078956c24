//! Names of files and folders, as Kafka spells them.
//!
//! Pure: it says what a name means and never looks whether anything has it. Which topic names are
//! allowed is the caller's business; any name may be parsed, and one that Kafka would not have
//! written is `None`. The table of names is `docs/formats/directory-layout.md`.

use std::fmt;

use milena_protocol::Offset;

pub const META_PROPERTIES: &str = "meta.properties";
pub const LOCK: &str = ".lock";
pub const CLEAN_SHUTDOWN: &str = ".kafka_cleanshutdown";
pub const RECOVERY_POINTS: &str = "recovery-point-offset-checkpoint";
pub const LOG_START_OFFSETS: &str = "log-start-offset-checkpoint";
pub const HIGH_WATERMARKS: &str = "replication-offset-checkpoint";
pub const CLEANER_OFFSETS: &str = "cleaner-offset-checkpoint";
pub const BOOTSTRAP: &str = "bootstrap.checkpoint";
pub const CLEAN_STOP: &str = "milena-clean-stop";
pub const LEADER_EPOCHS: &str = "leader-epoch-checkpoint";
pub const PARTITION_METADATA: &str = "partition.metadata";
/// Kafka's folder for indexes of tiered segments, the only one that is no partition's.
pub const REMOTE_INDEX_CACHE: &str = "remote-log-index-cache";
/// What [`milena_env::Disk`] adds to the name of a file that it replaces.
pub const TEMPORARY: &str = ".tmp";

/// The files that a log directory may hold beside its partitions and the journal.
pub const LOG_DIR_FILES: [&str; 9] = [
    META_PROPERTIES,
    LOCK,
    CLEAN_SHUTDOWN,
    RECOVERY_POINTS,
    LOG_START_OFFSETS,
    HIGH_WATERMARKS,
    CLEANER_OFFSETS,
    BOOTSTRAP,
    CLEAN_STOP,
];

const OFFSET_DIGITS: usize = 20;
pub const NAME_CHARS_MAX: usize = 255;
const JOURNAL: &str = "milena-journal-";

/// What a file of a segment holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FileKind {
    Log,
    OffsetIndex,
    TimeIndex,
    TransactionIndex,
    /// Named by the offset after its last batch, which need not be a segment's.
    ProducerSnapshot,
}

impl FileKind {
    const ALL: [Self; 5] = [
        Self::Log,
        Self::OffsetIndex,
        Self::TimeIndex,
        Self::TransactionIndex,
        Self::ProducerSnapshot,
    ];

    #[must_use]
    pub const fn suffix(self) -> &'static str {
        match self {
            Self::Log => ".log",
            Self::OffsetIndex => ".index",
            Self::TimeIndex => ".timeindex",
            Self::TransactionIndex => ".txnindex",
            Self::ProducerSnapshot => ".snapshot",
        }
    }
}

/// Where a file stands between being written and being removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    Live,
    /// Waits for its removal.
    Deleted,
    /// Compaction is writing it.
    Cleaned,
    /// Compaction finished it; it is to take the place of the segments it was made from.
    Swap,
}

impl Stage {
    const ALL: [Self; 4] = [Self::Live, Self::Deleted, Self::Cleaned, Self::Swap];

    #[must_use]
    pub const fn suffix(self) -> &'static str {
        match self {
            Self::Live => "",
            Self::Deleted => ".deleted",
            Self::Cleaned => ".cleaned",
            Self::Swap => ".swap",
        }
    }
}

/// One file of a segment; `Display` is its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SegmentFile {
    pub base_offset: Offset,
    pub kind: FileKind,
    pub stage: Stage,
}

impl SegmentFile {
    #[must_use]
    pub const fn live(base_offset: Offset, kind: FileKind) -> Self {
        Self { base_offset, kind, stage: Stage::Live }
    }

    #[must_use]
    pub const fn with_stage(self, stage: Stage) -> Self {
        Self { stage, ..self }
    }

    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let (digits, suffixes) = name.split_at_checked(OFFSET_DIGITS)?;
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let base_offset = Offset(digits.parse().ok()?);
        FileKind::ALL.into_iter().find_map(|kind| {
            let rest = suffixes.strip_prefix(kind.suffix())?;
            let stage = Stage::ALL.into_iter().find(|stage| stage.suffix() == rest)?;
            Some(Self { base_offset, kind, stage })
        })
    }
}

impl fmt::Display for SegmentFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let offset = self.base_offset.0;
        write!(f, "{offset:0OFFSET_DIGITS$}{}{}", self.kind.suffix(), self.stage.suffix())
    }
}

/// What the end of a partition folder's name says about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mark {
    Delete,
    Stray,
    Future,
}

impl Mark {
    const ALL: [Self; 3] = [Self::Delete, Self::Stray, Self::Future];

    const fn suffix(self) -> &'static str {
        match self {
            Self::Delete => "-delete",
            Self::Stray => "-stray",
            Self::Future => "-future",
        }
    }
}

/// What a partition folder's name says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartitionFolder<'a> {
    /// Cut at its end where the folder is marked for deletion or stray and the topic is long.
    pub topic: &'a str,
    pub partition: i32,
    pub mark: Option<Mark>,
}

impl<'a> PartitionFolder<'a> {
    #[must_use]
    pub fn parse(name: &'a str) -> Option<Self> {
        let marked = Mark::ALL.into_iter().find_map(|mark| {
            let rest = name.strip_suffix(mark.suffix())?;
            Some((mark, rest))
        });
        let (mark, plain) = match marked {
            None => (None, name),
            Some((mark, rest)) => {
                let (plain, id) = rest.rsplit_once('.')?;
                if id.is_empty() {
                    return None;
                }
                (Some(mark), plain)
            }
        };
        let (topic, number) = plain.rsplit_once('-')?;
        let canonical = number.bytes().all(|byte| byte.is_ascii_digit())
            && (number.len() == 1 || !number.starts_with('0'));
        if topic.is_empty() || !canonical {
            return None;
        }
        Some(Self { topic, partition: number.parse().ok()?, mark })
    }
}

/// The folder of a partition.
#[must_use]
pub fn partition_folder(topic: &str, partition: i32) -> String {
    format!("{topic}-{partition}")
}

/// The folder of a partition that is marked. `id` makes it different from every other.
///
/// To stay within what file systems allow the topic is cut, except for [`Mark::Future`], whose
/// folder must tell its topic: creating one for a topic of more than 208 or so characters fails.
#[must_use]
pub fn marked_partition_folder(topic: &str, partition: i32, mark: Mark, id: u128) -> String {
    let rest = format!("-{partition}.{id:032x}{}", mark.suffix());
    let room = match mark {
        Mark::Future => topic.len(),
        Mark::Delete | Mark::Stray => NAME_CHARS_MAX - rest.len(),
    };
    let cut = topic.floor_char_boundary(room);
    let topic = topic.get(..cut).unwrap_or(topic);
    format!("{topic}{rest}")
}

/// The journal's file with this number.
#[must_use]
pub fn journal_file(number: u32) -> String {
    format!("{JOURNAL}{number}")
}

/// The number of a journal file.
#[must_use]
pub fn parse_journal_file(name: &str) -> Option<u32> {
    let number = name.strip_prefix(JOURNAL)?.parse().ok()?;
    (journal_file(number) == name).then_some(number)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn segment_files_are_spelled_like_kafkas() {
        let log = SegmentFile::live(Offset(4711), FileKind::Log);
        assert_eq!(log.to_string(), "00000000000000004711.log");
        let swap = SegmentFile::live(Offset(i64::MAX), FileKind::TimeIndex).with_stage(Stage::Swap);
        assert_eq!(swap.to_string(), "09223372036854775807.timeindex.swap");
        for kind in FileKind::ALL {
            for stage in Stage::ALL {
                let file = SegmentFile { base_offset: Offset(1 << 40), kind, stage };
                assert_eq!(SegmentFile::parse(&file.to_string()), Some(file));
            }
        }
    }

    #[test]
    fn what_is_no_segment_file_is_not_taken_for_one() {
        for name in [
            "",
            ".log",
            "4711.log",
            "0000000000000000471x.log",
            "-0000000000000004711.log",
            "+0000000000000004711.log",
            "000000000000000004711.log",
            "00000000000000004711.logs",
            "00000000000000004711.log.tmp",
            "00000000000000004711.log.deleted.deleted",
            "00000000000000004711",
            "99999999999999999999.log",
            "0000000000000000471é.log",
            "leader-epoch-checkpoint",
        ] {
            assert_eq!(SegmentFile::parse(name), None, "{name}");
        }
    }

    #[test]
    fn marked_folders_are_spelled_like_kafkas() {
        let id = 0x0123_4567_89ab_cdef_0123_4567_89ab_cdef;
        assert_eq!(
            marked_partition_folder("orders", 3, Mark::Delete, id),
            "orders-3.0123456789abcdef0123456789abcdef-delete"
        );
        let long = "t".repeat(249);
        let name = marked_partition_folder(&long, 12, Mark::Stray, 7);
        assert_eq!(name.len(), 255);
        let folder = PartitionFolder::parse(&name).unwrap();
        assert_eq!((folder.partition, folder.mark), (12, Some(Mark::Stray)));
        assert!(long.starts_with(folder.topic) && folder.topic.len() == 213);
        let future = marked_partition_folder(&long, 12, Mark::Future, 7);
        assert_eq!(PartitionFolder::parse(&future).unwrap().topic, long);
    }

    #[test]
    fn what_is_no_partition_folder_is_not_taken_for_one() {
        for name in [
            "",
            "-",
            "orders",
            "-0",
            "orders-",
            "orders-x",
            "orders-+1",
            "orders-01",
            "orders-2147483648",
            "orders-0-delete",
            "orders-0.-delete",
            "orders.id-delete",
            "orders-0.id-deleted",
            REMOTE_INDEX_CACHE,
        ] {
            assert_eq!(PartitionFolder::parse(name), None, "{name}");
        }
    }

    #[test]
    fn journal_files_have_one_spelling() {
        assert_eq!(parse_journal_file(&journal_file(17)), Some(17));
        for name in ["milena-journal-", "milena-journal-01", "milena-journal-+1", "milena-journal"]
        {
            assert_eq!(parse_journal_file(name), None, "{name}");
        }
    }

    proptest! {
        #[test]
        fn folders_mean_what_they_were_made_of(
            topic in "[a-zA-Z0-9._-]{1,200}",
            partition in 0..=i32::MAX,
            mark in prop::sample::select(vec![
                None, Some(Mark::Delete), Some(Mark::Stray), Some(Mark::Future),
            ]),
            id: u128,
        ) {
            let name = match mark {
                None => partition_folder(&topic, partition),
                Some(mark) => marked_partition_folder(&topic, partition, mark, id),
            };
            let folder = PartitionFolder { topic: &topic, partition, mark };
            prop_assert_eq!(PartitionFolder::parse(&name), Some(folder));
        }

        #[test]
        fn no_name_is_too_strange(name in ".{0,60}") {
            if let Some(file) = SegmentFile::parse(&name) {
                prop_assert_eq!(file.to_string(), &*name);
            }
            let _ = PartitionFolder::parse(&name);
            let _ = parse_journal_file(&name);
        }
    }
}
