//! A device that refuses connections right after it refused a login is in its quiet mode (`login block-for`), not down
//! (rule 2): it is told as what it is, so that nobody looks for an outage.

use chrono::TimeDelta;

use crate::failure::{Failure, FailureKind, Stage};
use crate::known::Known;
use crate::observation::{Observation, Outcome};

/// How long after a refused login a refused connection is its consequence. Quiet modes last minutes; the hold-off's first
/// visits fall into them.
const WITHIN: TimeDelta = TimeDelta::hours(1);

/// The observation, with a quiet mode named. That it does not count as down is the diff's matter.
pub(super) fn explained(observation: Observation, known: Option<&Known>) -> Observation {
    let Outcome::Failed { failure, raw } = &observation.outcome else { return observation };
    let closed = matches!(failure.kind, FailureKind::Refused | FailureKind::Disconnected)
        && matches!(failure.stage, Stage::Connect | Stage::Kex);
    let Some(ago) = known.and_then(|known| refused_login(known, &observation)).filter(|_| closed) else {
        return observation;
    };
    let detail = format!(
        "{}; the device takes no connection {} min after it refused a login: its quiet mode, not an outage; mend the credential",
        failure.detail,
        ago.num_minutes()
    );
    let outcome = Outcome::Failed { failure: Failure { detail, ..failure.clone() }, raw: raw.clone() };
    Observation { outcome, ..observation }
}

/// How long ago the last visit ended with a refused login, if it did, and not too long ago.
fn refused_login(known: &Known, now: &Observation) -> Option<TimeDelta> {
    let last = known.visit.as_ref()?;
    let failure = last.failure.as_ref()?;
    let asked = failure.kind == FailureKind::Auth && !matches!(failure.stage, Stage::Connect | Stage::Kex);
    let ago = now.at - last.at;
    (asked && ago <= WITHIN).then_some(ago)
}
