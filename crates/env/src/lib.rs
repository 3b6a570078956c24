//! The outside world behind one thin facade: clock, random numbers, network, files and threads.
//!
//! Everything that decides in Milena takes time, chance and files from here and from nowhere else
//! (`clippy.toml` forbids the direct calls), so that a broker can be run through power failures,
//! full disks and clock jumps inside an ordinary test.

pub mod clock;
mod collections;
pub mod descriptors;
pub mod disk;
pub mod memory;
#[cfg(feature = "net")]
pub mod net;
pub mod random;
pub mod signals;
pub mod spawn;
#[cfg(feature = "net")]
pub mod timer;

#[cfg(feature = "simulation")]
pub use clock::SimulatedClock;
pub use clock::{Clock, ManualClock, RealClock};
pub use collections::{HashMap, HashSet};
pub use disk::{Disk, DiskFile, RealDisk, SimulatedDisk};
pub use random::Random;
pub use spawn::spawn_thread;
