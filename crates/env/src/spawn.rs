//! Threads. Each has a name, which is what a person sees in `top -H`.

use std::{
    io,
    thread::{self, JoinHandle},
};

/// Starts a thread. Linux shows the first 15 bytes of `name`.
pub fn spawn_thread<T: Send + 'static>(
    name: &str,
    run: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    thread::Builder::new().name(name.to_owned()).spawn(run)
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn a_thread_bears_its_name() {
        let thread = spawn_thread("journal", || thread::current().name().map(str::to_owned));
        assert_eq!(thread.unwrap().join().unwrap().as_deref(), Some("journal"));
    }
}
