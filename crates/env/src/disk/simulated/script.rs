//! What is going to go wrong: faults that a test ordered ahead of time.

use std::{fmt, io, path::Path};

/// The kinds of calls that a fault can be ordered for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// A file is opened that is there, or anything is looked up.
    Look,
    /// Bytes are read.
    Read,
    /// Bytes are written.
    Write,
    /// The length is set.
    SetLen,
    /// A file, a folder or the whole file system is synced.
    Sync,
    /// A file or folder is created.
    Create,
    /// A name is changed.
    Rename,
    /// A file or a tree is removed.
    Remove,
    /// Anything else, which changes nothing that a crash could lose.
    Other,
}

impl Operation {
    /// Whether a power failure before it and one after it may leave different things.
    pub(super) fn mutates(self) -> bool {
        !matches!(self, Self::Look | Self::Read | Self::Other)
    }
}

/// What becomes of one operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Works,
    /// It answers EIO, having done what such an operation may have done by then.
    Fails,
    /// Some sectors of the write are there; then the power goes.
    Tears,
}

impl Fate {
    /// For operations of which nothing is done when they fail.
    pub(super) fn check(self) -> io::Result<()> {
        if self == Self::Works { Ok(()) } else { Err(input_output_error()) }
    }
}

/// The error of every call after the power went, told from others by [`is_power_off`].
#[derive(Debug)]
struct PowerOff;

impl fmt::Display for PowerOff {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the power of the simulated machine is off")
    }
}

impl std::error::Error for PowerOff {}

/// Whether a call failed because the simulated machine (or process) it was made on is no more.
pub fn is_power_off(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<PowerOff>())
}

pub(super) fn power_off() -> io::Error {
    io::Error::other(PowerOff)
}

pub(super) fn input_output_error() -> io::Error {
    rustix::io::Errno::IO.into()
}

#[derive(Debug)]
struct Fault {
    target: Target,
    /// How many operations it lets pass before.
    passes: u64,
    fate: Fate,
}

/// Operations of one kind on paths that contain `part`.
#[derive(Debug)]
struct Target {
    operation: Operation,
    part: String,
}

impl Target {
    fn meets(&self, operation: Operation, path: &Path) -> bool {
        self.operation == operation && path.to_string_lossy().contains(&self.part)
    }
}

#[derive(Debug)]
struct Stall {
    id: u64,
    target: Target,
    waiting: u64,
}

/// Everything that was ordered and has not happened yet.
#[derive(Debug, Default)]
pub(super) struct Script {
    faults: Vec<Fault>,
    stalls: Vec<Stall>,
    stalls_made: u64,
    /// Bytes that the file system has room for.
    pub(super) capacity: Option<u64>,
    /// How many mutating operations still work before the power goes.
    pub(super) operations_left: Option<u64>,
    pub(super) names_in_any_order: bool,
}

impl Script {
    pub(super) fn order(&mut self, operation: Operation, part: &str, nth: u64, fate: Fate) {
        let target = Target { operation, part: part.to_owned() };
        self.faults.push(Fault { target, passes: nth.saturating_sub(1), fate });
    }

    /// Decides one operation; a fault that met it is used up.
    pub(super) fn decide(&mut self, operation: Operation, path: &Path) -> Fate {
        let mut fate = Fate::Works;
        self.faults.retain_mut(|fault| {
            if !fault.target.meets(operation, path) {
                return true;
            }
            if fault.passes > 0 {
                fault.passes -= 1;
                return true;
            }
            fate = fault.fate;
            false
        });
        fate
    }

    pub(super) fn stall(&mut self, operation: Operation, part: &str) -> u64 {
        self.stalls_made += 1;
        let target = Target { operation, part: part.to_owned() };
        self.stalls.push(Stall { id: self.stalls_made, target, waiting: 0 });
        self.stalls_made
    }

    pub(super) fn release(&mut self, id: u64) {
        self.stalls.retain(|stall| stall.id != id);
    }

    /// The stall that an operation runs into; it counts as waiting there from now on.
    pub(super) fn stalled(&mut self, operation: Operation, path: &Path) -> Option<u64> {
        let stall = self.stalls.iter_mut().find(|stall| stall.target.meets(operation, path))?;
        stall.waiting += 1;
        Some(stall.id)
    }

    pub(super) fn is_stalling(&self, id: u64) -> bool {
        self.stalls.iter().any(|stall| stall.id == id)
    }

    pub(super) fn waiting(&self, id: u64) -> u64 {
        self.stalls.iter().find(|stall| stall.id == id).map_or(0, |stall| stall.waiting)
    }
}
