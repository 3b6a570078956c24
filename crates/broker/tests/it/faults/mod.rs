//! Faults of one broker, on a simulated disk. Those that want real processes and SIGKILL are tests
//! of the binary, in `crates/cli/tests`.

mod clock;
mod damage;
mod disk;
mod idempotence;
mod power;
mod retention;
