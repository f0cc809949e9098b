//! How long each sweep is expected to take, beside its period: whether it fits is told before a run is skipped.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::sleep;
use tracing::{info, warn};

use super::world::World;
use crate::clock::{Clock, Timestamp};
use crate::config::SweepConfig;
use crate::dispatch::spread_over;
use crate::duration::HumanDuration;
use crate::forecast::{Visit, forecast};
use crate::known::Snapshot;
use crate::status::{ReloadStatus, SweepForecast};
use crate::transport::ssh::SshTransport;

/// How often the sum is done anew, besides at each reload: visits take other times than they did.
const ANEW: Duration = Duration::from_secs(900);

/// What the sum is made of.
pub(super) struct Ground {
    pub(super) world: Arc<ArcSwap<World<SshTransport>>>,
    pub(super) snapshot: Arc<ArcSwap<Snapshot>>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) reloads: watch::Receiver<ReloadStatus>,
}

/// Does the sum now, at each reload, and now and again, as long as somebody reads it.
pub(super) fn keep(mut ground: Ground) -> watch::Receiver<Vec<SweepForecast>> {
    let (sender, receiver) = watch::channel(Vec::new());
    tokio::spawn(async move {
        let mut too_long = HashSet::new();
        loop {
            let (world, snapshot) = (ground.world.load_full(), ground.snapshot.load_full());
            let now = ground.clock.now();
            let told = spawn_blocking(move || of_all(&world, &snapshot, now)).await.unwrap_or_else(|error| {
                warn!(%error, "what sweeps will take can't be told, a defect of versweep");
                Vec::new()
            });
            told.iter().for_each(|forecast| warn_once(forecast, &mut too_long));
            sender.send_replace(told);
            tokio::select! {
                () = sender.closed() => return,
                () = sleep(ANEW) => {}
                changed = ground.reloads.changed() => if changed.is_err() { return },
            }
        }
    });
    receiver
}

fn of_all(world: &World<SshTransport>, snapshot: &Snapshot, now: Timestamp) -> Vec<SweepForecast> {
    world.config.sweeps.iter().filter_map(|sweep| of_sweep(world, snapshot, sweep, now)).collect()
}

/// Nothing is said while less than half of the sweep's devices were ever visited: it would be a guess.
fn of_sweep(
    world: &World<SshTransport>,
    snapshot: &Snapshot,
    sweep: &SweepConfig,
    now: Timestamp,
) -> Option<SweepForecast> {
    let devices: Vec<_> =
        world.inventory.devices.iter().filter(|device| sweep.select.matches(device)).collect();
    let took = |device: &crate::device::Device| {
        let visit = snapshot.device(device.id.as_str())?.known.visit.as_ref()?;
        Some(visit.took)
    };
    let mut known: Vec<Duration> = devices.iter().filter_map(|device| took(device)).collect();
    if known.is_empty() || known.len() * 2 < devices.len() {
        return None;
    }
    known.sort_unstable();
    let usual = known.get(known.len() / 2).copied()?;
    let visits: Vec<Visit> = devices
        .into_iter()
        .map(|device| Visit {
            device: Arc::clone(device),
            due: spread_over(sweep.spread, &device.id),
            takes: took(device).unwrap_or(usual),
        })
        .collect();
    let expected = forecast(world.rules(), &visits).took;
    Some(SweepForecast { sweep: sweep.name.as_str().into(), expected, period: sweep.timetable.period(now) })
}

fn warn_once(forecast: &SweepForecast, too_long: &mut HashSet<Arc<str>>) {
    let SweepForecast { sweep, expected, period } = forecast;
    let fits = period.is_none_or(|period| *expected <= period);
    if fits && too_long.remove(sweep) {
        info!(%sweep, "the sweep is expected to fit its period again");
    }
    if let (false, Some(period)) = (fits, period)
        && too_long.insert(Arc::clone(sweep))
    {
        let seconds = |time: Duration| HumanDuration(Duration::from_secs(time.as_secs()));
        warn!(%sweep, expected = %seconds(*expected), period = %seconds(*period),
            "the sweep is expected to take longer than its period, so that due runs will be skipped; `versweep plan` tells what it waits for");
    }
}
