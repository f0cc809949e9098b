//! How versweep behaves, one file per behaviour; nothing here needs an installed server.

#[cfg(test)]
#[path = "support/authority.rs"]
mod authority;
#[cfg(test)]
#[path = "support/daemon.rs"]
mod daemon;
#[cfg(test)]
#[path = "support/devices.rs"]
mod devices;
#[cfg(test)]
#[path = "support/events.rs"]
mod events;
#[cfg(test)]
#[path = "support/fleet.rs"]
mod fleet;
#[cfg(test)]
#[path = "support/hostile_fleet.rs"]
mod hostile_fleet;
#[cfg(test)]
#[path = "support/kept.rs"]
mod kept;
#[cfg(test)]
#[path = "support/promql.rs"]
mod promql;
#[cfg(test)]
#[path = "support/receiver.rs"]
mod receiver;
#[cfg(test)]
#[path = "support/shell_server.rs"]
mod shell_server;
#[cfg(test)]
#[path = "support/site.rs"]
mod site;
#[cfg(test)]
#[path = "support/source_server.rs"]
mod source_server;
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
#[path = "behaviours/ansible.rs"]
mod ansible;
#[cfg(test)]
#[path = "behaviours/api.rs"]
mod api;
#[cfg(test)]
#[path = "behaviours/bench.rs"]
mod bench;
#[cfg(test)]
#[path = "behaviours/check_connect.rs"]
mod check_connect;
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
#[path = "behaviours/delivery.rs"]
mod delivery;
#[cfg(test)]
#[path = "behaviours/detection.rs"]
mod detection;
#[cfg(test)]
#[path = "behaviours/diff.rs"]
mod diff;
#[cfg(test)]
#[path = "behaviours/documents.rs"]
mod documents;
#[cfg(test)]
#[path = "behaviours/events.rs"]
mod events_run;
#[cfg(test)]
#[path = "behaviours/failures.rs"]
mod failures;
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
#[path = "behaviours/history.rs"]
mod history;
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
#[path = "behaviours/inventory_live.rs"]
mod inventory_live;
#[cfg(test)]
#[path = "behaviours/jumps.rs"]
mod jumps;
#[cfg(test)]
#[path = "behaviours/kill.rs"]
mod kill;
#[cfg(test)]
#[path = "behaviours/kinds.rs"]
mod kinds;
#[cfg(test)]
#[path = "behaviours/live_events.rs"]
mod live_events;
#[cfg(test)]
#[path = "behaviours/login.rs"]
mod login;
#[cfg(test)]
#[path = "behaviours/metrics.rs"]
mod metrics;
#[cfg(test)]
#[path = "behaviours/offers.rs"]
mod offers;
#[cfg(test)]
#[path = "behaviours/page_actions.rs"]
mod page_actions;
#[cfg(test)]
#[path = "behaviours/page_certificates.rs"]
mod page_certificates;
#[cfg(test)]
#[path = "behaviours/page_cost.rs"]
mod page_cost;
#[cfg(test)]
#[path = "behaviours/page_lists.rs"]
mod page_lists;
#[cfg(test)]
#[path = "behaviours/pages.rs"]
mod pages;
#[cfg(test)]
#[path = "behaviours/parse.rs"]
mod parse;
#[cfg(test)]
#[path = "behaviours/plan.rs"]
mod plan;
#[cfg(test)]
#[path = "behaviours/policy.rs"]
mod policy;
#[cfg(test)]
#[path = "behaviours/policy_told.rs"]
mod policy_told;
#[cfg(test)]
#[path = "behaviours/policy_url.rs"]
mod policy_url;
#[cfg(test)]
#[path = "behaviours/probe.rs"]
mod probe;
#[cfg(test)]
#[path = "behaviours/recorder.rs"]
mod recorder;
#[cfg(test)]
#[path = "behaviours/redaction.rs"]
mod redaction;
#[cfg(test)]
#[path = "behaviours/registries.rs"]
mod registries;
#[cfg(test)]
#[path = "behaviours/renames.rs"]
mod renames;
#[cfg(test)]
#[path = "behaviours/round_trips.rs"]
mod round_trips;
#[cfg(test)]
#[path = "behaviours/rounds.rs"]
mod rounds;
#[cfg(test)]
#[path = "behaviours/rules.rs"]
mod rules;
#[cfg(test)]
#[path = "behaviours/schedule.rs"]
mod schedule;
#[cfg(test)]
#[path = "behaviours/schema.rs"]
mod schema;
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
#[path = "behaviours/source_events.rs"]
mod source_events;
#[cfg(test)]
#[path = "behaviours/ssh_config.rs"]
mod ssh_config;
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
#[path = "behaviours/top.rs"]
mod top;
#[cfg(test)]
#[path = "behaviours/transport_conformance.rs"]
mod transport_conformance;
#[cfg(test)]
#[path = "behaviours/trouble.rs"]
mod trouble;
#[cfg(test)]
#[path = "behaviours/web.rs"]
mod web;
#[cfg(test)]
#[path = "behaviours/web_daemon.rs"]
mod web_daemon;
#[cfg(test)]
#[path = "behaviours/week.rs"]
mod week;
