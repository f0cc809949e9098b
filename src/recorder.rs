//! The single writer: it alone holds what is known, judges each observation against it, commits, and only then shows the
//! result. Commit first, publish second, wake the sinks third: nobody sees what a crash could take back.
//!
//! All that waits in the channel becomes one batch and one transaction; where notes come fast, they gather for a moment.
//! While the disk refuses, the same batch is tried again, the channel fills, and the sweep slows down: nothing is lost,
//! memory doesn't grow.

mod fleet;
mod judge;
mod moves;
mod names;
mod policies;
mod sources;
mod wall;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinError, JoinHandle, spawn_blocking};
use tokio::time::{Instant, sleep, sleep_until};

use self::judge::Desk;
use self::wall::Moment;
use crate::activity::{Judgement, NOTES_WAITING, Note, Notes};
use crate::clock::{Clock, Timestamp};
use crate::known::Snapshot;
use crate::store::{Batch, Loaded, Store, StoreError};

/// The most notes that become one transaction.
const BATCH_MAX: usize = 512;

/// How long a note may wait for others, counted from the last commit: the first one after a calm time is written at once.
/// A commit costs as much as some ten notes, and a fast fleet would have one for every two or three.
const COMMIT_EVERY: Duration = Duration::from_millis(50);

/// Notes that gather are looked at so often: each would wake the recorder by itself.
const MOMENT: Duration = Duration::from_millis(5);

/// How long a snapshot without changes may wait for the next one: at 50,000 devices a snapshot copies as many pointers,
/// and a fast fleet would have one made for every handful of visits.
const PUBLISH_EVERY: Duration = Duration::from_millis(200);

/// Snapshots that nobody waits for may take one part in so many of the recorder's time: those of a large fleet cost more, so
/// they come less often.
const PUBLISH_SHARE: u32 = 50;

/// However dear they are: the clock may have stood still with the machine while one was made.
const PUBLISH_AT_LEAST_EVERY: Duration = Duration::from_secs(2);

/// The longest wait before the clock is looked at again for policies that begin, end or age.
const POLICY_TICK: Duration = Duration::from_secs(30);

/// The first pause after a refused commit; it doubles up to the last.
const RETRY_FIRST: Duration = Duration::from_millis(250);
const RETRY_LAST: Duration = Duration::from_secs(15);

/// Pieces of old rows that are deleted after one sweep: see `Store::prune`.
const PRUNES_A_SWEEP: u32 = 50;

/// Why the recorder ended before its channel did. The daemon can't go on.
#[derive(Debug, thiserror::Error)]
pub enum RecorderError {
    /// The database is damaged or refuses in a way that waiting doesn't help.
    #[error("the recorder stopped, visits since the last commit are not recorded: {0}")]
    Store(#[from] StoreError),
    /// A defect of versweep's own.
    #[error("the recorder broke off, a defect of versweep: {0}")]
    Broken(#[from] JoinError),
}

/// What the rest of the house holds of a running recorder.
#[derive(Debug)]
pub struct RecorderHandle {
    /// Where notes go. The recorder ends, after its last commit, when this and all its clones are dropped.
    pub notes: Notes,
    /// The picture of the fleet, replaced whole.
    pub snapshot: Arc<ArcSwap<Snapshot>>,
    /// The newest committed sequence in the outbox; closed when the recorder has ended.
    pub outbox: watch::Receiver<i64>,
    /// Proof of life for the watchdog.
    pub pulse: Pulse,
    /// Ends with the recorder.
    pub done: JoinHandle<Result<(), RecorderError>>,
}

/// Tells a working or waiting recorder from a stuck one.
#[derive(Debug, Clone, Default)]
pub struct Pulse(Arc<Beats>);

#[derive(Debug, Default)]
struct Beats {
    waiting: AtomicBool,
    count: AtomicU64,
}

impl Pulse {
    /// Whether it waits for notes: then it has nothing to prove.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.0.waiting.load(Ordering::Acquire)
    }

    /// Grows with every batch and every try of a commit. A recorder that neither waits nor beats for minutes is stuck.
    #[must_use]
    pub fn beats(&self) -> u64 {
        self.0.count.load(Ordering::Acquire)
    }

    fn beat(&self, waiting: bool) {
        self.0.count.fetch_add(1, Ordering::AcqRel);
        self.0.waiting.store(waiting, Ordering::Release);
    }
}

/// The recorder itself; see [`Recorder::start`].
pub struct Recorder {
    notes: mpsc::Receiver<Note>,
    desk: Desk,
    /// Lent to a blocking thread while it commits.
    store: Option<Store>,
    clock: Arc<dyn Clock>,
    snapshot: Arc<ArcSwap<Snapshot>>,
    outbox: watch::Sender<i64>,
    pulse: Pulse,
    /// When a snapshot is due that was put off.
    due: Option<Instant>,
    published: Instant,
    /// How long the last snapshot may stand without changes that nobody waits for.
    stands_for: Duration,
    committed: Option<Instant>,
}

impl Recorder {
    /// Starts recording into the store, inside a tokio runtime. The snapshot has no devices until the first [`Note::Inventory`].
    #[must_use]
    pub fn start(
        store: Store,
        loaded: Loaded,
        judgement: Judgement,
        clock: Arc<dyn Clock>,
    ) -> RecorderHandle {
        let (sender, notes) = mpsc::channel(NOTES_WAITING);
        let (outbox, outbox_seen) = watch::channel(loaded.last_sequence);
        let desk = Desk::new(loaded, judgement, Moment::of(&*clock));
        let snapshot = Arc::new(ArcSwap::from_pointee(desk.snapshot()));
        let pulse = Pulse::default();
        let recorder = Self {
            notes,
            desk,
            store: Some(store),
            clock,
            snapshot: Arc::clone(&snapshot),
            outbox,
            pulse: pulse.clone(),
            due: None,
            published: Instant::now(),
            stands_for: PUBLISH_EVERY,
            committed: None,
        };
        let done = tokio::spawn(recorder.run());
        RecorderHandle { notes: sender, snapshot, outbox: outbox_seen, pulse, done }
    }

