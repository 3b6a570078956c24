//! The first look at a request: which API and version it is, who sent it, where its body begins.

use crate::api::ApiKey;
use crate::header::RequestHeader;
use crate::wire::{DecodeError, Message as _, Reader};

/// A request whose header was read and whose body was not.
#[derive(Clone, Debug, PartialEq)]
pub struct OpenedRequest<'a> {
    /// The API that is called. The version in the header may be one that it does not have.
    pub api: ApiKey,
    /// Version, correlation id and client id.
    pub header: RequestHeader<'a>,
    /// What comes behind the header.
    pub body: &'a [u8],
}

/// Why a frame is no request. The connection is closed without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Shorter than the key and version that every request begins with.
    #[error("a frame of {0} bytes is too short for a request")]
    TooShort(usize),
    /// No API has this key.
    #[error("no API has the key {0}")]
    UnknownApi(i16),
    /// The header is malformed.
    #[error(transparent)]
    Header(#[from] DecodeError),
}

/// Reads the header of a request.
///
/// An unknown version is not refused here, since ApiVersions has an answer to it.
pub fn open_request(frame: &[u8]) -> Result<OpenedRequest<'_>, OpenError> {
    let (key, version) = match frame.first_chunk::<4>() {
        Some([a, b, c, d]) => (i16::from_be_bytes([*a, *b]), i16::from_be_bytes([*c, *d])),
        None => return Err(OpenError::TooShort(frame.len())),
    };
    let api = ApiKey::from_number(key).ok_or(OpenError::UnknownApi(key))?;
    let mut reader = Reader::new(frame);
    let header_version = api.api().request_header_version(version);
    let header = RequestHeader::decode_from(&mut reader, header_version)?;
    Ok(OpenedRequest { api, header, body: reader.rest() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_taken_off() {
        let frame = [0, 18, 0, 3, 0, 0, 0, 7, 0, 2, b'm', b'e', 0, 1, 2, 3];
        let opened = open_request(&frame).unwrap();
        assert_eq!(opened.api, ApiKey::ApiVersions);
        assert_eq!((opened.header.correlation_id, opened.header.client_id), (7, Some("me")));
        assert_eq!(opened.body, [1, 2, 3]);
    }

    #[test]
    fn hostile_04_shorter_than_a_header() {
        assert_eq!(open_request(&[]), Err(OpenError::TooShort(0)));
        for length in 4..12 {
            let frame = [0, 18, 0, 3, 0, 0, 0, 7, 0, 2, b'm', b'e'];
            let opened = open_request(&frame[..length]);
            assert!(matches!(opened, Err(OpenError::Header(_))), "{length}: {opened:?}");
        }
    }

    #[test]
    fn hostile_05_unknown_api_key() {
        let frame = [0x7f, 0xff, 0, 0, 0, 0, 0, 1, 0xff, 0xff];
        assert_eq!(open_request(&frame), Err(OpenError::UnknownApi(i16::MAX)));
    }
}
