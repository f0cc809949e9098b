//! Visits that someone asks for now: one device, a selection, a whole sweep. Whoever asks gets the identity of the run
//! that will serve it, and can ask how far that has come.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{mpsc, oneshot, watch};

use super::Busy;
use crate::clock::Timestamp;
use crate::device::{DeviceId, Selector};
use crate::known::SweepRecord;
use crate::observation::SweepId;
use crate::status::SweepStatus;

/// The most requests that may be open at once. Each is a run of its own; beyond that many somebody asks in a loop.
pub const OPEN_MAX: usize = 64;

/// How many requests that are done can still be asked about.
const DONE_KEPT: usize = 1000;

/// How many askers may wait for their answer; it comes at once, so that more of them wait in their own task.
const ASKING: usize = 16;

/// What someone asks to be visited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// One device.
    Device(DeviceId),
    /// The devices that a selector chooses; an empty one chooses all.
    Selection(Selector),
    /// What the `[[sweep]]` of that name visits.
    Sweep(String),
}

/// Why nothing is visited.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The inventory has no device of that name.
    #[error("no device named {0} in the inventory")]
    UnknownDevice(DeviceId),
    /// The selection chooses no device.
    #[error("no device of the inventory matches")]
    NothingSelected,
    /// The configuration has no sweep of that name.
    #[error("no [[sweep]] named {0:?} in the configuration")]
    UnknownSweep(String),
    /// Single flight: the sweep is running already.
    #[error(transparent)]
    Busy(#[from] Busy),
    /// Too many requests are open.
    #[error("{OPEN_MAX} requests are open already; ask again when one of them is done")]
    TooMany,
    /// The daemon takes nothing any more.
    #[error("versweep is stopping")]
    Stopping,
}

/// How far a request has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Taken, not begun.
    Queued,
    /// Its devices are being visited, or wait for a worker, their site or their credential.
    Running,
    /// Ended, whole or not.
    Done,
}

impl Progress {
    /// The name used in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Done => "done",
        }
    }
}

/// A request as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestStatus {
    /// Its identity, which is also that of its run: in the history of sweeps and in each of its visits.
    pub id: SweepId,
    /// What was asked for.
    pub wanted: Wanted,
    /// When.
    pub asked: Timestamp,
    /// How far it has come.
    pub progress: Progress,
    /// When its run began.
    pub started: Option<Timestamp>,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// Devices that it is to visit; 0 until it runs.
    pub devices: usize,
    /// Devices being visited at this moment.
    pub busy: usize,
    /// Devices that answered.
    pub answered: usize,
    /// Devices that failed.
    pub failed: usize,
    /// Whether all its devices were visited: `false` while it goes on, and when a stop cut it short.
    pub complete: bool,
}

/// The counter where visits are asked for. Clones share it.
#[derive(Debug, Clone)]
pub struct OnDemand {
    asks: mpsc::Sender<Ask>,
    book: Book,
}

/// What someone asks, with the way back to them.
#[derive(Debug)]
pub struct Ask {
    /// What is to be visited.
    pub wanted: Wanted,
    /// Where the answer goes.
    pub answer: oneshot::Sender<Result<SweepId, Refusal>>,
}

impl OnDemand {
    /// The counter and the end that serves it, which enters what it takes in the book.
    #[must_use]
    pub fn new() -> (Self, mpsc::Receiver<Ask>, Book) {
        let (asks, asked) = mpsc::channel(ASKING);
        let book = Book::default();
        (Self { asks, book: book.clone() }, asked, book)
    }

    /// Asks for visits. The same wish again, while it is open, is one and the same request.
    ///
    /// # Errors
    /// Why nothing is visited.
    pub async fn ask(&self, wanted: Wanted) -> Result<SweepId, Refusal> {
        let (answer, answered) = oneshot::channel();
        self.asks.send(Ask { wanted, answer }).await.map_err(|_| Refusal::Stopping)?;
        answered.await.unwrap_or(Err(Refusal::Stopping))
    }

