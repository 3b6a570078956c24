//! Kafka's error codes: their numbers, their names, and whether a client tries again.

use std::fmt;

macro_rules! error_codes {
    ($($variant:ident $number:literal $name:literal $retriable:ident $message:literal)*) => {
        /// What went wrong, as answers say it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(i16)]
        pub enum ErrorCode { $(
            #[doc = concat!($message, ".")]
            $variant = $number,
        )* }

        impl ErrorCode {
            /// Every code, in the order of its number.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The code of a number, if there is one.
            #[must_use]
            pub fn from_number(number: i16) -> Option<Self> {
                match number {
                    $($number => Some(Self::$variant),)*
                    _ => None,
                }
            }

            /// Kafka's name.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// Whether a client that gets this tries again by itself.
            #[must_use]
            pub fn is_retriable(self) -> bool {
                match self { $(Self::$variant => error_codes!($retriable),)* }
            }

            /// What it means, for people.
            #[must_use]
            pub fn message(self) -> &'static str {
                match self { $(Self::$variant => $message,)* }
            }
        }
    };
    (retry) => { true };
    (stop) => { false };
}

error_codes! {
    UnknownServerError -1 "UNKNOWN_SERVER_ERROR" stop
        "Something went wrong that has no code of its own"
    None 0 "NONE" stop
        "No error"
    OffsetOutOfRange 1 "OFFSET_OUT_OF_RANGE" stop
        "The partition has no such offset"
    CorruptMessage 2 "CORRUPT_MESSAGE" retry
        "The batch does not match its checksum, or is malformed in another way"
    UnknownTopicOrPartition 3 "UNKNOWN_TOPIC_OR_PARTITION" retry
        "This broker does not know the topic or partition"
    InvalidFetchSize 4 "INVALID_FETCH_SIZE" stop
        "The maximum size of the fetch makes no sense"
    LeaderNotAvailable 5 "LEADER_NOT_AVAILABLE" retry
        "The partition has no leader at the moment"
    NotLeaderOrFollower 6 "NOT_LEADER_OR_FOLLOWER" retry
        "This broker is not the leader, or not a replica, of the partition"
    RequestTimedOut 7 "REQUEST_TIMED_OUT" retry
        "The request took longer than its timeout"
    BrokerNotAvailable 8 "BROKER_NOT_AVAILABLE" stop
        "The broker is not running"
    ReplicaNotAvailable 9 "REPLICA_NOT_AVAILABLE" retry
        "The replica is not there, though it should be"
    MessageTooLarge 10 "MESSAGE_TOO_LARGE" stop
        "The batch is larger than the topic accepts"
    StaleControllerEpoch 11 "STALE_CONTROLLER_EPOCH" stop
        "The controller that sent this has a successor"
    OffsetMetadataTooLarge 12 "OFFSET_METADATA_TOO_LARGE" stop
        "The text beside a committed offset is too long"
    NetworkException 13 "NETWORK_EXCEPTION" retry
        "The connection broke before the answer came"
    CoordinatorLoadInProgress 14 "COORDINATOR_LOAD_IN_PROGRESS" retry
        "The coordinator is still reading its state"
    CoordinatorNotAvailable 15 "COORDINATOR_NOT_AVAILABLE" retry
        "The coordinator is not there yet"
    NotCoordinator 16 "NOT_COORDINATOR" retry
        "Another broker coordinates this"
    InvalidTopicException 17 "INVALID_TOPIC_EXCEPTION" stop
        "The name is not one that a topic can have"
    RecordListTooLarge 18 "RECORD_LIST_TOO_LARGE" stop
        "The batch is larger than a segment"
    NotEnoughReplicas 19 "NOT_ENOUGH_REPLICAS" retry
        "Too few replicas are in sync to accept a write"
    NotEnoughReplicasAfterAppend 20 "NOT_ENOUGH_REPLICAS_AFTER_APPEND" retry
        "The write was appended, but too few replicas are in sync to hold it"
    InvalidRequiredAcks 21 "INVALID_REQUIRED_ACKS" stop
        "The number of acknowledgements must be -1, 0 or 1"
    IllegalGeneration 22 "ILLEGAL_GENERATION" stop
        "The group is in another generation"
    InconsistentGroupProtocol 23 "INCONSISTENT_GROUP_PROTOCOL" stop
        "The group's members do not share that protocol"
    InvalidGroupId 24 "INVALID_GROUP_ID" stop
        "The group id is not valid"
    UnknownMemberId 25 "UNKNOWN_MEMBER_ID" stop
        "The group has no such member"
    InvalidSessionTimeout 26 "INVALID_SESSION_TIMEOUT" stop
        "The session timeout is outside what the broker allows"
    RebalanceInProgress 27 "REBALANCE_IN_PROGRESS" stop
        "The group rebalances: join again"
    InvalidCommitOffsetSize 28 "INVALID_COMMIT_OFFSET_SIZE" stop
        "The offset to commit is too large to store"
    TopicAuthorizationFailed 29 "TOPIC_AUTHORIZATION_FAILED" stop
        "Not allowed on this topic"
    GroupAuthorizationFailed 30 "GROUP_AUTHORIZATION_FAILED" stop
        "Not allowed on this group"
    ClusterAuthorizationFailed 31 "CLUSTER_AUTHORIZATION_FAILED" stop
        "Not allowed on this cluster"
    InvalidTimestamp 32 "INVALID_TIMESTAMP" stop
        "The timestamp is outside what the topic accepts"
    UnsupportedSaslMechanism 33 "UNSUPPORTED_SASL_MECHANISM" stop
        "The SASL mechanism is not offered here"
    IllegalSaslState 34 "ILLEGAL_SASL_STATE" stop
        "The request does not fit the state of the login"
    UnsupportedVersion 35 "UNSUPPORTED_VERSION" stop
        "This broker does not speak that version of the API"
    TopicAlreadyExists 36 "TOPIC_ALREADY_EXISTS" stop
        "There is a topic of that name already"
    InvalidPartitions 37 "INVALID_PARTITIONS" stop
        "The number of partitions is not possible"
    InvalidReplicationFactor 38 "INVALID_REPLICATION_FACTOR" stop
        "The replication factor is not possible"
    InvalidReplicaAssignment 39 "INVALID_REPLICA_ASSIGNMENT" stop
        "The assignment of replicas is not possible"
    InvalidConfig 40 "INVALID_CONFIG" stop
        "The configuration is not valid"
    NotController 41 "NOT_CONTROLLER" retry
        "This node is not the active controller"
    InvalidRequest 42 "INVALID_REQUEST" stop
        "The request contradicts itself or the protocol"
    UnsupportedForMessageFormat 43 "UNSUPPORTED_FOR_MESSAGE_FORMAT" stop
        "The format of the stored records does not allow this"
    PolicyViolation 44 "POLICY_VIOLATION" stop
        "A policy of the operator forbids this"
    OutOfOrderSequenceNumber 45 "OUT_OF_ORDER_SEQUENCE_NUMBER" stop
        "A batch of the producer is missing before this one"
    DuplicateSequenceNumber 46 "DUPLICATE_SEQUENCE_NUMBER" stop
        "The batch was written before"
    InvalidProducerEpoch 47 "INVALID_PRODUCER_EPOCH" stop
        "The producer's epoch is not the current one"
    InvalidTxnState 48 "INVALID_TXN_STATE" stop
        "The transaction is in a state that does not allow this"
    InvalidProducerIdMapping 49 "INVALID_PRODUCER_ID_MAPPING" stop
        "The producer id belongs to another transactional id"
    InvalidTransactionTimeout 50 "INVALID_TRANSACTION_TIMEOUT" stop
        "The transaction timeout is longer than the broker allows"
    ConcurrentTransactions 51 "CONCURRENT_TRANSACTIONS" retry
        "Another step of the same transaction is still under way"
    TransactionCoordinatorFenced 52 "TRANSACTION_COORDINATOR_FENCED" stop
        "Another coordinator has taken over the transaction"
    TransactionalIdAuthorizationFailed 53 "TRANSACTIONAL_ID_AUTHORIZATION_FAILED" stop
        "Not allowed with this transactional id"
    SecurityDisabled 54 "SECURITY_DISABLED" stop
        "Security features are not switched on"
    OperationNotAttempted 55 "OPERATION_NOT_ATTEMPTED" stop
        "This was not tried, because something before it failed"
    KafkaStorageError 56 "KAFKA_STORAGE_ERROR" retry
        "The disk failed, or is full"
    LogDirNotFound 57 "LOG_DIR_NOT_FOUND" stop
        "The broker has no such log directory"
    SaslAuthenticationFailed 58 "SASL_AUTHENTICATION_FAILED" stop
        "The login failed"
    UnknownProducerId 59 "UNKNOWN_PRODUCER_ID" stop
        "The partition remembers nothing of this producer"
    ReassignmentInProgress 60 "REASSIGNMENT_IN_PROGRESS" stop
        "The partition is being moved"
    DelegationTokenAuthDisabled 61 "DELEGATION_TOKEN_AUTH_DISABLED" stop
        "Delegation tokens are not switched on"
    DelegationTokenNotFound 62 "DELEGATION_TOKEN_NOT_FOUND" stop
        "There is no such delegation token"
    DelegationTokenOwnerMismatch 63 "DELEGATION_TOKEN_OWNER_MISMATCH" stop
        "The delegation token belongs to somebody else"
    DelegationTokenRequestNotAllowed 64 "DELEGATION_TOKEN_REQUEST_NOT_ALLOWED" stop
        "Delegation tokens cannot be asked for on such a connection"
    DelegationTokenAuthorizationFailed 65 "DELEGATION_TOKEN_AUTHORIZATION_FAILED" stop
        "Not allowed with this delegation token"
    DelegationTokenExpired 66 "DELEGATION_TOKEN_EXPIRED" stop
        "The delegation token has expired"
    InvalidPrincipalType 67 "INVALID_PRINCIPAL_TYPE" stop
        "That kind of principal is not supported"
    NonEmptyGroup 68 "NON_EMPTY_GROUP" stop
        "The group still has members"
    GroupIdNotFound 69 "GROUP_ID_NOT_FOUND" stop
        "There is no such group"
    FetchSessionIdNotFound 70 "FETCH_SESSION_ID_NOT_FOUND" retry
        "The fetch session is not known"
    InvalidFetchSessionEpoch 71 "INVALID_FETCH_SESSION_EPOCH" retry
        "The fetch session is at another epoch"
    ListenerNotFound 72 "LISTENER_NOT_FOUND" retry
        "The leader has no listener of the name that was asked on"
    TopicDeletionDisabled 73 "TOPIC_DELETION_DISABLED" stop
        "Topics cannot be deleted here"
    FencedLeaderEpoch 74 "FENCED_LEADER_EPOCH" retry
        "The leader epoch is an old one"
    UnknownLeaderEpoch 75 "UNKNOWN_LEADER_EPOCH" retry
        "The leader epoch is newer than what this broker knows"
    UnsupportedCompressionType 76 "UNSUPPORTED_COMPRESSION_TYPE" stop
        "The compression is not supported here"
    StaleBrokerEpoch 77 "STALE_BROKER_EPOCH" stop
        "The broker's epoch is an old one"
    OffsetNotAvailable 78 "OFFSET_NOT_AVAILABLE" retry
        "The new leader does not know yet how far its log is committed"
    MemberIdRequired 79 "MEMBER_ID_REQUIRED" stop
        "A member id is needed before joining"
    PreferredLeaderNotAvailable 80 "PREFERRED_LEADER_NOT_AVAILABLE" retry
        "The preferred leader is not there"
    GroupMaxSizeReached 81 "GROUP_MAX_SIZE_REACHED" stop
        "The group is full"
    FencedInstanceId 82 "FENCED_INSTANCE_ID" stop
        "Another member has taken over the group instance id"
    EligibleLeadersNotAvailable 83 "ELIGIBLE_LEADERS_NOT_AVAILABLE" retry
        "No replica is there that could become leader"
    ElectionNotNeeded 84 "ELECTION_NOT_NEEDED" retry
        "The partition has the right leader already"
    NoReassignmentInProgress 85 "NO_REASSIGNMENT_IN_PROGRESS" stop
        "The partition is not being moved"
    GroupSubscribedToTopic 86 "GROUP_SUBSCRIBED_TO_TOPIC" stop
        "The group still reads this topic"
    InvalidRecord 87 "INVALID_RECORD" stop
        "The record breaks a rule of the topic or of the format"
    UnstableOffsetCommit 88 "UNSTABLE_OFFSET_COMMIT" retry
        "Transactions in progress may still change the committed offset"
    ThrottlingQuotaExceeded 89 "THROTTLING_QUOTA_EXCEEDED" retry
        "The quota for such changes is used up"
    ProducerFenced 90 "PRODUCER_FENCED" stop
        "A newer producer has taken over the transactional id"
    ResourceNotFound 91 "RESOURCE_NOT_FOUND" stop
        "There is no such resource"
    DuplicateResource 92 "DUPLICATE_RESOURCE" stop
        "The resource is named twice"
    UnacceptableCredential 93 "UNACCEPTABLE_CREDENTIAL" stop
        "The credential does not meet the requirements"
    InconsistentVoterSet 94 "INCONSISTENT_VOTER_SET" stop
        "The sender or the receiver is not a voter that the other knows"
    InvalidUpdateVersion 95 "INVALID_UPDATE_VERSION" stop
        "The feature level is not possible"
    FeatureUpdateFailed 96 "FEATURE_UPDATE_FAILED" stop
        "The features could not be changed"
    PrincipalDeserializationFailure 97 "PRINCIPAL_DESERIALIZATION_FAILURE" stop
        "The principal of a forwarded request could not be read"
    SnapshotNotFound 98 "SNAPSHOT_NOT_FOUND" stop
        "There is no such snapshot"
    PositionOutOfRange 99 "POSITION_OUT_OF_RANGE" stop
        "The position is outside of the snapshot"
    UnknownTopicId 100 "UNKNOWN_TOPIC_ID" retry
        "This broker does not know the topic id"
    DuplicateBrokerRegistration 101 "DUPLICATE_BROKER_REGISTRATION" stop
        "Another broker runs under this id"
    BrokerIdNotRegistered 102 "BROKER_ID_NOT_REGISTERED" stop
        "No broker is registered under this id"
    InconsistentTopicId 103 "INCONSISTENT_TOPIC_ID" retry
        "The log belongs to a topic of another id"
    InconsistentClusterId 104 "INCONSISTENT_CLUSTER_ID" stop
        "The request is meant for another cluster"
    TransactionalIdNotFound 105 "TRANSACTIONAL_ID_NOT_FOUND" stop
        "There is no such transactional id"
    FetchSessionTopicIdError 106 "FETCH_SESSION_TOPIC_ID_ERROR" retry
        "The fetch session has another id for the topic"
    IneligibleReplica 107 "INELIGIBLE_REPLICA" stop
        "A replica in the new in-sync set must not be there"
    NewLeaderElected 108 "NEW_LEADER_ELECTED" stop
        "The change was made, and has brought another leader"
    OffsetMovedToTieredStorage 109 "OFFSET_MOVED_TO_TIERED_STORAGE" stop
        "The offset is in tiered storage"
    FencedMemberEpoch 110 "FENCED_MEMBER_EPOCH" stop
        "The member's epoch is over: give everything up and join again"
    UnreleasedInstanceId 111 "UNRELEASED_INSTANCE_ID" stop
        "The instance id is still in use by another member"
    UnsupportedAssignor 112 "UNSUPPORTED_ASSIGNOR" stop
        "The group's assignor is not supported"
    StaleMemberEpoch 113 "STALE_MEMBER_EPOCH" stop
        "The member's epoch is old: wait for the next heartbeat"
    MismatchedEndpointType 114 "MISMATCHED_ENDPOINT_TYPE" stop
        "This is the wrong kind of endpoint for the request"
    UnsupportedEndpointType 115 "UNSUPPORTED_ENDPOINT_TYPE" stop
        "This kind of endpoint is not supported"
    UnknownControllerId 116 "UNKNOWN_CONTROLLER_ID" stop
        "There is no such controller"
    UnknownSubscriptionId 117 "UNKNOWN_SUBSCRIPTION_ID" stop
        "The telemetry subscription is unknown or outdated"
    TelemetryTooLarge 118 "TELEMETRY_TOO_LARGE" stop
        "The telemetry is larger than the broker accepts"
    InvalidRegistration 119 "INVALID_REGISTRATION" stop
        "The controller refuses the registration"
    TransactionAbortable 120 "TRANSACTION_ABORTABLE" stop
        "The transaction failed and can be aborted to go on"
    InvalidRecordState 121 "INVALID_RECORD_STATE" stop
        "The record is not in a state that allows this acknowledgement"
    ShareSessionNotFound 122 "SHARE_SESSION_NOT_FOUND" retry
        "There is no such share session"
    InvalidShareSessionEpoch 123 "INVALID_SHARE_SESSION_EPOCH" retry
        "The share session is at another epoch"
    FencedStateEpoch 124 "FENCED_STATE_EPOCH" stop
        "The epoch of the share group's state is an old one"
    InvalidVoterKey 125 "INVALID_VOTER_KEY" stop
        "The voter's key does not match"
    DuplicateVoter 126 "DUPLICATE_VOTER" stop
        "It is a voter already"
    VoterNotFound 127 "VOTER_NOT_FOUND" stop
        "It is not a voter"
    InvalidRegularExpression 128 "INVALID_REGULAR_EXPRESSION" stop
        "The regular expression is not valid"
    RebootstrapRequired 129 "REBOOTSTRAP_REQUIRED" stop
        "The client's picture of the cluster is too old: begin at the bootstrap servers again"
    StreamsInvalidTopology 130 "STREAMS_INVALID_TOPOLOGY" stop
        "The topology is not valid"
    StreamsInvalidTopologyEpoch 131 "STREAMS_INVALID_TOPOLOGY_EPOCH" stop
        "The topology's epoch is not valid"
    StreamsTopologyFenced 132 "STREAMS_TOPOLOGY_FENCED" stop
        "The topology's epoch is an old one"
    ShareSessionLimitReached 133 "SHARE_SESSION_LIMIT_REACHED" retry
        "There are as many share sessions as there may be"
}

impl ErrorCode {
    /// The number that answers carry.
    #[must_use]
    pub const fn number(self) -> i16 {
        self as i16
    }
}

impl From<ErrorCode> for i16 {
    fn from(code: ErrorCode) -> Self {
        code.number()
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}): {}", self.name(), self.number(), self.message())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_without_gaps_and_find_their_code() {
        for (number, code) in (-1_i16..).zip(ErrorCode::ALL) {
            assert_eq!(code.number(), number);
            assert_eq!(ErrorCode::from_number(number), Some(*code));
        }
        assert_eq!(ErrorCode::ALL.len(), 135);
        assert_eq!(ErrorCode::from_number(134), None);
    }

    #[test]
    fn a_client_retries_what_may_heal_by_itself() {
        assert!(ErrorCode::NotLeaderOrFollower.is_retriable());
        assert!(!ErrorCode::MessageTooLarge.is_retriable());
        let retriable = ErrorCode::ALL.iter().filter(|code| code.is_retriable()).count();
        assert_eq!(retriable, 32);
    }
}
