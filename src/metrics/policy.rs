//! How devices stand by the policies that cover them.

use std::collections::BTreeMap;

use crate::known::{DeviceState, PolicyResult, Snapshot};
use crate::metrics::Live;
use crate::metrics::family::{self, Family, flag, number, seconds};
use crate::metrics::lines::Label;

/// One series for each policy that covers the device, where anybody can say.
pub(super) fn compliant(state: &DeviceState, device: &Label, family: &mut Family) {
    for standing in &state.known.standings {
        if let Some(complies) = standing.complies {
            family.line().known(device).label("policy", &standing.policy.name).value(flag(complies));
        }
    }
}

/// Devices by policy and result, each policy with all results.
pub(super) fn counts(snapshot: &Snapshot, devices: &[&DeviceState]) -> Family {
    let mut counts: BTreeMap<(&str, PolicyResult), u64> = BTreeMap::new();
    for standing in devices.iter().flat_map(|state| &state.known.standings) {
        *counts.entry((&standing.policy.name, standing.verdict.result)).or_default() += 1;
    }
    let mut family = family::gauge(
        "versweep_policy_devices",
        "Devices that a policy covers, by its result: preferred, approved, drifted, banned, unknown, stale.",
    );
    for policy in &snapshot.policies {
        for result in PolicyResult::ALL {
            let count = counts.get(&(policy.name.as_str(), result)).copied().unwrap_or(0);
            family.sample(&[("policy", &policy.name), ("result", result.as_str())], number(count));
        }
    }
    family
}

/// How the fetching of policies from their URL goes; nothing where they come from none.
pub(super) fn fetched(live: &Live) -> Vec<Family> {
    let Some(fetch) = &live.policies else { return Vec::new() };
    let mut success = family::gauge(
        "versweep_policies_last_refresh_success",
        "Whether the last fetch of the policies from their URL was good.",
    );
    success.sample(&[], flag(fetch.success));
    let mut at = family::gauge(
        "versweep_policies_last_refresh_timestamp_seconds",
        "When the policies were last fetched from their URL, or tried to be.",
    );
    at.sample(&[], seconds(fetch.at));
    vec![success, at]
}
