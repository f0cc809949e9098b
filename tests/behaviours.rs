//! What versweep does, one file per behaviour.

#[path = "behaviours/sim.rs"]
mod sim;
//! How versweep behaves, one file per behaviour.

#[path = "behaviours/config.rs"]
mod config;
#[path = "behaviours/inventory.rs"]
mod inventory;
//! What versweep promises, one file per behaviour; nothing here needs an installed server.

#[path = "support/fleet.rs"]
mod fleet;

#[path = "behaviours/http.rs"]
mod http;
#[path = "behaviours/metrics.rs"]
mod metrics;
