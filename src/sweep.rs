//! Many devices: each takes a permit, then a task of its own; results leave as they come, in any order. A slow device
//! holds one permit and nothing else.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{Id, JoinSet};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info};

use crate::activity::{Note, Notes, Reason};
use crate::device::{Device, DeviceId};
use crate::failure::{Failure, FailureKind, Stage};
use crate::known::SweepRecord;
use crate::observation::{Observation, Outcome, StageTimes, SweepId};
use crate::probe::Prober;
use crate::status::SweepStatus;
use crate::transport::Transport;

mod workers;

pub use workers::{Claim, Claims, Permit, Workers};

/// What all sweeps share: the worker cap and the claims on devices.
#[derive(Debug, Clone)]
pub struct Engine {
    /// The cap on visits at once.
    pub workers: Arc<Workers>,
    /// The devices being visited.
    pub claims: Arc<Claims>,
}

impl Engine {
    /// An engine with that many workers.
    #[must_use]
    pub fn new(workers: usize) -> Self {
        Self { workers: Arc::new(Workers::new(workers)), claims: Arc::default() }
    }
}

/// One run of a sweep: what it visits and how. The world in it stays the same until the run ends.
pub struct Plan<T> {
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
        id: SweepId::starting(started),
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

    let mut flight = Flight::new(engine.clone(), record.id, &plan, outlet.clone());
    let all_begun = flight.visit_all(starts(plan.devices, plan.spread), stop).await?;
    let all_ended = flight.drain(stop).await?;

    let status = outlet.status.borrow().clone();
    record.answered = status.answered as u64;
    record.failed = status.failed as u64;
    record.complete = all_begun && all_ended;
    record.ended = Some(plan.prober.clock.now());
    outlet.note(Note::SweepEnded(record.clone()), stop).await?;
    outlet.status.send_modify(|status| status.running = None);
    info!(sweep = %plan.name, id = %record.id, answered = record.answered, failed = record.failed,
        complete = record.complete, "sweep ended");
    Ok(record)
}

/// How long a sweep whose devices are all being visited by others waits before it looks again, should nothing wake it.
const IDLE: Duration = Duration::from_secs(3600);

/// A device and when it may be visited.
type Due = (Instant, Arc<Device>);

/// Orders devices by a stable hash and spreads their starts, so that neither a restart nor the alphabet sends the
/// whole fleet, or one whole site, at once (rule 5).
fn starts(devices: Vec<Arc<Device>>, spread: Duration) -> VecDeque<Due> {
    let now = Instant::now();
    let mut placed: Vec<(u32, Arc<Device>)> =
        devices.into_iter().map(|device| (place(&device.id), device)).collect();
    placed.sort_by(|a, b| a.0.cmp(&b.0).then_with(|| a.1.id.cmp(&b.1.id)));
    placed.into_iter().map(|(place, device)| (now + spread.mul_f64(fraction(place)), device)).collect()
}

