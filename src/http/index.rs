//! What questions about devices are answered from: one index for each snapshot, so that no request walks the fleet. The
//! next snapshot's index is made from the one before: only devices that differ are looked at.

mod bits;
mod column;
mod filter;
mod natural;
mod order;
mod part;
mod standings;

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;

pub(super) use self::filter::Filter;
pub(super) use self::order::{Direction, Key, Order, Sort};
use self::part::{Facts, Labels};
use self::standings::Standings;
use crate::http::problem::Refusal;
use crate::http::tag::Tag;
use crate::known::{PolicyResult, Snapshot};

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
}

/// How many devices run one version. It is its own mark in a cursor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct VersionCount {
    pub(super) devices: usize,
    pub(super) platform: Arc<str>,
    /// Empty where the devices don't tell it.
    pub(super) model: Arc<str>,
    pub(super) version: Arc<str>,
}

impl VersionCount {
    /// What most devices run comes first.
    pub(super) fn order(&self, other: &Self) -> Ordering {
        let what = |row: &Self| (Arc::clone(&row.platform), Arc::clone(&row.model));
        (other.devices.cmp(&self.devices))
            .then_with(|| what(self).cmp(&what(other)))
            .then_with(|| natural::compare(&self.version, &other.version))
    }
}

impl Index {
    fn new(snapshot: Arc<Snapshot>, tag: Tag) -> Self {
        let (labels, facts) = (Arc::new(Labels::of(&snapshot)), Facts::of(&snapshot));
        Self::made(snapshot, tag, labels, facts)
    }

    /// With nothing worked out yet that is worked out when it is first asked for.
    fn made(snapshot: Arc<Snapshot>, tag: Tag, labels: Arc<Labels>, facts: Facts) -> Self {
        let (orders, versions, standings) = Default::default();
        Self { snapshot, tag, labels, facts, orders, versions, standings }
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

    /// How many devices run which version, the most first.
    pub(super) fn versions(&self) -> &[VersionCount] {
        self.versions.get_or_init(|| {
            let facts = &self.facts;
            let mut counts: BTreeMap<[u32; 3], usize> = BTreeMap::new();
            for place in (0..self.len()).filter(|&place| facts.version.code(place) != column::ABSENT) {
                let codes = [&facts.platform, &facts.model, &facts.version].map(|column| column.code(place));
                *counts.entry(codes).or_default() += 1;
            }
            let mut rows: Vec<VersionCount> = counts
                .into_iter()
                .map(|([platform, model, version], devices)| VersionCount {
                    platform: facts.platform.name(platform),
                    model: facts.model.name(model),
                    version: facts.version.name(version),
                    devices,
                })
                .collect();
            rows.sort_by(VersionCount::order);
            rows
        })
    }
}

/// Keeps the index of the newest snapshot that anybody asked about.
pub(super) struct Indexes {
    snapshot: Arc<ArcSwap<Snapshot>>,
    newest: Arc<Mutex<Option<Arc<Index>>>>,
}

impl Indexes {
    pub(super) fn new(snapshot: Arc<ArcSwap<Snapshot>>) -> Self {
        Self { snapshot, newest: Arc::default() }
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
