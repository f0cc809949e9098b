//! The odd ones out, without any policy: per platform and model the version that most devices run, and who doesn't.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::known::DeviceState;

/// The fewest devices of one model among which one can be odd: of two nobody can say which.
const GROUP_MIN: usize = 3;

/// One platform and model whose devices mostly run one version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Majority<'a> {
    /// The platform that read them.
    pub platform: &'a str,
    /// The model; empty where the devices don't tell.
    pub model: &'a str,
    /// The version that more than half of them run.
    pub version: &'a str,
    /// How many devices of the model are known.
    pub devices: usize,
    /// Those that run another version, sorted by name.
    pub odd: Vec<&'a DeviceState>,
}

/// All platforms and models with a majority, sorted; those in which nobody is odd as well.
#[must_use]
pub fn majorities(devices: &[Arc<DeviceState>]) -> Vec<Majority<'_>> {
    let mut groups: BTreeMap<(&str, &str), Vec<(&str, &DeviceState)>> = BTreeMap::new();
    for state in devices {
        let Some(known) = &state.known.facts else { continue };
        let facts = &known.reading.facts;
        let key = (known.reading.platform.as_str(), facts.model.as_deref().unwrap_or(""));
        groups.entry(key).or_default().push((facts.version.as_str(), state.as_ref()));
    }
    groups
        .into_iter()
        .filter_map(|((platform, model), devices)| majority(platform, model, &devices))
        .collect()
}

fn majority<'a>(
    platform: &'a str,
    model: &'a str,
    devices: &[(&'a str, &'a DeviceState)],
) -> Option<Majority<'a>> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for (version, _) in devices {
        *counts.entry(version).or_default() += 1;
    }
    let (version, count) = counts.into_iter().max_by_key(|(_, count)| *count)?;
    let clear = devices.len() >= GROUP_MIN && count * 2 > devices.len();
    let odd = || devices.iter().filter(|(runs, _)| *runs != version).map(|(_, state)| *state);
    clear.then(|| Majority { platform, model, version, devices: devices.len(), odd: odd().collect() })
}
