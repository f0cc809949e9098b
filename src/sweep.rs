//! Many devices: each takes a permit, then a task of its own; results leave as they come, in any order. A slow device
//! holds one permit and nothing else.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{Id, JoinSet};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use crate::activity::{Note, Notes, Reason};
use crate::device::{Device, DeviceId};
use crate::dispatch::{RunRules, Urgency, Wish};
use crate::failure::{Failure, FailureKind, Stage};
use crate::known::{Snapshot, SweepRecord};
use crate::observation::SweepId;
use crate::probe::Prober;
use crate::status::SweepStatus;
use crate::timetable::Windows;
use crate::transport::Transport;

mod before;
mod curtain;
mod engine;
mod lanes;
mod quiet;
mod tail;
mod visit;

pub use engine::{Engine, EngineStatus};
pub use lanes::Lanes;
pub use tail::Care;

use before::Before;
use curtain::Curtain;
use engine::{Grant, Letter, Seat};
use tail::Again;
use visit::{Busy, Came, Visiting, defect, tell, unvisited};

/// Visits end on other threads, and whatever waits for one of them is woken by it, which costs about as much as to begin the
/// next one. So what ends within this time is looked at together; the first after a calm time at once.
const ROUND: Duration = Duration::from_millis(2);

/// The most that is looked at in one round: a fleet may be held by a breaker all at once.
const ROUND_MAX: usize = 256;

/// One run of a sweep: what it visits and how. The world in it stays the same until the run ends.
pub struct Plan<T> {
    /// The run's identity.
    pub id: SweepId,
    /// The `[[sweep]]`'s name.
    pub name: Arc<str>,
    /// Why it runs.
    pub reason: Reason,
    /// What it visits.
    pub devices: Vec<Arc<Device>>,
    /// Its starts are spread over this time.
    pub spread: Duration,
    /// How it visits.
    pub prober: Arc<Prober<T>>,
    /// What was known when it began: who answered, and with which version.
    pub before: Arc<Snapshot>,
    /// Which devices it visits a second time.
    pub care: Care,
    /// When it begins no visit.
    pub blackout: Windows,
    /// A result of another sweep that is younger than this is taken instead of a visit.
    pub fresh_for: Duration,
}

/// Where a run tells what it does.
#[derive(Debug, Clone)]
pub struct Outlet {
    /// To the recorder.
    pub notes: Notes,
    /// To everyone who watches.
    pub status: watch::Sender<SweepStatus>,
}

impl Outlet {
    /// Tells the recorder of the run itself. A recorder that takes nothing, because its disk is full, must not keep the
    /// daemon from stopping: once visits are broken off, a note that has no room is left out, and the next start closes
    /// the sweep in the store.
    async fn note(&self, note: Note, stop: &Stop) -> Result<(), RecorderEnded> {
        tokio::select! {
            biased;
            sent = self.notes.send(note) => sent.map_err(|_| RecorderEnded),
            () = stop.abort.cancelled() => Ok(()),
        }
    }
}

/// How a run is stopped: first no new device is visited, then, at the end of the grace, visits are broken off.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    /// Take no new device.
    pub drain: CancellationToken,
    /// Break off what still runs.
    pub abort: CancellationToken,
}

/// The recorder has ended before the sweep: the daemon can't go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the recorder has ended")]
pub struct RecorderEnded;

/// Visits every device of the plan once and returns the sweep's record.
///
/// # Errors
/// [`RecorderEnded`] when nobody takes the results any more.
pub async fn run<T: Transport>(
    engine: &Engine,
    plan: Plan<T>,
    outlet: &Outlet,
    stop: &Stop,
) -> Result<SweepRecord, RecorderEnded> {
    let started = plan.prober.clock.now();
    let mut record = SweepRecord {
        id: plan.id,
        name: plan.name.to_string(),
        reason: plan.reason.as_str().to_owned(),
        started,
        ended: None,
        devices: plan.devices.len() as u64,
        answered: 0,
        failed: 0,
        complete: false,
    };
    info!(sweep = %plan.name, id = %record.id, devices = record.devices, reason = record.reason, "sweep started");
    outlet.status.send_modify(|status| {
        let next = status.next;
        *status = SweepStatus {
            running: Some(record.id),
            total: plan.devices.len(),
            next,
            ..SweepStatus::default()
        };
    });
    outlet.note(Note::SweepStarted(record.clone()), stop).await?;

    let before = Before::of(&plan.before, &plan.devices);
    let first = before.first_visits(&plan.devices, plan.spread);
    let mut flight = Flight::new(engine.clone(), &plan, before, outlet.clone());
    let mut whole = flight.visit(first, stop).await?;
    // A second visit only now, so that none of them keeps a device from its first.
    if whole && !flight.tail.is_empty() {
        let again = flight.second_visits();
        whole = flight.visit(again, stop).await?;
    }
    flight.give_up_the_tail().await?;

    let status = outlet.status.borrow().clone();
    record.answered = status.answered as u64;
    record.failed = status.failed as u64;
    record.complete = whole;
    record.ended = Some(plan.prober.clock.now());
    outlet.note(Note::SweepEnded(record.clone()), stop).await?;
    outlet.status.send_modify(|status| status.running = None);
    info!(sweep = %plan.name, id = %record.id, answered = record.answered, failed = record.failed,
        fresh = status.fresh, complete = record.complete, "sweep ended");
    Ok(record)
}

