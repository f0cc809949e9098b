//! The `/metrics` page: every metric's name, help, type and labels. The crate `prometheus` is named here only.
//!
//! Nothing is counted here. A page is drawn from an immutable [`Snapshot`] and from [`Live`], what the daemon is doing
//! at this moment. The device part is large and changes with the snapshot: it is rendered once per snapshot and kept
//! deflated. The daemon's own part is small and rendered at each scrape.

mod cut;
mod daemon;
mod device;
mod family;
mod lines;
mod page;
mod policy;
mod queue;

pub use cut::{Collect, Cut, CutError, Shard};
pub use page::Encoding;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use prometheus::TextEncoder;
use prometheus::core::Collector as _;
use prometheus::process_collector::ProcessCollector;
use tokio::sync::OnceCell;
use tokio::task::spawn_blocking;

use crate::known::{DeviceState, Snapshot};
use crate::metrics::page::{Part, PartWriter};
use crate::status::{
    FetchStatus, GateStatus, LimitStatus, ReloadStatus, SinkStatus, SourceStatus, SweepForecast, SweepStatus,
    Waiting,
};

/// The one content type of the text format, exactly as the format's description has it.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// How many different cuts of one snapshot are kept. Sites and shards come from the query, so their number is the
/// caller's; a fleet scraped in more shards than this renders some of them again.
const CUTS_KEPT: usize = 16;

/// The present state of the daemon, read at each scrape.
#[derive(Debug, Clone, Default)]
pub struct Live {
    /// What is running.
    pub build: BuildInfo,
    /// Each `[[sweep]]` by name, with what it is doing.
    pub sweeps: Vec<(Arc<str>, SweepStatus)>,
    /// How long sweeps are expected to take, where that can be told.
    pub forecasts: Vec<SweepForecast>,
    /// The cap on devices visited at once, and how much of it is in use.
    pub workers: Workers,
    /// The gate of each credential that was used or has a budget.
    pub gates: Vec<GateStatus>,
    /// Every value of every limit beside the workers.
    pub limits: Vec<LimitStatus>,
    /// Devices of the runs that are on, by what they wait for.
    pub waiting: Waiting,
    /// Devices that no schedule visits now, because they failed too often.
    pub held_off: usize,
    /// Each sink by name.
    pub sinks: Vec<(String, SinkStatus)>,
    /// Each inventory source.
    pub sources: Vec<SourceStatus>,
    /// The last reload; absent in a process that has none, such as `versweep sweep`.
    pub reload: Option<ReloadStatus>,
    /// The last fetch of the policies; absent where they come from no URL.
    pub policies: Option<FetchStatus>,
    /// Bytes of the database file with its write-ahead log, where they could be read.
    pub store_bytes: Option<u64>,
}

impl Live {
    /// Devices that nobody visits because the breaker of their credential is open.
    #[must_use]
    pub fn behind_breakers(&self, snapshot: &Snapshot) -> usize {
        let open: BTreeSet<_> =
            self.gates.iter().filter(|gate| gate.open).map(|gate| &gate.credential).collect();
        match open.is_empty() {
            true => 0,
            false => snapshot.devices.iter().filter(|state| open.contains(&state.device.credential)).count(),
        }
    }
}

/// The cap on devices visited at once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Workers {
    /// The cap, all sweeps together.
    pub limit: usize,
    /// Devices being visited now.
    pub busy: usize,
}

/// What the running binary was built from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BuildInfo {
    /// The package's version.
    pub version: &'static str,
    /// The revision of the source, or `unknown`.
    pub revision: &'static str,
    /// The compiler's version, or `unknown`.
    pub rustversion: &'static str,
}

impl Default for BuildInfo {
    /// This binary. Revision and compiler are known when the build set `VERSWEEP_REVISION` and `VERSWEEP_RUSTVERSION`.
    fn default() -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION"),
            revision: option_env!("VERSWEEP_REVISION").unwrap_or("unknown"),
            rustversion: option_env!("VERSWEEP_RUSTVERSION").unwrap_or("unknown"),
        }
    }
}

