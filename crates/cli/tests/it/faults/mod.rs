//! Faults that want a real process: signals under load, and more clients than a broker can serve.

mod overload;
mod signals;
