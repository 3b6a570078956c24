//! What a broker coordinates for clients.

mod group;
