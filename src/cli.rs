//! (being built)

pub mod changes;
pub mod client;
pub mod devices;
