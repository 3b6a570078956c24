//! What a connection bears: servers that answer rubbish, too much, too slowly, never, to somebody
//! else, or hang up in the middle. Each ends in a typed error within its time, and asks for no
//! memory because of a number that it was sent.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use milena_env::{net, timer};
use milena_protocol::{
    Message,
    api::{
        ApiVersionsResponse, MetadataRequest, MetadataResponse, api_versions::response::ApiVersion,
    },
    wire::{Writer, split_frame},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{Api, ApiVersions, Connection, Limits, Metadata, tasks::make_room};
use crate::{
    config::ClientConfig,
    error::{Error, Result},
};

/// How long a request may take in these tests.
const LIMIT: Duration = Duration::from_millis(300);
/// What no test may take, however busy the machine is.
const PATIENCE: Duration = Duration::from_secs(20);

/// What the server does instead of a good answer.
#[derive(Clone, Debug)]
enum Deed {
    /// An answer to Metadata.
    Answer,
    /// The same with another correlation id.
    WrongId,
    /// These bytes.
    Say(Vec<u8>),
    /// The answer, byte by byte with pauses.
    Drip,
    /// The answer up to its middle, then the end.
    HangUp,
    Nothing,
}

fn metadata() -> MetadataResponse<'static> {
    MetadataResponse { cluster_id: Some("here"), controller_id: 7, ..Default::default() }
}

fn answer<A: Api>(message: &A::Response<'_>, id: i32, version: i16) -> Vec<u8> {
    let mut writer = Writer::with_capacity(64);
    let header = milena_protocol::header::ResponseHeader { correlation_id: id };
    header.encode(&mut writer, A::KEY.api().response_header_version(version)).unwrap();
    message.encode(&mut writer, version).unwrap();
    let body = writer.finish().unwrap().into_body().unwrap();
    [&(body.len() as u32).to_be_bytes()[..], &body].concat()
}

/// Serves one connection: tells its versions, then does one deed per request.
async fn serve(mut stream: net::TcpStream, deeds: Vec<Deed>) {
    let mut incoming = BytesMut::new();
    let apis = [(3, 13), (18, 4)].map(|(api_key, max_version)| ApiVersion {
        api_key,
        min_version: 0,
        max_version,
    });
    let versions = ApiVersionsResponse { api_keys: apis.into(), ..Default::default() };
    let first = next(&mut stream, &mut incoming).await;
    stream.write_all(&answer::<ApiVersions>(&versions, id_of(&first), 4)).await.unwrap();
    for deed in deeds {
        let id = id_of(&next(&mut stream, &mut incoming).await);
        let good = answer::<Metadata>(&metadata(), id, 13);
        match deed {
            Deed::Answer => stream.write_all(&good).await.unwrap(),
            Deed::WrongId => {
                let wrong = answer::<Metadata>(&metadata(), id + 1, 13);
                stream.write_all(&wrong).await.unwrap();
            }
            Deed::Say(bytes) => stream.write_all(&bytes).await.unwrap(),
            Deed::Drip => {
                for byte in good {
                    // The client may have gone by then.
                    let _ = stream.write_all(&[byte]).await;
                    timer::sleep(LIMIT / 8).await;
                }
            }
            Deed::HangUp => {
                stream.write_all(&good[..good.len() / 2]).await.unwrap();
                return;
            }
            Deed::Nothing => {}
        }
    }
    // Stays until the client goes.
    let _ = stream.read_to_end(&mut Vec::new()).await;
}

async fn next(stream: &mut net::TcpStream, incoming: &mut BytesMut) -> Bytes {
    loop {
        if let Some(frame) = split_frame(incoming, 1 << 20).unwrap() {
            return frame;
        }
        assert_ne!(stream.read_buf(incoming).await.unwrap(), 0, "the client hung up");
    }
}

fn id_of(frame: &Bytes) -> i32 {
    i32::from_be_bytes(frame[4..8].try_into().unwrap())
}

fn limits() -> Limits {
    let config = ClientConfig::new("a:1").request_timeout(LIMIT);
    Limits::from(&config.receive_message_max_bytes(1_000_000_usize))
}

async fn connect(deeds: &[Deed]) -> Connection {
    let listener = net::listen("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let deeds = deeds.to_vec();
    tokio::spawn(async move {
        let (stream, _) = net::accept(&listener).await.unwrap();
        serve(stream, deeds).await;
    });
    Connection::open(&address, limits()).await.unwrap()
}

async fn ask(connection: &Connection) -> Result<i32> {
    let request = MetadataRequest::default();
    let asked = connection.call::<Metadata>(&request);
    let answer = timer::timeout(PATIENCE, asked).await.expect("hangs")?;
    let controller_id = answer.message()?.controller_id;
    Ok(controller_id)
}

fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.unwrap().block_on(test);
}