/// A device's place in every sweep: FNV-1a, the same in every release and on every machine, which the standard hasher
/// does not promise. By itself it gives names that differ in their last letters nearly the same place, so that a site's
/// switches would be visited at once; MurmurHash3's last step mixes what it gives.
fn place(device: &DeviceId) -> u32 {
    let hash = device.as_str().bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let mixed = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let mixed = (mixed ^ (mixed >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    // The upper 32 bits are all that is left.
    (mixed >> 32) as u32
}

/// Where in 0..1 a place lies.
fn fraction(place: u32) -> f64 {
    f64::from(place) / (f64::from(u32::MAX) + 1.0)
}

/// Waits until a device is due, a worker is free and nobody else visits the device. Nothing leaves the queue before all
/// three hold, so this may be dropped at any point. `None` when the queue is empty.
async fn next_visit(engine: &Engine, queue: &mut VecDeque<Due>) -> Option<(Arc<Device>, Claim, Permit)> {
    loop {
        sleep_until(queue.front()?.0).await;
        let permit = engine.workers.take().await;
        let now = Instant::now();
        let mut due_now = queue.iter().take_while(|(due, _)| *due <= now).enumerate();
        let claimed =
            due_now.find_map(|(index, (_, device))| Some((index, engine.claims.claim(&device.id)?)));
        if let Some((index, claim)) = claimed {
            let (_, device) = queue.remove(index)?;
            return Some((device, claim, permit));
        }
        // Every device that is due is being visited by another sweep; the worker is free for others meanwhile.
        drop(permit);
        let due_now = || queue.iter().take_while(|(due, _)| *due <= now);
        let next_due = queue.get(due_now().count()).map_or(now + IDLE, |(due, _)| *due);
        tokio::select! {
            () = engine.claims.released(|held| due_now().all(|(_, device)| held.contains(&device.id))) => {}
            () = sleep_until(next_due) => {}
        }
    }
}

/// The visits of one run that are under way.
struct Flight<T> {
    engine: Engine,
    sweep: SweepId,
    prober: Arc<Prober<T>>,
    outlet: Outlet,
    visits: JoinSet<Result<(), RecorderEnded>>,
    /// Who is visited by which task, for the one case that a task can't tell itself: its panic.
    visited_by: HashMap<Id, DeviceId>,
}

impl<T: Transport> Flight<T> {
    fn new(engine: Engine, sweep: SweepId, plan: &Plan<T>, outlet: Outlet) -> Self {
        let prober = Arc::clone(&plan.prober);
        Self { engine, sweep, prober, outlet, visits: JoinSet::new(), visited_by: HashMap::new() }
    }

    /// Begins a visit to each device as its time, a free device and a free worker come together. Returns whether all
    /// were begun.
    async fn visit_all(&mut self, mut queue: VecDeque<Due>, stop: &Stop) -> Result<bool, RecorderEnded> {
        let engine = self.engine.clone();
        while !queue.is_empty() {
            tokio::select! {
                biased;
                () = stop.drain.cancelled() => return Ok(false),
                Some(ended) = self.visits.join_next_with_id() => self.ended(ended).await?,
                Some((device, claim, permit)) = next_visit(&engine, &mut queue) => self.begin(device, claim, permit),
            }
        }
        Ok(true)
    }

    fn begin(&mut self, device: Arc<Device>, claim: Claim, permit: Permit) {
        let visit = Visiting {
            prober: Arc::clone(&self.prober),
            outlet: self.outlet.clone(),
            sweep: self.sweep,
            device: Arc::clone(&device),
        };
        self.outlet.status.send_modify(|status| status.busy += 1);
        let busy = Busy(self.outlet.status.clone());
        let task = self.visits.spawn(async move {
            let told = visit.run().await;
            drop(busy);
            drop(claim);
            drop(permit);
            told
        });
        self.visited_by.insert(task.id(), device.id.clone());
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

    async fn ended(
        &mut self,
        ended: Result<(Id, Result<(), RecorderEnded>), tokio::task::JoinError>,
    ) -> Result<(), RecorderEnded> {
        match ended {
            Ok((id, told)) => {
                self.visited_by.remove(&id);
                told
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

/// One visit in its task.
struct Visiting<T> {
    prober: Arc<Prober<T>>,
    outlet: Outlet,
    sweep: SweepId,
    device: Arc<Device>,
}

impl<T: Transport> Visiting<T> {
    /// The permit is still held while the recorder takes the result: a slow disk slows the sweep.
    async fn run(self) -> Result<(), RecorderEnded> {
        let visit = self.prober.device(&self.device, self.sweep).await;
        tell(&self.outlet, visit.observation).await
    }
}

async fn tell(outlet: &Outlet, observation: Observation) -> Result<(), RecorderEnded> {
    let answered = match &observation.outcome {
        Outcome::Answered { .. } => true,
        Outcome::Failed { failure, .. } => {
            debug!(device = %observation.device, kind = %failure.kind, stage = %failure.stage,
                detail = failure.detail, "visit failed");
            false
        }
    };
    outlet.notes.send(Note::Visited(Box::new(observation))).await.map_err(|_| RecorderEnded)?;
    outlet.status.send_modify(|status| {
        if answered {
            status.answered += 1;
        } else {
            status.failed += 1;
        }
    });
    Ok(())
}

/// One busy worker in the sweep's status, also when its visit panics or is broken off.
struct Busy(watch::Sender<SweepStatus>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.send_modify(|status| status.busy = status.busy.saturating_sub(1));
    }
}

fn defect(device: DeviceId, sweep: SweepId, at: crate::clock::Timestamp) -> Observation {
    let failure = Failure {
        kind: FailureKind::Internal,
        stage: Stage::Connect,
        detail: "the visit broke off by a defect of versweep's own; the log has more".to_owned(),
    };
    Observation {
        device,
        sweep,
        at,
        took: Duration::ZERO,
        stages: StageTimes::default(),
        attempts: 1,
        outcome: Outcome::Failed { failure, raw: None },
    }
}
