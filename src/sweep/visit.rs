//! One visit of a sweep in its task, and how its result leaves.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tracing::debug;

use super::gates::Pass;
use super::tail::{Again, Care};
use super::{Outlet, RecorderEnded};
use crate::activity::Note;
use crate::clock::Timestamp;
use crate::device::{Device, DeviceId};
use crate::failure::{Failure, FailureKind, Stage};
use crate::known::Snapshot;
use crate::observation::{Observation, Outcome, StageTimes, SweepId};
use crate::probe::Prober;
use crate::status::SweepStatus;
use crate::transport::Transport;

/// One visit in its task.
pub(super) struct Visiting<T> {
    pub(super) prober: Arc<Prober<T>>,
    pub(super) outlet: Outlet,
    pub(super) sweep: SweepId,
    pub(super) device: Arc<Device>,
    pub(super) before: Arc<Snapshot>,
    pub(super) care: Care,
    /// What the first visit brought, when this is the second.
    pub(super) first: Option<Again>,
}

impl<T: Transport> Visiting<T> {
    /// Visits and tells; gives back what calls for a second visit instead. The permit is still held while the recorder
    /// takes the result: a slow disk slows the sweep.
    pub(super) async fn run(self, pass: Pass) -> Result<Option<Again>, RecorderEnded> {
        let visit = self.prober.device(&self.device, self.sweep).await;
        pass.ended(&visit.observation.outcome);
        let observation = match self.first {
            Some(first) => first.settle(visit.observation),
            None => match self.care.second(&self.device, &self.before, visit.observation) {
                Ok(again) => return Ok(Some(again)),
                Err(observation) => *observation,
            },
        };
        tell(&self.outlet, observation).await.map(|()| None)
    }
}

pub(super) async fn tell(outlet: &Outlet, observation: Observation) -> Result<(), RecorderEnded> {
    let answered = match &observation.outcome {
        Outcome::Answered { .. } => true,
        Outcome::Failed { failure, .. } => {
            debug!(device = %observation.device, kind = %failure.kind, stage = %failure.stage,
                detail = failure.detail, "visit failed");
            false
        }
    };
    outlet.notes.send(Note::Visited(Box::new(observation))).await.map_err(|_| RecorderEnded)?;
    outlet.status.send_modify(|status| {
        if answered {
            status.answered += 1;
        } else {
            status.failed += 1;
        }
    });
    Ok(())
}

/// One busy worker in the sweep's status, also when its visit panics or is broken off.
pub(super) struct Busy(pub(super) watch::Sender<SweepStatus>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.send_modify(|status| status.busy = status.busy.saturating_sub(1));
    }
}

pub(super) fn defect(device: DeviceId, sweep: SweepId, at: Timestamp) -> Observation {
    let detail = "the visit broke off by a defect of versweep's own; the log has more";
    let failure = Failure::new(FailureKind::Internal, Stage::Connect, detail);
    unvisited(device, sweep, at, failure)
}

pub(super) fn unvisited(device: DeviceId, sweep: SweepId, at: Timestamp, failure: Failure) -> Observation {
    Observation {
        device,
        sweep,
        at,
        took: Duration::ZERO,
        stages: StageTimes::default(),
        attempts: 1,
        confirmed: false,
        ssh: None,
        outcome: Outcome::Failed { failure, raw: None },
    }
}