/// A page could not be rendered: a defect of versweep's own.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// The encoder refused a family.
    #[error("can't encode the metrics: {0}")]
    Encode(#[from] prometheus::Error),
    /// Deflating failed.
    #[error("can't compress the metrics: {0}")]
    Compress(#[from] std::io::Error),
    /// The rendering task ended early.
    #[error("the rendering of the metrics broke off: {0}")]
    Task(#[from] tokio::task::JoinError),
}

/// Renders pages, and keeps the device part of the newest snapshot.
#[derive(Debug)]
pub struct Exporter {
    view: Arc<device::View>,
    process: ProcessCollector,
    kept: Mutex<Kept>,
}

/// The rendered device parts of one snapshot. The weak reference keeps the snapshot's address from being used again,
/// and nothing of its content alive.
#[derive(Debug, Default)]
struct Kept {
    snapshot: Weak<Snapshot>,
    parts: Vec<(Cut, Arc<OnceCell<Part>>)>,
    renderings: u64,
}

impl Exporter {
    /// An exporter whose `versweep_device_info` carries these inventory labels besides site and role, and which has
    /// series per device or leaves them out.
    #[must_use]
    pub fn new(info_labels: &[String], per_device: bool) -> Self {
        Self {
            view: Arc::new(device::View::new(info_labels, per_device)),
            process: ProcessCollector::for_self(),
            kept: Mutex::default(),
        }
    }

    /// The page: the device part and the daemon's part, as far as `cut` asks for them.
    ///
    /// # Errors
    /// [`RenderError`], which is a defect: nothing that a device or an inventory says leads to one.
    pub async fn page(
        &self,
        snapshot: &Arc<Snapshot>,
        live: &Live,
        cut: &Cut,
        encoding: Encoding,
    ) -> Result<Vec<u8>, RenderError> {
        let devices = match cut.collect.devices() {
            true => Some(self.device_part(snapshot, cut).await?),
            false => None,
        };
        let own = match cut.collect.own() {
            true => Some(self.own_part(snapshot, live)?),
            false => None,
        };
        let parts: Vec<&Part> = devices.iter().filter_map(|cell| cell.get()).chain(&own).collect();
        Ok(page::join(&parts, encoding)?)
    }

    /// The series of one device, as the page has them, or would have them with series per device.
    ///
    /// # Errors
    /// As [`Self::page`].
    pub fn device(&self, state: &DeviceState, encoding: Encoding) -> Result<Vec<u8>, RenderError> {
        Ok(page::join(&[&self.view.render_one(state)?], encoding)?)
    }

    /// How often a device part was rendered since the exporter was made.
    #[must_use]
    pub fn device_renderings(&self) -> u64 {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).renderings
    }

    /// The device part, rendered by whoever comes first; the others wait for it.
    async fn device_part(
        &self,
        snapshot: &Arc<Snapshot>,
        cut: &Cut,
    ) -> Result<Arc<OnceCell<Part>>, RenderError> {
        let cell = self.kept.lock().unwrap_or_else(PoisonError::into_inner).cell(snapshot, cut);
        cell.get_or_try_init(|| async {
            self.kept.lock().unwrap_or_else(PoisonError::into_inner).renderings += 1;
            let (view, snapshot, cut) = (Arc::clone(&self.view), Arc::clone(snapshot), cut.clone());
            spawn_blocking(move || view.render(&snapshot, &cut)).await?
        })
        .await?;
        Ok(cell)
    }

    fn own_part(&self, snapshot: &Snapshot, live: &Live) -> Result<Part, RenderError> {
        let mut out = PartWriter::new();
        daemon::render(snapshot, live, &mut out)?;
        out.write(TextEncoder::new().encode_to_string(&self.process.collect())?.as_bytes())?;
        Ok(out.finish()?)
    }
}

impl Kept {
    fn cell(&mut self, snapshot: &Arc<Snapshot>, cut: &Cut) -> Arc<OnceCell<Part>> {
        if !std::ptr::eq(self.snapshot.as_ptr(), Arc::as_ptr(snapshot)) {
            self.snapshot = Arc::downgrade(snapshot);
            self.parts.clear();
        }
        let key = cut.devices_only();
        if let Some((_, cell)) = self.parts.iter().find(|(kept, _)| *kept == key) {
            return Arc::clone(cell);
        }
        if self.parts.len() == CUTS_KEPT {
            self.parts.remove(0);
        }
        let cell = Arc::new(OnceCell::new());
        self.parts.push((key, Arc::clone(&cell)));
        cell
    }
}
