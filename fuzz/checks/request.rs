//! What must hold for any bytes that claim to be a request: no panic, and what could be read is
//! written so that it reads as the same again. The ordinary tests run it over the corpus.

use milena_protocol::api::{APIS, Request};
use milena_protocol::wire::Writer;

/// The first byte chooses the API, the second the version, the rest is the body.
pub(crate) fn check(bytes: &[u8]) {
    let [api, version, body @ ..] = bytes else {
        return;
    };
    let api = &APIS[usize::from(*api) % APIS.len()];
    let versions = api.version_max - api.version_min + 1;
    let version = api.version_min + i16::from(*version) % versions;
    let key = api.key.number();
    let Ok(first) = Request::decode(key, body, version) else {
        return;
    };
    let once = written(&first.message, version);
    let second = Request::decode(key, &once, version).expect("what was written is read");
    assert_eq!(second.trailing, 0);
    // Compared as bytes, since a number that is none equals nothing.
    assert_eq!(written(&second.message, version), once);
}

fn written(request: &Request<'_>, version: i16) -> Vec<u8> {
    let mut writer = Writer::with_capacity(64);
    request.encode(&mut writer, version).expect("what was read can be written");
    let frame = writer.finish().expect("a frame is not too long");
    frame.into_body().expect("all bytes are in memory")
}
