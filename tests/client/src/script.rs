//! A broker that says what a test wants it to: for what a single broker never does, such as to lose
//! what was read from it, or to send its readers elsewhere.

use std::{io, net::SocketAddr, sync::Arc};

use bytes::{Bytes, BytesMut};
use milena_env::net::{self, TcpStream};
use milena_protocol::{
    DecodeError, Message,
    api::{ApiKey, ApiVersionsResponse, api_versions::response::ApiVersion},
    header::ResponseHeader,
    open_request,
    wire::{Part, Writer, split_frame},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::wire::other;

/// The version of ApiVersions that all clients begin with.
const API_VERSIONS: i16 = 4;

/// A request that a script is to answer.
#[derive(Clone, Debug)]
pub struct Request {
    /// Its API.
    pub api: ApiKey,
    /// In which version.
    pub version: i16,
    correlation_id: i32,
    body: Bytes,
}

impl Request {
    /// What is asked.
    pub fn message<'m, M: Message<'m>>(&'m self) -> Result<M, DecodeError> {
        M::decode(&self.body, self.version).map(|decoded| decoded.message)
    }

    /// An answer to it.
    pub fn answer<'m>(&self, message: &impl Message<'m>) -> io::Result<Vec<u8>> {
        let mut writer = Writer::with_capacity(256);
        let header = ResponseHeader { correlation_id: self.correlation_id };
        let version = self.api.api().response_header_version(self.version);
        header.encode(&mut writer, version).map_err(other)?;
        message.encode(&mut writer, self.version).map_err(other)?;
        let mut frame = Vec::new();
        for part in writer.finish().map_err(other)?.into_parts() {
            if let Part::Bytes(bytes) = part {
                frame.extend_from_slice(&bytes);
            }
        }
        Ok(frame)
    }
}

/// What a script does about a request: it answers, or says nothing.
type Serve = dyn Fn(&Request) -> Option<Vec<u8>> + Send + Sync;

/// A listener behind which a script answers.
#[derive(Debug)]
pub struct Scripted {
    listener: net::TcpListener,
}

impl Scripted {
    /// Listens. Who connects waits until there is something to say.
    pub async fn listen() -> io::Result<Self> {
        Ok(Self { listener: net::listen("127.0.0.1:0").await? })
    }

    /// Where it is.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Answers from now on. `apis` says in which versions at most; ApiVersions is answered with it.
    pub fn serve(
        self,
        apis: &[(ApiKey, i16)],
        serve: impl Fn(&Request) -> Option<Vec<u8>> + Send + Sync + 'static,
    ) {
        let (serve, apis): (Arc<Serve>, Arc<[_]>) = (Arc::new(serve), apis.into());
        tokio::spawn(async move {
            while let Ok((stream, _)) = net::accept(&self.listener).await {
                tokio::spawn(talk(stream, Arc::clone(&apis), Arc::clone(&serve)));
            }
        });
    }
}

async fn talk(
    mut stream: TcpStream,
    apis: Arc<[(ApiKey, i16)]>,
    serve: Arc<Serve>,
) -> io::Result<()> {
    let mut incoming = BytesMut::new();
    loop {
        while let Some(frame) = split_frame(&mut incoming, 100 << 20).map_err(other)? {
            let opened = open_request(&frame).map_err(other)?;
            let request = Request {
                api: opened.api,
                version: opened.header.request_api_version,
                correlation_id: opened.header.correlation_id,
                body: frame.slice_ref(opened.body),
            };
            let answer = match request.api {
                ApiKey::ApiVersions => Some(versions(&request, &apis)?),
                _ => serve(&request),
            };
            if let Some(answer) = answer {
                stream.write_all(&answer).await?;
            }
        }
        if stream.read_buf(&mut incoming).await? == 0 {
            return Ok(());
        }
    }
}

fn versions(request: &Request, apis: &[(ApiKey, i16)]) -> io::Result<Vec<u8>> {
    let apis = apis.iter().chain(&[(ApiKey::ApiVersions, API_VERSIONS)]);
    let told = apis.map(|(api, max_version)| ApiVersion {
        api_key: api.number(),
        min_version: 0,
        max_version: *max_version,
    });
    request.answer(&ApiVersionsResponse { api_keys: told.collect(), ..Default::default() })
}
