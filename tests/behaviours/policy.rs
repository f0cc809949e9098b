//! What policies say: patterns by each platform's own ordering, verdicts with their reasons, who is covered.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use versweep::clock::Timestamp;
use versweep::config;
use versweep::device::{Device, PlatformKey};
use versweep::facts::Facts;
use versweep::known::{Known, KnownFacts, PolicyResult};
use versweep::policy::{Answer, Book, Pattern, Policy, majorities};
use versweep::version::{Scheme, Version};

use crate::visits::{at, device, facts, reading};

/// The policies of a configuration's text.
pub(crate) fn policies(text: &str) -> Arc<[Policy]> {
    config::draft_str(Path::new("versweep.toml"), text, &|_| None).finish().unwrap().policies.all()
}

pub(crate) fn scheme(platform: &PlatformKey) -> Option<Scheme> {
    match platform.as_str() {
        "cisco_xe" => Some(Scheme::CiscoIos),
        _ => None,
    }
}

/// A device that was read at that second.
fn read(facts: Facts, seconds: i64) -> Known {
    let facts = KnownFacts {
        reading: reading(facts),
        seen_at: at(seconds),
        version_since: at(seconds),
        boot_time: None,
    };
    Known { facts: Some(facts), ..Known::default() }
}

fn labelled(name: &str, labels: &[(&str, &str)]) -> Device {
    let pairs = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Device { labels: pairs.collect(), ..(*device(name)).clone() }
}

/// What the only policy says of a version, and why.
fn verdict(policy: &str, version: &str) -> (PolicyResult, String) {
    let mut book = Book::new(&policies(&format!("[[policy]]\nname = 'p'\n{policy}")), &[], at(0));
    let judged = book.judge((&*device("a")).into(), &read(facts(version), 0), at(1), &scheme);
    let verdict = &judged.standings[0].verdict;
    (verdict.result, verdict.why.clone())
}

#[test]
fn a_verdict_says_why() {
    use PolicyResult::{Approved, Banned, Drifted, Preferred, Unknown};
    let whole = "approved = ['17.9.4', '17.10.*', '>=17.12.1, <17.13']\npreferred = '17.12.3'\n\
        banned = ['17.10.2', {version = '>=17.12.4, <17.12.6', reason = 'CVE-2026-1'}]\nminimum = '17.9.4'";
    let listed = "is not among the approved versions";
    let cases = [
        (whole, "17.9.4", Approved, "17.9.4 is approved"),
        (whole, "17.09.04", Approved, "17.09.04 is approved"),
        (whole, "17.10.1", Approved, "17.10.1 is approved"),
        (whole, "17.10.2", Banned, "17.10.2 is banned"),
        (whole, "17.12.3", Preferred, "17.12.3 is preferred"),
        (whole, "17.12.5", Banned, "17.12.5 is banned by >=17.12.4, <17.12.6: CVE-2026-1"),
        (whole, "17.9.5", Drifted, listed),
        (whole, "17.13.1", Drifted, listed),
        (whole, "17.3.4", Drifted, "17.3.4 is below the minimum 17.9.4"),
        (whole, "who knows", Drifted, "who knows has no order against the minimum 17.9.4 on cisco_xe"),
        ("approved = '>=17.1'", "who knows", Drifted, "no order against some of their bounds on cisco_xe"),
        // A floor alone approves all above it; preferred beside it narrows nothing.
        ("minimum = '17.9.4'\npreferred = '17.12.*'", "17.10.1", Approved, "17.10.1 is at least 17.9.4"),
        ("minimum = '17.9.4'\npreferred = '17.12.*'", "17.12.1", Preferred, "17.12.1 is preferred"),
        ("preferred = '17.12.*'", "17.10.1", Drifted, listed),
        ("banned = ['17.10.*']", "17.9.1", Approved, "17.9.1 is not banned"),
        // Where nobody can tell whether it is banned, nobody says that it isn't.
        ("banned = ['<17.9']", "who knows", Unknown, "who knows has no order against the banned <17.9"),
        ("banned = ['<17.9']\napproved = 'who*'", "who knows", Approved, "who knows is approved"),
    ];
    for (policy, version, result, why) in cases {
        let (said, because) = verdict(policy, version);
        assert_eq!(said, result, "{policy} {version}: {because}");
        assert!(because.contains(why), "{policy} {version}: {because}");
    }
}

/// The policies that cover a device, by name.
fn covering(book: &mut Book, device: &Device, known: &Known) -> Vec<String> {
    let judged = book.judge(device.into(), known, at(1), &scheme);
    judged.standings.iter().map(|standing| standing.policy.name.clone()).collect()
}

