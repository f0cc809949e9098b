//! What two sources say differently of one device.

use std::time::Duration;

use super::DeviceSettings;
use crate::device::{HostKeyPolicy, PlatformChoice, Route, SshAlgorithms};
use crate::duration::HumanDuration;

impl DeviceSettings {
    /// What two sources both set for one device, each differently: the keys, with the values of both.
    #[must_use]
    pub fn disputed(&self, other: &Self) -> Vec<(&'static str, String, String)> {
        let mut disputed = Vec::new();
        for (key, mine, theirs) in [
            ("port", self.port.map(|port| port.to_string()), other.port.map(|port| port.to_string())),
            ("credential", told(&self.credential), told(&other.credential)),
            ("platform", platform(&self.platform), platform(&other.platform)),
            ("timeout", limit(self.timeout), limit(other.timeout)),
            ("connect_timeout", limit(self.connect_timeout), limit(other.connect_timeout)),
            ("login_timeout", limit(self.login_timeout), limit(other.login_timeout)),
            ("command_timeout", limit(self.command_timeout), limit(other.command_timeout)),
            ("host_keys", self.host_keys.map(policy), other.host_keys.map(policy)),
            ("legacy_ssh", self.algorithms.map(legacy), other.algorithms.map(legacy)),
            ("jump", self.route.as_ref().map(route), other.route.as_ref().map(route)),
        ] {
            if let (Some(mine), Some(theirs)) = (mine, theirs)
                && mine != theirs
            {
                disputed.push((key, mine, theirs));
            }
        }
        disputed
    }
}

fn told<T: ToString>(value: &Option<T>) -> Option<String> {
    value.as_ref().map(ToString::to_string)
}

fn platform(choice: &Option<PlatformChoice>) -> Option<String> {
    choice.as_ref().map(|choice| choice.as_str().to_owned())
}

fn limit(limit: Option<Duration>) -> Option<String> {
    limit.map(|limit| HumanDuration(limit).to_string())
}

fn policy(policy: HostKeyPolicy) -> String {
    let name = match policy {
        HostKeyPolicy::Strict => "strict",
        HostKeyPolicy::Learn => "learn",
        HostKeyPolicy::Off => "off",
    };
    name.to_owned()
}

fn legacy(algorithms: SshAlgorithms) -> String {
    (algorithms == SshAlgorithms::Legacy).to_string()
}

fn route(route: &Route) -> String {
    match route {
        Route::Direct => "none".to_owned(),
        Route::Via(hosts) => hosts.iter().map(|host| &*host.name).collect::<Vec<_>>().join(", "),
    }
}
