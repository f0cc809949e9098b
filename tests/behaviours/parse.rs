//! What is read from an answer is right, or nothing is read from it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use serde::Deserialize;
use versweep::failure::FailureKind;
use versweep::parse::{self, ParseError};
use versweep::platform::{Platforms, Profile};
use versweep::version::Version;

#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Golden {
    version: String,
    model: Option<String>,
    serial: Option<String>,
    hostname: Option<String>,
    image: Option<String>,
    uptime_seconds: Option<u64>,
    pattern: String,
}

#[derive(Debug)]
struct Fixture {
    name: String,
    platform: String,
    text: String,
    golden: Golden,
}

impl Fixture {
    fn is_example(&self) -> bool {
        self.name.contains("/example ")
    }
}

fn fixtures() -> Vec<Fixture> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/platforms");
    let mut fixtures = Vec::new();
    for folder in fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()) {
        for path in fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.extension().is_some_and(|extension| extension == "txt") {
                let golden = fs::read_to_string(path.with_extension("json")).unwrap();
                fixtures.push(Fixture {
                    name: path.strip_prefix(folder.parent().unwrap()).unwrap().display().to_string(),
                    platform: folder.file_name().unwrap().to_str().unwrap().to_owned(),
                    text: fs::read_to_string(&path).unwrap(),
                    golden: serde_json::from_str(&golden).unwrap(),
                });
            }
        }
    }
    fixtures.extend(examples());
    fixtures.sort_by(|a, b| a.name.cmp(&b.name));
    fixtures
}

/// The examples within the profiles are fixtures too: those of them that are read.
fn examples() -> Vec<Fixture> {
    let platforms = Platforms::builtin();
    let mut examples = Vec::new();
    for profile in platforms.iter() {
        let source: toml::Table = profile.source.parse().unwrap();
        for (at, example) in source["example"].as_array().unwrap().iter().enumerate() {
            let text = example["text"].as_str().unwrap().to_owned();
            if example.get("error").is_none() {
                let golden = read(profile, &text).unwrap();
                assert_eq!(Some(golden.version.as_str()), example["version"].as_str(), "{}", profile.key);
                let name = format!("{}/example {at}", profile.key);
                examples.push(Fixture { name, platform: profile.key.to_string(), text, golden });
            }
        }
    }
    examples
}

fn profile<'a>(platforms: &'a Platforms, fixture: &Fixture) -> &'a Profile {
    platforms.find(&fixture.platform).unwrap()
}

fn read(profile: &Profile, text: &str) -> Result<Golden, ParseError> {
    parse::parse(profile, text).map(|reading| Golden {
        version: reading.facts.version.to_string(),
        model: reading.facts.model,
        serial: reading.facts.serial,
        hostname: reading.facts.hostname,
        image: reading.facts.image,
        uptime_seconds: reading.facts.uptime.map(|uptime| uptime.as_secs()),
        pattern: reading.pattern,
    })
}

#[test]
fn every_fixture_yields_its_golden_and_is_recognised() {
    let platforms = Platforms::builtin();
    let fixtures = fixtures();
    for fixture in &fixtures {
        assert_eq!(
            read(profile(&platforms, fixture), &fixture.text).as_ref(),
            Ok(&fixture.golden),
            "{}",
            fixture.name
        );
        let detected = parse::detect(&platforms, &fixture.text).map(|profile| profile.key.as_str());
        assert_eq!(detected, Some(fixture.platform.as_str()), "{}", fixture.name);
    }
    for key in platforms.keys() {
        let of_this = fixtures.iter().filter(|fixture| fixture.platform == key.as_str()).count();
        assert!(of_this >= 2, "{key} has {of_this} fixtures");
    }
}

/// The mutated answer yields the right version, or an error.
fn never_another_version(platforms: &Platforms, fixture: &Fixture, text: &str, what: &str) {
    let read = read(profile(platforms, fixture), text);
    if let Ok(read) = &read {
        assert_eq!(read.version, fixture.golden.version, "{} {what}", fixture.name);
    }
    if let Some(detected) = parse::detect(platforms, text) {
        let read = parse::parse(detected, text);
        let right =
            read.as_ref().is_ok_and(|reading| reading.facts.version.as_str() == fixture.golden.version);
        let honest = read.is_err();
        assert!(right || honest, "{} {what}: {} read {read:?}", fixture.name, detected.key);
    }
}