#[test]
fn a_policy_covers_by_platform_model_and_labels() {
    let all = "[[policy]]\nname = 'all'\nminimum = '17.1.1'\n\
        [[policy]]\nname = 'core'\nselect = {role = ['core', 'edge'], site = 'ams'}\nminimum = '17.1.1'\n\
        [[policy]]\nname = 'models'\nselect = {platform = 'cisco_xe', model = ['c9300-*']}\nminimum = '17.1.1'\n\
        [[policy]]\nname = 'one'\nselect = {device = 'a'}\nminimum = '17.1.1'\n\
        [[policy]]\nname = 'xr'\nselect = {platform = 'cisco_xr'}\nminimum = '17.1.1'\n";
    let mut book = Book::new(&policies(all), &[], at(0));
    let known = read(facts("17.9.4"), 0);
    let core = labelled("b", &[("role", "edge"), ("site", "ams")]);
    assert_eq!(covering(&mut book, &core, &known), ["all", "core", "models"]);
    assert_eq!(covering(&mut book, &device("a"), &known), ["all", "models", "one"]);
    let other_model = read(Facts { model: Some("C9500-16X".into()), ..facts("17.9.4") }, 0);
    assert_eq!(covering(&mut book, &device("a"), &other_model), ["all", "one"]);
    let no_model = read(Facts { model: None, ..facts("17.9.4") }, 0);
    assert_eq!(covering(&mut book, &device("a"), &no_model), ["all", "one"]);
    // Before the first answer only what the inventory says can be asked for.
    assert_eq!(covering(&mut book, &device("a"), &Known::default()), ["all", "one"]);
    let unread = book.judge((&*device("a")).into(), &Known::default(), at(1), &scheme).standings.remove(0);
    assert_eq!((unread.verdict.result, unread.complies), (PolicyResult::Unknown, None));
}

/// A device that makes its texts up must not be taken for another kind of device.
#[test]
fn two_kinds_never_share_a_verdict() {
    let mut book = Book::new(&policies("[[policy]]\nname = 'p'\napproved = '17.9.4'"), &[], at(0));
    let mut result = |model: &str, version: &str| {
        let known = read(Facts { model: Some(model.into()), ..facts(version) }, 0);
        book.judge((&*device("a")).into(), &known, at(1), &scheme).standings[0].verdict.result
    };
    assert_eq!(result("C9300", "17.9.4"), PolicyResult::Approved);
    assert_eq!(result("C930", "017.9.4"), PolicyResult::Approved, "another spelling of it");
    assert_eq!(result("C9300 1", "7.9.4"), PolicyResult::Drifted);
    assert_eq!(result("C930017.9.", "4"), PolicyResult::Drifted);
}

#[test]
fn a_policy_says_something_only_while_it_is_valid() {
    let text = "[[policy]]\nname = 'p'\nminimum = '17.1.1'\nvalid_from = 2026-10-01\nvalid_until = 2026-10-02T00:00:00Z";
    let mut book = Book::new(&policies(text), &[], at(0));
    let time = |text: &str| text.parse::<Timestamp>().unwrap();
    let (from, until) = (time("2026-10-01T00:00:00Z"), time("2026-10-02T00:00:00Z"));
    let mut says = |now: Timestamp| {
        !book.judge((&*device("a")).into(), &Known::default(), now, &scheme).standings.is_empty()
    };
    let second = Duration::from_secs(1);
    assert_eq!(
        [says(from - second), says(from), says(until - second), says(until)],
        [false, true, true, false]
    );
    let edges = [book.next_edge(from - second), book.next_edge(from), book.next_edge(until)];
    assert_eq!(edges, [Some(from), Some(until), None]);
}

fn states(versions: &[(&str, &str)]) -> Vec<Arc<versweep::known::DeviceState>> {
    let state = |(place, (model, version)): (usize, &(&str, &str))| {
        let known = read(Facts { model: Some((*model).to_owned()), ..facts(version) }, 0);
        Arc::new(versweep::known::DeviceState { device: device(&format!("d{place}")), known })
    };
    versions.iter().enumerate().map(state).collect()
}

#[test]
fn without_any_policy_the_odd_ones_out_are_found() {
    let devices = states(&[
        ("C9300", "17.9.4"),
        ("C9300", "17.9.4"),
        ("C9300", "17.12.1"),
        ("C9500", "17.9.4"),
        ("C9500", "17.12.1"),
        ("C9500", "17.9.4"),
        ("C9500", "17.12.1"),
        ("C9200", "17.9.4"),
        ("C9200", "17.12.1"),
    ]);
    let found = majorities(devices.iter().map(|state| (&state.device.id, &state.known)));
    // C9500 is divided, and of two C9200 nobody can say which one is odd.
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((found[0].model, found[0].version, found[0].devices), ("C9300", "17.9.4", 3));
    assert_eq!((found[0].odd[0].0.as_str(), found[0].odd[0].1), ("d2", "17.12.1"));
}

