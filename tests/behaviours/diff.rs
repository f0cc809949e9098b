//! What is a change and what is not (behaviours 10, 11 and 13).

use std::cmp::Ordering;
use std::time::Duration;

use proptest::prelude::*;
use versweep::change::{Change, ChangeKind};
use versweep::diff::{Rules, apply, diff};
use versweep::facts::Facts;
use versweep::failure::FailureKind;
use versweep::known::Known;
use versweep::observation::{Observation, Outcome};
use versweep::version::Version;

use crate::visits::{answered, answered_with, at, facts, failed};

const ORDER: &dyn Fn(&Version, &Version) -> Option<Ordering> =
    &|a, b| Some(a.as_str().parse::<f64>().ok()?.total_cmp(&b.as_str().parse::<f64>().ok()?));

const RULES: Rules<'static> = Rules { down_after: 3, order: ORDER };

/// Walks through the observations; gives what is known at the end and the changes of all of them.
fn walk(from: Known, observations: &[Observation]) -> (Known, Vec<Change>) {
    observations.iter().fold((from, Vec::new()), |(known, mut all), observation| {
        let changes = diff(&known, observation, &RULES);
        let next = apply(&known, observation, &changes);
        all.extend(changes);
        (next, all)
    })
}

fn kinds(observations: &[Observation]) -> Vec<ChangeKind> {
    walk(Known::default(), observations).1.into_iter().map(|change| change.kind).collect()
}

fn texts(observations: &[Observation]) -> Vec<(String, String)> {
    walk(Known::default(), observations).1.into_iter().map(|change| (change.before, change.after)).collect()
}

fn up_for(version: &str, minutes: u64) -> Facts {
    Facts { uptime: Some(Duration::from_secs(60 * minutes)), ..facts(version) }
}

fn read_by(revision: u32, mut observation: Observation) -> Observation {
    if let Outcome::Answered { reading, .. } = &mut observation.outcome {
        reading.revision = revision;
    }
    observation
}

#[test]
fn the_first_answer_is_no_change() {
    assert_eq!(kinds(&[answered("a", 0, "17.9")]), []);
    assert_eq!(kinds(&[failed("a", 0, FailureKind::Timeout), answered("a", 1, "17.9")]), []);
}

#[test]
fn versions_are_ordered_by_the_platform() {
    let seen =
        [answered("a", 0, "1.5"), answered("a", 1, "1.7"), answered("a", 2, "1.6"), answered("a", 3, "x")];
    assert_eq!(kinds(&seen), [ChangeKind::Upgrade, ChangeKind::Downgrade, ChangeKind::Other]);
    // The same by the order and yet another text: an honest "other".
    assert_eq!(kinds(&[answered("a", 0, "1.5"), answered("a", 1, "1.50")]), [ChangeKind::Other]);
    assert_eq!(texts(&seen)[0], ("1.5".into(), "1.7".into()));
    let (known, _) = walk(Known::default(), &seen);
    assert_eq!((known.version_changes, known.last_version_change), (3, Some(at(3))));
}

#[test]
fn a_night_of_failures_neither_hides_nor_invents_a_change() {
    let night = [
        answered("a", 0, "1.5"),
        failed("a", 1, FailureKind::Timeout),
        failed("a", 2, FailureKind::Refused),
        failed("a", 3, FailureKind::Timeout),
        failed("a", 4, FailureKind::Timeout),
    ];
    assert_eq!(kinds(&night), [ChangeKind::Unreachable], "once, when the third failure in a row comes");
    let (known, _) = walk(Known::default(), &night);
    assert_eq!(known.facts.as_ref().unwrap().reading.facts.version.as_str(), "1.5");
    assert_eq!((known.is_up(), known.consecutive_failures, known.unreachable), (Some(false), 4, true));

    let (same, changes) = walk(known.clone(), &[answered("a", 5, "1.5")]);
    assert_eq!(changes.iter().map(|change| change.kind).collect::<Vec<_>>(), [ChangeKind::Recovered]);
    assert_eq!(same.facts.unwrap().version_since, at(0));
    let (_, changes) = walk(known, &[answered("a", 5, "1.7")]);
    let kinds: Vec<_> = changes.iter().map(|change| (change.kind, change.before.as_str())).collect();
    assert_eq!(kinds, [(ChangeKind::Recovered, "timeout"), (ChangeKind::Upgrade, "1.5")]);
}

