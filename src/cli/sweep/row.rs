//! One device's result as `versweep sweep` prints it.

use serde::Serialize;

use crate::daemon::World;
use crate::diff::{Rules, diff};
use crate::event::clean;
use crate::known::{Known, Snapshot};
use crate::observation::{Observation, Outcome};
use crate::transport::ssh::SshTransport;

/// A line of `sweep --output json`; the field names are an API.
#[derive(Debug, Default, Serialize)]
pub(super) struct Row {
    pub(super) device: String,
    pub(super) platform: String,
    /// `answered` or `failed`.
    pub(super) outcome: &'static str,
    pub(super) version: Option<String>,
    pub(super) model: Option<String>,
    pub(super) serial: Option<String>,
    pub(super) hostname: Option<String>,
    /// Whether the facts differ from the last known ones.
    pub(super) changed: bool,
    /// The last known version where this one differs.
    pub(super) previous_version: Option<String>,
    pub(super) failure: Option<&'static str>,
    pub(super) stage: Option<&'static str>,
    pub(super) detail: Option<String>,
    pub(super) took_ms: u64,
    pub(super) attempts: u32,
}

impl Row {
    pub(super) fn new(observation: &Observation, before: &Snapshot, world: &World<SshTransport>) -> Self {
        let never_seen = Known::default();
        let found = before.devices.binary_search_by(|state| state.device.id.cmp(&observation.device));
        let state = found.ok().and_then(|index| before.devices.get(index));
        let known = state.map_or(&never_seen, |state| &state.known);
        let row = Self {
            device: observation.device.to_string(),
            platform: state.map(|state| state.device.platform.as_str().to_owned()).unwrap_or_default(),
            took_ms: u64::try_from(observation.took.as_millis()).unwrap_or(u64::MAX),
            attempts: observation.attempts,
            ..Self::default()
        };
        match &observation.outcome {
            Outcome::Answered { reading, .. } => {
                let facts = &reading.facts;
                let cleaned = |text: &Option<String>| text.as_deref().map(clean);
                let last = known.facts.as_ref().map(|known| &known.reading.facts.version);
                Self {
                    platform: reading.platform.to_string(),
                    outcome: "answered",
                    version: Some(clean(facts.version.as_str())),
                    model: cleaned(&facts.model),
                    serial: cleaned(&facts.serial),
                    hostname: cleaned(&facts.hostname),
                    changed: changed(known, observation, world),
                    previous_version: last
                        .filter(|last| **last != facts.version)
                        .map(|last| clean(last.as_str())),
                    ..row
                }
            }
            Outcome::Failed { failure, .. } => Self {
                outcome: "failed",
                failure: Some(failure.kind.as_str()),
                stage: Some(failure.stage.as_str()),
                detail: Some(clean(&failure.detail)),
                ..row
            },
        }
    }
}

/// The same judgement as the recorder's, which commits it a moment later.
fn changed(known: &Known, observation: &Observation, world: &World<SshTransport>) -> bool {
    let Outcome::Answered { reading, .. } = &observation.outcome else { return false };
    let profile = world.config.platforms.get(&reading.platform);
    let order = |a: &_, b: &_| profile.and_then(|profile| profile.scheme.compare(a, b));
    // As the recorder takes it: what the store knows, another process saw.
    let rules = Rules {
        down_after: world.config.down_after,
        order: &order,
        flapping: world.config.flapping,
        even_clock: false,
    };
    diff(known, observation, &rules).iter().any(|change| change.kind.is_of_facts())
}
