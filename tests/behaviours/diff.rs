//! What is a change and what is not (behaviours 10, 11 and 13).

use std::cmp::Ordering;
use std::time::Duration;

use proptest::prelude::*;
use versweep::change::{Change, ChangeKind};
use versweep::diff::{FlapRules, Rules, apply, diff};
use versweep::facts::Facts;
use versweep::failure::{FailureKind, HostKeyTrouble};
use versweep::known::Known;
use versweep::observation::{Observation, Outcome};
use versweep::version::Version;

use crate::visits::{answered, answered_with, at, facts, failed};

const ORDER: &dyn Fn(&Version, &Version) -> Option<Ordering> =
    &|a, b| Some(a.as_str().parse::<f64>().ok()?.total_cmp(&b.as_str().parse::<f64>().ok()?));

const RULES: Rules<'static> =
    Rules { down_after: 3, order: ORDER, flapping: FlapRules::OFF, even_clock: true };

/// Walks through the observations; gives what is known at the end and the changes of all of them.
fn walk(from: Known, observations: &[Observation]) -> (Known, Vec<Change>) {
    observations.iter().fold((from, Vec::new()), |(known, mut all), observation| {
        let changes = diff(&known, observation, &RULES);
        let next = apply(&known, observation, &RULES);
        all.extend(changes);
        (next, all)
    })
}

/// The changes of a device from its first visit on, without the news that it answered at all.
fn changes(observations: &[Observation]) -> Vec<Change> {
    let (_, mut changes) = walk(Known::default(), observations);
    changes.retain(|change| change.kind != ChangeKind::FirstSeen);
    changes
}

fn kinds(observations: &[Observation]) -> Vec<ChangeKind> {
    changes(observations).into_iter().map(|change| change.kind).collect()
}

