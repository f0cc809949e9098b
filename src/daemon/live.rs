//! What the HTTP server reads of the running daemon beside its snapshots.

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::watch;

use super::rooms;
use super::world::World;
use crate::clock::Clock;
use crate::courier::CourierHandle;
use crate::holdoff;
use crate::http;
use crate::inventory::Stock;
use crate::known::Snapshot;
use crate::metrics::{Live, Workers};
use crate::status::{FetchStatus, ReloadStatus};
use crate::store;
use crate::sweep::Engine;
use crate::transport::ssh::SshTransport;

pub(super) fn read_live(
    world: &Arc<ArcSwap<World<SshTransport>>>,
    engine: &Engine,
    couriers: &[CourierHandle],
    (reload, policies): (watch::Receiver<ReloadStatus>, watch::Receiver<Option<FetchStatus>>),
    held_off: HeldOff,
) -> http::ReadLive {
    let (world, workers, gates) = (Arc::clone(world), Arc::clone(&engine.workers), Arc::clone(&engine.gates));
    // Another path in a later configuration waits for a restart.
    let store = world.load().config.store.clone();
    let sinks: Vec<_> =
        couriers.iter().map(|courier| (courier.name.clone(), courier.status.clone())).collect();
    Arc::new(move || {
        let world = world.load();
        Live {
            workers: Workers { limit: workers.limit(), busy: workers.busy() },
            gates: gates.status(),
            held_off: held_off.count(&world.config.holdoff),
            sinks: sinks.iter().map(|(name, status)| (name.clone(), status.borrow().clone())).collect(),
            sources: world.stocks.iter().map(Stock::status).collect(),
            reload: Some(reload.borrow().clone()),
            policies: policies.borrow().clone(),
            store_bytes: store::size_on_disk(&store),
            ..Live::default()
        }
    })
}

pub(super) fn read_platforms(world: &Arc<ArcSwap<World<SshTransport>>>) -> http::ReadPlatforms {
    let world = Arc::clone(world);
    Arc::new(move || Arc::clone(&world.load().config.platforms))
}

/// Counts the devices that are held off now.
pub(super) struct HeldOff {
    snapshot: Arc<ArcSwap<Snapshot>>,
    clock: Arc<dyn Clock>,
}

impl HeldOff {
    pub(super) fn new(snapshot: &Arc<ArcSwap<Snapshot>>, clock: &Arc<dyn Clock>) -> Self {
        Self { snapshot: Arc::clone(snapshot), clock: Arc::clone(clock) }
    }

    fn count(&self, rules: &holdoff::Rules) -> usize {
        rooms::held_off(&self.snapshot.load(), rules, self.clock.now()).len()
    }
}
