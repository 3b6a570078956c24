//! Hash maps whose order depends on nothing but their contents.
//!
//! The hash is fast and has no secret: a map whose keys a stranger may choose without limit must
//! be bounded or ordered (`BTreeMap`).

use foldhash::fast::FixedState;

/// `std`'s hash map with a fixed hash. Made with `HashMap::default()`.
#[expect(clippy::disallowed_types, reason = "this is what stands in for it")]
pub type HashMap<K, V> = std::collections::HashMap<K, V, FixedState>;

/// `std`'s hash set with a fixed hash. Made with `HashSet::default()`.
#[expect(clippy::disallowed_types, reason = "this is what stands in for it")]
pub type HashSet<T> = std::collections::HashSet<T, FixedState>;
