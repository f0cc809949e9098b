//! versweep against real software, installed and started by `make test`; plain `cargo test` shows these as ignored.

#[cfg(test)]
#[path = "support/alertmanager.rs"]
mod alertmanager;
#[cfg(test)]
#[path = "support/authority.rs"]
mod authority;
#[cfg(test)]
#[path = "support/browser.rs"]
mod browser;
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
#[path = "support/hostile_fleet.rs"]
mod hostile_fleet;
#[cfg(test)]
#[path = "support/kept.rs"]
mod kept;
#[cfg(test)]
#[path = "support/prometheus.rs"]
mod prometheus_server;
#[cfg(test)]
#[path = "support/python.rs"]
mod python;
#[cfg(test)]
#[expect(dead_code, reason = "the behaviours use the rest of it")]
#[path = "support/site.rs"]
mod site;
#[cfg(test)]
#[path = "support/sshd.rs"]
mod sshd_server;
#[cfg(test)]
#[expect(dead_code, reason = "the behaviours use the rest of it")]
#[path = "support/visits.rs"]
mod visits;

#[cfg(test)]
#[path = "real/agent.rs"]
mod agent;
#[cfg(test)]
#[path = "real/alerting.rs"]
mod alerting;
#[cfg(test)]
#[path = "real/ansible.rs"]
mod ansible;
#[cfg(test)]
#[path = "real/boot.rs"]
mod boot;
#[cfg(test)]
#[path = "real/certificates.rs"]
mod certificates;
#[cfg(test)]
#[path = "real/clock.rs"]
mod clock;
#[cfg(test)]
#[path = "real/conformance.rs"]
mod conformance;
#[cfg(test)]
#[path = "real/disk_full.rs"]
mod disk_full;
#[cfg(test)]
#[path = "real/fakenos.rs"]
mod fakenos;
#[cfg(test)]
#[path = "real/jumps.rs"]
mod jumps;
#[cfg(test)]
#[path = "real/legacy.rs"]
mod legacy;
#[cfg(test)]
#[path = "real/login.rs"]
mod login;
#[cfg(test)]
#[path = "real/mixin.rs"]
mod mixin;
#[cfg(test)]
#[path = "real/nats.rs"]
mod nats;
#[cfg(test)]
#[path = "real/odd_servers.rs"]
mod odd_servers;
#[cfg(test)]
#[path = "real/packages.rs"]
mod packages;
#[cfg(test)]
#[path = "real/page_actions.rs"]
mod page_actions;
#[cfg(test)]
#[path = "real/pages.rs"]
mod pages;
#[cfg(test)]
#[path = "real/prometheus.rs"]
mod prometheus;
#[cfg(test)]
#[path = "real/python_servers.rs"]
mod python_servers;
#[cfg(test)]
#[path = "real/receivers.rs"]
mod receivers;
#[cfg(test)]
#[path = "real/routers.rs"]
mod routers;
#[cfg(test)]
#[path = "real/schema.rs"]
mod schema;
#[cfg(test)]
#[path = "real/scrape.rs"]
mod scrape;
#[cfg(test)]
#[path = "real/shells.rs"]
mod shells;
#[cfg(test)]
#[path = "real/sshd.rs"]
mod sshd;
#[cfg(test)]
#[path = "real/systemd.rs"]
mod systemd;
#[cfg(test)]
#[path = "real/web_config.rs"]
mod web_config;