#[test]
fn a_device_that_was_not_visited_changes_nothing() {
    let (known, _) = walk(Known::default(), &[answered("a", 0, "1.5"), failed("a", 1, FailureKind::Timeout)]);
    for kind in [FailureKind::Breaker, FailureKind::Cancelled] {
        let many: Vec<_> = (2..9).map(|second| failed("a", second, kind)).collect();
        assert_eq!(walk(known.clone(), &many), (known.clone(), Vec::new()));
    }
}

#[test]
fn another_chassis_is_one_change_that_tells_of_the_version_too() {
    let other = Facts { serial: Some("FOC0002TEST".into()), ..facts("1.7") };
    let seen = [answered("a", 0, "1.5"), answered_with("a", 1, other)];
    assert_eq!(kinds(&seen), [ChangeKind::Replaced]);
    let expected = ["FOC0001TEST, version 1.5", "FOC0002TEST, version 1.7"]
        .map(|rest| format!("model C9300-48P, serial {rest}"));
    assert_eq!(texts(&seen), [(expected[0].clone(), expected[1].clone())]);
    assert_eq!(walk(Known::default(), &seen).0.version_changes, 1, "the name runs another version now");
    // A serial that one answer doesn't give is no other serial.
    let silent = Facts { serial: None, ..facts("1.5") };
    assert_eq!(kinds(&[answered("a", 0, "1.5"), answered_with("a", 1, silent)]), []);
}

#[test]
fn an_image_counts_only_beside_the_same_version() {
    let image = |version, image: &str| Facts { image: Some(image.into()), ..facts(version) };
    let seen = [
        answered_with("a", 0, image("1.5", "one.bin")),
        answered_with("a", 1, image("1.5", "two.bin")),
        answered_with("a", 2, image("1.7", "three.bin")),
    ];
    assert_eq!(kinds(&seen), [ChangeKind::Image, ChangeKind::Upgrade]);
}

#[test]
fn a_better_parser_is_no_changed_device() {
    let seen =
        [answered("a", 0, "1.5"), read_by(2, answered("a", 1, "1.50")), read_by(2, answered("a", 2, "1.7"))];
    assert_eq!(kinds(&seen), [ChangeKind::Parser, ChangeKind::Upgrade]);
    assert_eq!(texts(&seen)[0], ("version 1.5".into(), "version 1.50".into()));
    let (known, _) = walk(Known::default(), &seen[..2]);
    assert_eq!((known.version_changes, known.last_version_change), (0, None));
    assert_eq!(kinds(&[answered("a", 0, "1.5"), read_by(2, answered("a", 1, "1.5"))]), []);
}

#[test]
fn a_reboot_is_told_once_and_never_invented() {
    let minute = |minute: i64, uptime: u64| answered_with("a", minute * 60, up_for("1.5", uptime));
    assert_eq!(
        kinds(&[minute(0, 1000), minute(15, 1015), minute(30, 4), minute(45, 19)]),
        [ChangeKind::Rebooted]
    );
    // Cut to whole minutes, it wanders; the boot time stands still.
    let (known, changes) = walk(Known::default(), &[minute(0, 1000), minute(15, 1014), minute(30, 1031)]);
    assert_eq!((changes, known.facts.unwrap().boot_time), (Vec::new(), Some(at(-60_000))));
    // Cut to whole weeks, it says the same for days.
    let week = 7 * 24 * 60;
    let coarse: Vec<_> = (0..300).map(|quarter| minute(quarter * 15, 3 * week)).collect();
    assert_eq!(kinds(&coarse), []);
    // With a new version a boot is implied.
    assert_eq!(kinds(&[minute(0, 1000), answered_with("a", 900, up_for("1.7", 3))]), [ChangeKind::Upgrade]);
}

