//! How many devices there are of what: versions, states, failures, platforms, and the odd ones among those alike.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::filter::Chosen;
use super::{Index, column};
use crate::clock::Timestamp;
use crate::order::compare;
use crate::policy::is_majority;

/// How many devices run one version. It is its own mark in a cursor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::http) struct VersionCount {
    pub(in crate::http) devices: usize,
    pub(in crate::http) platform: Arc<str>,
    /// Empty where the devices don't tell it.
    pub(in crate::http) model: Arc<str>,
    pub(in crate::http) version: Arc<str>,
}

impl VersionCount {
    /// What most devices run comes first.
    pub(in crate::http) fn order(&self, other: &Self) -> Ordering {
        (other.devices.cmp(&self.devices))
            .then_with(|| self.platform.cmp(&other.platform))
            .then_with(|| self.model.cmp(&other.model))
            .then_with(|| compare(&self.version, &other.version))
    }
}

/// Devices of one platform and model that don't run what most of them run.
pub(in crate::http) struct Odd {
    pub(in crate::http) platform: Arc<str>,
    /// Empty where the devices don't tell it.
    pub(in crate::http) model: Arc<str>,
    /// What most run.
    pub(in crate::http) version: Arc<str>,
    /// How many there are of this platform and model.
    pub(in crate::http) devices: usize,
    /// The places of the odd ones.
    pub(in crate::http) places: Vec<u32>,
}

/// Codes of platform and model, the counts of their versions' codes.
type Groups = BTreeMap<[u32; 2], BTreeMap<u32, usize>>;

impl Index {
    /// How many devices run which version, the most first.
    pub(in crate::http) fn versions(&self) -> &[VersionCount] {
        self.versions.get_or_init(|| self.count_versions(|_| true))
    }

    /// The same of the devices that a filter chose.
    pub(in crate::http) fn versions_of(&self, chosen: &Chosen) -> Vec<VersionCount> {
        match chosen.is_all() {
            true => self.versions().to_vec(),
            false => self.count_versions(|place| chosen.has(place)),
        }
    }

    fn count_versions(&self, holds: impl Fn(usize) -> bool) -> Vec<VersionCount> {
        let facts = &self.facts;
        let mut rows = Vec::new();
        for ([platform, model], versions) in self.groups(holds) {
            rows.extend(versions.into_iter().map(|(version, devices)| VersionCount {
                platform: facts.platform.name(platform),
                model: facts.model.name(model),
                version: facts.version.name(version),
                devices,
            }));
        }
        rows.sort_by(VersionCount::order);
        rows
    }

    fn groups(&self, holds: impl Fn(usize) -> bool) -> Groups {
        let facts = &self.facts;
        let mut groups = Groups::new();
        for place in 0..self.len() {
            let version = facts.version.code(place);
            if version != column::ABSENT && holds(place) {
                let key = [facts.platform.code(place), facts.model.code(place)];
                *groups.entry(key).or_default().entry(version).or_default() += 1;
            }
        }
        groups
    }

    /// The platforms and models with odd ones, those with the fewest first: of few among many it is known best that they
    /// are odd.
    pub(in crate::http) fn odd(&self) -> &[Odd] {
        self.odd.get_or_init(|| {
            let facts = &self.facts;
            let mut found: BTreeMap<[u32; 2], (u32, Odd)> = BTreeMap::new();
            for (key, versions) in self.groups(|_| true) {
                let devices = versions.values().sum();
                let most = versions.iter().max_by_key(|(_, count)| **count);
                let Some((&version, _)) = most.filter(|(_, count)| is_majority(**count, devices)) else {
                    continue;
                };
                let [platform, model] = [facts.platform.name(key[0]), facts.model.name(key[1])];
                let odd = Odd {
                    platform,
                    model,
                    version: facts.version.name(version),
                    devices,
                    places: Vec::new(),
                };
                found.insert(key, (version, odd));
            }
            for (place, number) in (0..self.len()).zip(0..) {
                let (key, runs) =
                    ([facts.platform.code(place), facts.model.code(place)], facts.version.code(place));
                if let Some((version, odd)) = found.get_mut(&key)
                    && runs != column::ABSENT
                    && runs != *version
                {
                    odd.places.push(number);
                }
            }
            let mut odd: Vec<Odd> =
                found.into_values().map(|(_, odd)| odd).filter(|odd| !odd.places.is_empty()).collect();
            odd.sort_by_key(|odd| odd.places.len());
            odd
        })
    }

    /// How many of the chosen devices are in which state.
    pub(in crate::http) fn states(&self, chosen: &Chosen) -> Vec<(Arc<str>, usize)> {
        self.facts.state.tally(|place| chosen.has(place))
    }

    /// How many of the chosen devices failed for which reason at their last visit.
    pub(in crate::http) fn failures(&self, chosen: &Chosen) -> Vec<(Arc<str>, usize)> {
        self.facts.failure.tally(|place| chosen.has(place))
    }

    /// All platforms that there are, with how many devices each has.
    pub(in crate::http) fn platforms(&self) -> Vec<(Arc<str>, usize)> {
        self.facts.platform.tally(|_| true)
    }

    /// When the newest visit ended: how old all of this is.
    pub(in crate::http) fn newest_visit(&self) -> Option<Timestamp> {
        let newest = self.facts.last_visit.iter().max().filter(|micros| **micros != i64::MIN);
        newest.and_then(|micros| Timestamp::from_timestamp_micros(*micros))
    }
}
