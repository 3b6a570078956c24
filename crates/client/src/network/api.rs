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
    ConsumerGroupHeartbeat
        api::ConsumerGroupHeartbeatRequest<'a>, api::ConsumerGroupHeartbeatResponse<'a>;
    Fetch api::FetchRequest<'a>, api::FetchResponse<'a>;
    FindCoordinator api::FindCoordinatorRequest<'a>, api::FindCoordinatorResponse<'a>;
    Heartbeat api::HeartbeatRequest<'a>, api::HeartbeatResponse;
    InitProducerId api::InitProducerIdRequest<'a>, api::InitProducerIdResponse;
    JoinGroup api::JoinGroupRequest<'a>, api::JoinGroupResponse<'a>;
    LeaveGroup api::LeaveGroupRequest<'a>, api::LeaveGroupResponse<'a>;
    ListOffsets api::ListOffsetsRequest<'a>, api::ListOffsetsResponse<'a>;
    Metadata api::MetadataRequest<'a>, api::MetadataResponse<'a>;
    OffsetCommit api::OffsetCommitRequest<'a>, api::OffsetCommitResponse<'a>;
    OffsetFetch api::OffsetFetchRequest<'a>, api::OffsetFetchResponse<'a>;
    OffsetForLeaderEpoch
        api::OffsetForLeaderEpochRequest<'a>, api::OffsetForLeaderEpochResponse<'a>;
    Produce api::ProduceRequest<'a>, api::ProduceResponse<'a>;
    SyncGroup api::SyncGroupRequest<'a>, api::SyncGroupResponse<'a>;
}
