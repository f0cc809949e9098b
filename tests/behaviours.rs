//! How versweep behaves, one file per behaviour.

#[cfg(test)]
#[path = "behaviours/config.rs"]
mod config;
#[cfg(test)]
#[path = "behaviours/inventory.rs"]
mod inventory;
