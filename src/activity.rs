//! The corridor where the rooms of floor 3 meet: what sweeps tell the recorder, what they are doing, and the trigger
//! that starts them.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};

use crate::clock::Timestamp;
use crate::device::Device;
use crate::known::SweepRecord;
use crate::observation::Observation;
use crate::platform::Platforms;
use crate::status::SweepStatus;

/// How many notes may wait for the recorder. A slow disk slows the sweep; memory does not grow.
pub const NOTES_WAITING: usize = 1024;

/// What the recorder is told, in order.
#[derive(Debug)]
pub enum Note {
    /// The inventory is this from now on, sorted by name.
    Inventory(Vec<Arc<Device>>),
    /// What observations mean is judged by this from now on: after a reload.
    Judgement(Judgement),
    /// A sweep began; `SweepRecord::ended` is absent.
    SweepStarted(SweepRecord),
    /// A visit ended.
    Visited(Box<Observation>),
    /// The sweep ended, complete or stopped.
    SweepEnded(SweepRecord),
    /// A tick found its sweep running.
    SweepSkipped {
        /// The `[[sweep]]`'s name.
        sweep: String,
        /// When.
        at: Timestamp,
    },
    /// Answered once everything before it is committed and published.
    Flush(oneshot::Sender<()>),
}

/// What the recorder judges observations by. It comes from the configuration and may change at a reload.
#[derive(Debug, Clone)]
pub struct Judgement {
    /// How each platform's versions are ordered.
    pub platforms: Arc<Platforms>,
    /// Failed visits in a row that make a device unreachable.
    pub down_after: u32,
    /// How long history, changes and sweeps are kept.
    pub keep_history: Duration,
}

/// The sending end towards the recorder. The recorder ends when the last one is dropped.
pub type Notes = mpsc::Sender<Note>;

/// Why a sweep was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Its schedule was due.
    Schedule,
    /// Someone asked for it over HTTP.
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

/// The one way to start a sweep. A trigger holds at most one start; a second one is refused, never queued.
#[derive(Debug, Clone)]
pub struct Trigger {
    sender: mpsc::Sender<Reason>,
    status: watch::Receiver<SweepStatus>,
}

impl Trigger {
    /// A trigger and the end that the sweep listens on.
    #[must_use]
    pub fn new(status: watch::Receiver<SweepStatus>) -> (Self, mpsc::Receiver<Reason>) {
        let (sender, receiver) = mpsc::channel(1);
        (Self { sender, status }, receiver)
    }

    /// Asks for a sweep.
    ///
    /// # Errors
    /// [`Busy`] while one runs or waits to run, and after the daemon began to stop.
    pub fn try_start(&self, reason: Reason) -> Result<(), Busy> {
        if self.status.borrow().running.is_some() {
            return Err(Busy);
        }
        self.sender.try_send(reason).map_err(|_| Busy)
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
