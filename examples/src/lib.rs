//! What the examples have in common: where the broker is, and when they end.

/// What a program may end with.
pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// The cluster that is asked: `MILENA_BOOTSTRAP`, or a broker on this machine.
#[must_use]
pub fn bootstrap() -> String {
    std::env::var("MILENA_BOOTSTRAP").unwrap_or_else(|_| "127.0.0.1:9092".to_owned())
}

/// How many records a program handles before it ends: the first word of its command line, or all
/// that ever come.
#[must_use]
pub fn limit() -> usize {
    std::env::args().nth(1).and_then(|word| word.parse().ok()).unwrap_or(usize::MAX)
}
