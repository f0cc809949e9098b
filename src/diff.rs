//! What changed between the last known facts of a device and a new observation, and what is known afterwards.
//!
//! Three axes, each giving at most one change per visit, so that no visit ever tells two contradictory things:
//! 1. **Reachability**: `unreachable` when the failures in a row reach `down_after`, `recovered` at the first answer
//!    after that.
//! 2. **Facts**, always against the last *successful* answer. The first rule that fits wins: read by another profile or
//!    revision and different -> `parser`; serial or model differ -> `replaced` (a version difference stands in its text);
//!    version differs -> `upgrade`, `downgrade` or `other`; image differs -> `image`. The first answer is no change.
//! 3. **Boot**: `rebooted`, only when version and chassis are the same and the same profile read both answers: after
//!    anything else a new boot time is no news.
//!
//! A field must stand in both answers to differ. A device that was not visited (open breaker, stop) changes nothing.

use std::cmp::Ordering;
use std::fmt::Write as _;

use chrono::{SecondsFormat, TimeDelta};

use crate::change::{Change, ChangeKind};
use crate::clock::Timestamp;
use crate::facts::{Facts, Reading};
use crate::failure::Failure;
use crate::known::{Known, KnownFacts, LastVisit};
use crate::observation::{Observation, Outcome};
use crate::version::Version;

/// How far a computed boot time may wander without meaning anything. Uptime lines are cut to minutes on many platforms,
/// the answer is a visit's length older than its time stamp, and clocks drift. Coarser lines (whole weeks) are covered by
/// the second half of the rule in `booted_since`.
pub const BOOT_JITTER: TimeDelta = TimeDelta::minutes(5);

/// What the diff needs to know besides its two sides.
#[derive(Clone, Copy)]
pub struct Rules<'a> {
    /// Failed visits in a row that make a device unreachable; 0 is taken as 1.
    pub down_after: u32,
    /// The ordering of the platform that read the new answer: `None` where two versions can't be ordered.
    pub order: &'a dyn Fn(&Version, &Version) -> Option<Ordering>,
}

impl std::fmt::Debug for Rules<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rules").field("down_after", &self.down_after).finish_non_exhaustive()
    }
}

/// The changes that an observation means, reachability first.
#[must_use]
pub fn diff(known: &Known, observation: &Observation, rules: &Rules<'_>) -> Vec<Change> {
    let found = match &observation.outcome {
        Outcome::Answered { reading, .. } => answered(known, observation, reading, rules),
        Outcome::Failed { failure, .. } => failed(known, failure, rules).into_iter().collect(),
    };
    found.into_iter().map(|found| found.on(observation)).collect()
}

/// What is known after the observation, given the changes that [`diff`] found in it.
#[must_use]
pub fn apply(known: &Known, observation: &Observation, changes: &[Change]) -> Known {
    let has = |kind| changes.iter().any(|change| change.kind == kind);
    let mut next = known.clone();
    match &observation.outcome {
        Outcome::Failed { failure, .. } if !failure.kind.was_visited() => return next,
        Outcome::Failed { failure, .. } => {
            next.consecutive_failures = known.consecutive_failures.saturating_add(1);
            next.unreachable |= has(ChangeKind::Unreachable);
            next.visit = Some(visit(observation, Some(failure.clone())));
        }
        Outcome::Answered { reading, .. } => {
            next.consecutive_failures = 0;
            next.unreachable = false;
            next.visit = Some(visit(observation, None));
            next.facts =
                Some(facts_after(known.facts.as_ref(), observation, reading, has(ChangeKind::Rebooted)));
            if runs_another_version(known, reading) && !has(ChangeKind::Parser) {
                next.version_changes = known.version_changes.saturating_add(1);
                next.last_version_change = Some(observation.at);
            }
        }
    }
    next
}

/// A change before it is bound to its visit.
struct Found {
    kind: ChangeKind,
    before: String,
    after: String,
    why: String,
    confirmed: bool,
}

impl Found {
    fn new(kind: ChangeKind, before: impl Into<String>, after: impl Into<String>, why: String) -> Self {
        Self { kind, before: before.into(), after: after.into(), why, confirmed: false }
    }

    fn on(self, observation: &Observation) -> Change {
        Change {
            device: observation.device.clone(),
            sweep: Some(observation.sweep),
            at: observation.at,
            kind: self.kind,
            subject: String::new(),
            before: self.before,
            after: self.after,
            why: self.why,
            confirmed: self.confirmed || observation.confirmed,
        }
    }
}

fn failed(known: &Known, failure: &Failure, rules: &Rules<'_>) -> Option<Found> {
    let failures = known.consecutive_failures.saturating_add(1);
    let down = failure.kind.was_visited() && !known.unreachable && failures >= rules.down_after.max(1);
    let before = if known.facts.is_some() { "up" } else { "" };
    let why = format!(
        "{failures} failed visits in a row, the last one in stage {}: {}",
        failure.stage.as_str(),
        failure.detail
    );
    let found = || Found::new(ChangeKind::Unreachable, before, failure.kind.as_str(), why);
    // Several visits say so, unless one is all that was asked for.
    down.then(|| Found { confirmed: failures > 1, ..found() })
}

