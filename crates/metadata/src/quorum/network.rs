//! The way to other voters. There are none yet: a quorum of one never calls it.

use openraft::{
    OptionalSend, RaftNetwork, RaftNetworkFactory, Snapshot,
    error::{Fatal, RPCError, RaftError, ReplicationClosed, StreamingError, Unreachable},
    network::RPCOption,
    raft::{
        AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, VoteRequest, VoteResponse,
    },
};

use super::types::{TypeConfig, Vote, Voter};

/// Reaches nobody.
#[derive(Clone, Copy, Debug)]
pub(super) struct NoPeers;

type Rpc<T> = Result<T, RPCError<i32, Voter, RaftError<i32>>>;

fn unreachable_peer() -> Unreachable {
    Unreachable::new(&std::io::Error::from(std::io::ErrorKind::HostUnreachable))
}

impl RaftNetworkFactory<TypeConfig> for NoPeers {
    type Network = Self;

    async fn new_client(&mut self, _target: i32, _node: &Voter) -> Self {
        Self
    }
}

impl RaftNetwork<TypeConfig> for NoPeers {
    async fn append_entries(
        &mut self,
        _rpc: AppendEntriesRequest<TypeConfig>,
        _option: RPCOption,
    ) -> Rpc<AppendEntriesResponse<i32>> {
        Err(unreachable_peer().into())
    }

    async fn vote(&mut self, _rpc: VoteRequest<i32>, _option: RPCOption) -> Rpc<VoteResponse<i32>> {
        Err(unreachable_peer().into())
    }

    async fn full_snapshot(
        &mut self,
        _vote: Vote,
        _snapshot: Snapshot<TypeConfig>,
        _cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<i32>, StreamingError<TypeConfig, Fatal<i32>>> {
        Err(unreachable_peer().into())
    }
}