/// The visits of one run that are under way.
struct Flight<T> {
    engine: Engine,
    rules: RunRules,
    curtain: Curtain,
    sweep: SweepId,
    prober: Arc<Prober<T>>,
    outlet: Outlet,
    before: Before,
    care: Care,
    visits: JoinSet<Result<Came, RecorderEnded>>,
    /// Who is visited by which task, for the one case that a task can't tell itself: its panic.
    visited_by: HashMap<Id, DeviceId>,
    /// Devices to visit a second time, with what the first visit brought.
    tail: HashMap<DeviceId, Again>,
}

impl<T: Transport> Flight<T> {
    fn new(engine: Engine, plan: &Plan<T>, before: Before, outlet: Outlet) -> Self {
        let urgency = match plan.reason {
            Reason::Request => Urgency::Urgent,
            Reason::Schedule | Reason::Command => Urgency::Usual,
        };
        let (name, fresh_for) = (Arc::clone(&plan.name), plan.fresh_for);
        Self {
            engine,
            rules: RunRules { name, urgency, fresh_for, paused: false },
            curtain: Curtain::new(plan.blackout.clone(), Arc::clone(&plan.prober.clock)),
            sweep: plan.id,
            prober: Arc::clone(&plan.prober),
            outlet,
            before,
            care: plan.care,
            visits: JoinSet::new(),
            visited_by: HashMap::new(),
            tail: HashMap::new(),
        }
    }

    /// Visits devices. Returns whether all were visited.
    async fn visit(&mut self, wishes: Vec<Wish>, stop: &Stop) -> Result<bool, RecorderEnded> {
        let paused = self.curtain.is_down();
        let seat = self.engine.open(RunRules { paused, ..self.rules.clone() }, wishes);
        let all_begun = self.visit_all(seat, stop).await?;
        let all_ended = self.drain(stop).await?;
        Ok(all_begun && all_ended)
    }

    /// Begins a visit to each device as its time, a free device, a free worker and a place within every limit come
    /// together. Returns whether all were begun.
    async fn visit_all(&mut self, mut seat: Seat, stop: &Stop) -> Result<bool, RecorderEnded> {
        let mut round = Instant::now();
        loop {
            if self.engine.lanes.are_there() {
                sleep_until(round).await;
                round = Instant::now() + ROUND;
            }
            self.curtain.turn(&seat);
            tokio::select! {
                biased;
                () = stop.drain.cancelled() => return Ok(false),
                Some(ended) = self.visits.join_next_with_id() => self.ended(ended).await?,
                () = self.curtain.minute() => {}
                letter = seat.next() => match letter {
                    Some(letter) => self.open(letter).await?,
                    None => return Ok(true),
                },
            }
            // What else is there by now; not for ever, for the sweep may be stopped meanwhile, and a blackout begin.
            for _ in 0..ROUND_MAX {
                let Some(ended) = self.visits.try_join_next_with_id() else { break };
                self.ended(ended).await?;
            }
            for _ in 0..ROUND_MAX {
                let letter = if stop.drain.is_cancelled() { None } else { seat.fetch().flatten() };
                let Some(letter) = letter else { break };
                self.open(letter).await?;
            }
        }
    }

    async fn open(&mut self, letter: Letter) -> Result<(), RecorderEnded> {
        match letter {
            Letter::Visit(grant) => self.begin(grant),
            Letter::Held(device) => self.held(device).await?,
            Letter::Fresh(device, answered) => self.fresh(&device, answered),
        }
        Ok(())
    }

