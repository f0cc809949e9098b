//! The corridor where the rooms of floor 3 meet: what sweeps tell the recorder, what they are doing, and the trigger
//! that starts them.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};

use crate::clock::Timestamp;
use crate::device::{CredentialId, Device, DeviceId};
use crate::diff::FlapRules;
use crate::known::SweepRecord;
use crate::observation::Observation;
use crate::platform::Platforms;
use crate::policy::Policy;
use crate::status::{RefreshFailure, SweepStatus};

mod on_demand;

pub use on_demand::{Ask, Book, OPEN_MAX, OnDemand, Progress, Refusal, RequestStatus, Slip, Wanted};

/// How many notes may wait for the recorder. A slow disk slows the sweep; memory does not grow.
pub const NOTES_WAITING: usize = 1024;

/// What the recorder is told, in order.
#[derive(Debug)]
pub enum Note {
    /// The inventory is this from now on, sorted by name.
    Inventory(Vec<Arc<Device>>),
    /// The same, while it can't be told of all others whether they have left it.
    InventorySoFar(Vec<Arc<Device>>, Withheld),
    /// How all sources of the inventory are: at a start and after a reload. What was told of others is forgotten.
    Sources(Vec<SourceNews>),
    /// How one of them is after a look at it.
    Source(SourceNews),
    /// What observations mean is judged by this from now on: after a reload. Its policies come into force with the next
    /// inventory: judged between the two, a device whose labels change with its policy would seem to break one.
    Judgement(Judgement),
    /// The policies are these from now on.
    Policies(Arc<[Policy]>),
    /// A sweep began; `SweepRecord::ended` is absent.
    SweepStarted(SweepRecord),
    /// A visit ended.
    Visited(Box<Observation>),
    /// The sweep ended, complete or stopped.
    SweepEnded(SweepRecord),
    /// A tick started no run.
    SweepSkipped {
        /// The `[[sweep]]`'s name.
        sweep: String,
        /// When.
        at: Timestamp,
        /// Why not.
        why: SkipReason,
    },
    /// A credential's breaker turned: it outlives a restart, and somebody wants to be told.
    Breaker(BreakerNews),
    /// Answered once everything before it is committed and published.
    Flush(oneshot::Sender<()>),
}

/// How a source of the inventory is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceNews {
    /// Its name.
    pub source: Arc<str>,
    /// How it is.
    pub state: SourceState,
}

/// Whether a source of the inventory can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceState {
    /// Nobody has looked yet.
    Unseen,
    /// It can.
    Good {
        /// Why, for people.
        why: &'static str,
    },
    /// It can't, and its last good list stays in force.
    Failing {
        /// Why not.
        reason: RefreshFailure,
        /// The same for people.
        why: String,
    },
}

/// Devices that an inventory doesn't have and that may be there all the same: nobody says that they were removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Withheld {
    /// Any: some source has never told what it has.
    Any,
    /// Those that a source names, and that can't be visited: their credential has left the configuration, say.
    These(HashSet<DeviceId>),
}

/// Why a tick started no run: the metric's label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SkipReason {
    /// The run before it was still on (rule 8).
    Running,
    /// It fell into the sweep's blackout.
    Blackout,
}

/// A credential's breaker turned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BreakerNews {
    /// Which credential.
    pub credential: CredentialId,
    /// When.
    pub at: Timestamp,
    /// How.
    pub turn: BreakerTurn,
}

/// How a breaker turned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerTurn {
    /// It opened: the credential was refused on several devices. One event.
    Opened {
        /// Nobody tries before that instant.
        until: Timestamp,
    },
    /// The one device that tried refused it as well: it stays open. No event of its own.
    Reopened {
        /// Nobody tries before that instant.
        until: Timestamp,
    },
    /// The credential is good again. One event.
    Closed,
}

/// What the recorder judges observations by. It comes from the configuration and may change at a reload.
#[derive(Debug, Clone)]
pub struct Judgement {
    /// How each platform's versions are ordered.
    pub platforms: Arc<Platforms>,
    /// Failed visits in a row that make a device unreachable.
    pub down_after: u32,
    /// When changes to and fro are flapping.
    pub flapping: FlapRules,
    /// How long history, changes and sweeps are kept.
    pub keep_history: Duration,
    /// Which versions may run where.
    pub policies: Arc<[Policy]>,
}

