//! Every bound of the broker that is not a configuration key, in one place.

use std::time::Duration;

/// What is read of a connection before it is known how long the frame is.
pub(crate) const FIRST_READ_BYTES: usize = 16 << 10;

/// A frame up to this length gets all of its buffer at once; a longer one as its bytes arrive.
pub(crate) const FRAME_BYTES_AT_ONCE: usize = 1 << 20;

/// While somebody waits for the memory budget, less than this of a frame within [`STALLED_AFTER`]
/// makes it one whose connection may be closed. An honest client can be as slow as that. It is
/// safe while there is memory, and longer the less it holds: those that hold the most go first, and
/// no more of them than give back [`STALLED_SHARE`] of the budget. What is slow and large at such a
/// time has to be sent again; if it could stay, a few of its kind would stop everybody.
pub(crate) const STALLED_BYTES: usize = 128 << 10;
pub(crate) const STALLED_AFTER: Duration = Duration::from_secs(1);
/// An eighth.
pub(crate) const STALLED_SHARE: usize = 8;

/// How soon it shows that a client has gone whose last requests cannot be read yet.
pub(crate) const HANG_UP_LOOK: Duration = Duration::from_millis(500);

/// Produce requests of one connection that wait for their records to become durable.
pub(crate) const IN_FLIGHT_MAX: usize = 128;

/// Bytes of answers that a connection has not taken yet, above which it gets no more to do.
pub(crate) const UNSENT_BYTES_MAX: usize = 1 << 20;

/// Pieces of answers that go out with one system call.
pub(crate) const PIECES_AT_ONCE: usize = 64;

/// Partitions in all fetch sessions together; a client that finds no room names them each time.
pub(crate) const SESSION_PARTITIONS_MAX: usize = 1_000_000;

/// A partition of a fetch session that nobody marks as changed is looked at this often: that the
/// start of an idle log has moved is told late.
pub(crate) const SESSION_REST: Duration = Duration::from_secs(10);

/// Threads of each I/O thread that wait for the disk in its stead, there only while they are
/// needed.
pub(crate) const BLOCKING_THREADS: usize = 4;

/// Connections of addresses that connect too often, which are closed after a while; more of them
/// are closed at once.
pub(crate) const REFUSED_CONNECTIONS_MAX: usize = 1000;

/// Clients whose use is measured against quotas at once.
pub(crate) const QUOTA_PARTIES_MAX: usize = 100_000;

/// Clients whose pushed metrics are known at once.
pub(crate) const TELEMETRY_CLIENTS_MAX: usize = 10_000;

/// Bytes of metrics that are kept of all clients together.
pub(crate) const TELEMETRY_BYTES_MAX: usize = 16 << 20;

/// A client that has not pushed for so many intervals has gone, and its metrics are not shown.
pub(crate) const TELEMETRY_INTERVALS_MAX: u32 = 3;

/// Bytes of what one client pushed once it is decompressed, and of what all clients pushed while
/// one collector is answered. The newest pushes go before older ones.
pub(crate) const METRICS_PUSH_BYTES_MAX: usize = 4 << 20;
pub(crate) const METRICS_PLAIN_BYTES_MAX: usize = 64 << 20;

/// Numbers in one push, attributes of each, and bytes of a name or value that are shown.
pub(crate) const METRIC_POINTS_MAX: usize = 10_000;
pub(crate) const METRIC_ATTRIBUTES_MAX: usize = 32;
pub(crate) const METRIC_NAME_BYTES_MAX: usize = 256;

/// Bytes of what a collector is told.
pub(crate) const METRICS_TEXT_BYTES_MAX: usize = 16 << 20;

/// Collectors that are served at once, bytes of the head of their requests, and how long all of one
/// may take.
pub(crate) const METRICS_CONNECTIONS_MAX: usize = 8;
pub(crate) const METRICS_REQUEST_BYTES_MAX: usize = 8 << 10;
pub(crate) const METRICS_TIME_MAX: Duration = Duration::from_secs(5);

/// Protocols that a member of a classic group may offer.
pub(crate) const GROUP_PROTOCOLS_MAX: usize = 32;

/// Member ids that the groups of one partition of `__consumer_offsets` have given out, and that
/// have not joined yet.
pub(crate) const PENDING_MEMBERS_MAX: usize = 10_000;

/// Partitions of which one OffsetFetch may ask what groups have committed. An answer takes twenty
/// times as much as the request while it is made.
pub(crate) const OFFSET_FETCH_PARTITIONS_MAX: usize = 200_000;

/// Bytes of a pattern by which a member of a group subscribes: more than the names of 500 topics.
pub(crate) const PATTERN_BYTES_MAX: usize = 16 << 10;

/// Bytes of each automaton that such a pattern becomes on its way. Making the worst one takes a
/// fraction of a second.
pub(crate) const PATTERN_AUTOMATON_BYTES_MAX: usize = 512 << 10;

/// Such patterns that a broker keeps as automata, so that they need not be made again.
pub(crate) const PATTERNS_KEPT_MAX: usize = 16;

/// Different patterns that the members of a group subscribe by.
pub(crate) const GROUP_PATTERNS_MAX: usize = 64;

/// Bytes of the names of all topics that a group's patterns stand for: they are one batch of the
/// group's log.
pub(crate) const PATTERN_TOPICS_BYTES_MAX: usize = 1 << 20;

/// Bytes of patterns, each member's for itself, and of the names of what they stand for, of all
/// groups of one partition of `__consumer_offsets`.
pub(crate) const SHARD_PATTERN_BYTES_MAX: usize = 16 << 20;
