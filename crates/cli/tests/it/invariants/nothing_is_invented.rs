//! Nothing is read that nobody sent.

use super::Story;

pub(super) fn check(story: &Story) {
    for found in story.found.iter().flatten() {
        let sent = story.sent.get(found.producer as usize);
        assert!(sent.is_some_and(|sent| found.number < *sent), "{found:?} was never sent");
    }
}