    fn begin(&mut self, mut grant: Grant) {
        let device = Arc::clone(grant.device());
        let visit = Visiting {
            prober: Arc::clone(&self.prober),
            outlet: self.outlet.clone(),
            sweep: self.sweep,
            known: self.before.known(&device.id).cloned(),
            care: self.care,
            first: self.tail.remove(&device.id),
            worker_since: Instant::now(),
        };
        self.outlet.status.send_modify(|status| status.busy += 1);
        let busy = Busy(self.outlet.status.clone());
        let visit = async move {
            let told = visit.run(&mut grant).await;
            drop(busy);
            drop(grant);
            told
        };
        let task = match self.engine.lanes.next() {
            Some(lane) => lane.spawn(&mut self.visits, visit),
            None => self.visits.spawn(visit),
        };
        self.visited_by.insert(task.id(), device.id.clone());
    }

    /// A device that another sweep visited just now costs no login either. It was told of by that one.
    fn fresh(&mut self, device: &Device, answered: bool) {
        self.tail.remove(&device.id);
        self.outlet.status.send_modify(|status| {
            status.fresh += 1;
            if answered {
                status.answered += 1;
            } else {
                status.failed += 1;
            }
        });
    }

    /// A device whose breaker is open costs no login and keeps its last version. What its first visit brought, if this
    /// was to be the second, is told as it is.
    async fn held(&mut self, device: Arc<Device>) -> Result<(), RecorderEnded> {
        if let Some(again) = self.tail.remove(&device.id) {
            return self.tell_first(again).await;
        }
        let detail = format!(
            "not visited: credential {} was refused on several devices, and its breaker is open; check the credential: one device that took it before tries it again after the pause",
            device.credential
        );
        let failure = Failure::new(FailureKind::Breaker, Stage::Auth, detail);
        let at = self.prober.clock.now();
        tell(&self.outlet, unvisited(device.id.clone(), self.sweep, at, failure)).await
    }

    /// Second visits, each due when its first one said. What was just visited is no news of another sweep.
    fn second_visits(&mut self) -> Vec<Wish> {
        let now = Instant::now();
        self.rules.fresh_for = Duration::ZERO;
        let wish = |again: &Again| Wish {
            device: Arc::clone(&again.device),
            due: again.due.saturating_duration_since(now),
            expected: again.took(),
            good: self.before.known(&again.device.id).is_some_and(|state| state.known.is_up() == Some(true)),
        };
        self.tail.values().map(wish).collect()
    }

    /// Tells what first visits brought whose second one never came, because the sweep was stopped.
    async fn give_up_the_tail(&mut self) -> Result<(), RecorderEnded> {
        for again in std::mem::take(&mut self.tail).into_values() {
            self.tell_first(again).await?;
        }
        Ok(())
    }

    async fn tell_first(&self, again: Again) -> Result<(), RecorderEnded> {
        match again.alone() {
            Some(observation) => tell(&self.outlet, observation).await,
            None => Ok(()),
        }
    }

    /// Waits for the visits under way. Returns whether all came to their own end.
    async fn drain(&mut self, stop: &Stop) -> Result<bool, RecorderEnded> {
        let all_ended = async {
            while let Some(ended) = self.visits.join_next_with_id().await {
                self.ended(ended).await?;
            }
            Ok(true)
        };
        tokio::select! {
            biased;
            result = all_ended => return result,
            () = stop.abort.cancelled() => {}
        }
        self.visits.shutdown().await;
        Ok(false)
    }

    fn keep(&mut self, again: Again) {
        self.tail.insert(again.device.id.clone(), again);
    }

    async fn ended(
        &mut self,
        ended: Result<(Id, Result<Came, RecorderEnded>), tokio::task::JoinError>,
    ) -> Result<(), RecorderEnded> {
        match ended {
            Ok((id, told)) => {
                self.visited_by.remove(&id);
                match told? {
                    Came::ToItsEnd => {}
                    Came::Again(again) => self.keep(again),
                }
                Ok(())
            }
            Err(broken) => {
                let device = self.visited_by.remove(&broken.id());
                let Some(device) = device else { return Ok(()) };
                error!(%device, error = %broken, "a visit broke off by a defect of versweep's own: please report it");
                tell(&self.outlet, defect(device, self.sweep, self.prober.clock.now())).await
            }
        }
    }
}