fn any_visit() -> impl Strategy<Value = (u32, Outcome)> {
    let serial = prop_oneof![Just(None), Just(Some("S1".to_owned())), Just(Some("S2".to_owned()))];
    let image = prop_oneof![Just(None), Just(Some("i1".to_owned())), Just(Some("i2".to_owned()))];
    let uptime =
        prop_oneof![Just(None), (0_u64..5000).prop_map(|minutes| Some(Duration::from_secs(60 * minutes)))];
    let version = prop_oneof![Just("1.5"), Just("1.7"), Just("2.0"), Just("odd")];
    let answer =
        (version, serial, image, uptime, 1_u32..3).prop_map(|(version, serial, image, uptime, revision)| {
            let facts = Facts { serial, image, uptime, ..facts(version) };
            read_by(revision, answered_with("a", 0, facts)).outcome
        });
    let kind = prop_oneof![Just(FailureKind::Timeout), Just(FailureKind::Auth), Just(FailureKind::Breaker)];
    let failure = kind.prop_map(|kind| failed("a", 0, kind).outcome);
    (1_u32..90_000, prop_oneof![2 => answer, 1 => failure])
}

/// Visits one after another, by each time a step later.
fn any_visits() -> impl Strategy<Value = Vec<Observation>> {
    prop::collection::vec(any_visit(), 1..20).prop_map(|steps| {
        let mut now = 0;
        let visit = |(step, outcome): (u32, Outcome)| {
            now += i64::from(step);
            Observation { outcome, ..failed("a", now, FailureKind::Timeout) }
        };
        steps.into_iter().map(visit).collect()
    })
}

fn is_answer(observation: &Observation) -> bool {
    matches!(observation.outcome, Outcome::Answered { .. })
}

proptest! {
    #[test]
    fn the_same_answer_again_is_no_change(visits in any_visits()) {
        let (known, _) = walk(Known::default(), &visits);
        if let Some(last) = visits.last().filter(|last| is_answer(last)) {
            prop_assert_eq!(diff(&known, last, &RULES), Vec::new());
            prop_assert_eq!(apply(&known, last, &[]), known);
        }
    }

    #[test]
    fn what_is_known_is_the_last_answer(visits in any_visits()) {
        let (known, _) = walk(Known::default(), &visits);
        let last = visits.iter().rev().find_map(|visit| match &visit.outcome {
            Outcome::Answered { reading, .. } => Some((reading.clone(), visit.at)),
            Outcome::Failed { .. } => None,
        });
        prop_assert_eq!(known.facts.map(|facts| (facts.reading, facts.seen_at)), last);
    }

    #[test]
    fn failures_in_between_make_no_difference_to_the_facts(visits in any_visits()) {
        let about_facts = |observations: &[Observation]| {
            let (known, mut changes) = walk(Known::default(), observations);
            changes.retain(|change| !matches!(change.kind, ChangeKind::Unreachable | ChangeKind::Recovered));
            (known.facts, known.version_changes, known.last_version_change, changes)
        };
        let answers: Vec<_> = visits.iter().filter(|visit| is_answer(visit)).cloned().collect();
        prop_assert_eq!(about_facts(&visits), about_facts(&answers));
    }

    #[test]
    fn one_visit_never_contradicts_itself(visits in any_visits()) {
        let mut known = Known::default();
        for visit in &visits {
            let changes = diff(&known, visit, &RULES);
            let has = |kind: ChangeKind| changes.iter().any(|change| change.kind == kind);
            let about_facts = changes.iter().filter(|change| change.kind.is_version_change()
                || matches!(change.kind, ChangeKind::Image | ChangeKind::Replaced | ChangeKind::Parser)).count();
            prop_assert!(about_facts <= 1, "{changes:?}");
            prop_assert!(!(has(ChangeKind::Unreachable) && changes.len() > 1), "{changes:?}");
            prop_assert!(!has(ChangeKind::Rebooted) || about_facts == 0 || has(ChangeKind::Image), "{changes:?}");
            let mut all: Vec<_> = changes.iter().map(|change| change.kind).collect();
            all.dedup();
            prop_assert_eq!(all.len(), changes.len(), "a kind at most once: it is the identity");
            known = apply(&known, visit, &changes);
        }
    }

    #[test]
    fn unreachable_and_recovered_alternate(visits in any_visits()) {
        let turns: Vec<_> = walk(Known::default(), &visits).1.into_iter().map(|change| change.kind)
            .filter(|kind| matches!(kind, ChangeKind::Unreachable | ChangeKind::Recovered)).collect();
        for (place, kind) in turns.into_iter().enumerate() {
            prop_assert_eq!(kind == ChangeKind::Unreachable, place % 2 == 0);
        }
    }
}
