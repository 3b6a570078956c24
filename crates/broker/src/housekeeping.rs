//! What goes on in the background: old records are deleted, compacted topics cleaned, silent
//! producers forgotten, logs synced, the controller told where partitions lie. Each has its thread,
//! since a long compaction must not hold up retention; the rate of compaction is bounded by
//! `log.cleaner.io.max.bytes.per.second`. What is set of the cleaner is looked up for every log,
//! since it may be changed.

use std::{
    io,
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use milena_config::server;
use milena_env::spawn_thread;
use milena_protocol::Offset;
use milena_storage::{Cleaner, CleanerOptions, Log, LogDirectory};

use crate::{
    broker::Broker,
    partition::{
        placement::{self, Told},
        table::Partitions,
    },
};

/// How soon it shows that a time to wait was changed.
const CHANGES_SHOW: Duration = Duration::from_secs(1);

/// A log directory syncs its logs as often of its own accord.
const FLUSHED_ANYWAY: Duration = Duration::from_secs(60);

/// Tells the threads to end, and wakes them for it.
#[derive(Debug, Default)]
struct Stop {
    /// A compaction that is under way looks at it, too.
    stopped: Arc<AtomicBool>,
    /// Held while it is set, so that nobody falls asleep meanwhile.
    sleeping: Mutex<()>,
    changed: Condvar,
}

impl Stop {
    fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    fn stop(&self) {
        let sleeping = self.sleeping.lock().unwrap_or_else(PoisonError::into_inner);
        self.stopped.store(true, Ordering::Relaxed);
        drop(sleeping);
        self.changed.notify_all();
    }

    /// Waits; says whether the thread is to go on.
    fn wait(&self, time: Duration) -> bool {
        let sleeping = self.sleeping.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.changed.wait_timeout_while(sleeping, time, |()| !self.is_stopped());
        drop(waited);
        !self.is_stopped()
    }

    /// Waits as long as it is told, which may change meanwhile; says whether to go on.
    fn wait_as_told(&self, time: impl Fn() -> Duration) -> bool {
        let mut waited = Duration::ZERO;
        loop {
            let step = time().saturating_sub(waited).min(CHANGES_SHOW);
            if !self.wait(step) || step.is_zero() {
                return !self.is_stopped();
            }
            waited += step;
        }
    }
}

/// The cleaner as it is set.
struct Settled {
    settings: server::Cleaner,
    secret: [u8; 16],
    is_stopped: Arc<AtomicBool>,
    cleaner: Cleaner,
}

impl Settled {
    fn new(settings: &server::Cleaner, secret: [u8; 16], is_stopped: &Arc<AtomicBool>) -> Self {
        let rate = settings.bytes_per_second_max;
        let cleaner = Cleaner::new(CleanerOptions {
            dedupe_buffer_bytes: settings.key_memory_bytes as usize,
            // Kafka's default is the greatest number there is: no bound.
            io_bytes_per_second: (rate < u64::MAX as f64).then_some(rate as u64),
            secret,
        });
        let is_stopped = Arc::clone(is_stopped);
        let cleaner = cleaner.stopped_by(Arc::clone(&is_stopped));
        Self { settings: settings.clone(), secret, is_stopped, cleaner }
    }

    /// The cleaner, made anew if something else is set by now.
    fn as_of(&mut self, settings: &server::Cleaner) -> &mut Cleaner {
        if self.settings != *settings {
            *self = Self::new(settings, self.secret, &self.is_stopped);
        }
        &mut self.cleaner
    }
}

#[derive(Debug)]
pub(crate) struct Housekeeping {
    stop: Arc<Stop>,
    threads: Vec<JoinHandle<()>>,
}

impl Housekeeping {
    pub(crate) fn start(broker: &Arc<Broker>, secret: [u8; 16]) -> io::Result<Self> {
        let Broker { config, directories, partitions, .. } = &**broker;
        let logs = &config.load().logs;
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
        if logs.cleaner.enabled {
            let mut settled = Settled::new(&logs.cleaner, secret, &stop.stopped);
            let (ours, here) = (directories.to_vec(), Arc::clone(partitions));
            let (stopping, config) = (Arc::clone(&stop), Arc::clone(config));
            threads.push(spawn_thread("cleaner", move || {
                let backoff =
                    || Duration::from_millis(config.load().logs.cleaner.backoff_ms.max(1));
                let mut clean_one = |directory: &LogDirectory| {
                    let settings = &config.load().logs.cleaner;
                    settings.threads > 0 && clean(directory, settled.as_of(settings), &here)
                };
                while stopping.wait_as_told(backoff) {
                    for directory in &ours {
                        while clean_one(directory) && stopping.wait(Duration::ZERO) {}
                    }
                }
            })?);
        }
        let interval = Duration::from_millis(logs.flush_check_interval_ms.max(1));
        if interval < FLUSHED_ANYWAY {
            let (ours, stopping) = (directories.to_vec(), Arc::clone(&stop));
            threads.push(spawn_thread("flusher", move || {
                while stopping.wait(interval) {
                    // What fails takes its directory offline, and is logged there.
                    ours.iter().for_each(|directory| drop(directory.checkpoint()));
                }
            })?);
        }
        if directories.len() > 1 {
            let (broker, stopping) = (Arc::clone(broker), Arc::clone(&stop));
            let runtime = tokio::runtime::Builder::new_current_thread().build()?;
            threads.push(spawn_thread("placement", move || {
                let mut told = Told::default();
                while stopping.wait(placement::LOOK) {
                    runtime.block_on(told.tell(&broker));
                }
            })?);
        }
        Ok(Self { stop, threads })
    }

    /// Ends the threads: before the log directories are closed. A compaction is given up.
    pub(crate) fn stop(self) {
        self.stop.stop();
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

#[cfg(test)]
mod test {
    use std::sync::atomic::{AtomicU64, Ordering};

    use milena_config::ServerConfig;

    use super::*;

    #[test]
    fn a_rest_that_is_made_shorter_ends_soon() {
        let (stop, rest_s) = (Arc::new(Stop::default()), Arc::new(AtomicU64::new(3600)));
        let (told, stopping) = (Arc::clone(&rest_s), Arc::clone(&stop));
        let (ended, end) = std::sync::mpsc::channel();
        let resting = spawn_thread("resting", move || {
            let rest = || Duration::from_secs(told.load(Ordering::SeqCst));
            while stopping.wait_as_told(rest) {
                told.store(3600, Ordering::SeqCst);
                ended.send(()).unwrap();
            }
        })
        .unwrap();
        assert!(end.recv_timeout(Duration::from_millis(50)).is_err());
        rest_s.store(0, Ordering::SeqCst);
        end.recv_timeout(CHANGES_SHOW * 10).unwrap();
        stop.stop();
        resting.join().unwrap();
    }

    #[test]
    fn the_cleaner_is_made_anew_when_it_is_set_otherwise() {
        let settings = ServerConfig::parse(&[]).unwrap().0.logs.cleaner;
        let mut settled = Settled::new(&settings, [7; 16], &Arc::default());
        let slower = server::Cleaner { bytes_per_second_max: 1000.0, ..settings };
        let shown = format!("{:?}", settled.as_of(&slower));
        assert!(shown.contains("io_bytes_per_second: Some(1000)"), "{shown}");
        assert_eq!(settled.settings, slower);
    }
}
