//! What changed between the last known facts of a device and a new observation, and what is known afterwards.
//!
//! Separate axes, so that no visit ever tells two contradictory things:
//! 1. **Reachability**: `unreachable` when the failures in a row reach `down_after`, `recovered` at the first answer
//!    after that. A host key that is not the known one is told once, until the device answers again.
//! 2. **Facts**, always against the last *successful* answer. Read by another profile or revision and different ->
//!    `parser` and nothing else; serial or model differ -> `replaced` and nothing else (a version difference stands in its
//!    text). Otherwise version differs -> `upgrade`, `downgrade` or `other`, else patches -> `patched`, else image ->
//!    `image`; beside any of these `members`, where the new version doesn't imply it. The first answer is `first_seen`.
//! 3. **Boot**: `rebooted`, only when version and chassis are the same and the same profile read both answers: after
//!    anything else a new boot time is no news.
//!
//! A field must stand in both answers to differ. A device that was not visited (open breaker, stop) changes nothing.
//! Reachability and facts have a hysteresis each: see `diff/flaps.rs`.

use std::cmp::Ordering;

use chrono::TimeDelta;

use crate::change::{Change, ChangeKind};
use crate::clock::Timestamp;
use crate::facts::Reading;
use crate::failure::{Failure, FailureKind, HostKeyTrouble};
use crate::known::{Flap, Flaps, Known, KnownFacts, LastVisit};
use crate::observation::{Observation, Outcome};
use crate::version::Version;

mod answers;
mod confirm;
mod delta;
mod flaps;
mod parts;

use self::answers::{booted_since, facts_found, first_seen, version_changed};
pub use self::confirm::{disagreement, wants_second_reading};
pub use self::delta::{Delta, Swap};
pub use self::flaps::FlapRules;
use self::flaps::Turn;

/// How far a computed boot time may wander without meaning anything. Uptime lines are cut to minutes on many platforms,
/// the answer is a visit's length older than its time stamp, and clocks drift. Coarser lines (whole weeks) are covered by
/// the second half of the rule in `booted_since`.
pub const BOOT_JITTER: TimeDelta = TimeDelta::minutes(5);

/// The subjects of `flapping`.
const REACHABILITY: &str = "reachability";
const FACTS: &str = "facts";

/// What the diff needs to know besides its two sides.
#[derive(Clone, Copy)]
pub struct Rules<'a> {
    /// Failed visits in a row that make a device unreachable; 0 is taken as 1.
    pub down_after: u32,
    /// The ordering of the platform that read the new answer: `None` where two versions can't be ordered.
    pub order: &'a dyn Fn(&Version, &Version) -> Option<Ordering>,
    /// When changes are flapping.
    pub flapping: FlapRules,
    /// Whether wall time is known to have run evenly since the last answer: nobody set the clock, and the same process
    /// took both.
    pub even_clock: bool,
}

impl std::fmt::Debug for Rules<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rules").field("down_after", &self.down_after).finish_non_exhaustive()
    }
}

/// What an observation comes to, judged once: the changes that it means, reachability first, and what is known after it.
#[must_use]
pub fn judge(known: &Known, observation: &Observation, rules: &Rules<'_>) -> (Vec<Change>, Known) {
    let findings = Findings::of(known, observation, rules);
    (told(&findings, known, observation, rules), after(&findings, known, observation, rules))
}

/// Only the changes, for whoever keeps nothing.
#[must_use]
pub fn diff(known: &Known, observation: &Observation, rules: &Rules<'_>) -> Vec<Change> {
    told(&Findings::of(known, observation, rules), known, observation, rules)
}

/// Only what is known after it.
#[must_use]
pub fn apply(known: &Known, observation: &Observation, rules: &Rules<'_>) -> Known {
    after(&Findings::of(known, observation, rules), known, observation, rules)
}

