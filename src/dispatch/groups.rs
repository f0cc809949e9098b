//! What limits visits beside the workers: groups of devices that share a cap, a login budget or a credential's breaker.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::order::Order;
use super::{By, LaneId, Limit, Rules};
use crate::breaker::Breaker;
use crate::budget::Budget;
use crate::device::{CredentialId, Device, PlatformChoice, Route};

/// A group's number.
pub(super) type GroupId = usize;

/// What a group is of: a credential's own gate, or a value of one of the limits.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Of {
    Gate(CredentialId),
    Limit(usize, Arc<str>),
}

#[derive(Debug)]
pub(super) struct Group {
    of: Of,
    /// Visits at once.
    max: usize,
    busy: usize,
    budget: Option<Budget>,
    breaker: Option<Breaker>,
    /// Lanes whose first device waits for this group, the first of them first.
    parked: BTreeSet<(Order, LaneId)>,
}

impl Group {
    pub(super) fn has_room(&self) -> bool {
        self.busy < self.max
    }

    /// Whether a login may begin, else when.
    pub(super) fn login(&self, now: Duration) -> Result<(), Duration> {
        self.budget.as_ref().map_or(Ok(()), |budget| budget.peek(now))
    }

    pub(super) fn take(&mut self, now: Duration) {
        self.busy += 1;
        if let Some(budget) = &mut self.budget {
            // It was asked a moment ago whether it may.
            let _granted = budget.take(now);
        }
    }

    /// A visit that began under other rules.
    pub(super) fn occupy(&mut self) {
        self.busy += 1;
    }

    pub(super) fn give_back(&mut self) {
        self.busy = self.busy.saturating_sub(1);
    }

    pub(super) fn breaker(&mut self) -> Option<&mut Breaker> {
        self.breaker.as_mut()
    }
}

/// All groups that were ever needed since the last change of the rules.
#[derive(Debug, Default)]
pub(super) struct Groups {
    list: Vec<Group>,
    index: HashMap<Of, GroupId>,
    /// When groups whose budget is used up may be asked again.
    timers: BTreeSet<(Duration, GroupId)>,
}

impl Groups {
    pub(super) fn get(&mut self, group: GroupId) -> Option<&mut Group> {
        self.list.get_mut(group)
    }

    /// The groups that a device is in: its credential's gate first.
    pub(super) fn of(&mut self, device: &Device, rules: &Rules) -> Vec<GroupId> {
        let mut groups = vec![self.gate(&device.credential, rules)];
        for (number, limit) in rules.limits.iter().enumerate() {
            match (&limit.by, &device.route) {
                (By::Credential, _) => groups.push(self.limit(number, device.credential.as_str(), limit)),
                (By::Jump, Route::Direct) => {}
                (By::Jump, Route::Via(hosts)) => {
                    groups.extend(hosts.iter().map(|host| self.limit(number, &host.name, limit)));
                }
                (By::Label(name), _) => {
                    let value = match (name.as_str(), &device.platform) {
                        ("platform", PlatformChoice::Named(key)) => Some(key.as_str()),
                        _ => device.labels.get(name),
                    };
                    groups.extend(value.map(|value| self.limit(number, value, limit)));
                }
            }
        }
        groups
    }

    pub(super) fn gate(&mut self, credential: &CredentialId, rules: &Rules) -> GroupId {
        let rate = rules.logins_per_second.get(credential).copied();
        let breaker = Some(Breaker::new(rules.breaker));
        self.find(Of::Gate(credential.clone()), || (usize::MAX, rate, breaker))
    }

    fn limit(&mut self, number: usize, value: &str, limit: &Limit) -> GroupId {
        self.find(Of::Limit(number, value.into()), || {
            (limit.max.unwrap_or(usize::MAX), limit.logins_per_second, None)
        })
    }

