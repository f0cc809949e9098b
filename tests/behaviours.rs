//! What versweep promises, one file per behaviour; nothing here needs an installed server.

#[path = "support/fleet.rs"]
mod fleet;

#[path = "behaviours/dashboards.rs"]
mod dashboards;
#[path = "behaviours/http.rs"]
mod http;
#[path = "behaviours/metrics.rs"]
mod metrics;