fn told(findings: &Findings, known: &Known, observation: &Observation, rules: &Rules<'_>) -> Vec<Change> {
    let mut told = findings.reach_told(known, observation, rules);
    told.extend(findings.host_key.clone());
    told.extend(findings.facts_told(known, observation, rules));
    told.into_iter().map(|found| found.on(observation)).collect()
}

fn after(findings: &Findings, known: &Known, observation: &Observation, rules: &Rules<'_>) -> Known {
    let mut next = known.clone();
    match &observation.outcome {
        Outcome::Failed { failure, .. } if !failure.kind.was_visited() => return next,
        Outcome::Failed { failure, .. } => {
            next.consecutive_failures = failures_after(known, failure);
            next.unreachable |= findings.reach.is_some();
            next.host_key_told |= findings.host_key.is_some();
            next.visit = Some(visit(observation, Some(failure.clone())));
        }
        Outcome::Answered { reading, .. } => {
            next.consecutive_failures = 0;
            next.unreachable = false;
            next.host_key_told = false;
            next.visit = Some(visit(observation, None));
            next.facts = Some(facts_after(
                known.facts.as_ref(),
                observation,
                reading,
                findings.has(ChangeKind::Rebooted),
            ));
            if runs_another_version(known, reading) && !findings.has(ChangeKind::Parser) {
                next.version_changes = known.version_changes.saturating_add(1);
                next.last_version_change = Some(observation.at);
            }
        }
    }
    if observation.ssh.is_some() {
        next.ssh.clone_from(&observation.ssh);
    }
    next.flaps = findings.flaps_after(known, observation, rules);
    next
}

/// A change before it is bound to its visit.
#[derive(Debug, Clone)]
struct Found {
    kind: ChangeKind,
    subject: &'static str,
    before: String,
    after: String,
    why: String,
    confirmed: bool,
}

impl Found {
    fn new(
        kind: ChangeKind,
        before: impl Into<String>,
        after: impl Into<String>,
        why: impl Into<String>,
    ) -> Self {
        let (before, after, why) = (before.into(), after.into(), why.into());
        Self { kind, subject: "", before, after, why, confirmed: false }
    }

    fn on(self, observation: &Observation) -> Change {
        Change {
            of: observation.device.clone().into(),
            sweep: Some(observation.sweep),
            at: observation.at,
            kind: self.kind,
            subject: self.subject.to_owned(),
            before: self.before,
            after: self.after,
            why: self.why,
            confirmed: self.confirmed || observation.confirmed,
        }
    }
}

/// All that a visit shows, before the hysteresis decides what of it is told.
#[derive(Default)]
struct Findings {
    reach: Option<Found>,
    host_key: Option<Found>,
    /// About facts and boots, and the first answer.
    facts: Vec<Found>,
}

impl Findings {
    fn of(known: &Known, observation: &Observation, rules: &Rules<'_>) -> Self {
        match &observation.outcome {
            Outcome::Failed { failure, .. } if !failure.kind.was_visited() => Self::default(),
            Outcome::Failed { failure, .. } => Self {
                reach: went_down(known, failure, rules),
                host_key: host_key(known, failure),
                facts: Vec::new(),
            },
            Outcome::Answered { reading, .. } => Self {
                reach: came_back(known),
                host_key: None,
                facts: known.facts.as_ref().map_or_else(
                    || vec![first_seen(reading)],
                    |last| facts_found(last, observation, reading, rules),
                ),
            },
        }
    }

    fn has(&self, kind: ChangeKind) -> bool {
        self.facts.iter().any(|found| found.kind == kind)
    }

    fn facts_changed(&self) -> Option<&Found> {
        self.facts.iter().find(|found| flaps_by(found.kind))
    }

    fn reach_told(&self, known: &Known, observation: &Observation, rules: &Rules<'_>) -> Vec<Found> {
        let flap = &known.flaps().reach;
        let told = match self.reach_turn(known, observation, rules) {
            Turn::Hold => None,
            Turn::Tell => self.reach.clone(),
            Turn::Begins => self.reach.as_ref().map(|found| flaps::begins(REACHABILITY, flap, found, rules)),
            Turn::Ends => Some(reach_settled(flap, observation)),
        };
        told.into_iter().collect()
    }

