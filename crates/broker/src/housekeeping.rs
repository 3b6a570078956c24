//! What goes on in the background: old records are deleted, compacted topics cleaned, silent
//! producers forgotten. Two threads, since a long compaction must not hold up retention; the rate
//! of compaction is bounded by `log.cleaner.io.max.bytes.per.second`.

use std::{
    io,
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread::JoinHandle,
    time::Duration,
};

use milena_config::server::Logs;
use milena_env::spawn_thread;
use milena_protocol::Offset;
use milena_storage::{Cleaner, CleanerOptions, Log, LogDirectory};

use crate::partition::table::Partitions;

/// Tells the threads to end, and wakes them for it.
#[derive(Debug, Default)]
struct Stop {
    stopped: Mutex<bool>,
    changed: Condvar,
}

impl Stop {
    /// Waits; says whether the thread is to go on.
    fn wait(&self, time: Duration) -> bool {
        let stopped = self.stopped.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.changed.wait_timeout_while(stopped, time, |stopped| !*stopped);
        !*waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

#[derive(Debug)]
pub(crate) struct Housekeeping {
    stop: Arc<Stop>,
    threads: Vec<JoinHandle<()>>,
}

impl Housekeeping {
    pub(crate) fn start(
        logs: &Logs,
        secret: [u8; 16],
        directories: &[Arc<LogDirectory>],
        partitions: &Arc<Partitions>,
    ) -> io::Result<Self> {
        let stop = Arc::new(Stop::default());
        let mut threads = Vec::new();
        let interval = Duration::from_millis(logs.retention_check_interval_ms.max(1));
        let (ours, here, stopping) =
            (directories.to_vec(), Arc::clone(partitions), Arc::clone(&stop));
        threads.push(spawn_thread("retention", move || {
            while stopping.wait(interval) {
                ours.iter().for_each(|directory| retain(directory, &here));
            }
        })?);
        if logs.cleaner.enabled && logs.cleaner.threads > 0 {
            let rate = logs.cleaner.bytes_per_second_max;
            let mut cleaner = Cleaner::new(CleanerOptions {
                dedupe_buffer_bytes: logs.cleaner.key_memory_bytes as usize,
                // Kafka's default is the greatest number there is: no bound.
                io_bytes_per_second: (rate < u64::MAX as f64).then_some(rate as u64),
                secret,
            });
            let backoff = Duration::from_millis(logs.cleaner.backoff_ms.max(1));
            let (ours, here) = (directories.to_vec(), Arc::clone(partitions));
            let stopping = Arc::clone(&stop);
            threads.push(spawn_thread("cleaner", move || {
                while stopping.wait(backoff) {
                    for directory in &ours {
                        while clean(directory, &mut cleaner, &here) && stopping.wait(Duration::ZERO)
                        {
                        }
                    }
                }
            })?);
        }
        Ok(Self { stop, threads })
    }

    /// Ends the threads: before the log directories are closed.
    pub(crate) fn stop(self) {
        *self.stop.stopped.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.stop.changed.notify_all();
        for thread in self.threads {
            // A panic there was printed there; the logs are worth closing all the same.
            let _ = thread.join();
        }
    }
}

/// How far a log is replicated; one that nobody serves is left alone.
fn high_watermark(partitions: &Partitions, log: &Log) -> Offset {
    let topic = partitions.by_id(log.topic_id());
    let partition = topic.as_ref().and_then(|topic| topic.partition(log.name().partition));
    partition.map_or(Offset::ZERO, |partition| partition.high_watermark())
}

fn retain(directory: &LogDirectory, partitions: &Partitions) {
    if directory.offline().is_some() {
        return;
    }
    for log in directory.logs() {
        log.expire_producers();
        let bound = high_watermark(partitions, &log);
        if bound > Offset::ZERO {
            let deleted = log.apply_retention(bound);
            if deleted > 0 {
                tracing::info!(partition = %log.name(), deleted, "segments deleted by retention");
            }
        }
    }
}

/// Compacts the log that needs it most. Says whether there was one.
fn clean(directory: &LogDirectory, cleaner: &mut Cleaner, partitions: &Partitions) -> bool {
    if directory.offline().is_some() {
        return false;
    }
    // A failure was logged there, and that log is not tried again.
    let cleaned = directory.compact_dirtiest(cleaner, &|log| high_watermark(partitions, log));
    match cleaned {
        Ok(Some(cleaning)) => {
            let segments = (cleaning.segments_before, cleaning.segments_after);
            tracing::info!(partition = %cleaning.log, ?segments, "compacted");
            true
        }
        Ok(None) | Err(_) => false,
    }
}
