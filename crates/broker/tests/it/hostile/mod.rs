//! Bad input, as raw bytes: every test bears the number of its row, ends with the answer that
//! clients may rely on, and another connection never notices.

mod frames;
mod offsets;
mod records;
mod topics;
mod transactions;

use milena_protocol::{ErrorCode, api::ApiKey, wire::Message};

use crate::{
    client::{self, Client, batch},
    rig::Rig,
};

/// A broker with the topic `t` of two partitions, and a connection that minds its own business.
struct Scene {
    rig: Rig,
    bystander: Client,
    written: i64,
}

impl Scene {
    fn new() -> Self {
        Self::with("")
    }

    fn with(settings: &str) -> Self {
        let rig = Rig::start(settings);
        let mut bystander = rig.client();
        assert_eq!(bystander.create_topic("t", 2, &[]), ErrorCode::None);
        assert_eq!(bystander.create_topic("bystander", 1, &[]), ErrorCode::None);
        Self { rig, bystander, written: 0 }
    }

    /// The other connection, begun before all that is hostile, writes and reads on.
    fn all_is_well(&mut self) {
        let produced = self.bystander.produce("bystander", 0, &batch(&["well"]));
        assert_eq!((produced.code, produced.base_offset), (ErrorCode::None, self.written));
        let read = self.bystander.fetch("bystander", 0, self.written).values();
        assert_eq!(read, [(self.written, b"well".to_vec())]);
        self.written += 1;
    }

    /// These bytes end their connection without an answer.
    fn closes(&mut self, bytes: &[u8]) {
        let mut client = self.rig.client();
        client.send_bytes(bytes).unwrap();
        assert!(client.is_closed(), "{:02x?}", &bytes[..bytes.len().min(64)]);
        self.all_is_well();
    }
}

/// A request whose body was tampered with: `change` gets what stands behind the header.
fn tampered<'m>(
    api: ApiKey,
    version: i16,
    request: &impl Message<'m>,
    change: impl FnOnce(&mut Vec<u8>),
) -> Vec<u8> {
    let whole = client::frame(api, version, 1, request);
    let opened = milena_protocol::open_request(&whole[4..]).unwrap();
    let header_len = whole.len() - 4 - opened.body.len();
    let mut body = opened.body.to_vec();
    change(&mut body);
    client::with_length(&[&whole[4..4 + header_len], &body].concat())
}
