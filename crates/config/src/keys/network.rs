//! Keys of the network: listeners, connections, threads, requests.

use crate::definition::{Check, Definition, int, list, long, string};

#[rustfmt::skip]
pub(super) const KEYS: &[Definition] = &[
    list("advertised.listeners").check(Check::NotEmpty).high()
        .says("What clients are told to connect to; the listeners themselves where unset."),
    int("background.threads").or("10").at_least(1.0).high().cluster_wide()
        .says("Accepted and ignored: what may block has threads only while it needs them."),
    int("connection.failed.authentication.delay.ms").or("100").at_least(0.0).low()
        .says("Not served yet: how long a connection that failed to log in is kept before it is \
               closed."),
    long("connections.max.idle.ms").or("600000")
        .says("A connection on which nothing happened for so long is closed."),
    int("delete.records.purgatory.purge.interval.requests").or("1")
        .says("Accepted and ignored: waiting deletions leave by themselves."),
    list("early.start.listeners").high()
        .says("Not served yet: listeners that accept before the authorizer has loaded its rules."),
    int("fetch.max.bytes").or("57671680").at_least(1024.0)
        .says("Bytes that one answer to a fetch holds at most, save its first batch."),
    int("fetch.purgatory.purge.interval.requests").or("1000")
        .says("Accepted and ignored: a waiting fetch is one waiter that leaves by itself."),
    string("inter.broker.listener.name")
        .says("Not served yet: the listener over which brokers talk to each other."),
    string("listener.security.protocol.map")
        .or("SASL_SSL:SASL_SSL,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT")
        .low().per_broker()
        .says("Which security protocol each listener speaks, as NAME:PROTOCOL."),
    list("listeners").or("PLAINTEXT://127.0.0.1:9092").check(Check::NotEmpty).high().per_broker()
        .says("Addresses on which the broker accepts, as NAME://host:port."),
    int("max.connection.creation.rate").or("2147483647").at_least(0.0).cluster_wide()
        .says("New connections a second that are accepted at most."),
    int("max.connections").or("2147483647").at_least(0.0).cluster_wide()
        .says("Connections that are open at once at most."),
    int("max.connections.per.ip").or("2147483647").at_least(0.0).cluster_wide()
        .says("Connections from one address that are open at once at most."),
    string("max.connections.per.ip.overrides").or("").cluster_wide()
        .says("Other limits for single addresses, as host:count."),
    int("max.incremental.fetch.session.cache.slots").or("1000").at_least(0.0)
        .says("Fetch sessions that are remembered at once."),
    int("max.request.partition.size.limit").or("2000").at_least(1.0)
        .says("Partitions that one DescribeTopicPartitions answer holds at most."),
    int("num.io.threads").or("8").at_least(1.0).high().cluster_wide()
        .says("Accepted and ignored: a request is served on the thread that read it."),
    int("num.network.threads").or("3").at_least(1.0).high().cluster_wide()
        .says("Threads that read, serve and answer requests, each with its own connections."),
    int("producer.purgatory.purge.interval.requests").or("1000")
        .says("Accepted and ignored: waiting writes leave by themselves."),
    long("queued.max.request.bytes").or("-1")
        .says("Lowers milena.memory.budget.bytes if it is less; -1 leaves it alone."),
    int("queued.max.requests").or("500").at_least(1.0).high()
        .says("Accepted and ignored: bytes in flight are bounded, not requests."),
    int("request.timeout.ms").or("30000").high()
        .says("Not served yet: how long the broker waits for an answer to a request of its own."),
    int("share.fetch.purgatory.purge.interval.requests").or("1000")
        .says("Accepted and ignored: waiting share fetches leave by themselves."),
    long("socket.connection.setup.timeout.max.ms").or("30000")
        .says("Not served yet: longest wait for a connection that the broker opens, after \
               retries."),
    long("socket.connection.setup.timeout.ms").or("10000")
        .says("Not served yet: first wait for a connection that the broker opens."),
    int("socket.listen.backlog.size").or("50").at_least(1.0)
        .says("Accepted and ignored: a thousand connections may wait to be accepted."),
    int("socket.receive.buffer.bytes").or("102400").high()
        .says("Accepted and ignored: the system sizes the buffers of sockets."),
    int("socket.request.max.bytes").or("104857600").at_least(1.0).high()
        .says("Longest request that is read."),
    int("socket.send.buffer.bytes").or("102400").high()
        .says("Accepted and ignored: the system sizes the buffers of sockets as it needs."),
];
