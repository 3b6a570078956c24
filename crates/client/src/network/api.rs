//! The APIs that this client calls: which answer belongs to which request.

use milena_protocol::{
    Message,
    api::{self, ApiKey},
};

/// An API as a type, so that a call knows what it will be answered.
pub(crate) trait Api: Send + Sync + 'static {
    const KEY: ApiKey;
    type Request<'a>: Message<'a>;
    type Response<'a>: Message<'a>;
}

macro_rules! apis {
    ($($name:ident $request:ty, $response:ty;)*) => { $(
        #[derive(Clone, Copy, Debug)]
        pub(crate) struct $name;

        impl Api for $name {
            const KEY: ApiKey = ApiKey::$name;
            type Request<'a> = $request;
            type Response<'a> = $response;
        }
    )* };
}

apis! {
    ApiVersions api::ApiVersionsRequest<'a>, api::ApiVersionsResponse<'a>;
    FindCoordinator api::FindCoordinatorRequest<'a>, api::FindCoordinatorResponse<'a>;
    Metadata api::MetadataRequest<'a>, api::MetadataResponse<'a>;
}
