//! The states of a transactional id, with the numbers and names that Kafka gives them.

/// What has become of a transactional id's last transaction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum State {
    /// There was none since the producer was given its epoch.
    #[default]
    Empty = 0,
    Ongoing = 1,
    /// The decision is made; markers are being written.
    PrepareCommit = 2,
    PrepareAbort = 3,
    /// Every partition has its marker.
    CompleteCommit = 4,
    CompleteAbort = 5,
    /// Known by name alone: here an id that is forgotten is gone at once,
    Dead = 6,
    /// and a producer is fenced in one step with the decision to abort.
    PrepareEpochFence = 7,
}

impl State {
    const ALL: [Self; 8] = [
        Self::Empty,
        Self::Ongoing,
        Self::PrepareCommit,
        Self::PrepareAbort,
        Self::CompleteCommit,
        Self::CompleteAbort,
        Self::Dead,
        Self::PrepareEpochFence,
    ];

    pub(crate) const fn number(self) -> i8 {
        self as i8
    }

    pub(crate) fn from_number(number: i8) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.number() == number)
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::Ongoing => "Ongoing",
            Self::PrepareCommit => "PrepareCommit",
            Self::PrepareAbort => "PrepareAbort",
            Self::CompleteCommit => "CompleteCommit",
            Self::CompleteAbort => "CompleteAbort",
            Self::Dead => "Dead",
            Self::PrepareEpochFence => "PrepareEpochFence",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// The decision, while it is being carried out.
    pub(crate) const fn decision(self) -> Option<Verdict> {
        match self {
            Self::PrepareCommit => Some(Verdict::Commit),
            Self::PrepareAbort => Some(Verdict::Abort),
            _ => None,
        }
    }

    /// Whether the id may be forgotten once it was unused for long enough.
    pub(super) const fn may_expire(self) -> bool {
        matches!(self, Self::Empty | Self::CompleteCommit | Self::CompleteAbort)
    }
}

/// How a transaction ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Commit,
    Abort,
}

impl Verdict {
    pub(super) const fn prepared(self) -> State {
        match self {
            Self::Commit => State::PrepareCommit,
            Self::Abort => State::PrepareAbort,
        }
    }

    pub(super) const fn completed(self) -> State {
        match self {
            Self::Commit => State::CompleteCommit,
            Self::Abort => State::CompleteAbort,
        }
    }
}
