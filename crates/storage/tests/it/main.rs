//! The log from outside: what a broker may rely on.

mod rig;
mod story;