#[test]
fn a_good_answer_is_read_and_a_dropped_call_costs_nobody_else_his() {
    run(async {
        let connection = connect(&[Deed::Answer, Deed::Answer, Deed::Answer]).await;
        assert_eq!(ask(&connection).await.unwrap(), 7);
        let dropped = connection.begin::<Metadata>(&MetadataRequest::default(), 13).unwrap();
        drop(dropped);
        assert_eq!(ask(&connection).await.unwrap(), 7);
        assert!(connection.is_open());
    });
}

#[test]
fn rubbish_is_a_protocol_error_and_ends_the_connection() {
    let http = b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec();
    let too_long = 1_000_001_u32.to_be_bytes().to_vec();
    let negative = vec![0xff; 8];
    let short = vec![0, 0, 0, 2, 1, 1];
    for bytes in [http, too_long, negative, short] {
        run(async {
            let connection = connect(&[Deed::Say(bytes.clone())]).await;
            let error = ask(&connection).await.unwrap_err();
            assert!(matches!(error, Error::Protocol { .. }), "{error}");
            assert!(!connection.is_open());
            // Nobody waits for an answer that cannot come.
            assert!(matches!(ask(&connection).await, Err(Error::Protocol { .. })));
        });
    }
}

#[test]
fn an_answer_with_another_id_or_to_no_request_ends_the_connection() {
    run(async {
        let connection = connect(&[Deed::WrongId]).await;
        let error = ask(&connection).await.unwrap_err();
        assert!(error.to_string().contains("answer 2 to request 1"), "{error}");
    });
    run(async {
        let twice = [answer::<Metadata>(&metadata(), 1, 13), vec![0, 0, 0, 4, 0, 0, 0, 9]];
        let connection = connect(&[Deed::Say(twice.concat())]).await;
        assert_eq!(ask(&connection).await.unwrap(), 7);
        let error = loop {
            if let Err(error) = ask(&connection).await {
                break error;
            }
        };
        assert!(matches!(error, Error::Protocol { .. }), "{error}");
    });
}

#[test]
fn an_answer_that_breaks_off_in_its_body_is_a_protocol_error() {
    run(async {
        let mut cut = answer::<Metadata>(&metadata(), 1, 13);
        let length = cut.len() as u32 - 4 - 3;
        cut.truncate(cut.len() - 3);
        cut[..4].copy_from_slice(&length.to_be_bytes());
        let connection = connect(&[Deed::Say(cut)]).await;
        let error = ask(&connection).await.unwrap_err();
        assert!(error.to_string().contains("MetadataResponse"), "{error}");
    });
}

#[test]
fn who_answers_never_or_too_slowly_runs_out_of_time() {
    for deed in [Deed::Nothing, Deed::Drip] {
        run(async {
            let connection = connect(&[deed]).await;
            let error = ask(&connection).await.unwrap_err();
            assert!(matches!(error, Error::Timeout { key: "request.timeout.ms", .. }), "{error}");
            assert!(error.is_retriable() && !connection.is_open());
        });
    }
}

#[test]
fn an_end_in_the_middle_of_an_answer_is_told_to_all_who_wait() {
    run(async {
        let connection = connect(&[Deed::HangUp]).await;
        let (one, other) = tokio::join!(ask(&connection), ask(&connection));
        for error in [one.unwrap_err(), other.unwrap_err()] {
            assert!(matches!(error, Error::Connection { .. }), "{error}");
        }
        assert!(!connection.is_open());
    });
}

#[test]
fn nobody_there_is_said_with_the_address() {
    run(async {
        let listener = net::listen("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        drop(listener);
        let error = Connection::open(&address, limits()).await.unwrap_err();
        assert!(error.to_string().starts_with(&format!("no connection to {address}")), "{error}");
    });
}

#[test]
fn a_claimed_length_is_believed_only_a_little() {
    let mut incoming = BytesMut::from(&99_000_000_u32.to_be_bytes()[..]);
    make_room(&mut incoming);
    assert!(incoming.capacity() <= 2 << 20, "{}", incoming.capacity());
    // As bytes come there is more room, but never more than about as much again.
    incoming.resize(4 << 20, 0);
    incoming[..4].copy_from_slice(&99_000_000_u32.to_be_bytes());
    make_room(&mut incoming);
    assert!(incoming.capacity() <= 16 << 20, "{}", incoming.capacity());
}