fn any_version() -> impl Strategy<Value = Version> {
    let numbers = (0..3_u8, 0..3_u8, 0..3_u8).prop_map(|(a, b, c)| format!("{a}.{b}.{c}"));
    prop_oneof![9 => numbers, 1 => "[a-c ]{1,3}"].prop_map(Version::new)
}

fn says(pattern: &str, version: &Version) -> Answer {
    Pattern::parse(pattern).unwrap().answer(version, Some(Scheme::Dotted))
}

proptest! {
    #[test]
    fn a_pattern_reads_back_as_itself(
        a in "[0-9]{1,2}[.][0-9]{1,2}", b in "[0-9]{1,2}[(][0-9][)]E[0-9]", sign in "(>=|>|<=|<)", other in "(>=|>|<=|<)",
    ) {
        for text in [a.clone(), format!("{a}*"), format!("{sign}{a}"), format!("{sign}{a}, {other}{b}")] {
            let pattern = Pattern::parse(&text).unwrap();
            prop_assert_eq!(pattern.to_string(), text.clone());
            prop_assert_eq!(Pattern::parse(&pattern.to_string()).unwrap(), pattern);
        }
    }

    /// The four signs against one bound: two of them are the others' negation, and nobody knows all or none.
    #[test]
    fn the_signs_divide_all_versions(version in any_version(), bound in "[0-2][.][0-2][.][0-2]") {
        let by = |sign: &str| says(&format!("{sign}{bound}"), &version);
        let not = |answer: Answer| match answer {
            Answer::Yes => Answer::No,
            Answer::No => Answer::Yes,
            Answer::Unordered => Answer::Unordered,
        };
        prop_assert_eq!(by("<"), not(by(">=")));
        prop_assert_eq!(by(">"), not(by("<=")));
        if by("<") != Answer::Unordered {
            let exact = says(&bound, &version) == Answer::Yes;
            prop_assert_eq!(by("<=") == Answer::Yes && by(">=") == Answer::Yes, exact);
        }
    }

    /// A range is what all of its bounds say, in whichever order they stand; one more bound never lets more in.
    #[test]
    fn a_range_is_the_intersection_of_its_bounds(
        version in any_version(), bounds in prop::collection::vec("(>=|>|<=|<)[0-2][.][0-2][.][0-2]", 1..4),
    ) {
        let whole = says(&bounds.join(", "), &version);
        let each: Vec<Answer> = bounds.iter().map(|bound| says(bound, &version)).collect();
        let expected = if each.contains(&Answer::No) {
            Answer::No
        } else if each.contains(&Answer::Unordered) {
            Answer::Unordered
        } else {
            Answer::Yes
        };
        prop_assert_eq!(whole, expected);
        let turned: Vec<String> = bounds.iter().rev().cloned().collect();
        prop_assert_eq!(says(&turned.join(","), &version), whole);
        if whole == Answer::Yes && bounds.len() > 1 {
            prop_assert_eq!(says(&bounds[1..].join(","), &version), Answer::Yes, "fewer bounds let in no less");
        }
    }

    /// What is in a range stays in it between any two versions that are.
    #[test]
    fn a_range_has_no_holes(
        versions in prop::collection::vec((0..3_u8, 0..3_u8, 0..3_u8), 3),
        bounds in prop::collection::vec("(>=|>|<=|<)[0-2][.][0-2][.][0-2]", 1..3),
    ) {
        let mut sorted = versions;
        sorted.sort_unstable();
        let inside: Vec<bool> = sorted.iter().map(|(a, b, c)| {
            says(&bounds.join(", "), &Version::new(format!("{a}.{b}.{c}"))) == Answer::Yes
        }).collect();
        prop_assert!(!(inside[0] && inside[2]) || inside[1], "{sorted:?} {bounds:?}");
    }

    /// Whatever a text is, it is a pattern that answers or is refused; nothing else.
    #[test]
    fn no_text_is_too_odd(text in ".{0,40}", version in ".{0,20}") {
        if let Ok(pattern) = Pattern::parse(&text) {
            let version = Version::new(version);
            for scheme in Scheme::ALL {
                let _some_answer = pattern.answer(&version, Some(scheme));
            }
            prop_assert_ne!(pattern.answer(&version, None), Answer::Yes);
        }
    }
}
