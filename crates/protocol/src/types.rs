//! The numbers that Kafka's people talk about, each a type of its own so that none is taken for
//! another.

use std::fmt;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number! {
    /// The place of a record in its partition.
    Offset(i64)
}
number! {
    /// How often a partition has had a new leader.
    LeaderEpoch(i32)
}
number! {
    /// Who an idempotent or transactional producer is.
    ProducerId(i64)
}
number! {
    /// Which incarnation of a producer id is speaking.
    ProducerEpoch(i16)
}

impl Offset {
    /// The first offset of a new partition.
    pub const ZERO: Self = Self(0);

    /// This offset moved by a number of records, staying in range.
    #[must_use]
    pub const fn plus(self, records: i64) -> Self {
        Self(self.0.saturating_add(records))
    }

    /// The offset after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        self.plus(1)
    }
}

impl LeaderEpoch {
    /// Kafka's way to say that an epoch is not known.
    pub const UNKNOWN: Self = Self(-1);
}

impl ProducerId {
    /// Kafka's way to say that a batch has no producer id.
    pub const NONE: Self = Self(-1);
}

impl ProducerEpoch {
    /// Kafka's way to say that a batch has no producer epoch.
    pub const NONE: Self = Self(-1);
}
