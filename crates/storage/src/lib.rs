//! The log of one partition and the directory that holds many, in Kafka's own on-disk formats.
#![forbid(unsafe_code)]

pub mod epochs;
pub mod index;
pub mod names;
pub mod producers;
