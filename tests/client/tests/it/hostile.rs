//! Servers that are no brokers, or bad ones: producer, consumer and admin each end in an error that
//! says so, in the time that they were given, and without memory because of a number.
//!
//! What becomes of a single connection is told in the client's own tests; here it is seen that
//! nothing above it hangs, or goes on for ever.

use std::time::{Duration, Instant};

use milena_client::{
    ClientConfig, Error, TopicPartition,
    admin::Admin,
    consumer::{Consumer, ConsumerConfig},
    producer::{Producer, ProducerConfig, Record},
};
use milena_env::{
    net::{self, TcpStream},
    timer,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    task::JoinSet,
};

/// How long a client is told to try, and what it must not exceed on a busy machine.
const LIMIT: &str = "1500";
const PATIENCE: Duration = Duration::from_secs(20);

/// What is said instead of an answer.
#[derive(Clone, Copy, Debug)]
enum Deed {
    Rubbish,
    /// A frame of nearly 2 GiB is claimed.
    Huge,
    /// One that is allowed, of which nothing comes.
    Promise,
    Drip,
    Never,
    OtherId,
    HangUp,
    Refuse,
}

const ALL: [(Deed, &str); 8] = [
    (Deed::Rubbish, "does not speak as a broker does"),
    (Deed::Huge, "does not speak as a broker does"),
    (Deed::Promise, "request.timeout.ms"),
    (Deed::Drip, "request.timeout.ms"),
    (Deed::Never, "request.timeout.ms"),
    (Deed::OtherId, "does not speak as a broker does"),
    (Deed::HangUp, "no connection to"),
    (Deed::Refuse, "no connection to"),
];

/// An answer to the first ApiVersions request that knows of no API, but for its correlation id.
fn answer(id: i32) -> Vec<u8> {
    // No error, an empty list, no throttle, no tagged fields.
    let body = [&id.to_be_bytes()[..], &[0, 0, 1, 0, 0, 0, 0, 0]].concat();
    [&(body.len() as u32).to_be_bytes()[..], &body].concat()
}

async fn misbehave(mut stream: TcpStream, deed: Deed) -> std::io::Result<()> {
    let mut asked = [0; 12];
    stream.read_exact(&mut asked).await?;
    let id = i32::from_be_bytes([asked[8], asked[9], asked[10], asked[11]]);
    match deed {
        Deed::Rubbish => stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await?,
        Deed::Huge => stream.write_all(&0x7fff_fff0_u32.to_be_bytes()).await?,
        Deed::Promise => stream.write_all(&90_000_000_u32.to_be_bytes()).await?,
        Deed::Drip => {
            for byte in answer(id) {
                stream.write_all(&[byte]).await?;
                timer::sleep(Duration::from_millis(100)).await;
            }
        }
        Deed::Never => {}
        Deed::OtherId => stream.write_all(&answer(id.wrapping_add(7))).await?,
        Deed::HangUp => return stream.write_all(&answer(id)[..6]).await,
        Deed::Refuse => return Ok(()),
    }
    // Stays until the client goes.
    stream.read_to_end(&mut Vec::new()).await.map(|_| ())
}

async fn server(deed: Deed) -> String {
    let listener = net::listen("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((stream, _)) = net::accept(&listener).await {
            tokio::spawn(misbehave(stream, deed));
        }
    });
    address
}

/// Tells a story with every server at the same time.
async fn with_each<F: Future<Output = ()> + Send + 'static>(
    story: impl Fn(String, Deed, &'static str) -> F,
) {
    let mut stories = JoinSet::new();
    for (deed, said) in ALL {
        stories.spawn(story(server(deed).await, deed, said));
    }
    stories.join_all().await;
}

fn in_time<T>(deed: Deed, begun: Instant, result: Result<T, Error>, said: &str) {
    let Err(error) = result else { panic!("{deed:?} was taken for an answer") };
    assert!(begun.elapsed() < PATIENCE, "{deed:?}: {:?}", begun.elapsed());
    assert!(matches!(error, Error::Timeout { .. }) && error.is_retriable(), "{deed:?}: {error:?}");
    assert!(error.to_string().contains(said), "{deed:?}: {error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_ends_in_time_and_says_what_it_met() {
    with_each(|server, deed, said| async move {
        let config = ClientConfig::new(&server)
            .set("request.timeout.ms", "300")
            .and_then(|config| config.set("default.api.timeout.ms", LIMIT))
            .unwrap();
        let (admin, begun) = (Admin::connect(&config).unwrap(), Instant::now());
        in_time(deed, begun, admin.list_topics().await, said);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_producer_ends_in_time_and_says_what_it_met() {
    with_each(|server, deed, said| async move {
        let config = ProducerConfig::new(&server)
            .set("request.timeout.ms", "300")
            .and_then(|config| config.set("max.block.ms", LIMIT))
            .unwrap();
        let (producer, begun) = (Producer::new(config).unwrap(), Instant::now());
        in_time(deed, begun, producer.send(Record::to("t").value("x")).await, said);
        producer.close(Duration::from_secs(5)).await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_ends_in_time_and_says_what_it_met() {
    with_each(|server, deed, said| async move {
        let config = ConsumerConfig::new(&server)
            .set("request.timeout.ms", "300")
            .and_then(|config| config.set("fetch.max.wait.ms", "100"))
            .and_then(|config| config.set("default.api.timeout.ms", LIMIT))
            .unwrap();
        let (mut consumer, begun) = (Consumer::new(config).unwrap(), Instant::now());
        let partition = TopicPartition::new("t", 0);
        consumer.assign([partition.clone()]).unwrap();
        let polled = consumer.poll(Duration::from_millis(200)).await.unwrap();
        assert!(polled.is_empty() && begun.elapsed() < PATIENCE, "{deed:?}");
        in_time(deed, begun, consumer.end_offsets(std::slice::from_ref(&partition)).await, said);
        in_time(deed, begun, consumer.position(&partition).await, said);
        consumer.close().await.unwrap();
    })
    .await;
}
