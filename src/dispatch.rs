//! Who is visited next. All runs' devices wait here, and all caps are kept here at once: workers, visits at once for each
//! value of a label, jump host or credential, logins a second, breakers, one session on a device. A pure state machine:
//! times are passed in, counted from one origin, and never go back.
//!
//! Devices with the same limits stand in one lane. A lane whose first device has to wait for a full site or a budget is
//! parked there and holds up no other lane; it is looked at again when there is room.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use crate::breaker::{self, Permission, Turn, Verdict};
use crate::device::{CredentialId, Device};

mod claims;
mod doorway;
mod groups;
mod order;
mod recent;
mod seen;
mod serve;

use claims::Claims;
use doorway::Doorway;
use groups::{GroupId, Groups};
use order::{Job, Order};
pub use order::{Urgency, Wish, spread_over};
use recent::{Last, Recent};

/// What the dispatch keeps to. It comes from the configuration and may change at a reload.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Rules {
    /// Visits at once, all runs together.
    pub workers: usize,
    /// Further limits, by what devices have in common.
    pub limits: Vec<Limit>,
    /// When breakers open.
    pub breaker: breaker::Rules,
    /// Logins a second by credential; one that isn't named has no budget of its own.
    pub logins_per_second: BTreeMap<CredentialId, f64>,
    /// The longest time for which a run takes another's result; zero when none does, and then none is remembered.
    pub fresh_for: Duration,
}

/// One `[[workers.limit]]`: for each value of what it goes by.
#[derive(Debug, Clone, PartialEq)]
pub struct Limit {
    /// What devices have in common.
    pub by: By,
    /// Visits at once to those that have the same value; none is no cap.
    pub max: Option<usize>,
    /// Logins a second to those; none is no budget.
    pub logins_per_second: Option<f64>,
}

/// What a limit goes by. Devices without it are not limited by it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum By {
    /// An inventory label, or `platform`.
    Label(String),
    /// A jump host on the way.
    Jump,
    /// The credential.
    Credential,
}

impl By {
    /// The name used in the configuration and in metrics.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Label(name) => name,
            Self::Jump => "jump",
            Self::Credential => "credential",
        }
    }
}

/// One run's place at the dispatch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunId(u64);

/// What holds for all devices of a run.
#[derive(Debug, Clone)]
pub struct RunRules {
    /// The sweep's name: the result of another one may do for this one.
    pub name: Arc<str>,
    /// Whether somebody waits for it.
    pub urgency: Urgency,
    /// A result of another sweep that is younger than this is taken instead of a visit; zero for none.
    pub fresh_for: Duration,
    /// Whether it waits from its beginning on for [`Dispatch::resume`].
    pub paused: bool,
}

/// The permission for one visit: a worker, a place in the doorway and at each limit, a login, the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(u64);

/// How a visit came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// It never began.
    Unused,
    /// It began, and was broken off by a stop or by a defect.
    BrokenOff,
    /// The device answered.
    Answered,
    /// It did not.
    Failed,
}

/// What the dispatch has for whoever asks.
#[derive(Debug, Clone)]
pub enum Next {
    /// A visit may begin.
    Visit(RunId, Ticket, Arc<Device>),
    /// A device that is not visited in this run, because its credential's breaker is open.
    Held(RunId, Arc<Device>),
    /// A device that another sweep visited just now: whether it answered.
    Fresh(RunId, Arc<Device>, bool),
    /// Nothing now. Ask again at that time, or when a visit ends, or when there are new wishes.
    Wait(Option<Duration>),
}

type LaneId = u64;

#[derive(Debug)]
struct Run {
    rules: RunRules,
    busy: usize,
    /// Devices that were not handed out yet.
    waiting: usize,
    paused: bool,
    /// The credentials of which a device is known to be good. Of the others, each may be the canary.
    good: BTreeSet<CredentialId>,
    lanes: HashMap<Vec<GroupId>, LaneId>,
    /// Lanes that may be served, by their first device.
    ready: BTreeSet<(Order, LaneId)>,
}

