//! Two answers of one device compared: versions, chassis, images, boots, and what another profile reads differently.

use std::cmp::Ordering;
use std::fmt::Write as _;
use std::time::Duration;

use chrono::{SecondsFormat, TimeDelta};

use super::delta::{Delta, Swap};
use super::{BOOT_JITTER, Found, Rules, parts};
use crate::change::ChangeKind;
use crate::clock::Timestamp;
use crate::facts::{Facts, Reading};
use crate::known::KnownFacts;
use crate::observation::Observation;
use crate::version::Version;

pub(super) fn first_seen(reading: &Reading) -> Found {
    let why = format!("the first answer, read by {}", reading.platform);
    Found::new(ChangeKind::FirstSeen, "", identity(&reading.facts), why)
}

pub(super) fn facts_found(
    last: &KnownFacts,
    observation: &Observation,
    reading: &Reading,
    rules: &Rules<'_>,
) -> Vec<Found> {
    if !read_alike(&last.reading, reading) {
        return reread(&last.reading, reading).into_iter().collect();
    }
    let (before, after) = (&last.reading.facts, &reading.facts);
    let delta = Delta::between(before, after);
    if let Some(found) = replaced(&delta, before, after) {
        return vec![found];
    }
    let main = match &delta.version {
        Some(swap) => {
            let (kind, why) = version_changed(&swap.before, &swap.after, reading, rules);
            Some(Found::new(kind, swap.before.as_str(), swap.after.as_str(), why))
        }
        None => parts::patched(before, after).or_else(|| other_image(&delta)),
    };
    let mut found: Vec<Found> = main.into_iter().chain(parts::members_changed(before, after)).collect();
    // With a new version a boot is implied; a new image may have been booted or only set.
    if delta.version.is_none() {
        found.extend(rebooted(last, observation, reading, rules));
    }
    found
}

fn replaced(delta: &Delta, before: &Facts, after: &Facts) -> Option<Found> {
    let differs =
        |swap: &Option<Swap<Option<String>>>| swap.as_ref().is_some_and(|swap| swap.both().is_some());
    if parts::took_over(before, after) {
        return None;
    }
    let why = match (differs(&delta.serial), differs(&delta.model)) {
        (true, true) => "serial number and model differ",
        (true, false) => "the serial number differs",
        (false, true) => "the model differs",
        (false, false) => return None,
    };
    Some(Found::new(ChangeKind::Replaced, identity(before), identity(after), why))
}

pub(super) fn version_changed(
    before: &Version,
    after: &Version,
    reading: &Reading,
    rules: &Rules<'_>,
) -> (ChangeKind, String) {
    let by = &reading.platform;
    match (rules.order)(before, after) {
        Some(Ordering::Less) => (ChangeKind::Upgrade, format!("newer by the order of {by}")),
        Some(Ordering::Greater) => (ChangeKind::Downgrade, format!("older by the order of {by}")),
        Some(Ordering::Equal) => {
            (ChangeKind::Other, format!("the same release by the order of {by}, spelled otherwise"))
        }
        None => (ChangeKind::Other, format!("the two have no order on {by}")),
    }
}

fn other_image(delta: &Delta) -> Option<Found> {
    let (old, new) = delta.image.as_ref()?.both()?;
    Some(Found::new(ChangeKind::Image, old, new, "another boot image beside the same version"))
}

/// Whether the same revision of the same profile read both.
pub(super) fn read_alike(last: &Reading, new: &Reading) -> bool {
    last.platform == new.platform && last.revision == new.revision
}

/// The fields that two profiles read differently. Here an absent field counts: reading more is what new revisions are for.
fn reread(last: &Reading, read: &Reading) -> Option<Found> {
    let (mut old, mut new) = (String::new(), String::new());
    for (name, was, is) in Delta::between(&last.facts, &read.facts).texts() {
        push_field(&mut old, name, was.as_deref());
        push_field(&mut new, name, is.as_deref());
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

fn rebooted(
    last: &KnownFacts,
    observation: &Observation,
    reading: &Reading,
    rules: &Rules<'_>,
) -> Option<Found> {
    let held = last.boot_time?;
    let boot = reading.facts.boot_time(observation.at)?;
    let text = |time: Timestamp| time.to_rfc3339_opts(SecondsFormat::Secs, true);
    let why = "its uptime began anew, the version is the same";
    let began_anew = if rules.even_clock {
        booted_since(last, held, boot)
    } else {
        shrank(last.reading.facts.uptime, reading.facts.uptime)
    };
    began_anew.then(|| Found::new(ChangeKind::Rebooted, text(held), text(boot), why))
}

/// Two things must hold: the boot time moved forward by more than the jitter, and it lies after the last answer (less the
/// jitter). The second alone makes coarse uptime lines harmless: "3 weeks" said again and again moves the computed boot
/// time forward with the calendar, but never to after the last answer.
pub(super) fn booted_since(last: &KnownFacts, held: Timestamp, boot: Timestamp) -> bool {
    boot - held > BOOT_JITTER && last.seen_at - boot < BOOT_JITTER
}

/// What tells a boot where wall time may have jumped between two answers: after a step forward every boot time seems to lie
/// behind the last answer. An uptime only shrinks by a boot. One that has outgrown the last by now isn't told.
fn shrank(before: Option<Duration>, after: Option<Duration>) -> bool {
    let less = before.zip(after).map(|(before, after)| before.saturating_sub(after));
    less.is_some_and(|less| TimeDelta::from_std(less).is_ok_and(|less| less > BOOT_JITTER))
}