    async fn run(mut self) -> Result<(), RecorderError> {
        let mut notes = Vec::with_capacity(BATCH_MAX);
        loop {
            self.pulse.beat(true);
            let policies_due = policies_due(self.desk.policies_due(), Arc::clone(&self.clock));
            tokio::select! {
                biased;
                count = self.notes.recv_many(&mut notes, BATCH_MAX) => {
                    self.pulse.beat(false);
                    if count == 0 {
                        break;
                    }
                    self.gather(&mut notes).await;
                    self.work(std::mem::take(&mut notes)).await?;
                }
                () = sleep_until(self.due.unwrap_or(self.published)), if self.due.is_some() => self.publish(),
                () = policies_due => self.work(Vec::new()).await?,
            }
        }
        if self.due.is_some() {
            self.publish();
        }
        Ok(())
    }

    /// Waits for more notes where the last commit was just now and nobody waits for one of these.
    async fn gather(&mut self, notes: &mut Vec<Note>) {
        let Some(committed) = self.committed else { return };
        let until = committed + COMMIT_EVERY;
        let mut looked_at = 0;
        while Instant::now() < until
            && notes.len() < BATCH_MAX
            && !notes.iter().skip(looked_at).any(is_waited_for)
        {
            looked_at = notes.len();
            sleep(MOMENT).await;
            while notes.len() < BATCH_MAX {
                let Ok(note) = self.notes.try_recv() else { break };
                notes.push(note);
            }
            if self.notes.is_closed() {
                return;
            }
        }
    }

    async fn work(&mut self, notes: Vec<Note>) -> Result<(), RecorderError> {
        let judged = self.desk.judge(notes, Moment::of(&*self.clock));
        if let Some(step) = judged.clock_set {
            tracing::warn!(
                seconds = step.num_seconds(),
                "the clock was set; nothing is deleted by it for an hour"
            );
        }
        if let Some(batch) = judged.batch {
            let sequence = self.commit(batch).await?;
            self.committed = Some(Instant::now());
            self.show(judged.at_once);
            // The end of a sweep is news by itself: some sinks are told then.
            self.outbox
                .send_if_modified(|last| std::mem::replace(last, sequence) != sequence || judged.ended);
        } else {
            self.show(judged.at_once);
        }
        answer(judged.flushes);
        if let Some(keep) = judged.prune {
            self.prune(keep).await?;
        }
        Ok(())
    }

