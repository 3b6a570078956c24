//! Reading records, alone or as a member of a group.

mod assignor;

pub use assignor::Assignor;
