//! One connection to a broker, which sends frames and reads whole answers.

use std::{
    collections::VecDeque,
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use milena_protocol::{
    api::ApiKey,
    header::RequestHeader,
    json,
    wire::{Message as _, Writer},
};
use serde_json::{Value, json};

use crate::records;

/// Longer than any broker takes: nothing is proven by waiting on.
const ANSWER_WAIT: Duration = Duration::from_secs(12);

/// What a broker did about a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    Body(Value),
    Closed,
    /// The connection stays open, and nothing comes.
    Nothing,
}

/// A request that was sent and not answered yet.
#[derive(Clone, Copy, Debug)]
struct Pending {
    api: ApiKey,
    version: i16,
    correlation_id: i32,
}

/// A connection. Answers are read in the order of the requests.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    pending: VecDeque<Pending>,
    next: i32,
}

impl Connection {
    pub fn open(address: SocketAddr) -> Result<Self, String> {
        let stream = TcpStream::connect(address).map_err(|error| error.to_string())?;
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        stream.set_read_timeout(Some(ANSWER_WAIT)).map_err(|error| error.to_string())?;
        Ok(Self { stream, pending: VecDeque::new(), next: 1 })
    }

    /// Sends a request. Whether the broker still listens is found out by [`Self::answer`].
    pub fn send(
        &mut self,
        api: ApiKey,
        version: i16,
        client_id: Option<&str>,
        body: &[u8],
        is_answered: bool,
    ) -> Result<(), String> {
        let correlation_id = self.next;
        self.next += 1;
        let header = RequestHeader {
            request_api_key: api.number(),
            request_api_version: version,
            correlation_id,
            client_id,
        };
        let mut writer = Writer::with_capacity(64);
        let header_version = api.api().request_header_version(version);
        header.encode(&mut writer, header_version).map_err(|error| error.to_string())?;
        let header = writer.finish().ok().and_then(|frame| frame.into_body());
        let header = header.ok_or("the header cannot be written")?;
        let size = i32::try_from(header.len() + body.len()).map_err(|error| error.to_string())?;
        let frame = [&size.to_be_bytes(), &header[..], body].concat();
        if is_answered {
            self.pending.push_back(Pending { api, version, correlation_id });
        }
        // A connection that the broker has closed meanwhile says so when it is read.
        let _ = self.stream.write_all(&frame);
        Ok(())
    }

    /// The answer to the oldest request that has none yet.
    pub fn answer(&mut self) -> Result<Answer, String> {
        let pending = self.pending.pop_front().ok_or("nothing was asked")?;
        let frame = match self.frame() {
            Ok(frame) => frame,
            Err(error) => return Ok(error),
        };
        let (id, rest) = frame.split_first_chunk::<4>().ok_or("an answer without a header")?;
        if i32::from_be_bytes(*id) != pending.correlation_id {
            return Err("an answer to another request".to_owned());
        }
        let name = pending.api.api().name;
        // To an ApiVersions of a version that it does not know a broker answers as to version 0.
        let version = match pending.api {
            ApiKey::ApiVersions if rest.starts_with(&[0, 35]) => 0,
            _ => pending.version,
        };
        let body = match pending.api.api().response_header_version(version) {
            0 => rest,
            _ => rest.get(1..).ok_or("an answer without tagged fields")?,
        };
        let entry = milena_protocol::MESSAGES
            .iter()
            .find(|entry: &&json::Entry| entry.name == format!("{name}Response"))
            .ok_or_else(|| format!("no answer of {name} is known"))?;
        let reading = (entry.read)(body, version)
            .map_err(|error| format!("{name} version {version}: {error}"))?;
        let mut value = reading.json;
        if reading.encoded != body {
            value["notAsWeWrite"] = json!({"trailing": reading.trailing, "bytes": body.len()});
        }
        records::reveal(&mut value)?;
        Ok(Answer::Body(value))
    }

    /// The next frame, or what comes instead.
    fn frame(&mut self) -> Result<Vec<u8>, Answer> {
        let mut size = [0; 4];
        self.fill(&mut size)?;
        let mut frame = vec![0; i32::from_be_bytes(size) as usize];
        self.fill(&mut frame)?;
        Ok(frame)
    }

    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), Answer> {
        self.stream.read_exact(buffer).map_err(|error| match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => Answer::Nothing,
            _ => Answer::Closed,
        })
    }
}
