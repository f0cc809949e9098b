//! Serves what is asked for on demand: a device or a selection gets a run of its own, a whole sweep is started by its
//! trigger, so that it never overlaps itself.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tracing::info;

use super::rooms::Shared;
use super::world::World;
use crate::activity::{Ask, Book, Reason, Refusal, Slip, SweepHandle, Wanted};
use crate::clock::Timestamp;
use crate::device::{Device, Selector};
use crate::known::SELECTION;
use crate::observation::SweepId;
use crate::status::SweepStatus;
use crate::sweep::{self, Outlet, Plan};
use crate::timetable::Windows;
use crate::transport::Transport;

/// Where requests come from, and what they may start.
pub(super) struct Counter {
    pub(super) asks: mpsc::Receiver<Ask>,
    pub(super) book: Book,
    pub(super) sweeps: Arc<ArcSwap<Vec<SweepHandle>>>,
}

/// Serves requests until the daemon drains, and then waits for the runs that are on.
///
/// # Errors
/// What a run can't go on after: the recorder has ended.
pub(super) async fn serve<T: Transport>(shared: Arc<Shared<T>>, mut counter: Counter) -> anyhow::Result<()> {
    let mut runs = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            () = shared.stop.drain.cancelled() => break,
            Some(ended) = runs.join_next() => ended??,
            ask = counter.asks.recv() => match ask {
                Some(Ask { wanted, answer }) => {
                    // Whoever asked may have gone away; the visits are made all the same.
                    let _gone = answer.send(counter.take(&shared, wanted, &mut runs));
                }
                None => break,
            },
        }
    }
    // Nobody waits for an answer that doesn't come.
    drop(counter);
    while let Some(ended) = runs.join_next().await {
        ended??;
    }
    Ok(())
}

type Runs = JoinSet<anyhow::Result<()>>;

impl Counter {
    fn take<T: Transport>(
        &self,
        shared: &Arc<Shared<T>>,
        wanted: Wanted,
        runs: &mut Runs,
    ) -> Result<SweepId, Refusal> {
        if let Some(open) = self.book.open(&wanted) {
            return Ok(open);
        }
        let (world, now) = (shared.world.load_full(), shared.clock.now());
        let id = SweepId::starting(now);
        match &wanted {
            Wanted::Sweep(name) => {
                let sweeps = self.sweeps.load();
                let unknown = || Refusal::UnknownSweep(name.clone());
                let sweep = sweeps.iter().find(|sweep| *sweep.name == **name).ok_or_else(unknown)?;
                sweep.trigger.try_serve(|| self.book.enter(id, wanted.clone(), now))?;
            }
            Wanted::Device(device) => {
                let chosen = devices(&world, |candidate| candidate.id == *device);
                if chosen.is_empty() {
                    return Err(Refusal::UnknownDevice(device.clone()));
                }
                self.start(shared, &world, chosen, (id, wanted, now), runs)?;
            }
            Wanted::Selection(selector) => {
                let chosen = devices(&world, |candidate| selector.matches(candidate));
                if chosen.is_empty() {
                    return Err(Refusal::NothingSelected);
                }
                self.start(shared, &world, chosen, (id, wanted, now), runs)?;
            }
        }
        Ok(id)
    }

    fn start<T: Transport>(
        &self,
        shared: &Arc<Shared<T>>,
        world: &World<T>,
        devices: Vec<Arc<Device>>,
        (id, wanted, now): (SweepId, Wanted, Timestamp),
        runs: &mut Runs,
    ) -> Result<(), Refusal> {
        let what = describe(&wanted);
        let slip = self.book.enter(id, wanted, now)?;
        info!(request = %id, devices = devices.len(), what, "visits asked for");
        let plan = Plan {
            id,
            name: SELECTION.into(),
            reason: Reason::Request,
            devices,
            // Whoever asks wants an answer now, and of a dead device as well: no spread, no hold-off.
            spread: Duration::ZERO,
            prober: Arc::clone(&world.prober),
            before: shared.snapshot.load_full(),
            care: world.care(),
            // These belong to sweeps; who asks for a device by name has a reason to.
            blackout: Windows::default(),
            fresh_for: Duration::ZERO,
        };
        runs.spawn(run(Arc::clone(shared), plan, slip));
        Ok(())
    }
}

async fn run<T: Transport>(shared: Arc<Shared<T>>, plan: Plan<T>, slip: Slip) -> anyhow::Result<()> {
    let (status, watched) = watch::channel(SweepStatus::default());
    slip.begun(shared.clock.now(), watched);
    let outlet = Outlet { notes: shared.notes.clone(), status };
    let record = sweep::run(&shared.engine, plan, &outlet, &shared.stop).await?;
    slip.ended(record);
    Ok(())
}

fn devices<T>(world: &World<T>, wanted: impl Fn(&Device) -> bool) -> Vec<Arc<Device>> {
    world.inventory.devices.iter().filter(|device| wanted(device)).cloned().collect()
}

/// The wish in words, for the log.
fn describe(wanted: &Wanted) -> String {
    match wanted {
        Wanted::Device(device) => format!("device {device}"),
        Wanted::Sweep(name) => format!("sweep {name:?}"),
        Wanted::Selection(Selector(labels)) => {
            let label = |(name, values): (&String, &Vec<String>)| format!("{name} in {values:?}");
            format!("selection {}", labels.iter().map(label).collect::<Vec<_>>().join(", "))
        }
    }
}

#[cfg(test)]
mod tests;
