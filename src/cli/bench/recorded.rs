//! versweep as a visitor with its store and its metrics: what it finds is judged, committed and shown as in the daemon, and
//! each sweep begins with what the store knows, as after a restart.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use arc_swap::ArcSwap;
use tokio::sync::oneshot;
use tokio::time::{Instant, interval_at};

use super::ours::{Tally, Versweep};
use crate::activity::{Judgement, Note, Notes};
use crate::clock::{Clock, SystemClock};
use crate::device::Device;
use crate::diff::FlapRules;
use crate::holdoff;
use crate::known::Snapshot;
use crate::metrics::{Cut, Encoding, Exporter, Live};
use crate::recorder::{Recorder, RecorderHandle};
use crate::store::{Store, size_on_disk};
use crate::sweep::Engine;

/// Longer than any benchmark, so that whoever was dead before is left alone.
const HOLDOFF: holdoff::Rules =
    holdoff::Rules { first: Duration::from_secs(86_400), longest: Duration::from_secs(86_400) };

/// How often the metrics are asked for: Prometheus's default in `scrape_interval` of the samples.
const SCRAPE_EVERY: Duration = Duration::from_secs(15);

const KEEP_HISTORY: Duration = Duration::from_secs(400 * 86_400);

/// A store in a folder of its own, which goes with this.
pub(super) struct Shelf {
    folder: PathBuf,
}

/// Who is visited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whom {
    /// All.
    All,
    /// All but those that were dead when they were last visited.
    NotHeldOff,
}

impl Shelf {
    pub(super) fn new() -> anyhow::Result<Self> {
        let folder = std::env::temp_dir().join(format!("versweep-bench-store-{}", uuid::Uuid::now_v7()));
        std::fs::create_dir(&folder).with_context(|| format!("can't make {}", folder.display()))?;
        Ok(Self { folder })
    }

    fn path(&self) -> PathBuf {
        self.folder.join("versweep.db")
    }

    /// Bytes on disk; nothing before the first sweep.
    pub(super) fn bytes(&self) -> u64 {
        size_on_disk(&self.path()).unwrap_or(0)
    }
}

impl Drop for Shelf {
    fn drop(&mut self) {
        // Nothing reads it any more; one that stays is only litter.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// A recorder over a store, with the fleet told to it.
pub(super) struct Recording {
    recorder: RecorderHandle,
    before: Arc<Snapshot>,
}

impl Recording {
    /// Opens the store and tells of the fleet.
    pub(super) async fn open(shelf: &Shelf, visitor: &Versweep) -> anyhow::Result<Self> {
        let recorder = recorder(&shelf.path(), visitor)?;
        recorder.notes.send(Note::Inventory(visitor.devices.clone())).await?;
        flushed(&recorder.notes).await?;
        let before = recorder.snapshot.load_full();
        Ok(Self { recorder, before })
    }

    /// Sweeps once, until all is committed and shown, while somebody asks for the metrics.
    pub(super) async fn sweep(
        &self,
        visitor: &Versweep,
        engine: &Engine,
        whom: Whom,
    ) -> anyhow::Result<Tally> {
        let swept = async {
            let devices = self.devices(visitor, whom);
            let (before, notes) = (Arc::clone(&self.before), self.recorder.notes.clone());
            let tally = visitor.sweep_of(engine, devices, before, Some(notes)).await?;
            flushed(&self.recorder.notes).await?;
            Ok(tally)
        };
        tokio::select! {
            tally = swept => tally,
            failed = scrape(Arc::clone(&self.recorder.snapshot)) => failed,
        }
    }

    fn devices(&self, visitor: &Versweep, whom: Whom) -> Vec<Arc<Device>> {
        if whom == Whom::All {
            return visitor.devices.clone();
        }
        let now = SystemClock.now();
        let is_held = |device: &Device| {
            let state = self.before.device(device.id.as_str());
            state.is_some_and(|state| holdoff::holds(&state.known, &HOLDOFF, now))
        };
        visitor.devices.iter().filter(|device| !is_held(device)).cloned().collect()
    }

    /// Closes the store.
    pub(super) async fn close(self) -> anyhow::Result<()> {
        let RecorderHandle { notes, done, .. } = self.recorder;
        drop(notes);
        done.await??;
        Ok(())
    }
}

fn recorder(path: &Path, visitor: &Versweep) -> anyhow::Result<RecorderHandle> {
    let (store, loaded) = Store::open(path)?;
    let judgement = Judgement {
        platforms: Arc::clone(&visitor.platforms),
        down_after: 3,
        flapping: FlapRules::default(),
        keep_history: KEEP_HISTORY,
        policies: Arc::default(),
    };
    Ok(Recorder::start(store, loaded, judgement, Arc::new(SystemClock)))
}

async fn flushed(notes: &Notes) -> anyhow::Result<()> {
    let (flush, done) = oneshot::channel();
    notes.send(Note::Flush(flush)).await?;
    done.await.context("the recorder has ended")
}

/// Asks for the metrics as Prometheus does; only a defect ends it.
async fn scrape(snapshot: Arc<ArcSwap<Snapshot>>) -> anyhow::Result<Tally> {
    let exporter = Exporter::new(&[], true);
    // The first one comes when something has been found.
    let mut turns = interval_at(Instant::now() + SCRAPE_EVERY, SCRAPE_EVERY);
    loop {
        turns.tick().await;
        let snapshot = snapshot.load_full();
        let (live, cut) = (Live::default(), Cut::default());
        exporter.page(&snapshot, &live, &cut, Encoding::Gzip).await.context("can't render the metrics")?;
    }
}
