//! What versweep does, one file per behaviour.

#[path = "behaviours/sim.rs"]
mod sim;
//! How versweep behaves, one file per behaviour.

#[path = "behaviours/config.rs"]
mod config;
#[path = "behaviours/inventory.rs"]
mod inventory;