/// The mutated answer yields the right value of each field, nothing, or an error.
fn never_another_value(platforms: &Platforms, fixture: &Fixture, text: &str, what: &str) {
    never_another_version(platforms, fixture, text, what);
    let Ok(read) = read(profile(platforms, fixture), text) else { return };
    let golden = &fixture.golden;
    let alike = |got: &Option<String>, expected: &Option<String>| got.is_none() || got == expected;
    let right = alike(&read.model, &golden.model)
        && alike(&read.serial, &golden.serial)
        && alike(&read.hostname, &golden.hostname)
        && alike(&read.image, &golden.image)
        && (read.uptime_seconds.is_none() || read.uptime_seconds == golden.uptime_seconds);
    assert!(right, "{} {what}: {read:?}", fixture.name);
}

#[test]
fn a_truncated_answer_yields_the_right_version_or_an_error() {
    let platforms = Platforms::builtin();
    for fixture in fixtures() {
        let lines: Vec<&str> = fixture.text.split_inclusive('\n').collect();
        for kept in 0..lines.len() {
            let whole_lines = lines[..kept].concat();
            never_another_value(&platforms, &fixture, &whole_lines, &format!("cut after line {kept}"));
            let text = whole_lines + &lines[kept][..lines[kept].len() / 2];
            let what = format!("cut in line {}", kept + 1);
            // A profile's examples, being short, lack what would tell of other fields. The one answer that is a
            // single word can't tell where it was cut.
            if fixture.is_example() {
                if lines.len() > 1 {
                    never_another_version(&platforms, &fixture, &text, &what);
                }
                continue;
            }
            never_another_value(&platforms, &fixture, &text, &what);
        }
    }
}

#[test]
fn an_answer_cut_before_its_last_fact_is_called_truncated() {
    let platforms = Platforms::builtin();
    for fixture in fixtures().iter().filter(|fixture| fixture.platform == "cisco_ios") {
        let at = fixture.text.find("System image file").unwrap();
        let read = read(profile(&platforms, fixture), &fixture.text[..at]);
        assert!(matches!(read, Err(ParseError::Truncated { .. })), "{}: {read:?}", fixture.name);
    }
}

#[test]
fn a_foreign_answer_behind_it_changes_no_version() {
    let platforms = Platforms::builtin();
    let fixtures = fixtures();
    for (at, fixture) in fixtures.iter().enumerate() {
        // All pairs of files; of the pairs with examples, of which there are tens of thousands, some.
        // An answer of a line or two is, before another, no more than a banner.
        if fixture.text.trim().lines().count() < 3 {
            continue;
        }
        let chosen = |(step, foreign): &(usize, &Fixture)| {
            let files = !fixture.is_example() && !foreign.is_example();
            let others = foreign.platform != fixture.platform;
            let short = foreign.text.trim().lines().count() < 3;
            foreign.name != fixture.name && !short && (files || others && (at + step) % 9 == 0)
        };
        for (_, foreign) in fixtures.iter().enumerate().filter(chosen) {
            let text = format!("{}\n{}", fixture.text, foreign.text);
            if fixture.is_example() || foreign.is_example() {
                // Whose answer the whole is cannot be told where one system is built on the other, as Cumulus on Linux.
                let read = read(profile(&platforms, fixture), &text);
                let right = read.as_ref().is_ok_and(|read| read.version == fixture.golden.version);
                assert!(right || read.is_err(), "{} before {}: {read:?}", fixture.name, foreign.name);
                continue;
            }
            never_another_version(&platforms, fixture, &text, &format!("with {} behind it", foreign.name));
            if foreign.platform == fixture.platform {
                // Of two answers of one platform it is the first that is read, or none: that was just asked.
                continue;
            }
            let read = read(profile(&platforms, foreign), &text);
            let right = read.as_ref().is_ok_and(|read| read.version == foreign.golden.version);
            assert!(right || read.is_err(), "{} behind {}: {read:?}", foreign.name, fixture.name);
        }
    }
}

