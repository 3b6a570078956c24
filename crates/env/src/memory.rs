//! Memory of the whole process.

/// Gives memory that nobody uses back to the machine. The allocator keeps what many threads took
/// and freed at once, such as at a start, in case they do so again; they will not.
pub fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: it takes a number, and touches nothing that is in use.
    unsafe {
        libc::malloc_trim(0);
    }
}
