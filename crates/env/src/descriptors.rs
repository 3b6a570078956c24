//! The process's open files: how many there may be, and the kernel's table of them.

use std::io;

use rustix::{
    io::{Errno, fcntl_dupfd_cloexec},
    process::{Resource, Rlimit, getrlimit, setrlimit},
};

/// Lets the process open as many files as it may, and makes the table large enough for `count`. To
/// be called before there are threads: from then on the kernel makes it larger by waiting for all
/// processors, some 10 ms each time the count doubles, and whoever opens a file meanwhile waits
/// too. It costs 8 bytes of the kernel's for each. Where fewer are allowed it is made for as many,
/// and failing is no harm.
pub fn reserve(count: u16) {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    // What is allowed at first is meant for programs that use `select`: often 1,024.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    let mut last = i32::from(count) - 1;
    // A table never shrinks: one that was once taken stays when it is given back.
    while last > 0 && matches!(fcntl_dupfd_cloexec(io::stderr(), last), Err(Errno::INVAL)) {
        last /= 2;
    }
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn no_count_is_too_much() {
        reserve(u16::MAX);
        reserve(0);
        let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
        assert_eq!(current, maximum);
    }
}
