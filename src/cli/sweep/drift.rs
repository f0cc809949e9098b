//! Which of the devices that were swept run what a policy doesn't allow.

use std::collections::HashSet;

use serde::Serialize;

use crate::device::DeviceId;
use crate::event::clean;
use crate::known::Snapshot;

/// One device by one policy that it breaks; the field names are an API.
#[derive(Debug, Serialize)]
pub(super) struct Drift {
    pub(super) device: String,
    pub(super) policy: String,
    /// `drifted` or `banned`.
    pub(super) result: &'static str,
    pub(super) version: Option<String>,
    pub(super) why: String,
}

/// All of them, by device and policy. A device that did not answer now counts with what it ran when it last did, until
/// that is too old for the policy.
pub(super) fn of(snapshot: &Snapshot, swept: &HashSet<DeviceId>) -> Vec<Drift> {
    let mut drifts = Vec::new();
    for state in snapshot.devices.iter().filter(|state| swept.contains(&state.device.id)) {
        let version = state.known.facts.as_ref().map(|facts| clean(facts.reading.facts.version.as_str()));
        for standing in state.known.standings.iter().filter(|standing| standing.complies == Some(false)) {
            drifts.push(Drift {
                device: state.device.id.to_string(),
                policy: standing.policy.name.clone(),
                result: standing.verdict.result.as_str(),
                version: version.clone(),
                why: clean(&standing.verdict.why),
            });
        }
    }
    drifts
}