    fn find(&mut self, of: Of, rules: impl FnOnce() -> (usize, Option<f64>, Option<Breaker>)) -> GroupId {
        if let Some(&group) = self.index.get(&of) {
            return group;
        }
        let (max, rate, breaker) = rules();
        let budget = rate.and_then(Budget::per_second);
        self.list.push(Group { of: of.clone(), max, busy: 0, budget, breaker, parked: BTreeSet::new() });
        self.index.insert(of, self.list.len() - 1);
        self.list.len() - 1
    }

    /// Lets a lane wait for a group.
    pub(super) fn park(&mut self, group: GroupId, lane: (Order, LaneId)) {
        if let Some(group) = self.list.get_mut(group) {
            group.parked.insert(lane);
        }
    }

    /// A group's budget may have a login then.
    pub(super) fn wake_at(&mut self, group: GroupId, until: Duration) {
        self.timers.insert((until, group));
    }

    pub(super) fn unpark(&mut self, group: GroupId, lane: (Order, LaneId)) {
        if let Some(group) = self.list.get_mut(group) {
            group.parked.remove(&lane);
        }
    }

    /// The first lane that waits for a group which is open now. One at a time: whoever gives it something to do calls
    /// again, so that a thousand lanes of one full group are not all asked for each place.
    pub(super) fn first_to_try(&mut self, group: GroupId, now: Duration) -> Option<LaneId> {
        let found = self.list.get_mut(group)?;
        if found.parked.is_empty() || !found.has_room() {
            return None;
        }
        if let Err(until) = found.login(now) {
            self.timers.insert((until, group));
            return None;
        }
        found.parked.pop_first().map(|(_, lane)| lane)
    }

    /// Groups whose budget may have a login by now.
    pub(super) fn due(&mut self, now: Duration) -> Vec<GroupId> {
        let mut due = Vec::new();
        while self.timers.first().is_some_and(|(at, _)| *at <= now) {
            due.extend(self.timers.pop_first().map(|(_, group)| group));
        }
        due
    }

    pub(super) fn next_due(&self) -> Option<Duration> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// New groups by new rules; breakers stay as they are, and so do budgets whose rate stays. No lane is parked in
    /// them, and nobody is busy.
    pub(super) fn renewed(&mut self, rules: &Rules) -> Self {
        let mut renewed = Self::default();
        for old in std::mem::take(&mut self.list) {
            let Of::Gate(credential) = &old.of else { continue };
            let gate = renewed.gate(credential, rules);
            let Some(new) = renewed.list.get_mut(gate) else { continue };
            new.breaker = old.breaker.map(|mut breaker| {
                breaker.set_rules(rules.breaker);
                breaker
            });
            let rate = |budget: &Option<Budget>| budget.as_ref().map(Budget::rate);
            if rate(&new.budget) == rate(&old.budget) {
                new.budget = old.budget;
            }
        }
        renewed
    }

    /// The credentials that were used or restored, with whether their breaker is open.
    pub(super) fn gates(&self) -> impl Iterator<Item = (&CredentialId, bool)> {
        self.list.iter().filter_map(|group| match &group.of {
            Of::Gate(credential) => Some((credential, group.breaker.as_ref().is_some_and(Breaker::is_open))),
            Of::Limit(..) => None,
        })
    }

    /// Every value of every limit: which limit, the value, its busy visits, and the lanes that wait for it.
    pub(super) fn limits(&self) -> impl Iterator<Item = (usize, &Arc<str>, usize)> {
        self.list.iter().filter_map(|group| match &group.of {
            Of::Limit(limit, value) => Some((*limit, value, group.busy)),
            Of::Gate(_) => None,
        })
    }

    /// What lanes that are parked at a group wait for: the limit whose cap is reached, or else a budget.
    pub(super) fn waits_for(&self, group: GroupId) -> Option<usize> {
        let group = self.list.get(group)?;
        match (&group.of, group.has_room()) {
            (Of::Limit(limit, _), false) => Some(*limit),
            _ => None,
        }
    }
}