fn answered(known: &Known, observation: &Observation, reading: &Reading, rules: &Rules<'_>) -> Vec<Found> {
    let mut found = Vec::new();
    if known.unreachable {
        let last = known.visit.as_ref().and_then(|visit| visit.failure.as_ref());
        let before = last.map_or("", |failure| failure.kind.as_str());
        let why = format!("answers after {} failed visits in a row", known.consecutive_failures);
        // An answer proves itself.
        found.push(Found { confirmed: true, ..Found::new(ChangeKind::Recovered, before, "up", why) });
    }
    if let Some(last) = &known.facts {
        let facts = facts_changed(&last.reading, reading, rules);
        // After a new version or in a new chassis a boot is implied; a new image may have been booted or only set.
        let same_device = facts.as_ref().is_none_or(|found| found.kind == ChangeKind::Image);
        found.extend(facts);
        if same_device && read_alike(&last.reading, reading) {
            found.extend(rebooted(last, observation, reading));
        }
    }
    found
}

fn facts_changed(last: &Reading, new: &Reading, rules: &Rules<'_>) -> Option<Found> {
    let (before, after) = (&last.facts, &new.facts);
    if !read_alike(last, new) {
        return reread(last, new);
    }
    let other_serial = differ(before.serial.as_ref(), after.serial.as_ref());
    let other_model = differ(before.model.as_ref(), after.model.as_ref());
    if other_serial || other_model {
        let why = match (other_serial, other_model) {
            (true, true) => "serial number and model differ",
            (true, false) => "the serial number differs",
            _ => "the model differs",
        };
        return Some(Found::new(ChangeKind::Replaced, identity(before), identity(after), why.to_owned()));
    }
    if before.version != after.version {
        let by = &new.platform;
        let (kind, why) = match (rules.order)(&before.version, &after.version) {
            Some(Ordering::Less) => (ChangeKind::Upgrade, format!("newer by the order of {by}")),
            Some(Ordering::Greater) => (ChangeKind::Downgrade, format!("older by the order of {by}")),
            Some(Ordering::Equal) => {
                (ChangeKind::Other, format!("the same release by the order of {by}, spelled otherwise"))
            }
            None => (ChangeKind::Other, format!("the two have no order on {by}")),
        };
        return Some(Found::new(kind, before.version.as_str(), after.version.as_str(), why));
    }
    match (&before.image, &after.image) {
        (Some(old), Some(new)) if old != new => {
            let why = "another boot image beside the same version".to_owned();
            Some(Found::new(ChangeKind::Image, old, new, why))
        }
        _ => None,
    }
}

/// Whether the same revision of the same profile read both.
fn read_alike(last: &Reading, new: &Reading) -> bool {
    last.platform == new.platform && last.revision == new.revision
}

fn differ(before: Option<&String>, after: Option<&String>) -> bool {
    matches!((before, after), (Some(before), Some(after)) if before != after)
}

/// The fields that two profiles read differently. Here an absent field counts: reading more is what new revisions are for.
fn reread(last: &Reading, read: &Reading) -> Option<Found> {
    let (before, after) = (&last.facts, &read.facts);
    let fields = |facts: &Facts| {
        [
            ("version", Some(facts.version.as_str().to_owned())),
            ("model", facts.model.clone()),
            ("serial", facts.serial.clone()),
            ("hostname", facts.hostname.clone()),
            ("image", facts.image.clone()),
        ]
    };
    let (mut old, mut new) = (String::new(), String::new());
    for ((name, was), (_, is)) in fields(before).into_iter().zip(fields(after)) {
        if was != is {
            push_field(&mut old, name, was.as_deref());
            push_field(&mut new, name, is.as_deref());
        }
    }
    let profile = |reading: &Reading| format!("revision {} of {}", reading.revision, reading.platform);
    let why = format!("read by {}, before by {}", profile(read), profile(last));
    (!(old.is_empty() && new.is_empty())).then(|| Found::new(ChangeKind::Parser, old, new, why))
}

/// The box and what runs on it: the text of `replaced`.
fn identity(facts: &Facts) -> String {
    let mut text = String::new();
    push_field(&mut text, "model", facts.model.as_deref());
    push_field(&mut text, "serial", facts.serial.as_deref());
    push_field(&mut text, "version", Some(facts.version.as_str()));
    text
}

fn push_field(text: &mut String, name: &str, value: Option<&str>) {
    let Some(value) = value else { return };
    let comma = if text.is_empty() { "" } else { ", " };
    let _infallible = write!(text, "{comma}{name} {value}");
}

fn rebooted(last: &KnownFacts, observation: &Observation, reading: &Reading) -> Option<Found> {
    let held = last.boot_time?;
    let boot = reading.facts.boot_time(observation.at)?;
    let text = |time: Timestamp| time.to_rfc3339_opts(SecondsFormat::Secs, true);
    let why = "its uptime began anew, the version is the same".to_owned();
    booted_since(last, held, boot).then(|| Found::new(ChangeKind::Rebooted, text(held), text(boot), why))
}

/// Two things must hold: the boot time moved forward by more than the jitter, and it lies after the last answer (less the
/// jitter). The second alone makes coarse uptime lines harmless: "3 weeks" said again and again moves the computed boot
/// time forward with the calendar, but never to after the last answer.
fn booted_since(last: &KnownFacts, held: Timestamp, boot: Timestamp) -> bool {
    boot - held > BOOT_JITTER && last.seen_at - boot < BOOT_JITTER
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
    let other_box = differ(last.reading.facts.serial.as_ref(), reading.facts.serial.as_ref());
    let moved = rebooted || other_box || booted_since(last, held, new) || held - new > BOOT_JITTER;
    Some(if moved { new } else { held })
}