#[test]
fn another_platforms_profile_reads_nothing_or_the_same() {
    let platforms = Platforms::builtin();
    let mut wrong = Vec::new();
    for fixture in fixtures() {
        for profile in platforms.iter() {
            if let Ok(read) = read(profile, &fixture.text)
                && read.version != fixture.golden.version
            {
                wrong.push(format!("{} read by {}: {}", fixture.name, profile.key, read.version));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_log_of_a_session_reads_as_the_answer_alone() {
    let platforms = Platforms::builtin();
    for fixture in fixtures().iter().filter(|fixture| !fixture.name.contains("session")) {
        let profile = profile(&platforms, fixture);
        let log = format!(
            "\u{1b}[2J** No trespassing **\r\nVersion 0.0.1 of this banner\r\n\r\nhost-1# {}\r\r\n{}\r\nhost-1# exit\r\n",
            profile.commands[0],
            fixture.text.replace("\r\n", "\n").replace('\n', "\r\r\n").replacen(
                'e',
                "\u{1b}[1me\u{1b}[0m\0",
                40
            ),
        );
        assert_eq!(read(profile, &log).as_ref(), Ok(&fixture.golden), "{}", fixture.name);
    }
}

#[test]
fn refusals_are_told_apart() {
    let platforms = Platforms::builtin();
    let cases = [
        ("cisco_ios", "show version\n ^\n% Invalid input detected at '^' marker.\n", FailureKind::Command),
        ("cisco_ios", "Command authorization failed.\n", FailureKind::Denied),
        ("cisco_nxos", "% Permission denied for the role\n", FailureKind::Denied),
        ("cisco_xr", "% This command is not authorized\n", FailureKind::Denied),
        ("arista_eos", "% Invalid input (privileged mode required)\n", FailureKind::Denied),
        ("arista_eos", "% Invalid input\n", FailureKind::Command),
        ("juniper_junos", "error: permission denied: version\n", FailureKind::Denied),
        ("juniper_junos", "                 ^\nsyntax error, expecting <command>.\n", FailureKind::Command),
        ("frr", "% Unknown command: show version\n", FailureKind::Command),
        ("linux", "-bash: show: command not found\n", FailureKind::Command),
        ("linux", "sh: 1: show: not found\n", FailureKind::Command),
        ("linux", "hello\n", FailureKind::Parse),
        ("linux", " \r\n\0", FailureKind::Parse),
    ];
    for (platform, text, kind) in cases {
        let error = parse::parse(platforms.find(platform).unwrap(), text).unwrap_err();
        assert_eq!(error.kind(), kind, "{platform}: {text:?}: {error}");
        let error = parse::parse_any(&platforms, text).unwrap_err();
        assert_eq!(error.kind(), kind, "auto: {text:?}: {error}");
    }
}

#[test]
fn a_second_commands_refusal_does_not_spoil_the_first_ones_answer() {
    let platforms = Platforms::builtin();
    let text = "Hostname: e-1\nModel: mx204\nJunos: 21.4R3.15\n\nerror: permission denied: chassis\n";
    let read = read(platforms.find("junos").unwrap(), text).unwrap();
    assert_eq!((read.version.as_str(), read.serial), ("21.4R3.15", None));
}

#[test]
fn two_devices_in_one_answer_are_ambiguous() {
    let platforms = Platforms::builtin();
    let error = read(
        platforms.find("eos").unwrap(),
        "Software image version: 4.28.9M\nFree memory: 1\nSoftware image version: 4.28.10M\nFree memory: 1\n",
    )
    .unwrap_err();
    assert_eq!(
        error.to_string(),
        "the answer names two versions, 4.28.9M and 4.28.10M: is it the answer of one device?"
    );
}

#[test]
fn hostile_values_are_not_taken() {
    let platforms = Platforms::builtin();
    let frr = platforms.find("frr").unwrap();
    let answer = |version: &str, hostname: &str| {
        parse::parse(frr, &format!("FRRouting {version} ({hostname}).\nconfigured with:\n"))
    };
    assert_eq!(answer(&"9".repeat(129), "h"), Err(ParseError::BadValue { field: "version" }));
    for hidden in ['\u{202e}', '\u{61c}'] {
        let read = answer(&format!("8.4{hidden}"), "h");
        assert_eq!(read, Err(ParseError::BadValue { field: "version" }), "{hidden:?}");
    }
    assert_eq!(answer("8.4\u{9b}2J", "h"), Err(ParseError::BadValue { field: "version" }));
    assert_eq!(answer("8.4", &"h".repeat(129)).unwrap().facts.hostname, None);
    let too_long = "x".repeat(parse::INPUT_MAX + 1);
    assert_eq!(parse::parse(frr, &too_long), Err(ParseError::TooLong { bytes: too_long.len() }));
}

#[test]
fn every_way_to_a_version_has_a_fixture() {
    let platforms = Platforms::builtin();
    let tried: BTreeSet<(String, String)> =
        fixtures().iter().map(|fixture| (fixture.platform.clone(), fixture.golden.pattern.clone())).collect();
    let mut untried = Vec::new();
    for profile in platforms.iter() {
        let source: toml::Table = profile.source.parse().unwrap();
        for pattern in source["pattern"].as_array().unwrap() {
            let name = pattern["name"].as_str().unwrap().to_owned();
            let reads_version = pattern["regex"].as_str().unwrap().contains("(?<version>");
            if reads_version && !tried.contains(&(profile.key.to_string(), name.clone())) {
                untried.push(format!("{} {name}", profile.key));
            }
        }
    }
    assert!(untried.is_empty(), "{untried:?}");
}

static PLATFORMS: LazyLock<Platforms> = LazyLock::new(Platforms::builtin);

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { cases: 300, failure_persistence: None, ..Default::default() })]

    /// Whatever comes over the wire, reading it ends, without a panic.
    #[test]
    fn noise_is_survived(noise in "\\PC{0,40}[\u{1b}\\[\\]0-9;KDm\r\n\u{8}\0 ]{0,60}(show version)?\\PC{0,40}") {
        for profile in PLATFORMS.iter() {
            let _ = parse::parse(profile, &noise);
        }
        let _ = parse::detect(&PLATFORMS, &noise);
    }
}

#[test]
fn members_patches_and_what_boots_next() {
    let platforms = Platforms::builtin();
    let facts = |platform: &str, text: &str| {
        parse::parse(platforms.find(platform).unwrap(), text).unwrap().facts.more.unwrap()
    };
    let stack = facts(
        "cisco_xe",
        "Cisco IOS Software [Cupertino], Catalyst L3 Switch Software (CAT9K_IOSXE), Version 17.9.4a, RELEASE\n\
         System Serial Number               : FCW9908L0XY\n\
         *    1 65    C9300-48U          17.09.04a         CAT9K_IOSXE           INSTALL\n\
         \x20    2 65    C9300-24U          17.09.03          CAT9K_IOSXE           INSTALL\n",
    );
    let members: Vec<_> = stack
        .members
        .iter()
        .map(|m| (m.name.as_str(), m.version.as_ref().unwrap().as_str(), m.model.as_deref().unwrap()))
        .collect();
    assert_eq!(members, [("1", "17.09.04a", "C9300-48U"), ("2", "17.09.03", "C9300-24U")]);
    let patched =
        facts("huawei_smartax", "  VERSION : MA5600V800R018C10\n  PATCH   : SPC209\n  PRODUCT : MA5608T\n");
    assert_eq!(patched.patches, ["SPC209"]);
    let units = "unit active      backup      current-active next-active\n1    6.5.4.9     6.3.2.7     6.5.4.9        6.6.1.1\n";
    assert_eq!(facts("dell_powerconnect", units).next_boot.as_deref(), Some("6.6.1.1"));
    let many: String = (0..500).map(|at| format!("  PATCH   : P{at}\n")).collect();
    let text = format!("  VERSION : MA5600V800R018C10\n{many}");
    assert_eq!(facts("huawei_smartax", &text).patches.len(), versweep::facts::LIST_MAX);
}

#[test]
fn versions_have_names_to_look_up_cves_by() {
    let platforms = Platforms::builtin();
    let cpe =
        |platform: &str, version: &str| platforms.find(platform).unwrap().cpe_of(&Version::new(version));
    assert_eq!(cpe("cisco_ios", "15.2(7)E10").unwrap(), "cpe:2.3:o:cisco:ios:15.2\\(7\\)e10:*:*:*:*:*:*:*");
    assert_eq!(cpe("junos", "21.4R3-S3.4").unwrap(), "cpe:2.3:o:juniper:junos:21.4:r3-s3:*:*:*:*:*:*");
    assert_eq!(cpe("panos", "10.2.7-h8").unwrap(), "cpe:2.3:o:paloaltonetworks:pan-os:10.2.7:h8:*:*:*:*:*:*");
    assert_eq!(
        cpe("junos", "22.4R2-S1.6-EVO").unwrap(),
        "cpe:2.3:o:juniper:junos_os_evolved:22.4:r2-s1:*:*:*:*:*:*"
    );
    assert_eq!(
        cpe("brocade_fos", "v9.1.1b").unwrap(),
        "cpe:2.3:o:broadcom:fabric_operating_system:9.1.1b:*:*:*:*:*:*:*"
    );
    assert_eq!(cpe("frr", "8.4.4"), None);
    let purl = platforms.find("comware").unwrap().purl_of(&Version::new("7.1.070, Release 3507P18"));
    assert_eq!(purl, "pkg:generic/hp_comware@7.1.070%2C%20Release%203507P18");
}
