//! A record of which its producer says that others come before it is not written without these.

use milena_protocol::ErrorCode;

use crate::exactly_once::history::History;

pub(super) fn check(history: &History) {
    for (value, told) in &history.gaps {
        assert_ne!(*told, Some(ErrorCode::None), "{value} was taken");
        let seen = history.uncommitted.values().chain(history.uncommitted_at_last.values());
        assert!(!{ seen }.flatten().any(|(_, other)| other == value), "{value} is there");
    }
}
