//! What the outside sees of the dispatch, and what outlives a restart.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{Dispatch, GroupId, Place};
use crate::device::CredentialId;
use crate::status::{GateStatus, LimitStatus, Waiting};

impl Dispatch {
    /// Devices that wait, by what they wait for.
    #[must_use]
    pub fn waiting(&self) -> Waiting {
        let mut waiting =
            Waiting { spread: self.later.len(), visited: self.claims.waiting(), ..Waiting::default() };
        for lane in self.lanes.values() {
            let (count, paused) = (lane.jobs.len(), self.runs.get(&lane.run).is_some_and(|run| run.paused));
            match lane.listed {
                _ if paused => waiting.blackout += count,
                Some((_, Place::Parked(group))) => match self.limit_of(group) {
                    Some(by) => *waiting.limit.entry(by).or_default() += count,
                    None => waiting.budget += count,
                },
                Some((_, Place::Ready)) | None => waiting.worker += count,
            }
        }
        waiting
    }

    fn limit_of(&self, group: GroupId) -> Option<String> {
        let limit = self.rules.limits.get(self.groups.waits_for(group)?)?;
        Some(limit.by.as_str().to_owned())
    }

    /// Every credential that was used or has a budget.
    #[must_use]
    pub fn gates(&self) -> Vec<GateStatus> {
        let used: BTreeMap<_, _> = self.groups.gates().collect();
        let budgets = self.rules.logins_per_second.keys();
        let named: BTreeSet<&CredentialId> = used.keys().copied().chain(budgets).collect();
        let status = |credential: &CredentialId| GateStatus {
            open: used.get(credential).copied().unwrap_or(false),
            logins_per_second: self.rules.logins_per_second.get(credential).copied(),
            credential: credential.clone(),
        };
        named.into_iter().map(status).collect()
    }

    /// Every value of every limit that was needed so far.
    #[must_use]
    pub fn limits(&self) -> Vec<LimitStatus> {
        let status = |(limit, value, busy): (usize, &std::sync::Arc<str>, usize)| {
            let limit = self.rules.limits.get(limit)?;
            Some(LimitStatus {
                by: limit.by.as_str().to_owned(),
                value: value.to_string(),
                busy,
                max: limit.max,
            })
        };
        let mut limits: Vec<_> = self.groups.limits().filter_map(status).collect();
        limits.sort_by(|a, b| (&a.by, &a.value).cmp(&(&b.by, &b.value)));
        limits
    }

    /// Opens a credential's breaker as it was before a restart: nobody tries for that long.
    pub fn reopen(&mut self, credential: &CredentialId, left: Duration, now: Duration) {
        let gate = self.groups.gate(credential, &self.rules);
        if let Some(breaker) = self.groups.get(gate).and_then(super::groups::Group::breaker) {
            breaker.reopen(left, now);
        }
    }
}
