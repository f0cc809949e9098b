//! Handing out visits.

use std::sync::Arc;
use std::time::Duration;

use super::order::{Job, Order};
use super::{Dispatch, Lane, LaneId, Next, Place, RunId, Ticket, Visit};
use crate::breaker::Permission;

/// No further visit may be on its way in until that time, unless one is logged in before.
struct Full(Duration);

impl Dispatch {
    /// The next visit that may begin, or a device that needs none.
    pub fn next(&mut self, now: Duration) -> Next {
        self.wake(now);
        let mut full_until = None;
        while full_until.is_none() && self.visits.len() < self.rules.workers {
            let Some(lane) = self.first_ready() else { break };
            match self.serve(lane, now) {
                Ok(Some(next)) => return next,
                Ok(None) => {}
                Err(Full(until)) => full_until = Some(until),
            }
        }
        let due = self.later.keys().next().map(|(due, _)| *due);
        let times = [due, self.claims.next(), self.groups.next_due(), full_until];
        Next::Wait(times.into_iter().flatten().min())
    }

    /// Looks again at all that waited for a time which has come.
    fn wake(&mut self, now: Duration) {
        while let Some(entry) = self.later.first_entry() {
            if entry.key().0 > now {
                break;
            }
            let job = entry.remove();
            self.enqueue(job);
        }
        for job in self.claims.freed(now) {
            self.enqueue(job);
        }
        for group in self.groups.due(now) {
            self.release(group, now);
        }
    }

    /// The lane to serve next: urgent runs first; among equals the run that has the fewest visits going on, so that a small
    /// sweep doesn't wait for a big one; within a run by its order.
    fn first_ready(&self) -> Option<LaneId> {
        let first = |run: &super::Run| {
            let (order, lane) = run.ready.first()?;
            Some((run.rules.urgency, run.busy, *order, *lane))
        };
        self.runs.values().filter_map(first).min().map(|(.., lane)| lane)
    }

    /// Serves a lane's first device: hands it out, or puts the lane or the device where it has to wait.
    fn serve(&mut self, lane_id: LaneId, now: Duration) -> Result<Option<Next>, Full> {
        let first = self.lanes.get(&lane_id).and_then(|lane| Some((lane, lane.jobs.first_key_value()?)));
        let Some((lane, (order, job))) = first else { return Ok(None) };
        let (order, job, groups) = (*order, job.clone(), lane.groups.clone());
        if self.claims.is_held(&job.device) {
            self.take_out(lane_id, order, now);
            let not_held = self.claims.wait(job);
            debug_assert!(not_held.is_none(), "it was held a moment ago");
            return Ok(None);
        }
        if let Some(answered) = self.fresh(&job, now) {
            self.hand_out(lane_id, order, now);
            return Ok(Some(Next::Fresh(job.run, job.device, answered)));
        }
        let full =
            groups.iter().find(|group| self.groups.get(**group).is_some_and(|group| !group.has_room()));
        if let Some(&full) = full {
            self.park(lane_id, full, None, now);
            return Ok(None);
        }
        if self.is_held_by_breaker(&job, groups.first().copied(), now) {
            self.hand_out(lane_id, order, now);
            return Ok(Some(Next::Held(job.run, job.device)));
        }
        let wait = groups.iter().find_map(|group| Some((*group, self.groups.get(*group)?.login(now).err()?)));
        if let Some((group, until)) = wait {
            self.park(lane_id, group, Some(until), now);
            return Ok(None);
        }
        if let Some(until) = self.doorway.full_until(self.rules.workers, now) {
            return Err(Full(until));
        }
        Ok(Some(self.grant(lane_id, order, &job, groups, now)))
    }

    fn grant(&mut self, lane: LaneId, order: Order, job: &Job, groups: Vec<usize>, now: Duration) -> Next {
        for group in &groups {
            if let Some(group) = self.groups.get(*group) {
                group.take(now);
            }
        }
        let known_good = self.may_be_canary(job);
        let gate =
            groups.first().and_then(|gate| self.groups.get(*gate)).and_then(super::groups::Group::breaker);
        if let Some(breaker) = gate {
            // Whether it may was asked above; an open breaker notes its canary here.
            let _go = breaker.ask(&job.device.id, known_good, now);
        }
        self.claims.take(&job.device, now);
        let mut sweep = Arc::default();
        if let Some(run) = self.runs.get_mut(&job.run) {
            run.busy += 1;
            sweep = Arc::clone(&run.rules.name);
        }
        let ticket = Ticket(self.number());
        let device = Arc::clone(&job.device);
        self.visits
            .insert(ticket, Visit { run: job.run, sweep, device: device.clone(), groups, told: false });
        self.doorway.enter(ticket, now);
        self.hand_out(lane, order, now);
        Next::Visit(job.run, ticket, device)
    }

