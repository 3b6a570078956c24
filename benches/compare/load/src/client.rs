//! One connection: requests out, answers in.

use std::{
    io::{Read, Write},
    net::TcpStream,
    thread,
    time::Duration,
};

use milena_protocol::{
    ErrorCode, Message,
    api::{
        ApiKey, CreateTopicsRequest, FindCoordinatorRequest, FindCoordinatorResponse,
        create_topics::request::CreatableTopic,
    },
    header::{RequestHeader, ResponseHeader},
    wire::{Reader, Writer},
};

use crate::Result;

pub(crate) struct Client {
    stream: TcpStream,
    next_id: i32,
    answer: Vec<u8>,
}

impl Client {
    pub(crate) fn connect(server: &str) -> Result<Self> {
        let stream = TcpStream::connect(server)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(120)))?;
        Ok(Self { stream, next_id: 0, answer: Vec::new() })
    }

    pub(crate) fn send<'m>(
        &mut self,
        api: ApiKey,
        version: i16,
        request: &impl Message<'m>,
    ) -> Result<()> {
        self.next_id += 1;
        let header = RequestHeader {
            request_api_key: api as i16,
            request_api_version: version,
            correlation_id: self.next_id,
            client_id: Some("load"),
        };
        let mut writer = Writer::with_capacity(256);
        header.encode(&mut writer, api.api().request_header_version(version))?;
        request.encode(&mut writer, version)?;
        let body = writer.finish()?.into_body().ok_or("a request with records from files")?;
        let frame = [&(body.len() as i32).to_be_bytes()[..], &body].concat();
        Ok(self.stream.write_all(&frame)?)
    }

    pub(crate) fn receive<'a, M: Message<'a>>(
        &'a mut self,
        api: ApiKey,
        version: i16,
    ) -> Result<M> {
        let mut length = [0; 4];
        self.stream.read_exact(&mut length)?;
        self.answer.resize(i32::from_be_bytes(length) as usize, 0);
        self.stream.read_exact(&mut self.answer)?;
        let header_version = api.api().response_header_version(version);
        let mut reader = Reader::new(&self.answer);
        ResponseHeader::decode_from(&mut reader, header_version)?;
        Ok(M::decode(reader.rest(), version)?.message)
    }

    pub(crate) fn call<'a, 'm, M: Message<'a>>(
        &'a mut self,
        api: ApiKey,
        version: i16,
        request: &impl Message<'m>,
    ) -> Result<M> {
        self.send(api, version, request)?;
        self.receive(api, version)
    }

    /// Waits until a group has a coordinator.
    pub(crate) fn find(&mut self, group: &str) -> Result<()> {
        self.find_coordinator(0, group)
    }

    /// Likewise a transactional id.
    pub(crate) fn find_transactional(&mut self, id: &str) -> Result<()> {
        self.find_coordinator(1, id)
    }

    fn find_coordinator(&mut self, key_type: i8, key: &str) -> Result<()> {
        loop {
            let request = FindCoordinatorRequest {
                key_type,
                coordinator_keys: vec![key],
                ..Default::default()
            };
            let found: FindCoordinatorResponse<'_> =
                self.call(ApiKey::FindCoordinator, 4, &request)?;
            if found.coordinators.first().is_some_and(|it| it.error_code == 0) {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// A topic that is there when this returns.
    pub(crate) fn topic(&mut self, name: &str, partitions: usize) -> Result<()> {
        let topic = CreatableTopic {
            name,
            num_partitions: partitions as i32,
            replication_factor: 1,
            ..Default::default()
        };
        let request =
            CreateTopicsRequest { topics: vec![topic], timeout_ms: 60_000, ..Default::default() };
        let _: milena_protocol::api::CreateTopicsResponse<'_> =
            self.call(ApiKey::CreateTopics, 7, &request)?;
        thread::sleep(Duration::from_millis(300));
        Ok(())
    }
}

pub(crate) fn name(code: i16) -> &'static str {
    ErrorCode::from_number(code).map_or("an unknown code", ErrorCode::name)
}
