//! What the HTTP server reads of the running daemon beside its snapshots.

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::watch;

use super::couriers::SinkBoard;
use super::forecasts::{self, Ground};
use super::rooms;
use super::world::World;
use crate::clock::Clock;
use crate::holdoff;
use crate::http;
use crate::inventory::Stock;
use crate::known::Snapshot;
use crate::metrics::{Live, Workers};
use crate::status::{FetchStatus, ReloadStatus, SweepForecast};
use crate::store;
use crate::sweep::Engine;
use crate::transport::ssh::SshTransport;

/// Reads what the daemon is doing; and what sweeps will take, alone.
pub(super) fn read_live(
    world: &Arc<ArcSwap<World<SshTransport>>>,
    engine: &Engine,
    board: SinkBoard,
    (reload, policies): (watch::Receiver<ReloadStatus>, watch::Receiver<Option<FetchStatus>>),
    snapshot: &Arc<ArcSwap<Snapshot>>,
    clock: &Arc<dyn Clock>,
) -> (http::ReadLive, watch::Receiver<Vec<SweepForecast>>) {
    let forecasts = forecasts::keep(Ground {
        world: Arc::clone(world),
        snapshot: Arc::clone(snapshot),
        clock: Arc::clone(clock),
        reloads: reload.clone(),
    });
    let (told, held_off) = (forecasts.clone(), HeldOff::new(snapshot, clock));
    let (world, engine) = (Arc::clone(world), engine.clone());
    // Another path in a later configuration waits for a restart.
    let store = world.load().config.store.clone();
    let live = move || {
        let (world, engine) = (world.load(), engine.status());
        Live {
            workers: Workers { limit: engine.workers, busy: engine.busy },
            gates: engine.gates,
            limits: engine.limits,
            forecasts: forecasts.borrow().clone(),
            waiting: engine.waiting,
            held_off: held_off.count(&world.config.holdoff),
            sinks: board
                .load()
                .iter()
                .map(|(name, status)| (name.clone(), status.borrow().clone()))
                .collect(),
            sources: world.stocks.iter().map(Stock::status).collect(),
            reload: Some(reload.borrow().clone()),
            policies: policies.borrow().clone(),
            store_bytes: store::size_on_disk(&store),
            ..Live::default()
        }
    };
    (Arc::new(live), told)
}

pub(super) fn read_platforms(world: &Arc<ArcSwap<World<SshTransport>>>) -> http::ReadPlatforms {
    let world = Arc::clone(world);
    Arc::new(move || Arc::clone(&world.load().config.platforms))
}

pub(super) fn read_config(world: &Arc<ArcSwap<World<SshTransport>>>) -> http::ReadConfig {
    let world = Arc::clone(world);
    Arc::new(move || Arc::clone(&world.load().config.shown))
}

/// Counts the devices that are held off now.
struct HeldOff {
    snapshot: Arc<ArcSwap<Snapshot>>,
    clock: Arc<dyn Clock>,
}

impl HeldOff {
    fn new(snapshot: &Arc<ArcSwap<Snapshot>>, clock: &Arc<dyn Clock>) -> Self {
        Self { snapshot: Arc::clone(snapshot), clock: Arc::clone(clock) }
    }

    fn count(&self, rules: &holdoff::Rules) -> usize {
        rooms::held_off(&self.snapshot.load(), rules, self.clock.now()).count()
    }
}