/// The sending end towards the recorder. The recorder ends when the last one is dropped.
pub type Notes = mpsc::Sender<Note>;

/// Why a sweep was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Its schedule was due.
    Schedule,
    /// Someone asked the daemon for it: it jumps the queue, but no budget.
    Request,
    /// `versweep sweep`.
    Command,
}

impl Reason {
    /// The name used in the store and in logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Schedule => "schedule",
            Self::Request => "request",
            Self::Command => "command",
        }
    }
}

/// The sweep is running or already asked for: single flight (rule 8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the sweep is running already")]
pub struct Busy;

/// The one way to start a sweep. While one is asked for or runs, a second start is refused, never queued.
#[derive(Debug, Clone)]
pub struct Trigger {
    in_flight: Arc<AtomicBool>,
    starts: mpsc::Sender<Start>,
}

/// A sweep's permission to run. Until it is dropped its trigger refuses every other start.
#[derive(Debug)]
pub struct Start {
    /// Why it was started.
    pub reason: Reason,
    /// The request that it serves, where somebody waits for word of it.
    pub slip: Option<Slip>,
    in_flight: Arc<AtomicBool>,
}

impl Drop for Start {
    fn drop(&mut self) {
        self.in_flight.store(false, Ordering::Release);
    }
}

impl Trigger {
    /// A trigger and the end that its sweep listens on.
    #[must_use]
    pub fn new() -> (Self, mpsc::Receiver<Start>) {
        let (starts, receiver) = mpsc::channel(1);
        (Self { in_flight: Arc::new(AtomicBool::new(false)), starts }, receiver)
    }

    /// Asks for a sweep.
    ///
    /// # Errors
    /// [`Busy`] while one runs or is asked for, and once the daemon has begun to stop.
    pub fn try_start(&self, reason: Reason) -> Result<(), Busy> {
        self.send(self.seize(reason)?)
    }

    /// Asks for a sweep on behalf of a request, whose slip is made only once the sweep is free.
    ///
    /// # Errors
    /// As [`Self::try_start`], and what keeps the slip from being made.
    pub fn try_serve(&self, slip: impl FnOnce() -> Result<Slip, Refusal>) -> Result<(), Refusal> {
        let mut start = self.seize(Reason::Request)?;
        start.slip = Some(slip()?);
        Ok(self.send(start)?)
    }

    fn seize(&self, reason: Reason) -> Result<Start, Busy> {
        if self.in_flight.swap(true, Ordering::Acquire) {
            return Err(Busy);
        }
        Ok(Start { reason, slip: None, in_flight: Arc::clone(&self.in_flight) })
    }

    fn send(&self, start: Start) -> Result<(), Busy> {
        // A start that can't be sent is dropped with the error, which frees the trigger again.
        self.starts.try_send(start).map_err(|_| Busy)
    }
}

/// One sweep as the outside sees it: its name, its status, its trigger.
#[derive(Debug, Clone)]
pub struct SweepHandle {
    /// The `[[sweep]]`'s name.
    pub name: Arc<str>,
    /// What it is doing.
    pub status: watch::Receiver<SweepStatus>,
    /// How to start it.
    pub trigger: Trigger,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_start_at_a_time_until_it_is_dropped() {
        let (trigger, mut starts) = Trigger::new();
        assert_eq!(trigger.try_start(Reason::Schedule), Ok(()));
        assert_eq!(trigger.try_start(Reason::Request), Err(Busy), "asked for");
        let start = starts.try_recv().expect("the start");
        assert_eq!(start.reason, Reason::Schedule);
        assert_eq!(trigger.try_start(Reason::Request), Err(Busy), "running");
        drop(start);
        assert_eq!(trigger.try_start(Reason::Request), Ok(()));
    }

    #[test]
    fn a_trigger_whose_sweep_is_gone_is_busy_for_ever() {
        let (trigger, starts) = Trigger::new();
        drop(starts);
        assert_eq!(trigger.try_start(Reason::Schedule), Err(Busy));
        assert_eq!(trigger.try_start(Reason::Schedule), Err(Busy));
    }
}