/// The devices of one run that are in the same groups.
#[derive(Debug)]
struct Lane {
    run: RunId,
    groups: Vec<GroupId>,
    jobs: BTreeMap<Order, Job>,
    /// Where it is listed, by which first device.
    listed: Option<(Order, Place)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Ready,
    Parked(GroupId),
}

#[derive(Debug)]
struct Visit {
    run: RunId,
    /// The run may be closed before it ends.
    sweep: Arc<str>,
    device: Arc<Device>,
    groups: Vec<GroupId>,
    told: bool,
}

/// The dispatch.
#[derive(Debug, Default)]
pub struct Dispatch {
    rules: Rules,
    runs: BTreeMap<RunId, Run>,
    lanes: HashMap<LaneId, Lane>,
    groups: Groups,
    claims: Claims,
    /// Devices that are not due yet.
    later: BTreeMap<(Duration, u64), Job>,
    visits: HashMap<Ticket, Visit>,
    doorway: Doorway,
    /// When devices were last visited, while some run asks for it.
    recent: Recent,
    numbers: u64,
}

impl Dispatch {
    /// A dispatch that keeps to these rules.
    #[must_use]
    pub fn new(rules: Rules) -> Self {
        Self { rules, ..Self::default() }
    }

    /// Visits share so many cores, and log in a few at a time for each.
    pub fn share(&mut self, cores: usize) {
        self.doorway.share(cores);
    }

    /// Opens a run with the devices that it is to visit.
    pub fn open(&mut self, rules: RunRules, wishes: Vec<Wish>) -> RunId {
        let id = RunId(self.number());
        let (urgency, waiting, paused) = (rules.urgency, wishes.len(), rules.paused);
        let good = wishes.iter().filter(|wish| wish.good).map(|wish| wish.device.credential.clone());
        let good = good.collect();
        let (lanes, ready) = (HashMap::new(), BTreeSet::new());
        self.runs.insert(id, Run { rules, busy: 0, waiting, paused, good, lanes, ready });
        for wish in wishes {
            let job = Job::new(wish, id, urgency, self.number());
            self.later.insert((job.order.due, self.numbers), job);
        }
        id
    }

    /// Closes a run: what it did not visit yet it never will. Its visits that go on keep their places until they end.
    pub fn close(&mut self, run: RunId, now: Duration) {
        self.later.retain(|_, job| job.run != run);
        self.claims.close(run);
        for lane in self.lanes_of(run) {
            self.unlist(lane);
            if let Some(lane) = self.lanes.remove(&lane) {
                self.release_all(&lane.groups, now);
            }
        }
        self.runs.remove(&run);
        let longest = self.rules.fresh_for;
        self.recent.forget(|last| now.saturating_sub(last.ended) >= longest);
    }

    /// How many devices of a run were not handed out yet.
    #[must_use]
    pub fn waiting_of(&self, run: RunId) -> usize {
        self.runs.get(&run).map_or(0, |run| run.waiting)
    }

    /// Begins no visit of a run until it is resumed; those that go on are left alone.
    pub fn pause(&mut self, run: RunId, now: Duration) {
        for lane_id in self.lanes_of(run) {
            self.unlist(lane_id);
            let groups = self.lanes.get(&lane_id).map(|lane| lane.groups.clone()).unwrap_or_default();
            self.release_all(&groups, now);
        }
        if let Some(run) = self.runs.get_mut(&run) {
            run.paused = true;
        }
    }

    /// Goes on with a run that was paused.
    pub fn resume(&mut self, run: RunId) {
        if let Some(run) = self.runs.get_mut(&run) {
            run.paused = false;
        }
        for lane in self.lanes_of(run) {
            self.unlist(lane);
            self.list(lane, Place::Ready);
        }
    }

    /// Tells how a visit went, as soon as that is known: once for each ticket.
    pub fn tell(&mut self, ticket: Ticket, verdict: Verdict, now: Duration) -> Option<(CredentialId, Turn)> {
        let visit = self.visits.get_mut(&ticket)?;
        if std::mem::replace(&mut visit.told, true) {
            return None;
        }
        let (device, gate) = (Arc::clone(&visit.device), *visit.groups.first()?);
        let turn = self.groups.get(gate)?.breaker()?.tell(&device.id, verdict, now)?;
        Some((device.credential.clone(), turn))
    }

