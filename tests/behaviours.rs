//! How versweep behaves, one file per behaviour; nothing here needs an installed server.

#[cfg(test)]
#[path = "support/daemon.rs"]
mod daemon;
#[cfg(test)]
#[path = "support/devices.rs"]
mod devices;
#[cfg(test)]
#[path = "support/fleet.rs"]
mod fleet;
#[cfg(test)]
#[path = "support/promql.rs"]
mod promql;
#[cfg(test)]
#[path = "support/shell_server.rs"]
mod shell_server;
#[cfg(test)]
#[path = "support/site.rs"]
mod site;
#[cfg(test)]
#[path = "support/ssh_server.rs"]
mod ssh_server;
#[cfg(test)]
#[path = "support/visits.rs"]
mod visits;

#[cfg(test)]
#[path = "behaviours/agent.rs"]
mod agent;
#[cfg(test)]
#[path = "behaviours/cli.rs"]
mod cli;
#[cfg(test)]
#[path = "behaviours/config.rs"]
mod config;
#[cfg(test)]
#[path = "behaviours/corpus.rs"]
mod corpus;
#[cfg(test)]
#[path = "behaviours/crash.rs"]
mod crash;
#[cfg(test)]
#[path = "behaviours/daemon.rs"]
mod daemon_run;
#[cfg(test)]
#[path = "behaviours/daemon_stop.rs"]
mod daemon_stop;
#[cfg(test)]
#[path = "behaviours/dashboards.rs"]
mod dashboards;
#[cfg(test)]
#[path = "behaviours/diff.rs"]
mod diff;
#[cfg(test)]
#[path = "behaviours/fetch.rs"]
mod fetch;
#[cfg(test)]
#[path = "behaviours/first_start.rs"]
mod first_start;
#[cfg(test)]
#[path = "behaviours/gentle.rs"]
mod gentle;
#[cfg(test)]
#[path = "behaviours/host_keys.rs"]
mod host_keys;
#[cfg(test)]
#[path = "behaviours/hostile_server.rs"]
mod hostile_server;
#[cfg(test)]
#[path = "behaviours/http.rs"]
mod http;
#[cfg(test)]
#[path = "behaviours/inventory.rs"]
mod inventory;
#[cfg(test)]
#[path = "behaviours/jumps.rs"]
mod jumps;
#[cfg(test)]
#[path = "behaviours/kill.rs"]
mod kill;
#[cfg(test)]
#[path = "behaviours/login.rs"]
mod login;
#[cfg(test)]
#[path = "behaviours/metrics.rs"]
mod metrics;
#[cfg(test)]
#[path = "behaviours/parse.rs"]
mod parse;
#[cfg(test)]
#[path = "behaviours/probe.rs"]
mod probe;
#[cfg(test)]
#[path = "behaviours/recorder.rs"]
mod recorder;
#[cfg(test)]
#[path = "behaviours/rules.rs"]
mod rules;
#[cfg(test)]
#[path = "behaviours/schedule.rs"]
mod schedule;
#[cfg(test)]
#[path = "behaviours/secrets.rs"]
mod secrets;
#[cfg(test)]
#[path = "behaviours/sessions.rs"]
mod sessions;
#[cfg(test)]
#[path = "behaviours/shell.rs"]
mod shell;
#[cfg(test)]
#[path = "behaviours/sim.rs"]
mod sim;
#[cfg(test)]
#[path = "behaviours/sinks.rs"]
mod sinks;
#[cfg(test)]
#[path = "behaviours/startup.rs"]
mod startup;
#[cfg(test)]
#[path = "behaviours/stop.rs"]
mod stop;
#[cfg(test)]
#[path = "behaviours/store.rs"]
mod store;
#[cfg(test)]
#[path = "behaviours/sweep.rs"]
mod sweep;
#[cfg(test)]
#[path = "behaviours/transport_conformance.rs"]
mod transport_conformance;