    fn reach_turn(&self, known: &Known, observation: &Observation, rules: &Rules<'_>) -> Turn {
        let turn = rules.flapping.turn(&known.flaps().reach, self.reach.is_some(), observation.at);
        // A failure or two say nothing yet of how it ended, and no visit says nothing at all.
        match (&turn, &observation.outcome) {
            (Turn::Ends, Outcome::Failed { failure, .. })
                if !known.unreachable || !failure.kind.was_visited() =>
            {
                Turn::Hold
            }
            _ => turn,
        }
    }

    fn facts_told(&self, known: &Known, observation: &Observation, rules: &Rules<'_>) -> Vec<Found> {
        let Outcome::Answered { reading, .. } = &observation.outcome else { return Vec::new() };
        let flap = &known.flaps().facts;
        let beside = || self.facts.iter().filter(|found| !flaps_by(found.kind)).cloned();
        match rules.flapping.turn(flap, self.facts_changed().is_some(), observation.at) {
            Turn::Tell => self.facts.clone(),
            Turn::Hold => beside().collect(),
            Turn::Begins => {
                let flapping = self.facts_changed().map(|found| flaps::begins(FACTS, flap, found, rules));
                beside().chain(flapping).collect()
            }
            Turn::Ends => beside().chain([facts_settled(flap, reading, rules)]).collect(),
        }
    }

    fn flaps_after(&self, known: &Known, observation: &Observation, rules: &Rules<'_>) -> Option<Box<Flaps>> {
        let before = known.flaps();
        let reach = match self.reach_turn(known, observation, rules) {
            Turn::Hold if self.reach.is_none() => before.reach.clone(),
            _ => rules.flapping.after(&before.reach, self.reach.is_some(), observation.at, ""),
        };
        let facts = match &observation.outcome {
            Outcome::Failed { .. } => before.facts.clone(),
            Outcome::Answered { reading, .. } => {
                let (changed, told) = (self.facts_changed().is_some(), reading.facts.version.as_str());
                rules.flapping.after(&before.facts, changed, observation.at, told)
            }
        };
        let flaps = Flaps { reach, facts };
        (flaps != Flaps::default()).then(|| Box::new(flaps))
    }
}

/// What counts as a change to and fro of the device itself.
fn flaps_by(kind: ChangeKind) -> bool {
    kind.is_of_facts() || kind == ChangeKind::Rebooted
}

fn reach_settled(flap: &Flap, observation: &Observation) -> Found {
    let (kind, after) = match &observation.outcome {
        Outcome::Answered { .. } => (ChangeKind::Recovered, "up"),
        Outcome::Failed { failure, .. } => (ChangeKind::Unreachable, failure.kind.as_str()),
    };
    Found {
        confirmed: true,
        ..Found::new(kind, ChangeKind::Flapping.as_str(), after, flaps::calm_since(flap))
    }
}

/// What it runs now against what people last heard; `flapping` once more, said to be over, where that is the same.
fn facts_settled(flap: &Flap, reading: &Reading, rules: &Rules<'_>) -> Found {
    let (told, runs) = (Version::new(flap.told.clone()), &reading.facts.version);
    let found = if told == *runs {
        let runs = format!("calm, runs {runs}");
        Found {
            subject: FACTS,
            ..Found::new(ChangeKind::Flapping, ChangeKind::Flapping.as_str(), runs, flaps::calm_since(flap))
        }
    } else {
        let (kind, why) = version_changed(&told, runs, reading, rules);
        Found::new(kind, told.as_str(), runs.as_str(), format!("{why}; {}", flaps::calm_since(flap)))
    };
    Found { confirmed: true, ..found }
}

