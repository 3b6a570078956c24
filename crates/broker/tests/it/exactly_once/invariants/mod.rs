//! What must hold of a history, whatever happened: one file each.

mod acknowledged_is_there;
mod all_or_nothing;
mod fenced_is_never_committed;
mod gaps_are_refused;
mod nothing_is_skipped_or_shown;
mod offsets_never_go_back;
mod one_copy;
mod one_output_each;
mod pending_is_told;
mod stable_moves_on;

use std::time::Duration;

use super::History;

impl History {
    /// `patience` is how long a transaction may hold readers up.
    pub(crate) fn check(&self, patience: Duration) {
        stable_moves_on::check(self, patience);
        one_copy::check(self);
        acknowledged_is_there::check(self);
        gaps_are_refused::check(self);
        all_or_nothing::check(self);
        fenced_is_never_committed::check(self);
        nothing_is_skipped_or_shown::check(self);
        pending_is_told::check(self);
        offsets_never_go_back::check(self);
        one_output_each::check(self);
    }
}
