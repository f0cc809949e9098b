//! One visit of a sweep in its task, and how its result leaves.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tracing::debug;

use super::engine::{Grant, Turned};
use super::quiet;
use super::tail::{Again, Care};
use super::{Outlet, RecorderEnded};
use crate::activity::{BreakerNews, BreakerTurn, Note};
use crate::clock::Timestamp;
use crate::device::{CredentialId, DeviceId};
use crate::failure::{Failure, FailureKind, Stage};
use crate::known::DeviceState;
use crate::observation::{Observation, Outcome, StageTimes, SweepId};
use crate::probe::Prober;
use crate::status::SweepStatus;
use crate::transport::{Trace, Transport};

/// What a visit came to.
#[derive(Debug)]
pub(super) enum Came {
    /// It was told of.
    ToItsEnd,
    /// It calls for a second one.
    Again(Again),
}

/// One visit in its task.
pub(super) struct Visiting<T> {
    pub(super) prober: Arc<Prober<T>>,
    pub(super) outlet: Outlet,
    pub(super) sweep: SweepId,
    /// What was known of the device when the run began.
    pub(super) known: Option<Arc<DeviceState>>,
    pub(super) care: Care,
    /// What the first visit brought, when this is the second.
    pub(super) first: Option<Again>,
    /// Since when it has its worker.
    pub(super) worker_since: Instant,
}

impl<T: Transport> Visiting<T> {
    /// Visits and tells; gives back what calls for a second visit instead. The worker is still held while the recorder
    /// takes the result: a slow disk slows the sweep.
    pub(super) async fn run(self, grant: &mut Grant) -> Result<Came, RecorderEnded> {
        let device = Arc::clone(grant.device());
        let known = self.known.as_ref().map(|state| &state.known);
        // Where all cores are busy the task waits for one, with its worker held: that is part of how long the visit takes.
        let waited = self.worker_since.elapsed();
        // With the visit goes its place in the doorway, if it never came to the end of the login.
        let trace = Trace::on_the_way(grant.set_out());
        let mut observation = self.prober.again(&device, known, self.sweep, trace).await.observation;
        observation.took += waited;
        let observation = quiet::explained(observation, known);
        if let Some((credential, turned)) = grant.told(&observation.outcome) {
            let note = Note::Breaker(news(credential, observation.at, turned));
            self.outlet.notes.send(note).await.map_err(|_| RecorderEnded)?;
        }
        let observation = match self.first {
            Some(first) => first.settle(observation),
            None => match self.care.second(&device, known, observation) {
                Ok(again) => return Ok(Came::Again(again)),
                Err(observation) => *observation,
            },
        };
        tell(&self.outlet, observation).await.map(|()| Came::ToItsEnd)
    }
}

fn news(credential: CredentialId, at: Timestamp, turned: Turned) -> BreakerNews {
    let until = |pause| {
        let pause = chrono::TimeDelta::from_std(pause).unwrap_or_default();
        at.checked_add_signed(pause).unwrap_or(at)
    };
    let turn = match turned {
        Turned::Opened(pause) => BreakerTurn::Opened { until: until(pause) },
        Turned::Reopened(pause) => BreakerTurn::Reopened { until: until(pause) },
        Turned::Closed => BreakerTurn::Closed,
    };
    BreakerNews { credential, at, turn }
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
        identity: None,
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