    /// Publishes now, or soon when nothing changed and the last snapshot is young.
    fn show(&mut self, at_once: bool) {
        let due = self.published + self.stands_for;
        if at_once || due <= Instant::now() {
            self.publish();
        } else {
            self.due = Some(due);
        }
    }

    fn publish(&mut self) {
        let began = Instant::now();
        self.snapshot.store(Arc::new(self.desk.snapshot()));
        self.published = Instant::now();
        self.stands_for = stands_for(self.published - began);
        self.due = None;
    }

    /// Commits the batch, however long the disk refuses; it is told once when that begins and once when it ends.
    async fn commit(&mut self, batch: Batch) -> Result<i64, RecorderError> {
        let batch = Arc::new(batch);
        let mut pause = RETRY_FIRST;
        loop {
            self.pulse.beat(false);
            let held = Arc::clone(&batch);
            let error = match self.with_store(move |store| store.commit(&held)).await? {
                Ok(sequence) => {
                    if pause > RETRY_FIRST {
                        tracing::info!(
                            visits = batch.visits.len(),
                            "the store takes writes again; nothing was lost"
                        );
                    }
                    return Ok(sequence);
                }
                Err(error) => error,
            };
            if !error.may_pass() {
                return Err(error.into());
            }
            if pause == RETRY_FIRST {
                tracing::error!("{error}; sweeps wait until it takes writes again, nothing is lost");
            }
            sleep(pause).await;
            pause = (pause * 2).min(RETRY_LAST);
        }
    }

    /// Deletes what is too old, in small pieces. What is left, or fails, waits for the end of the next sweep.
    async fn prune(&mut self, keep: Duration) -> Result<(), RecorderError> {
        let Some(cutoff) = cutoff(self.clock.now(), keep) else { return Ok(()) };
        for _ in 0..PRUNES_A_SWEEP {
            self.pulse.beat(false);
            match self.with_store(move |store| store.prune(cutoff)).await? {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    tracing::warn!("{error}; tried again after the next sweep");
                    break;
                }
            }
        }
        Ok(())
    }

    /// Runs a blocking piece of work with the store, off the async workers.
    async fn with_store<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut Store) -> T + Send + 'static,
    ) -> Result<T, JoinError> {
        let Some(mut store) = self.store.take() else {
            // The store is away only while this function waits; a cancelled wait ends the whole recorder.
            return std::future::pending().await;
        };
        let (store, result) = spawn_blocking(move || {
            let result = work(&mut store);
            (store, result)
        })
        .await?;
        self.store = Some(store);
        Ok(result)
    }
}

impl std::fmt::Debug for Recorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recorder").field("store", &self.store).finish_non_exhaustive()
    }
}

/// How long a snapshot that took so long to make may stand.
fn stands_for(cost: Duration) -> Duration {
    cost.saturating_mul(PUBLISH_SHARE).clamp(PUBLISH_EVERY, PUBLISH_AT_LEAST_EVERY)
}

/// Waits until the fleet is to be judged by its policies though nothing happens; for ever where it never is. The clock is
/// looked at now and again, because it may be set.
async fn policies_due(due: Option<Timestamp>, clock: Arc<dyn Clock>) {
    let Some(due) = due else { return std::future::pending().await };
    while let Ok(left @ 1..) = u64::try_from((due - clock.now()).num_milliseconds()) {
        sleep(Duration::from_millis(left).min(POLICY_TICK)).await;
    }
}

/// Whether somebody waits until this note is committed, or acts on what is shown after it.
fn is_waited_for(note: &Note) -> bool {
    !matches!(note, Note::Visited(_) | Note::SweepSkipped { .. })
}

fn answer(flushes: Vec<oneshot::Sender<()>>) {
    for flush in flushes {
        // Whoever asked may have gone away since.
        let _gone = flush.send(());
    }
}

fn cutoff(now: Timestamp, keep: Duration) -> Option<Timestamp> {
    now.checked_sub_signed(chrono::Duration::from_std(keep).ok()?)
}

#[cfg(test)]
mod tests {
    use super::stands_for;
    use std::time::Duration;

    #[test]
    fn snapshots_come_less_often_where_they_are_dear() {
        for (cost, stands) in [(0, 200), (4, 200), (10, 500), (40, 2_000), (60_000, 2_000)] {
            assert_eq!(stands_for(Duration::from_millis(cost)), Duration::from_millis(stands));
        }
    }
}
