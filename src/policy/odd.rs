//! The odd ones out, without any policy: per platform and model the version that most devices run, and who doesn't.

use std::collections::BTreeMap;

use crate::device::DeviceId;
use crate::known::Known;

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
    /// Those that run another version, with it, in the order in which they were given.
    pub odd: Vec<(&'a DeviceId, &'a str)>,
}

/// All platforms and models with a majority, sorted; those in which nobody is odd as well.
#[must_use]
pub fn majorities<'a>(devices: impl IntoIterator<Item = (&'a DeviceId, &'a Known)>) -> Vec<Majority<'a>> {
    let mut groups: BTreeMap<(&str, &str), Vec<(&DeviceId, &str)>> = BTreeMap::new();
    for (device, known) in devices {
        let Some(known) = &known.facts else { continue };
        let facts = &known.reading.facts;
        let key = (known.reading.platform.as_str(), facts.model.as_deref().unwrap_or(""));
        groups.entry(key).or_default().push((device, facts.version.as_str()));
    }
    groups
        .into_iter()
        .filter_map(|((platform, model), devices)| majority(platform, model, &devices))
        .collect()
}

/// Whether so many among so many devices of one platform and model are what is usual there.
#[must_use]
pub fn is_majority(count: usize, of: usize) -> bool {
    of >= GROUP_MIN && count * 2 > of
}

fn majority<'a>(
    platform: &'a str,
    model: &'a str,
    devices: &[(&'a DeviceId, &'a str)],
) -> Option<Majority<'a>> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for (_, version) in devices {
        *counts.entry(version).or_default() += 1;
    }
    let (version, count) = counts.into_iter().max_by_key(|(_, count)| *count)?;
    let clear = is_majority(count, devices.len());
    let odd = || devices.iter().filter(|(_, runs)| *runs != version).copied();
    clear.then(|| Majority { platform, model, version, devices: devices.len(), odd: odd().collect() })
}
