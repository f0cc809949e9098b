//! The inventory: devices from all sources, fully resolved, as one immutable list.
//!
//! bytes -> entries -> relabelled -> checked -> offers -> merged -> devices. Each source is read, kept and replaced by
//! itself; the list of all devices is made anew from what is held of each.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::device::{Device, DeviceId, Route, Selector};
use crate::document::Problems;
use crate::settings::Layers;
use crate::text::tamed;

mod address;
mod ansible;
mod check;
mod csv_file;
mod entry;
mod kept;
mod local;
mod lookout;
mod merge;
mod names;
mod netbox;
mod relabel;
mod remote;
mod router_db;
mod sd;
mod stock;
mod toml_file;
mod tree_file;
mod trouble;
mod watch;

pub use address::host_from;
pub use entry::Entry;
pub use kept::Kept;
pub use local::look;
pub use lookout::Lookout;
pub use stock::{Stock, Verdict};
pub use trouble::Trouble;

/// Devices as they are known at one moment. A sweep sees one inventory throughout.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Inventory {
    /// All devices, sorted by name; no name is there twice.
    pub devices: Vec<Arc<Device>>,
    /// Beside each device, the places of the sources that it came from; the one that goes over the others is the last.
    pub origins: Vec<Arc<[usize]>>,
    /// What two sources say differently of one device.
    pub conflicts: Vec<Conflict>,
    /// Entries that could not become devices, with the place of their source.
    pub dropped: Vec<(usize, Dropped)>,
    /// What is allowed and yet worth a look, one line each.
    pub warnings: Vec<String>,
}

/// What one look at a source brought, relabelled and not judged yet.
#[derive(Debug, Clone, Default)]
pub struct Look {
    entries: Vec<Entry>,
    dropped: Vec<Dropped>,
    /// What is wrong with the form of a list that is written for versweep.
    problems: Problems,
}

/// An entry that is not used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dropped {
    /// What it is called.
    pub title: String,
    /// Where it stands.
    pub place: String,
    /// Why it is not used.
    pub why: String,
    /// Whether somebody wants it so.
    pub cause: Cause,
}

/// Whether somebody wants an entry not to be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// Relabelling drops it, or its own source says that nobody shall look at it.
    Asked,
    /// It can't be used.
    Wrong,
}

impl Dropped {
    fn new(entry: &Entry, why: String) -> Self {
        let why = tamed(&why, 256).into_owned();
        Self { title: entry.title(), place: entry.place(), why, cause: Cause::Wrong }
    }

    fn asked(entry: &Entry, why: String) -> Self {
        Self { cause: Cause::Asked, ..Self::new(entry, why) }
    }
}

/// One thing that two sources say differently of one device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// The device.
    pub device: DeviceId,
    /// The setting or label.
    pub field: String,
    /// What holds.
    pub kept: String,
    /// The source that says so.
    pub winner: String,
    /// What does not.
    pub lost: String,
    /// The source that says so.
    pub loser: String,
}

impl std::fmt::Display for Conflict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { device, field, kept, winner, lost, loser } = self;
        write!(f, "{device}: {field} is {kept:?} by {winner}, which goes over {lost:?} by {loser}")
    }
}

impl Inventory {
    /// All devices of all sources, merged.
    ///
    /// # Errors
    /// Everything that is wrong with devices of sources that are strict. Half an inventory is never returned: the missing
    /// devices would look as if they had been taken out of service.
    pub fn assemble(stocks: &[Stock], layers: &Layers) -> Result<Self, Problems> {
        let merged = merge::merge(stocks, layers);
        if !merged.problems.is_empty() {
            let mut problems = Problems::default();
            problems.extend(merged.problems);
            return Err(problems);
        }
        let mut warnings = shared_endpoints(&merged.devices);
        for stock in stocks {
            warnings.extend(stock.warnings().map(|warning| format!("{}: {warning}", stock.source.name)));
        }
        Ok(Self {
            devices: merged.devices,
            origins: merged.origins,
            conflicts: merged.conflicts,
            dropped: merged.dropped,
            warnings,
        })
    }

    /// What is wrong with devices of strict sources once all sources are merged, also of lists that were refused already:
    /// so that everything is told at once.
    #[must_use]
    pub fn examine(stocks: &[Stock], layers: &Layers) -> Problems {
        let stocks: Vec<Stock> = stocks.iter().map(Stock::as_if_taken).collect();
        merge::merge(&stocks, layers).problems
    }

    /// The device of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Arc<Device>> {
        let index = self.devices.binary_search_by(|device| device.id.as_str().cmp(name)).ok()?;
        self.devices.get(index)
    }

    /// The devices that a selector chooses, sorted by name.
    pub fn select<'a>(&'a self, selector: &'a Selector) -> impl Iterator<Item = &'a Arc<Device>> {
        self.devices.iter().filter(|device| selector.matches(device))
    }
}

/// Two names for one address: the device would be visited twice at once, which some refuse. Behind other jump hosts the
/// same address is another device's.
fn shared_endpoints(devices: &[Arc<Device>]) -> Vec<String> {
    let mut seen = BTreeMap::new();
    let mut warnings = Vec::new();
    for device in devices {
        let way: Vec<Arc<str>> = match &device.route {
            Route::Direct => Vec::new(),
            Route::Via(jumps) => jumps.iter().map(|jump| Arc::clone(&jump.name)).collect(),
        };
        let endpoint = device.endpoint.to_string();
        let place = (endpoint.clone(), way);
        if let Some(first) = seen.get(&place) {
            warnings.push(format!(
                "{first} and {} are both at {endpoint}: one device under two names?",
                device.id
            ));
        } else {
            seen.insert(place, &device.id);
        }
    }
    warnings
}
