//! A log directory on the real disk, batches to put into it, and clocks that count CPU.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::BytesMut;
use milena_env::{Random, RealClock, RealDisk};
use milena_protocol::{
    LeaderEpoch, Offset, Uuid,
    records::{self, BatchBuilder, Budget, Rules, Scratch, TimestampRule, Validated},
};
use milena_storage::{
    DirectoryConfig, DirectoryIdentity, Log, LogConfig, LogDirectory, OpenOptions, TopicPartition,
    Workers, producers::Origin,
};
use rustix::time::{ClockId, clock_gettime};

/// CPU time of this process, all threads.
pub(crate) fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Wall and CPU time of `work`.
pub(crate) fn measure(work: impl FnOnce()) -> (Duration, Duration) {
    let (wall, before) = (Instant::now(), cpu());
    work();
    (wall.elapsed(), cpu() - before)
}

/// A folder of this run; removed when dropped.
pub(crate) struct Folder(pub PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Self {
        let base = std::env::var_os("MILENA_BENCH_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_TARGET_TMPDIR")), PathBuf::from);
        let path = base.join(format!("milena-bench-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub(crate) fn log_config(journalled: bool) -> Arc<LogConfig> {
    let flush_messages = if journalled { 1 } else { i64::MAX };
    Arc::new(LogConfig { flush_messages, ..LogConfig::default() })
}

pub(crate) fn open(path: &Path, config: &Arc<LogConfig>) -> Arc<LogDirectory> {
    let open_segments_max = 16_384;
    open_with(path, config, DirectoryConfig { open_segments_max, ..DirectoryConfig::default() })
}

pub(crate) fn open_with(
    path: &Path,
    log_config: &Arc<LogConfig>,
    config: DirectoryConfig,
) -> Arc<LogDirectory> {
    LogDirectory::open(OpenOptions {
        disk: Arc::new(RealDisk),
        clock: Arc::new(RealClock),
        path: path.to_owned(),
        identity: DirectoryIdentity {
            cluster_id: None,
            new_cluster_id: "bench".to_owned(),
            node_id: 1,
            new_directory_id: Uuid::from_u128(5),
        },
        config,
        new_ring_key: [3; 16],
        first: None,
        log_config: &|_| Arc::clone(log_config),
        workers: Workers::Threads,
        threads: 2,
    })
    .unwrap()
}

pub(crate) fn logs(
    directory: &LogDirectory,
    count: usize,
    config: &Arc<LogConfig>,
) -> Vec<Arc<Log>> {
    let create = |partition| {
        let name = TopicPartition { topic: "bench".into(), partition };
        directory.create(name, Uuid::from_u128(9), Arc::clone(config)).unwrap()
    };
    (0..count as i32).map(create).collect()
}

/// A batch of about `size` bytes in records of 1 KiB, and what validating it said.
pub(crate) fn batch(size: usize) -> (BytesMut, Validated) {
    let mut random = Random::from_seed(size as u64);
    let mut builder = BatchBuilder::new(Offset::ZERO);
    let mut left = size.saturating_sub(61);
    while left > 0 {
        let mut value = vec![0; left.min(1024).saturating_sub(12).max(1)];
        random.fill(&mut value);
        builder.append(1_700_000_000_000, None, Some(&value), []);
        left = left.saturating_sub(1024);
    }
    let mut bytes = Vec::new();
    builder.build(&mut bytes).unwrap();
    let bytes = BytesMut::from(&bytes[..]);
    let validated = validate(&bytes);
    (bytes, validated)
}

pub(crate) fn validate(bytes: &[u8]) -> Validated {
    let rules = Rules {
        produce_version: 11,
        batch_bytes_max: 1 << 24,
        is_compacted: false,
        timestamps: TimestampRule::Create { before_max_ms: i64::MAX, after_max_ms: i64::MAX },
        now_ms: 1_700_000_000_000,
        origin: records::Origin::Client,
        budget: Budget::default(),
    };
    records::validate(bytes, &rules, &mut Scratch::new()).unwrap()
}

pub(crate) fn append(log: &Arc<Log>, batch: BytesMut, validated: &Validated) -> Offset {
    log.append_as_leader(batch, validated, LeaderEpoch(0), Origin::Client).unwrap().end
}

/// Waits, on this thread, until all of `ends` are durable.
pub(crate) fn wait_durable(ends: &[(Arc<Log>, Offset)]) {
    for (log, end) in ends {
        let end = *end;
        assert!(block_on(log.wait_durable(end)), "{log:?} does not reach {end}");
    }
}

/// The smallest executor: parks this thread until the future is woken.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(std::thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Arc::new(Unpark(std::thread::current())).into();
    let mut context = std::task::Context::from_waker(&waker);
    let mut future = std::pin::pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            std::task::Poll::Ready(value) => return value,
            std::task::Poll::Pending => std::thread::park(),
        }
    }
}

/// The value below which `percent` of the samples lie.
pub(crate) fn percentile(samples: &mut [Duration], percent: f64) -> Duration {
    samples.sort_unstable();
    let index = ((samples.len() as f64 - 1.0) * percent / 100.0).round() as usize;
    samples.get(index).copied().unwrap_or_default()
}

pub(crate) fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
