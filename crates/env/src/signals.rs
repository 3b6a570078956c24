//! Signals as the process got them from whoever started it. Nothing is caught here.

use std::{mem::MaybeUninit, ptr};

/// Whether whoever started this process wants it to outlive its terminal, as `nohup` does. To be
/// asked before anybody catches SIGHUP.
#[must_use]
pub fn is_hangup_ignored() -> bool {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: without a new action it changes nothing, and writes the old one into our memory,
    // which is a valid one also if it does not.
    let action = unsafe {
        libc::sigaction(libc::SIGHUP, ptr::null(), action.as_mut_ptr());
        action.assume_init()
    };
    action.sa_sigaction == libc::SIG_IGN
}
