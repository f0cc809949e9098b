//! What questions about devices are answered from: one index for each snapshot, so that no request walks the fleet. The
//! next snapshot's index is made from the one before: only devices that differ are looked at.

mod bits;
mod column;
mod counts;
mod filter;
mod order;
mod part;
mod standings;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

pub(super) use self::counts::{Odd, VersionCount};
pub(super) use self::filter::{Chosen, Filter};
pub(super) use self::order::{Key, Order, Sort};
use self::part::{Facts, Labels};
use self::standings::Standings;
use crate::http::problem::Refusal;
use crate::http::tag::Tag;
use crate::known::{PolicyResult, Snapshot};
pub(super) use crate::order::{Direction, compare};

/// The index of one snapshot. A device's place in it is its place among the snapshot's devices.
pub(super) struct Index {
    pub(super) snapshot: Arc<Snapshot>,
    /// Tells this snapshot from all others that were ever served.
    pub(super) tag: Tag,
    labels: Arc<Labels>,
    facts: Facts,
    orders: [OnceLock<Order>; Sort::ALL.len()],
    versions: OnceLock<Vec<VersionCount>>,
    standings: OnceLock<Standings>,
    odd: OnceLock<Vec<Odd>>,
}

impl Index {
    fn new(snapshot: Arc<Snapshot>, tag: Tag) -> Self {
        let (labels, facts) = (Arc::new(Labels::of(&snapshot)), Facts::of(&snapshot));
        Self::made(snapshot, tag, labels, facts)
    }

    /// With nothing worked out yet that is worked out when it is first asked for.
    fn made(snapshot: Arc<Snapshot>, tag: Tag, labels: Arc<Labels>, facts: Facts) -> Self {
        let (orders, versions, standings, odd) = Default::default();
        Self { snapshot, tag, labels, facts, orders, versions, standings, odd }
    }

    /// The index of a later snapshot.
    fn after(before: Arc<Self>, snapshot: Arc<Snapshot>) -> Self {
        let tag = before.tag.next();
        if !part::same_devices(&before.snapshot, &snapshot) || before.facts.is_worn() {
            return Self::new(snapshot, tag);
        }
        // Nobody asks at this moment, most times: then nothing is copied.
        let (labels, mut facts, old) = match Arc::try_unwrap(before) {
            Ok(index) => (index.labels, index.facts, index.snapshot),
            Err(shared) => (Arc::clone(&shared.labels), shared.facts.clone(), Arc::clone(&shared.snapshot)),
        };
        facts.update(&old, &snapshot);
        Self::made(snapshot, tag, labels, facts)
    }

    /// How many devices there are.
    pub(super) fn len(&self) -> usize {
        self.snapshot.devices.len()
    }

    /// All devices in this order.
    pub(super) fn order(&self, sort: Sort) -> &Order {
        self.orders[sort as usize].get_or_init(|| Order::new(sort, &self.facts, self.len()))
    }

    fn standings(&self) -> &Standings {
        self.standings.get_or_init(|| Standings::of(&self.snapshot))
    }

    /// How many devices have that result by that policy.
    pub(super) fn standing(&self, policy: &str, result: PolicyResult) -> usize {
        self.standings().count(policy, result)
    }
}

/// The pause before the index is brought up to the newest snapshot, though nobody asks. Snapshots come up to a few times a
/// second; a request in between has less than a second of visits to take in.
const KEEP_UP: Duration = Duration::from_millis(500);

/// Keeps the index of the newest snapshot, or of one that is younger than [`KEEP_UP`].
pub(super) struct Indexes {
    snapshot: Arc<ArcSwap<Snapshot>>,
    newest: Arc<Mutex<Option<Arc<Index>>>>,
}

impl Indexes {
    pub(super) fn new(snapshot: Arc<ArcSwap<Snapshot>>) -> Self {
        Self { snapshot, newest: Arc::default() }
    }

    /// Makes the index of each snapshot beside the requests, so that they only read it: that of a new inventory, or of a
    /// whole sweep that nobody looked at, is most of a second of work. It runs until the stop.
    pub(super) async fn keep_up(&self, stop: CancellationToken) {
        while stop.run_until_cancelled(tokio::time::sleep(KEEP_UP)).await.is_some() {
            // What went wrong is logged, and tried again when somebody asks.
            let _ = self.now().await;
        }
    }

    /// The index of the present snapshot. However many ask at once, it is made once, by a thread that may take its time.
    pub(super) async fn now(&self) -> Result<Arc<Index>, Refusal> {
        let mut newest = Arc::clone(&self.newest).lock_owned().await;
        let snapshot = self.snapshot.load_full();
        if let Some(index) = newest.as_ref().filter(|index| Arc::ptr_eq(&index.snapshot, &snapshot)) {
            return Ok(Arc::clone(index));
        }
        // The lock goes along: whoever asked may go away, the index is kept all the same.
        let made = spawn_blocking(move || {
            let index = match newest.take() {
                Some(before) => Arc::new(Index::after(before, snapshot)),
                None => Arc::new(Index::new(snapshot, Tag::first())),
            };
            *newest = Some(Arc::clone(&index));
            index
        });
        made.await.map_err(|error| {
            tracing::error!(%error, "can't index the fleet");
            Refusal::Store
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_index_is_there_before_anybody_asks() {
        let snapshot = Arc::new(ArcSwap::from_pointee(Snapshot::default()));
        let indexes = Arc::new(Indexes::new(Arc::clone(&snapshot)));
        let stop = CancellationToken::new();
        let keeper = {
            let (indexes, stop) = (Arc::clone(&indexes), stop.clone());
            tokio::spawn(async move { indexes.keep_up(stop).await })
        };
        for _ in 0..2 {
            snapshot.store(Arc::default());
            let present = snapshot.load_full();
            let is_there = async || {
                let newest = indexes.newest.lock().await;
                newest.as_ref().is_some_and(|index| Arc::ptr_eq(&index.snapshot, &present))
            };
            while !is_there().await {
                tokio::time::sleep(KEEP_UP).await;
            }
        }
        stop.cancel();
        keeper.await.unwrap();
    }
}