/// The failed visits in a row. Devices that refused a login refuse all for a while (`login block-for`): a connection that
/// is turned away right after that means a quiet mode, not that the device is down (rule 2).
fn failures_after(known: &Known, failure: &Failure) -> u32 {
    let last = known.visit.as_ref().and_then(|visit| visit.failure.as_ref());
    let refused = last.is_some_and(|last| last.kind == FailureKind::Auth);
    let turned_away = matches!(failure.kind, FailureKind::Refused | FailureKind::Disconnected);
    known.consecutive_failures.saturating_add(u32::from(!(refused && turned_away)))
}

fn went_down(known: &Known, failure: &Failure, rules: &Rules<'_>) -> Option<Found> {
    let failures = failures_after(known, failure);
    let down = !known.unreachable && failures >= rules.down_after.max(1);
    let before = if known.facts.is_some() { "up" } else { "" };
    let (stage, detail) = (failure.stage.as_str(), &failure.detail);
    let why = format!("{failures} failed visits in a row, the last one in stage {stage}: {detail}");
    // Several visits say so, unless one is all that was asked for.
    let found = Found::new(ChangeKind::Unreachable, before, failure.kind.as_str(), why);
    down.then_some(Found { confirmed: failures > 1, ..found })
}

fn came_back(known: &Known) -> Option<Found> {
    let last = known.visit.as_ref().and_then(|visit| visit.failure.as_ref());
    let before = last.map_or("", |failure| failure.kind.as_str());
    let why = format!("answers after {} failed visits in a row", known.consecutive_failures);
    // An answer proves itself.
    let found = Found { confirmed: true, ..Found::new(ChangeKind::Recovered, before, "up", why) };
    known.unreachable.then_some(found)
}

/// The key is changed or revoked, or its certificate is not good: something else may answer there. One that is only
/// unknown where it must be known says nothing of the kind.
fn host_key(known: &Known, failure: &Failure) -> Option<Found> {
    let news = failure.host_key.is_some_and(HostKeyTrouble::is_suspicious) && !known.host_key_told;
    // Who answered before did so by a key that was taken.
    let before = if known.facts.is_some() { "the known host key" } else { "" };
    news.then(|| {
        Found::new(ChangeKind::HostKey, before, &failure.detail, "no login was tried, no secret was sent")
    })
}

fn visit(observation: &Observation, failure: Option<Failure>) -> LastVisit {
    LastVisit { at: observation.at, took: observation.took, failure }
}

fn runs_another_version(known: &Known, reading: &Reading) -> bool {
    known.facts.as_ref().is_some_and(|last| last.reading.facts.version != reading.facts.version)
}

fn facts_after(
    last: Option<&KnownFacts>,
    observation: &Observation,
    reading: &Reading,
    rebooted: bool,
) -> KnownFacts {
    let same = last.filter(|last| last.reading.facts.version == reading.facts.version);
    KnownFacts {
        reading: reading.clone(),
        seen_at: observation.at,
        version_since: same.map_or(observation.at, |same| same.version_since),
        boot_time: boot_after(last, observation, reading, rebooted),
    }
}

/// The boot time, held steady: truncated uptime makes a computed boot time late, never early, so an earlier one is
/// nearer the truth and a later one is noise unless it means a boot.
fn boot_after(
    last: Option<&KnownFacts>,
    observation: &Observation,
    reading: &Reading,
    rebooted: bool,
) -> Option<Timestamp> {
    let boot = reading.facts.boot_time(observation.at);
    let (Some(last), Some(new)) = (last, boot) else { return boot };
    let Some(held) = last.boot_time else { return boot };
    let serials = last.reading.facts.serial.as_ref().zip(reading.facts.serial.as_ref());
    let other_box = serials.is_some_and(|(before, after)| before != after);
    let moved = rebooted || other_box || booted_since(last, held, new) || held - new > BOOT_JITTER;
    Some(if moved { new } else { held })
}
