//! Waiting in asynchronous code. It is tokio's time in the product and in the simulation alike:
//! there it stands still until nobody has anything else to do.

use std::time::Duration;

/// Waits. Nothing else on the thread is held up.
#[expect(clippy::disallowed_methods, reason = "this is the one place that waits")]
pub async fn sleep(duration: Duration) {
    tokio::time::sleep(duration).await;
}

/// What `future` came to, or `None` if that took longer than `limit`; it is dropped then.
pub async fn timeout<F: Future>(limit: Duration, future: F) -> Option<F::Output> {
    tokio::time::timeout(limit, future).await.ok()
}