    /// Whether a visit that was handed out still may begin: its run may have been busy for a while, and its credential's breaker
    /// have opened.
    pub fn still_may(&mut self, ticket: Ticket) -> Permission {
        let Some(visit) = self.visits.get(&ticket) else { return Permission::Held };
        let gate = visit.groups.first().and_then(|gate| self.groups.get(*gate));
        let breaker = gate.and_then(groups::Group::breaker);
        let forbids = breaker.is_some_and(|breaker| breaker.forbids(&visit.device.id));
        if forbids { Permission::Held } else { Permission::Go }
    }

    /// The core of a visit has come to it. The time until the next one to its device counts from now on.
    pub fn set_out(&mut self, ticket: Ticket, now: Duration) {
        self.doorway.set_out(ticket, now);
        if let Some(visit) = self.visits.get(&ticket) {
            self.claims.begin(&visit.device.id, now);
        }
    }

    /// A visit is logged in. Says whether another one may be on its way in its place.
    pub fn logged_in(&mut self, ticket: Ticket) -> bool {
        self.doorway.leave(ticket)
    }

    /// A visit has ended and gives everything back. One that was not told of before said nothing of its credential.
    pub fn ended(&mut self, ticket: Ticket, ending: Ending, now: Duration) {
        self.tell(ticket, Verdict::Silent, now);
        let Some(visit) = self.visits.remove(&ticket) else { return };
        self.doorway.leave(ticket);
        let device = &visit.device.id;
        if let Some(run) = self.runs.get_mut(&visit.run) {
            run.busy = run.busy.saturating_sub(1);
        }
        self.remember(&visit, ending, now);
        let unused = ending == Ending::Unused;
        for job in if unused { self.claims.free(device) } else { self.claims.end(device, now) } {
            self.enqueue(job);
        }
        for group in &visit.groups {
            if let Some(group) = self.groups.get(*group) {
                group.give_back();
            }
        }
        self.release_all(&visit.groups, now);
    }

    fn remember(&mut self, visit: &Visit, ending: Ending, now: Duration) {
        let answered = match ending {
            Ending::Answered => true,
            Ending::Failed => false,
            Ending::Unused | Ending::BrokenOff => return,
        };
        if !self.rules.fresh_for.is_zero() {
            let last = Last { ended: now, sweep: Arc::clone(&visit.sweep), answered };
            self.recent.keep(&visit.device, last);
        }
    }

    /// Other rules, from a reload. Nothing is broken off, breakers stay as they are; a lower cap comes into force as
    /// visits end.
    pub fn set_rules(&mut self, rules: Rules) {
        let lanes: Vec<LaneId> = self.lanes.keys().copied().collect();
        let jobs: Vec<Job> = lanes
            .into_iter()
            .filter_map(|lane| self.lanes.remove(&lane))
            .flat_map(|lane| lane.jobs.into_values())
            .collect();
        for run in self.runs.values_mut() {
            run.lanes.clear();
            run.ready.clear();
        }
        self.rules = rules;
        self.groups = self.groups.renewed(&self.rules);
        for visit in self.visits.values_mut() {
            visit.groups = self.groups.of(&visit.device, &self.rules);
            for group in &visit.groups {
                if let Some(group) = self.groups.get(*group) {
                    group.occupy();
                }
            }
        }
        for job in jobs {
            self.enqueue(job);
        }
    }

    /// The cap on visits at once.
    #[must_use]
    pub fn workers(&self) -> usize {
        self.rules.workers
    }

    /// Another cap on visits at once.
    pub fn set_workers(&mut self, workers: usize) {
        self.rules.workers = workers;
    }

    /// Visits that go on; for a while after a lower cap, more than it.
    #[must_use]
    pub fn busy(&self) -> usize {
        self.visits.len()
    }

    fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }
}

#[cfg(test)]
mod tests;
