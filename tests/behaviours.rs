//! How versweep behaves, one file per behaviour; nothing here needs an installed server.

#[path = "support/fleet.rs"]
mod fleet;

#[path = "behaviours/config.rs"]
mod config;
#[path = "behaviours/http.rs"]
mod http;
#[path = "behaviours/inventory.rs"]
mod inventory;
#[path = "behaviours/metrics.rs"]
mod metrics;
#[path = "behaviours/sim.rs"]
mod sim;
