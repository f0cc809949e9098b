//! What versweep does, one file per behaviour.

#[path = "behaviours/sim.rs"]
mod sim;