fn texts(observations: &[Observation]) -> Vec<(String, String)> {
    changes(observations).into_iter().map(|change| (change.before, change.after)).collect()
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
fn the_first_answer_is_news_and_no_change() {
    for seen in
        [vec![answered("a", 1, "17.9")], vec![failed("a", 0, FailureKind::Timeout), answered("a", 1, "17.9")]]
    {
        assert_eq!(kinds(&seen), []);
        let (known, changes) = walk(Known::default(), &seen);
        let told: Vec<_> = changes.iter().map(|c| (c.kind, c.before.as_str(), c.after.as_str())).collect();
        assert_eq!(told, [(ChangeKind::FirstSeen, "", "model C9300-48P, serial FOC0001TEST, version 17.9")]);
        assert_eq!((known.version_changes, known.last_version_change), (0, None));
        assert!(!ChangeKind::FirstSeen.is_of_facts());
    }
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
    let kinds_of: Vec<_> = changes.iter().map(|change| change.kind).collect();
    assert_eq!((kinds_of, known.facts.unwrap().boot_time), (vec![ChangeKind::FirstSeen], Some(at(-60_000))));
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
            prop_assert_eq!(apply(&known, last, &RULES), known);
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
            let about_facts = changes.iter().filter(|change| change.kind == ChangeKind::Parser
                || change.kind.is_of_facts() && change.kind != ChangeKind::Members).count();
            prop_assert!(about_facts <= 1, "{changes:?}");
            prop_assert!(!(has(ChangeKind::Unreachable) && changes.len() > 1), "{changes:?}");
            let same_version = about_facts == 0 || has(ChangeKind::Image) || has(ChangeKind::Patched);
            prop_assert!(!has(ChangeKind::Rebooted) || same_version, "{changes:?}");
            prop_assert!(!(has(ChangeKind::FirstSeen) && about_facts > 0), "{changes:?}");
            let mut all: Vec<_> = changes.iter().map(|change| change.kind).collect();
            all.dedup();
            prop_assert_eq!(all.len(), changes.len(), "a kind at most once: it is the identity");
            known = apply(&known, visit, &RULES);
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

mod parts {
    //! Members and patches.

    use versweep::facts::{Member, More};

    use super::*;

    fn member(name: &str, serial: &str, version: &str) -> Member {
        Member {
            name: name.to_owned(),
            version: (!version.is_empty()).then(|| Version::new(version)),
            model: Some("C9300-48P".to_owned()),
            serial: Some(serial.to_owned()),
        }
    }

    fn stack(
        second: i64,
        version: &str,
        serial: &str,
        members: Vec<Member>,
        patches: &[&str],
    ) -> Observation {
        let patches = patches.iter().map(|patch| (*patch).to_owned()).collect();
        let more = (!members.is_empty()).then(|| Box::new(More { members, patches, next_boot: None }));
        answered_with("a", second, Facts { serial: Some(serial.to_owned()), more, ..facts(version) })
    }

    fn two(second: i64, version: &str, of_second: &str) -> Observation {
        stack(second, version, "S1", vec![member("1", "S1", version), member("2", "S2", of_second)], &[])
    }

    #[test]
    fn a_member_that_came_went_or_was_exchanged_is_told() {
        let one = |second| stack(second, "1.5", "S1", vec![member("1", "S1", "1.5")], &[]);
        let seen = [
            two(0, "1.5", "1.5"),
            one(1),
            two(2, "1.5", "1.5"),
            stack(3, "1.5", "S1", vec![member("1", "S1", "1.5"), member("2", "S9", "1.5")], &[]),
        ];
        let told = changes(&seen);
        let why: Vec<_> = told.iter().map(|change| (change.kind, change.why.as_str())).collect();
        assert_eq!(
            why,
            [
                (ChangeKind::Members, "member 2 is gone"),
                (ChangeKind::Members, "member 2 is new"),
                (ChangeKind::Members, "member 2 was exchanged"),
            ]
        );
        let sides = |change: &Change| (change.before.clone(), change.after.clone());
        assert_eq!(sides(&told[0]), ("2 (C9300-48P S2 1.5)".into(), "1 members".into()));
        assert_eq!(sides(&told[2]), ("2 (C9300-48P S2 1.5)".into(), "2 (C9300-48P S9 1.5)".into()));
    }

    #[test]
    fn members_follow_the_device_and_one_that_stays_behind_is_told_beside_the_upgrade() {
        assert_eq!(kinds(&[two(0, "1.5", "1.5"), two(1, "1.7", "1.7")]), [ChangeKind::Upgrade]);
        let told = changes(&[two(0, "1.5", "1.5"), two(1, "1.7", "1.5"), two(2, "1.7", "1.7")]);
        let why: Vec<_> = told.iter().map(|change| (change.kind, change.why.as_str())).collect();
        assert_eq!(
            why,
            [
                (ChangeKind::Upgrade, "newer by the order of cisco_xe"),
                (ChangeKind::Members, "member 1 runs another version, its members run different versions"),
                (ChangeKind::Members, "member 2 runs another version"),
            ]
        );
        let (known, _) = walk(Known::default(), &[two(0, "1.5", "1.7")]);
        assert_eq!(known.facts.unwrap().reading.facts.members_consistent(), Some(false));
    }

    #[test]
    fn another_member_that_speaks_for_the_stack_is_no_other_device() {
        let members = || vec![member("1", "S1", "1.5"), member("2", "S2", "1.5")];
        let seen = [stack(0, "1.5", "S1", members(), &[]), stack(1, "1.5", "S2", members(), &[])];
        let told = changes(&seen);
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!(
            (told[0].kind, told[0].why.as_str()),
            (ChangeKind::Members, "another member speaks for the device")
        );
        let elsewhere = [stack(0, "1.5", "S1", members(), &[]), stack(1, "1.5", "S3", members(), &[])];
        assert_eq!(kinds(&elsewhere), [ChangeKind::Replaced]);
    }

    #[test]
    fn patches_count_beside_the_same_version_only() {
        let one = || vec![member("1", "S1", "")];
        let seen = [
            stack(0, "1.5", "S1", one(), &["CSCa"]),
            stack(1, "1.5", "S1", one(), &["CSCb", "CSCa"]),
            stack(2, "1.5", "S1", one(), &["CSCa", "CSCb"]),
            stack(3, "1.7", "S1", one(), &[]),
        ];
        let told = changes(&seen);
        let told: Vec<_> =
            told.iter().map(|c| (c.kind, c.before.as_str(), c.after.as_str(), c.why.as_str())).collect();
        assert_eq!(
            told,
            [
                (ChangeKind::Patched, "CSCa", "CSCa, CSCb", "new: CSCb"),
                (ChangeKind::Upgrade, "1.5", "1.7", "newer by the order of cisco_xe"),
            ]
        );
        let gone = [stack(0, "1.5", "S1", one(), &["CSCa"]), stack(1, "1.5", "S1", one(), &[])];
        assert_eq!(texts(&gone), [("CSCa".into(), "no patches".into())]);
        // The first patch of a device that told of no parts before.
        let patched = [answered("a", 0, "1.5"), stack(1, "1.5", "FOC0001TEST", one(), &["CSCa"])];
        assert_eq!(kinds(&patched), [ChangeKind::Patched]);
        // An answer that tells of no members was read otherwise; they are not gone.
        assert_eq!(kinds(&[two(0, "1.5", "1.5"), stack(1, "1.5", "S1", Vec::new(), &[])]), []);
    }
}

mod flapping {
    //! One event, not fifty.

    use super::*;

    const FLAPPY: Rules<'static> = Rules {
        down_after: 1,
        order: ORDER,
        flapping: FlapRules { changes: 4, window: chrono::TimeDelta::hours(1) },
        even_clock: true,
    };

    fn told(observations: &[Observation]) -> (Known, Vec<Change>) {
        let from = (Known::default(), Vec::new());
        observations.iter().fold(from, |(known, mut all), observation| {
            all.extend(diff(&known, observation, &FLAPPY));
            (apply(&known, observation, &FLAPPY), all)
        })
    }

    fn lines(changes: &[Change]) -> Vec<(ChangeKind, &str, i64)> {
        changes.iter().map(|c| (c.kind, c.after.as_str(), (c.at - at(0)).num_minutes())).collect()
    }

    /// Up and down in turn, a visit every five minutes.
    fn up_and_down(visits: i64) -> Vec<Observation> {
        let visit = |turn: i64| match turn % 2 {
            0 => answered("a", turn * 300, "1.5"),
            _ => failed("a", turn * 300, FailureKind::Timeout),
        };
        (0..visits).map(visit).collect()
    }

    #[test]
    fn a_device_that_comes_and_goes_is_one_event_until_it_is_calm() {
        let mut seen = up_and_down(51);
        seen.extend((51..70).map(|turn| answered("a", turn * 300, "1.5")));
        let (known, changes) = told(&seen);
        assert_eq!(
            lines(&changes)[1..],
            [
                (ChangeKind::Unreachable, "timeout", 5),
                (ChangeKind::Recovered, "up", 10),
                (ChangeKind::Unreachable, "timeout", 15),
                (ChangeKind::Flapping, "up", 20),
                (ChangeKind::Recovered, "up", 310),
            ]
        );
        assert_eq!(changes[4].subject, "reachability");
        assert_eq!(
            changes[4].why,
            "4 changes within 60 minutes, the last one: recovered (answers after 1 failed visits in a row)"
        );
        assert!(changes[5].why.starts_with("calm again, it was flapping since 2026-"), "{}", changes[5].why);
        assert_eq!(known.flaps, None);
    }

    #[test]
    fn one_that_stays_down_is_told_unreachable_once_it_is_calm() {
        let mut seen = up_and_down(50);
        seen.extend((50..70).map(|turn| failed("a", turn * 300, FailureKind::Refused)));
        let (known, changes) = told(&seen);
        assert_eq!(lines(&changes).last(), Some(&(ChangeKind::Unreachable, "refused", 305)));
        assert_eq!((changes.len(), known.unreachable, known.flaps), (6, true, None));
    }

    /// Its changes lie two days ahead then, and for two days it would be told of nothing.
    #[test]
    fn a_clock_that_is_set_back_keeps_no_device_flapping_for_days() {
        let ahead = 2 * 24 * 3600 / 300;
        let mut seen: Vec<_> = (ahead..ahead + 21)
            .map(|turn| match turn % 2 {
                0 => answered("a", turn * 300, "1.5"),
                _ => failed("a", turn * 300, FailureKind::Timeout),
            })
            .collect();
        assert!(told(&seen).0.flaps().reach.since.is_some());
        seen.push(answered("a", 300, "1.5"));
        let (known, changes) = told(&seen);
        assert_eq!(lines(&changes).last(), Some(&(ChangeKind::Recovered, "up", 5)));
        assert_eq!(known.flaps, None);
    }

    #[test]
    fn versions_to_and_fro_are_one_event_and_the_end_says_what_it_runs() {
        let visit = |turn: i64| answered("a", turn * 300, if turn % 2 == 0 { "1.5" } else { "1.7" });
        let calm = |version: &'static str| (30..50).map(move |turn| answered("a", turn * 300, version));
        let seen: Vec<_> = (0..30).map(visit).chain(calm("1.7")).collect();
        let (known, changes) = told(&seen);
        assert_eq!(
            lines(&changes)[4..],
            [(ChangeKind::Flapping, "1.5", 20), (ChangeKind::Upgrade, "1.7", 205)],
            "{changes:?}"
        );
        assert_eq!((changes[5].before.as_str(), known.version_changes), ("1.5", 29));
        let seen: Vec<_> = (0..30).map(visit).chain(calm("1.5")).collect();
        let (_, changes) = told(&seen);
        assert_eq!(lines(&changes).last(), Some(&(ChangeKind::Flapping, "calm, runs 1.5", 210)));
    }

    #[test]
    fn what_is_spread_wider_than_the_window_is_told_each_time() {
        let seen: Vec<_> = (0..20)
            .map(|turn| answered("a", turn * 1300, if turn % 2 == 0 { "1.5" } else { "1.7" }))
            .collect();
        let (_, changes) = told(&seen);
        assert!(changes.iter().all(|change| change.kind != ChangeKind::Flapping));
        assert_eq!(changes.len(), 20);
    }

    proptest! {
        /// Whatever happens: at most one event that begins an episode for one that ends it, and what is remembered of
        /// an axis is bounded.
        #[test]
        fn an_episode_begins_once_and_ends_once(visits in any_visits()) {
            let mut known = Known::default();
            for visit in &visits {
                let before = known.flaps().clone();
                let changes = diff(&known, visit, &FLAPPY);
                known = apply(&known, visit, &FLAPPY);
                let after = known.flaps();
                let begun = |axis: &str| changes.iter().any(|c| c.subject == axis && c.before != "flapping");
                prop_assert_eq!(begun("facts"), before.facts.since.is_none() && after.facts.since.is_some());
                prop_assert_eq!(begun("reachability"), before.reach.since.is_none() && after.reach.since.is_some());
                if before.facts.since.is_some() && after.facts.since.is_some() {
                    prop_assert!(changes.iter().all(|change| !change.kind.is_of_facts()), "{changes:?}");
                }
                prop_assert!(after.facts.recent.len() <= 4 && after.reach.recent.len() <= 4);
            }
        }
    }
}

mod host_keys {
    //! A key that is not the known one.

    use super::*;

    #[test]
    fn it_is_told_once_until_the_device_answers() {
        let seen = [
            answered("a", 0, "1.5"),
            failed("a", 1, FailureKind::HostKey),
            failed("a", 2, FailureKind::Timeout),
            failed("a", 3, FailureKind::HostKey),
            answered("a", 4, "1.5"),
            failed("a", 5, FailureKind::HostKey),
        ];
        let told = changes(&seen);
        let told: Vec<_> =
            told.iter().map(|change| (change.kind, change.after.as_str(), change.at)).collect();
        let key = "made up: host_key";
        assert_eq!(
            told,
            [
                (ChangeKind::HostKey, key, at(1)),
                (ChangeKind::Unreachable, "host_key", at(3)),
                (ChangeKind::Recovered, "up", at(4)),
                (ChangeKind::HostKey, key, at(5)),
            ]
        );
    }
}

mod delta {
    //! What differs, field by field.

    use versweep::diff::Delta;
    use versweep::facts::{Member, More};

    use super::*;

    fn text() -> impl Strategy<Value = Option<String>> {
        prop::option::of("[ab]{0,2}")
    }

    fn any_member() -> impl Strategy<Value = Member> {
        let version = text().prop_map(|version| version.map(Version::new));
        ("[12]", version, text(), text()).prop_map(|(name, version, model, serial)| Member {
            name,
            version,
            model,
            serial,
        })
    }

    fn any_facts() -> impl Strategy<Value = Facts> {
        let more = (prop::collection::vec(any_member(), 0..3), prop::collection::vec("[ab]", 0..3), text())
            .prop_map(|(members, patches, next_boot)| Box::new(More { members, patches, next_boot }));
        let uptime = prop::option::of((0_u64..3).prop_map(Duration::from_secs));
        ("[ab]{1,2}", text(), text(), text(), text(), uptime, prop::option::of(more)).prop_map(
            |(version, model, serial, hostname, image, uptime, more)| Facts {
                version: Version::new(version),
                model,
                serial,
                hostname,
                image,
                uptime,
                more,
            },
        )
    }

    proptest! {
        #[test]
        fn nothing_differs_from_itself(facts in any_facts()) {
            prop_assert!(Delta::between(&facts, &facts).is_empty());
        }

        #[test]
        fn what_differs_applied_to_the_one_gives_the_other(a in any_facts(), b in any_facts()) {
            let delta = Delta::between(&a, &b);
            prop_assert_eq!(delta.apply(&a), b.clone());
            prop_assert_eq!(delta.is_empty(), a == b);
        }
    }
}

#[test]
fn a_device_in_its_quiet_mode_is_not_down() {
    use FailureKind::{Auth, Refused, Timeout};
    let visits = |failures: &[FailureKind]| {
        let failures = failures.iter().zip(2_i64..).map(|(kind, at)| failed("r1", at, *kind));
        let visits: Vec<_> = [answered("r1", 1, "1.0")].into_iter().chain(failures).collect();
        kinds(&visits)
    };
    assert_eq!(visits(&[Auth, Refused, Auth]), []);
    assert_eq!(visits(&[Auth, Refused, Timeout, Refused]), [ChangeKind::Unreachable]);
    assert_eq!(visits(&[Refused, Refused, Refused]), [ChangeKind::Unreachable]);
}

#[test]
fn a_host_key_that_is_only_unknown_is_no_change() {
    let with = |trouble| {
        let mut visit = failed("r1", 1, FailureKind::HostKey);
        if let Outcome::Failed { failure, .. } = &mut visit.outcome {
            failure.host_key = Some(trouble);
        }
        kinds(&[visit])
    };
    assert_eq!(with(HostKeyTrouble::Unknown), []);
    for trouble in [HostKeyTrouble::Changed, HostKeyTrouble::Revoked, HostKeyTrouble::Certificate] {
        assert_eq!(with(trouble), [ChangeKind::HostKey], "{trouble:?}");
    }
}

#[test]
fn the_last_ssh_session_is_known_with_what_it_needed() {
    let (known, _) =
        walk(Known::default(), &[answered("r1", 1, "1.0"), failed("r1", 2, FailureKind::Timeout)]);
    let session = known.ssh.unwrap();
    assert_eq!(session, crate::visits::session(), "a visit that came to none leaves it");
    assert_eq!(session.legacy().collect::<Vec<_>>(), ["diffie-hellman-group14-sha1", "ssh-rsa"]);
}
