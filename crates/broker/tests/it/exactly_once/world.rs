//! The broker that the story is told to, and what happens to it.

use std::io;

use crate::client::Client;

/// A broker that comes and goes.
pub(crate) trait World {
    /// A new connection.
    fn client(&self) -> io::Result<Client>;

    /// Has it fail in the midst of what it does, soon.
    fn fail_soon(&mut self, random: &mut milena_env::Random);

    /// Whether it has failed, or is about to.
    fn is_failing(&self) -> bool;

    fn has_failed(&mut self) -> bool;

    /// Ends what is left of it, in order or not, and starts the next one on what it has left.
    fn begin_again(&mut self, in_order: bool);
}
