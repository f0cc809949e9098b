//! How devices stand by their policies, by policy and result: which ones, and how many.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::known::{PolicyResult, Snapshot};

/// The places of the devices that each policy covers, by its result.
#[derive(Debug, Default)]
pub(super) struct Standings(BTreeMap<Arc<str>, BTreeMap<PolicyResult, Vec<u32>>>);

impl Standings {
    pub(super) fn of(snapshot: &Snapshot) -> Self {
        let mut standings = Self::default();
        for policy in &snapshot.policies {
            standings.0.entry(policy.name.as_str().into()).or_default();
        }
        for (place, state) in (0..).zip(&snapshot.devices) {
            for standing in &state.known.standings {
                if let Some(results) = standings.0.get_mut(standing.policy.name.as_str()) {
                    results.entry(standing.verdict.result).or_default().push(place);
                }
            }
        }
        standings
    }

    /// The places of the devices that have one of these results by one of these policies; no name stands for all.
    pub(super) fn places<'a>(
        &'a self,
        policies: &'a [String],
        results: &'a [String],
    ) -> impl Iterator<Item = &'a u32> {
        let among = |texts: &[String], text: &str| texts.is_empty() || texts.iter().any(|one| one == text);
        (self.0.iter())
            .filter(move |(policy, _)| among(policies, policy))
            .flat_map(|(_, places)| places)
            .filter(move |(result, _)| among(results, result.as_str()))
            .flat_map(|(_, places)| places)
    }

    /// How many devices have that result by that policy.
    pub(super) fn count(&self, policy: &str, result: PolicyResult) -> usize {
        self.0.get(policy).and_then(|results| results.get(&result)).map_or(0, Vec::len)
    }
}
