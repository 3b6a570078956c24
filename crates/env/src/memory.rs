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

/// Has the allocator keep up to `bytes` that are free behind what a thread has in use. By default
/// it gives them back at once and takes them again for the next request, and the kernel has to
/// clear each page: a tenth of what produced bytes cost. What is allocated at once from `alone` on
/// lies outside of that and goes back as it is freed, or large buffers would leave holes that no
/// other one fits into.
pub fn keep(bytes: i32, alone: i32) {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: it sets numbers that the allocator looks at later.
    unsafe {
        libc::mallopt(libc::M_TRIM_THRESHOLD, bytes);
        // Said too, or the allocator would go on to choose both by itself.
        libc::mallopt(libc::M_MMAP_THRESHOLD, alone);
    }
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    let _ = (bytes, alone);
}
