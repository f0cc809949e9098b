//! The sweeps of a daemon: for each one a runner that waits for its trigger and a place at the alarm clock.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use super::policies::{Keeper, LastGood};
use super::requests::{self, Counter};
use super::world::World;
use crate::activity::{Ask, Book, Notes, Reason, Slip, Start, SweepHandle, Trigger};
use crate::clock::{Clock, Timestamp};
use crate::config::SweepConfig;
use crate::device::{Device, DeviceId};
use crate::holdoff;
use crate::known::Snapshot;
use crate::observation::SweepId;
use crate::schedule::{self, Alarms, Scheduled};
use crate::status::{FetchStatus, ReloadStatus, SweepStatus};
use crate::sweep::{self, Engine, Outlet, Plan, Stop};
use crate::transport::Transport;

/// What every sweep needs from the daemon.
pub(super) struct Shared<T> {
    pub(super) engine: Engine,
    pub(super) world: Arc<ArcSwap<World<T>>>,
    pub(super) notes: Notes,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) alarms: Alarms,
    pub(super) snapshot: Arc<ArcSwap<Snapshot>>,
    pub(super) stop: Stop,
}

/// One sweep that is kept.
struct Room {
    config: SweepConfig,
    handle: SweepHandle,
    status: watch::Sender<SweepStatus>,
    /// Ends its place at the alarm clock.
    unscheduled: CancellationToken,
    /// Ends its runner, once no run is on.
    closed: CancellationToken,
    /// Cancelled once its runner has ended.
    ended: CancellationToken,
}

/// All sweeps that are kept. A reload opens and closes rooms; one whose configuration stays is left alone.
pub(super) struct Rooms<T> {
    shared: Arc<Shared<T>>,
    rooms: BTreeMap<String, Room>,
    /// Of sweeps that were removed by name, what tells that the last runner has ended: one that comes back waits for it.
    leaving: BTreeMap<String, CancellationToken>,
    handles: Arc<ArcSwap<Vec<SweepHandle>>>,
    policies: LastGood,
    tasks: JoinSet<anyhow::Result<()>>,
}

impl<T: Transport> Rooms<T> {
    pub(super) fn new(shared: Shared<T>) -> Self {
        Self {
            shared: Arc::new(shared),
            rooms: BTreeMap::new(),
            leaving: BTreeMap::new(),
            handles: Arc::default(),
            policies: LastGood::default(),
            tasks: JoinSet::new(),
        }
    }

    /// The sweeps as the outside sees them; the list is replaced at a reload.
    pub(super) fn handles(&self) -> Arc<ArcSwap<Vec<SweepHandle>>> {
        Arc::clone(&self.handles)
    }

    /// Serves what is asked for on demand from now on.
    pub(super) fn serve(&mut self, asks: mpsc::Receiver<Ask>, book: Book) {
        let counter = Counter { asks, book, sweeps: self.handles() };
        self.tasks.spawn(requests::serve(Arc::clone(&self.shared), counter));
    }

    /// Keeps the policies that come from a URL from now on; gives what became of the last fetch.
    pub(super) fn keep_policies(
        &mut self,
        reloaded: watch::Receiver<ReloadStatus>,
    ) -> watch::Receiver<Option<FetchStatus>> {
        let (status, watched) = watch::channel(None);
        let Shared { world, notes, clock, stop, .. } = &*self.shared;
        let keeper = Keeper {
            world: Arc::clone(world),
            notes: notes.clone(),
            clock: Arc::clone(clock),
            reloaded,
            last: Arc::clone(&self.policies),
            status,
            stop: stop.drain.clone(),
        };
        self.tasks.spawn(async move {
            keeper.keep().await;
            Ok(())
        });
        watched
    }

    /// What the policies' URL last gave.
    pub(super) fn last_good_policies(&self) -> LastGood {
        Arc::clone(&self.policies)
    }

    /// Makes the rooms those of the configuration.
    pub(super) fn furnish(&mut self, sweeps: &[SweepConfig]) {
        let gone: Vec<String> = self
            .rooms
            .keys()
            .filter(|name| !sweeps.iter().any(|sweep| sweep.name == **name))
            .cloned()
            .collect();
        self.leaving.retain(|_, ended| !ended.is_cancelled());
        for name in gone {
            if let Some(room) = self.rooms.remove(&name) {
                room.unscheduled.cancel();
                room.closed.cancel();
                info!(sweep = name, "sweep removed; a run that is on goes on to its end");
                self.leaving.insert(name, room.ended);
            }
        }
        for sweep in sweeps {
            match self.rooms.get(&sweep.name) {
                Some(room) if room.config == *sweep => {}
                Some(_) => self.reschedule(sweep),
                None => self.open(sweep),
            }
        }
        let mut handles = Vec::new();
        for sweep in sweeps {
            handles.extend(self.rooms.get(&sweep.name).map(|room| room.handle.clone()));
        }
        self.handles.store(Arc::new(handles));
    }

    fn open(&mut self, sweep: &SweepConfig) {
        let name: Arc<str> = sweep.name.as_str().into();
        let (trigger, starts) = Trigger::new();
        let (status, watched) = watch::channel(SweepStatus::default());
        let room = Room {
            config: sweep.clone(),
            handle: SweepHandle { name: Arc::clone(&name), status: watched, trigger },
            status,
            unscheduled: self.shared.stop.drain.child_token(),
            closed: self.shared.stop.drain.child_token(),
            ended: CancellationToken::new(),
        };
        let outlet = Outlet { notes: self.shared.notes.clone(), status: room.status.clone() };
        let runner = run(name, Arc::clone(&self.shared), starts, outlet, room.closed.clone());
        let (before, ended) = (self.leaving.remove(&sweep.name), room.ended.clone().drop_guard());
        self.tasks.spawn(async move {
            let _ended = ended;
            // A run that was on when the sweep left the configuration may still be: single flight holds for it as well.
            if let Some(before) = before {
                before.cancelled().await;
            }
            runner.await
        });
        self.schedule(&room);
        self.rooms.insert(sweep.name.clone(), room);
    }