    /// How far a request has come; `None` for one that never was, or was done long ago.
    #[must_use]
    pub fn status(&self, id: SweepId) -> Option<RequestStatus> {
        self.book.find(|request| request.id == id).map(|request| request.status())
    }

    /// The requests that are not done, oldest first: a few.
    #[must_use]
    pub fn open(&self) -> Vec<RequestStatus> {
        self.book.with(|requests| {
            requests.iter().filter(|request| request.is_open()).map(|request| request.status()).collect()
        })
    }

    /// All requests that can be asked about, newest first.
    #[must_use]
    pub fn all(&self) -> Vec<RequestStatus> {
        self.book.with(|requests| requests.iter().rev().map(|request| request.status()).collect())
    }
}

/// The requests that are open, and the latest that are done.
#[derive(Debug, Clone, Default)]
pub struct Book(Arc<Mutex<VecDeque<Arc<Request>>>>);

impl Book {
    /// The open request for the same, if there is one.
    #[must_use]
    pub fn open(&self, wanted: &Wanted) -> Option<SweepId> {
        self.find(|request| request.is_open() && request.wanted == *wanted).map(|request| request.id)
    }

    /// Enters a request and gives the slip that goes with its run.
    ///
    /// # Errors
    /// [`Refusal::TooMany`] when as many are open as may be.
    pub fn enter(&self, id: SweepId, wanted: Wanted, asked: Timestamp) -> Result<Slip, Refusal> {
        let request = Arc::new(Request { id, wanted, asked, phase: Mutex::new(Phase::Queued) });
        self.with(|requests| {
            if requests.iter().filter(|request| request.is_open()).count() >= OPEN_MAX {
                return Err(Refusal::TooMany);
            }
            if requests.len() >= DONE_KEPT
                && let Some(oldest) = requests.iter().position(|request| !request.is_open())
            {
                requests.remove(oldest);
            }
            requests.push_back(Arc::clone(&request));
            Ok(())
        })?;
        Ok(Slip(request))
    }

    fn find(&self, is_it: impl Fn(&Request) -> bool) -> Option<Arc<Request>> {
        self.with(|requests| requests.iter().rev().find(|request| is_it(request)).cloned())
    }