    fn may_be_canary(&self, job: &Job) -> bool {
        let knows_better = |run: &super::Run| run.good.contains(&job.device.credential);
        job.good || !self.runs.get(&job.run).is_some_and(knows_better)
    }

    fn is_held_by_breaker(&mut self, job: &Job, gate: Option<usize>, now: Duration) -> bool {
        let known_good = self.may_be_canary(job);
        let gate = gate.and_then(|gate| self.groups.get(gate)).and_then(super::groups::Group::breaker);
        gate.is_some_and(|breaker| breaker.would_say(known_good, now) == Permission::Held)
    }

    /// Whether the device answered another sweep within the time that this run takes its result for.
    fn fresh(&self, job: &Job, now: Duration) -> Option<bool> {
        let rules = &self.runs.get(&job.run)?.rules;
        let last = self.recent.of(&job.device)?;
        (last.sweep != rules.name && now.saturating_sub(last.ended) < rules.fresh_for)
            .then_some(last.answered)
    }

    /// A device leaves the queue for good.
    fn hand_out(&mut self, lane: LaneId, order: Order, now: Duration) {
        if let Some(run) = self.lanes.get(&lane).map(|lane| lane.run).and_then(|run| self.runs.get_mut(&run))
        {
            run.waiting = run.waiting.saturating_sub(1);
        }
        self.take_out(lane, order, now);
    }

    /// A device leaves its lane, which is listed again by its next one.
    fn take_out(&mut self, lane_id: LaneId, order: Order, now: Duration) {
        self.unlist(lane_id);
        let Some(lane) = self.lanes.get_mut(&lane_id) else { return };
        lane.jobs.remove(&order);
        let (groups, run) = (lane.groups.clone(), lane.run);
        if lane.jobs.is_empty() {
            self.lanes.remove(&lane_id);
            if let Some(run) = self.runs.get_mut(&run) {
                run.lanes.remove(&groups);
            }
        } else {
            self.list(lane_id, Place::Ready);
        }
        self.release_all(&groups, now);
    }

    fn park(&mut self, lane_id: LaneId, group: usize, until: Option<Duration>, now: Duration) {
        self.unlist(lane_id);
        self.list(lane_id, Place::Parked(group));
        if let Some(until) = until {
            self.groups.wake_at(group, until);
        }
        // It may have been this lane's turn at another group, which is the next one's now.
        let groups = self.lanes.get(&lane_id).map(|lane| lane.groups.clone()).unwrap_or_default();
        self.release_all(&groups, now);
    }

    pub(super) fn release_all(&mut self, groups: &[usize], now: Duration) {
        for group in groups {
            self.release(*group, now);
        }
    }

    /// Lets the first lane that waits for a group try, if the group is open.
    fn release(&mut self, group: usize, now: Duration) {
        if let Some(lane) = self.groups.first_to_try(group, now) {
            if let Some(lane) = self.lanes.get_mut(&lane) {
                lane.listed = None;
            }
            self.list(lane, Place::Ready);
        }
    }

    /// Puts a device that is due into its lane.
    pub(super) fn enqueue(&mut self, job: Job) {
        let groups = self.groups.of(&job.device, &self.rules);
        let number = self.number();
        let Some(run) = self.runs.get_mut(&job.run) else { return };
        let lane_id = *run.lanes.entry(groups.clone()).or_insert(number);
        let new = || Lane { run: job.run, groups, jobs: std::collections::BTreeMap::new(), listed: None };
        let lane = self.lanes.entry(lane_id).or_insert_with(new);
        let place = lane.listed.map_or(Place::Ready, |(_, place)| place);
        lane.jobs.insert(job.order, job);
        self.unlist(lane_id);
        self.list(lane_id, place);
    }

    /// Lists a lane by its first device. A paused run's lanes are listed nowhere.
    pub(super) fn list(&mut self, lane_id: LaneId, place: Place) {
        let Some(lane) = self.lanes.get_mut(&lane_id) else { return };
        let Some(run) = self.runs.get_mut(&lane.run) else { return };
        let Some(order) = lane.jobs.keys().next().copied().filter(|_| !run.paused) else { return };
        lane.listed = Some((order, place));
        match place {
            Place::Ready => {
                run.ready.insert((order, lane_id));
            }
            Place::Parked(group) => self.groups.park(group, (order, lane_id)),
        }
    }

    pub(super) fn unlist(&mut self, lane_id: LaneId) {
        let Some(lane) = self.lanes.get_mut(&lane_id) else { return };
        match lane.listed.take() {
            Some((order, Place::Ready)) => {
                if let Some(run) = self.runs.get_mut(&lane.run) {
                    run.ready.remove(&(order, lane_id));
                }
            }
            Some((order, Place::Parked(group))) => self.groups.unpark(group, (order, lane_id)),
            None => {}
        }
    }

    pub(super) fn lanes_of(&self, run: RunId) -> Vec<LaneId> {
        self.runs.get(&run).map(|run| run.lanes.values().copied().collect()).unwrap_or_default()
    }
}
