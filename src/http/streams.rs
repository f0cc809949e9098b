//! Live events for many clients at once. One pump reads what is new from the store, once for all, and keeps the latest in
//! memory; each client has its own place in the order of events. One that is slower than the memory is long, or comes
//! back after hours, reads from the store until it has caught up: nothing is lost, nothing comes twice, and nobody waits
//! for anybody.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_util::sync::CancellationToken;

use crate::change::{ChangeKind, Whose};
use crate::http::problem::Refusal;
use crate::http::readers::Readers;

/// Streams at once. Fewer than there are connections, so that streams never keep scrapes and people out.
pub(super) const STREAMS_MAX: usize = 256;

/// The latest events that are kept in memory.
const KEPT: usize = 1024;

/// Events that are read at once.
const HANDFUL: usize = 256;

/// The pause after a read that failed.
const PAUSE: Duration = Duration::from_secs(1);

/// Where clients get their events.
pub(super) struct Streams {
    permits: Arc<Semaphore>,
    kept: Mutex<Kept>,
    /// The newest sequence that the pump has passed.
    passed: watch::Sender<i64>,
    stop: CancellationToken,
}

/// One event as clients get it.
pub(super) struct Told {
    pub(super) sequence: i64,
    pub(super) kind: ChangeKind,
    pub(super) of: Whose,
    /// Its bytes on the wire: made once, shared by all.
    pub(super) frame: Bytes,
}

/// The latest events, without a gap from `behind` on.
struct Kept {
    /// The sequence behind which all events are here.
    behind: i64,
    events: VecDeque<Arc<Told>>,
}

impl Streams {
    pub(super) fn new(newest: i64, stop: CancellationToken) -> Self {
        Self {
            permits: Arc::new(Semaphore::new(STREAMS_MAX)),
            kept: Mutex::new(Kept { behind: newest, events: VecDeque::new() }),
            passed: watch::Sender::new(newest),
            stop,
        }
    }

    /// Reads what is new until the recorder has ended and all of it is read, or until the stop.
    pub(super) async fn pump(self: Arc<Self>, readers: Arc<Readers>, mut outbox: watch::Receiver<i64>) {
        loop {
            outbox.mark_unchanged();
            if !self.catch_up(&readers).await {
                tokio::select! {
                    () = self.stop.cancelled() => return,
                    () = tokio::time::sleep(PAUSE) => continue,
                }
            }
            tokio::select! {
                () = self.stop.cancelled() => return,
                changed = outbox.changed() => if changed.is_err() { break },
            }
        }
        self.catch_up(&readers).await;
    }

    /// Reads until nothing is left; `false` when the store can't be read, which the reader has logged.
    async fn catch_up(&self, readers: &Readers) -> bool {
        loop {
            let passed = *self.passed.borrow();
            let Ok(events) = readers.read(move |reader| reader.events_after(passed, HANDFUL)).await else {
                return false;
            };
            let Some(last) = events.last().map(|event| event.sequence) else { return true };
            self.keep(events.into_iter().map(Told::of));
            self.passed.send_replace(last);
        }
    }

    fn keep(&self, events: impl Iterator<Item = Told>) {
        let events: Vec<_> = events.map(Arc::new).collect();
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.events.extend(events);
        while kept.events.len() > KEPT {
            kept.behind = kept.events.pop_front().map_or(kept.behind, |event| event.sequence);
        }
    }

    /// The newest sequence that the pump has passed.
    pub(super) fn newest(&self) -> i64 {
        *self.passed.borrow()
    }

    /// A client's place behind that sequence.
    pub(super) fn subscribe(
        self: &Arc<Self>,
        readers: &Arc<Readers>,
        after: i64,
    ) -> Result<Follower, Refusal> {
        let Held { permit, .. } = self.hold()?;
        Ok(Follower {
            passed: self.passed.subscribe(),
            streams: Arc::clone(self),
            readers: Arc::clone(readers),
            after,
            _permit: permit,
        })
    }

    /// A place among the streams, for one that has its words from elsewhere.
    pub(super) fn hold(&self) -> Result<Held, Refusal> {
        let permit = Arc::clone(&self.permits).try_acquire_owned();
        let permit = permit.map_err(|_| Refusal::TooManyStreams { max: STREAMS_MAX })?;
        Ok(Held { permit, stop: self.stop.clone() })
    }

    /// Events behind that sequence, where memory reaches back so far.
    fn kept_after(&self, after: i64) -> Option<Vec<Arc<Told>>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let from = kept.events.partition_point(|event| event.sequence <= after);
        (after >= kept.behind).then(|| kept.events.iter().skip(from).take(HANDFUL).cloned().collect())
    }
}

/// A place among the streams: whoever has it ends when it is cancelled.
pub(super) struct Held {
    permit: OwnedSemaphorePermit,
    pub(super) stop: CancellationToken,
}

/// One client's place in the order of events.
pub(super) struct Follower {
    streams: Arc<Streams>,
    readers: Arc<Readers>,
    passed: watch::Receiver<i64>,
    after: i64,
    _permit: OwnedSemaphorePermit,
}

/// What comes next for a client.
pub(super) enum Next {
    /// These, in order; at least one.
    Events(Vec<Arc<Told>>),
    /// Nothing for so long that the client is to hear that the stream is alive.
    Quiet,
}

impl Follower {
    /// What comes next: waits for it no longer than `quiet`. Nothing once the server stops, or the store can't be read:
    /// then the client comes again and goes on where it was.
    pub(super) async fn next(&mut self, quiet: Duration) -> Option<Next> {
        let deadline = tokio::time::Instant::now() + quiet;
        loop {
            self.passed.mark_unchanged();
            let events = self.read().await?;
            if let Some(last) = events.last() {
                self.after = last.sequence;
                return Some(Next::Events(events));
            }
            tokio::select! {
                biased;
                changed = self.passed.changed() => changed.ok()?,
                () = self.streams.stop.cancelled() => return None,
                () = tokio::time::sleep_until(deadline) => return Some(Next::Quiet),
            }
        }
    }

    /// The last sequence that the client has passed.
    pub(super) fn after(&self) -> i64 {
        self.after
    }

    async fn read(&self) -> Option<Vec<Arc<Told>>> {
        if let Some(events) = self.streams.kept_after(self.after) {
            return Some(events);
        }
        let (after, newest) = (self.after, self.streams.newest());
        let events = self.readers.read(move |reader| reader.events_after(after, HANDFUL)).await.ok()?;
        // What the pump has not passed yet comes from it.
        Some(
            events
                .into_iter()
                .filter(|event| event.sequence <= newest)
                .map(|event| Arc::new(Told::of(event)))
                .collect(),
        )
    }
}