    fn with<R>(&self, act: impl FnOnce(&mut VecDeque<Arc<Request>>) -> R) -> R {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What goes with a request's run and tells how far it has come. Dropped before the run has ended, it tells that
/// nothing more comes.
#[derive(Debug)]
pub struct Slip(Arc<Request>);

impl Slip {
    /// The identity that the run must have.
    #[must_use]
    pub fn id(&self) -> SweepId {
        self.0.id
    }

    /// The run begins; how far it is can be read there.
    pub fn begun(&self, started: Timestamp, status: watch::Receiver<SweepStatus>) {
        self.0.set(Phase::Running { started, status });
    }

    /// The run has ended.
    pub fn ended(self, record: SweepRecord) {
        self.0.set(Phase::Done(record));
    }
}

impl Drop for Slip {
    fn drop(&mut self) {
        let mut phase = self.0.phase.lock().unwrap_or_else(PoisonError::into_inner);
        if !matches!(*phase, Phase::Done(_)) {
            *phase = Phase::Dropped;
        }
    }
}

#[derive(Debug)]
struct Request {
    id: SweepId,
    wanted: Wanted,
    asked: Timestamp,
    phase: Mutex<Phase>,
}

#[derive(Debug)]
enum Phase {
    Queued,
    Running {
        started: Timestamp,
        status: watch::Receiver<SweepStatus>,
    },
    Done(SweepRecord),
    /// The run never came to its end: the daemon stopped.
    Dropped,
}

impl Request {
    fn set(&self, phase: Phase) {
        *self.phase.lock().unwrap_or_else(PoisonError::into_inner) = phase;
    }

    fn is_open(&self) -> bool {
        let phase = self.phase.lock().unwrap_or_else(PoisonError::into_inner);
        matches!(*phase, Phase::Queued | Phase::Running { .. })
    }

    fn status(&self) -> RequestStatus {
        let queued = RequestStatus {
            id: self.id,
            wanted: self.wanted.clone(),
            asked: self.asked,
            progress: Progress::Queued,
            started: None,
            ended: None,
            devices: 0,
            busy: 0,
            answered: 0,
            failed: 0,
            complete: false,
        };
        let count = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
        match &*self.phase.lock().unwrap_or_else(PoisonError::into_inner) {
            Phase::Queued => queued,
            Phase::Running { started, status } => {
                let now = status.borrow();
                RequestStatus {
                    progress: Progress::Running,
                    started: Some(*started),
                    devices: now.total,
                    busy: now.busy,
                    answered: now.answered,
                    failed: now.failed,
                    ..queued
                }
            }
            Phase::Done(record) => RequestStatus {
                progress: Progress::Done,
                started: Some(record.started),
                ended: record.ended,
                devices: count(record.devices),
                answered: count(record.answered),
                failed: count(record.failed),
                complete: record.complete,
                ..queued
            },
            Phase::Dropped => RequestStatus { progress: Progress::Done, ..queued },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u32) -> SweepId {
        format!("01900000-0000-7000-8000-{number:012x}").parse().expect("an identity")
    }

    fn wanted(name: &str) -> Wanted {
        Wanted::Device(DeviceId::new(name).expect("a name"))
    }

    #[test]
    fn a_request_is_told_of_from_its_beginning_to_its_end() {
        let (counter, _asks, book) = OnDemand::new();
        assert_eq!(counter.status(id(1)), None);
        let slip = book.enter(id(1), wanted("r1"), Timestamp::UNIX_EPOCH).expect("room");
        let progress = || counter.status(id(1)).expect("a request").progress;
        assert_eq!((progress(), book.open(&wanted("r1"))), (Progress::Queued, Some(id(1))));
        let (status, seen) = watch::channel(SweepStatus { total: 2, answered: 1, ..SweepStatus::default() });
        slip.begun(Timestamp::UNIX_EPOCH, seen);
        assert_eq!((progress(), counter.all()[0].answered), (Progress::Running, 1));
        assert_eq!(counter.open(), counter.all());
        status.send_modify(|status| status.answered = 2);
        assert_eq!(counter.all()[0].answered, 2);
        drop(slip);
        assert_eq!((progress(), book.open(&wanted("r1"))), (Progress::Done, None));
        assert_eq!(counter.open(), []);
        assert!(!counter.all()[0].complete, "a run that was dropped never came to its end");
    }

    #[test]
    fn so_many_are_open_and_so_many_are_remembered() {
        let (counter, _asks, book) = OnDemand::new();
        let enter = |number: usize| {
            let number = u32::try_from(number).expect("small");
            book.enter(id(number), wanted(&format!("r{number}")), Timestamp::UNIX_EPOCH)
        };
        let open: Vec<Slip> = (0..OPEN_MAX).map(|number| enter(number).expect("room")).collect();
        assert_eq!(enter(OPEN_MAX).err(), Some(Refusal::TooMany));
        drop(open);
        for number in OPEN_MAX..DONE_KEPT + 10 {
            drop(enter(number));
        }
        assert_eq!(counter.all().len(), DONE_KEPT);
        assert_eq!(counter.status(id(9)), None, "the oldest are forgotten");
        assert!(counter.status(id(10)).is_some());
    }

    #[tokio::test]
    async fn a_counter_that_nobody_serves_says_so() {
        let (counter, asks, _) = OnDemand::new();
        drop(asks);
        assert_eq!(counter.ask(wanted("r1")).await, Err(Refusal::Stopping));
    }
}
