//! How versweep behaves, one file per behaviour; nothing here needs an installed server.

#[path = "support/fleet.rs"]
mod fleet;
#[path = "support/visits.rs"]
mod visits;

#[path = "behaviours/config.rs"]
mod config;
#[path = "behaviours/crash.rs"]
mod crash;
#[path = "behaviours/diff.rs"]
mod diff;
#[path = "behaviours/http.rs"]
mod http;
#[path = "behaviours/inventory.rs"]
mod inventory;
#[path = "behaviours/metrics.rs"]
mod metrics;
#[path = "behaviours/recorder.rs"]
mod recorder;
#[path = "behaviours/sim.rs"]
mod sim;
#[path = "behaviours/sinks.rs"]
mod sinks;
#[path = "behaviours/store.rs"]
mod store;
