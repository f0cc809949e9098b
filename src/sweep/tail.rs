//! The second visit, at the end of the same sweep and once only: a device that was up and failed is tried again (rule 7),
//! and what differs, a version or another part, is read again before it becomes a change (rule 12).

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::device::Device;
use crate::diff::{disagreement, wants_second_reading};
use crate::failure::{Failure, FailureKind, Stage};
use crate::known::Known;
use crate::observation::{Observation, Outcome};

/// Which devices a sweep visits a second time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Care {
    /// Try again what failed in a way that may pass.
    pub retry: bool,
    /// Read what has changed again after this time; `None` takes the first reading.
    pub confirm_after: Option<Duration>,
}

/// A device to visit again, with what the first visit brought.
#[derive(Debug)]
pub(super) struct Again {
    pub(super) device: Arc<Device>,
    pub(super) due: Instant,
    first: Box<Observation>,
}

impl Care {
    /// What calls for a second visit; else the observation, to be told as it is.
    pub(super) fn second(
        self,
        device: &Arc<Device>,
        known: Option<&Known>,
        first: Observation,
    ) -> Result<Again, Box<Observation>> {
        let first = Box::new(first);
        let due = match &first.outcome {
            // A device that failed before is left to the hold-off: trying it twice would cost the sweep twice.
            Outcome::Failed { failure, .. } => {
                let was_up = known.is_none_or(|known| known.is_up() != Some(false));
                (self.retry && was_up && failure.kind.may_retry()).then(Instant::now)
            }
            Outcome::Answered { .. } => self
                .confirm_after
                .filter(|_| known.is_some_and(|known| is_news(known, &first.outcome)))
                .map(|after| Instant::now() + after),
        };
        match due {
            Some(due) => Ok(Again { device: Arc::clone(device), due, first }),
            None => Err(first),
        }
    }
}

impl Again {
    /// How long the first visit took.
    pub(super) fn took(&self) -> Duration {
        self.first.took
    }

    /// What the two visits come to.
    pub(super) fn settle(self, second: Observation) -> Observation {
        let attempts = self.first.attempts + 1;
        let both_answered = matches!(
            (&self.first.outcome, &second.outcome),
            (Outcome::Answered { .. }, Outcome::Answered { .. })
        );
        let apart = match (&self.first.outcome, &second.outcome) {
            (Outcome::Answered { reading: first, .. }, Outcome::Answered { reading: second, .. }) => {
                disagreement(&first.facts, &second.facts)
            }
            _ => None,
        };
        let outcome = match (apart, second.outcome) {
            (Some(apart), Outcome::Answered { raw, .. }) => {
                let detail =
                    format!("read {apart} within one sweep: neither is taken; the next sweep reads again");
                let failure = Failure::new(FailureKind::Parse, Stage::Parse, detail);
                Outcome::Failed { failure, raw: Some(raw) }
            }
            (_, outcome) => outcome,
        };
        let confirmed = both_answered && matches!(outcome, Outcome::Answered { .. });
        Observation { attempts, confirmed, outcome, ..second }
    }

    /// What the first visit is worth when there is no second: a failure is one, a change that was not confirmed is left
    /// to the next sweep.
    pub(super) fn alone(self) -> Option<Observation> {
        matches!(self.first.outcome, Outcome::Failed { .. }).then_some(*self.first)
    }
}

fn is_news(known: &Known, outcome: &Outcome) -> bool {
    let (Some(last), Outcome::Answered { reading, .. }) = (&known.facts, outcome) else { return false };
    wants_second_reading(&last.reading, reading)
}
