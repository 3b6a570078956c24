//! Which APIs there are and which of their versions can be read and written: the table is made
//! from the schema that makes the decoders and encoders, so that none can be promised that is
//! not there.

use crate::api::ApiKey;

/// Where an API may be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listeners {
    /// On the listeners of a broker.
    pub broker: bool,
    /// On the listeners of a controller.
    pub controller: bool,
}

/// An API with the versions that this crate reads and writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Api {
    /// The key that requests carry.
    pub key: ApiKey,
    /// Kafka's name.
    pub name: &'static str,
    /// The lowest version.
    pub version_min: i16,
    /// The highest version, be it stable or not.
    pub version_max: i16,
    /// The highest version that Kafka's people promise to keep; what is above it is advertised
    /// only to those who ask for unstable versions.
    pub stable_max: i16,
    /// The first version whose request has compact lengths and tagged fields.
    pub request_flexible_from: Option<i16>,
    /// The first version whose response has compact lengths and tagged fields.
    pub response_flexible_from: Option<i16>,
    /// The version of the response's header, where it does not follow from the response's.
    pub response_header: Option<i16>,
    /// Where the API may be called.
    pub listeners: Listeners,
}

impl Api {
    /// Whether the version can be read and written.
    #[must_use]
    pub fn has_version(&self, version: i16) -> bool {
        self.version_min <= version && version <= self.version_max
    }

    /// The version of the header before a request.
    #[must_use]
    pub fn request_header_version(&self, version: i16) -> i16 {
        if self.request_flexible_from.is_some_and(|from| version >= from) { 2 } else { 1 }
    }

    /// The version of the header before a response.
    #[must_use]
    pub fn response_header_version(&self, version: i16) -> i16 {
        // A client that asks for the versions does not know yet which header the broker speaks.
        self.response_header.unwrap_or_else(|| {
            i16::from(self.response_flexible_from.is_some_and(|from| version >= from))
        })
    }
}

impl ApiKey {
    /// The number that requests carry.
    #[must_use]
    pub fn number(self) -> i16 {
        self as i16
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::APIS;

    #[test]
    fn the_table_is_in_order_and_whole() {
        assert_eq!(APIS.len(), 89);
        for api in &APIS {
            assert_eq!(ApiKey::from_number(api.key.number()), Some(api.key));
            assert_eq!(api.key.api(), api);
            assert!(api.version_min <= api.stable_max && api.stable_max <= api.version_max);
            assert!(api.listeners.broker || api.listeners.controller);
        }
        assert_eq!(ApiKey::from_number(4), None);
    }

    #[test]
    fn headers_follow_the_version_save_for_the_answer_to_api_versions() {
        let produce = ApiKey::Produce.api();
        assert_eq!((produce.request_header_version(8), produce.response_header_version(8)), (1, 0));
        assert_eq!((produce.request_header_version(9), produce.response_header_version(9)), (2, 1));
        let versions = ApiKey::ApiVersions.api();
        assert_eq!(
            (versions.request_header_version(3), versions.response_header_version(3)),
            (2, 0)
        );
    }

    #[test]
    fn an_unstable_version_is_known_as_such() {
        let api = ApiKey::InitProducerId.api();
        assert_eq!((api.version_max, api.stable_max), (6, 5));
    }
}
