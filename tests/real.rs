//! What holds against real servers; every test is ignored unless `make test` has installed what it needs.

#[path = "support/fleet.rs"]
mod fleet;
#[path = "support/prometheus.rs"]
mod prometheus_server;

#[path = "real/prometheus.rs"]
mod prometheus;