    fn reschedule(&mut self, sweep: &SweepConfig) {
        let Some(mut room) = self.rooms.remove(&sweep.name) else { return };
        let same_timetable =
            room.config.timetable == sweep.timetable && room.config.blackout == sweep.blackout;
        room.config = sweep.clone();
        if !same_timetable {
            room.unscheduled.cancel();
            room.unscheduled = self.shared.stop.drain.child_token();
            room.status.send_modify(|status| status.next = None);
            self.schedule(&room);
        }
        self.rooms.insert(sweep.name.clone(), room);
    }

    fn schedule(&mut self, room: &Room) {
        let scheduled = Scheduled {
            name: Arc::clone(&room.handle.name),
            timetable: room.config.timetable.clone(),
            blackout: room.config.blackout.clone(),
            trigger: room.handle.trigger.clone(),
            status: room.status.clone(),
        };
        let shared = Arc::clone(&self.shared);
        let stop = room.unscheduled.clone();
        self.tasks.spawn(async move {
            let (alarms, clock) = (shared.alarms.clone(), Arc::clone(&shared.clock));
            Ok(schedule::keep(scheduled, alarms, clock, shared.notes.clone(), stop).await?)
        });
    }

    /// The first error of a sweep or of the alarm clock, which the daemon can't go on without; pending while all is
    /// well. Errors of devices never come here.
    pub(super) async fn failed(&mut self) -> anyhow::Error {
        loop {
            match self.tasks.join_next().await {
                Some(Ok(Ok(()))) => {}
                Some(Ok(Err(error))) => return error,
                Some(Err(broken)) => return broken.into(),
                None => std::future::pending().await,
            }
        }
    }

    /// Waits for all runs to end, after `Stop::drain`. Dropping the rooms drops their ends of the recorder's channel.
    pub(super) async fn drained(mut self) {
        while let Some(ended) = self.tasks.join_next().await {
            if let Ok(Err(error)) = ended {
                error!(error = format!("{error:#}"), "a sweep could not end well");
            }
        }
    }
}

async fn run<T: Transport>(
    name: Arc<str>,
    shared: Arc<Shared<T>>,
    mut starts: mpsc::Receiver<Start>,
    outlet: Outlet,
    closed: CancellationToken,
) -> anyhow::Result<()> {
    loop {
        let start = tokio::select! {
            biased;
            () = closed.cancelled() => return Ok(()),
            start = starts.recv() => start,
        };
        let Some(start) = start else { return Ok(()) };
        serve(&name, &shared, start, &outlet).await?;
    }
}

/// One run; the start is dropped at its end, and only then may the trigger be pulled again.
async fn serve<T: Transport>(
    name: &Arc<str>,
    shared: &Shared<T>,
    mut start: Start,
    outlet: &Outlet,
) -> anyhow::Result<()> {
    let (world, now) = (shared.world.load_full(), shared.clock.now());
    let Some(plan) = plan(name, &start, &world, shared.snapshot.load_full(), now) else { return Ok(()) };
    let slip = start.slip.take();
    if let Some(slip) = &slip {
        // Whoever asked must not see the counts of the run before.
        outlet
            .status
            .send_modify(|status| *status = SweepStatus { next: status.next, ..SweepStatus::default() });
        slip.begun(now, outlet.status.subscribe());
    }
    let record = sweep::run(&shared.engine, plan, outlet, &shared.stop).await?;
    if let Some(slip) = slip {
        slip.ended(record);
    }
    Ok(())
}

fn plan<T>(
    name: &Arc<str>,
    start: &Start,
    world: &World<T>,
    before: Arc<Snapshot>,
    now: Timestamp,
) -> Option<Plan<T>> {
    let sweep = world.config.sweeps.iter().find(|sweep| sweep.name == **name)?;
    // Whoever asks for a sweep by hand wants to see the dead ones as well.
    let held_off = match start.reason {
        Reason::Schedule => held_off(&before, &world.config.holdoff, now).cloned().collect(),
        Reason::Request | Reason::Command => HashSet::new(),
    };
    let visited = |device: &&Arc<Device>| sweep.select.matches(device) && !held_off.contains(&device.id);
    Some(Plan {
        id: start.slip.as_ref().map_or_else(|| SweepId::starting(now), Slip::id),
        name: Arc::clone(name),
        reason: start.reason,
        devices: world.inventory.devices.iter().filter(visited).cloned().collect(),
        // Whoever asks for a sweep wants it now.
        spread: if start.reason == Reason::Schedule { sweep.spread } else { Duration::ZERO },
        blackout: sweep.blackout.clone(),
        fresh_for: if start.reason == Reason::Schedule { sweep.fresh_for } else { Duration::ZERO },
        prober: Arc::clone(&world.prober),
        care: world.care(),
        before,
    })
}

/// The devices that are left alone at this moment.
pub(super) fn held_off<'a>(
    snapshot: &'a Snapshot,
    rules: &'a holdoff::Rules,
    now: Timestamp,
) -> impl Iterator<Item = &'a DeviceId> {
    let dead = snapshot.devices.iter().filter(move |state| holdoff::holds(&state.known, rules, now));
    dead.map(|state| &state.device.id)
}
