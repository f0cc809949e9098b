//! Recorded answers of real devices, where they are at hand: they are not part of this repository.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use versweep::facts::Facts;
use versweep::parse;
use versweep::platform::Platforms;

#[derive(Debug, Deserialize)]
struct Sample {
    id: String,
    platform: String,
    file: String,
    expected: Expected,
    accept_versions: Vec<String>,
    expected_from: String,
}

/// Fields by name; for a stack some are lists, of which the first is the chassis that answers.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
struct Expected(BTreeMap<String, serde_json::Value>);

impl Expected {
    fn get(&self, field: &str) -> Option<&str> {
        let value = self.0.get(field)?;
        value.as_str().or_else(|| value.get(0)?.as_str())
    }
}

/// Samples that are not an answer to a profile's command, and why that is right.
const NOT_READ: [(&str, &str); 2] = [
    ("cisco_xe-genie-12", "answer of `show sdwan version`: a bare number that could be anything's"),
    ("linux-ntc-01", "answer of `pveversion`: a package's version, not the system's"),
];

fn corpus() -> Option<(PathBuf, Vec<Sample>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus");
    let Ok(index) = fs::read_to_string(folder.join("index.jsonl")) else {
        report("skipped: no corpus beside the repository");
        return None;
    };
    let samples = index.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    Some((folder, samples))
}

#[expect(clippy::print_stdout, reason = "a test's report, shown with --nocapture")]
fn report(line: &str) {
    println!("{line}");
}

/// How many of how many.
#[derive(Debug, Default, Clone, Copy)]
struct Score {
    right: u32,
    of: u32,
}

impl Score {
    fn add(&mut self, right: bool) {
        self.right += u32::from(right);
        self.of += 1;
    }
}

const FIELDS: [&str; 7] = ["version", "detected", "model", "serial", "hostname", "image", "uptime"];

#[test]
fn recorded_answers_are_read_right() {
    let Some((folder, samples)) = corpus() else { return };
    let platforms = Platforms::builtin();
    let mut table: BTreeMap<(String, &str), Score> = BTreeMap::new();
    let mut wrong = Vec::new();
    for sample in &samples {
        let Some(profile) = platforms.find(&sample.platform) else { continue };
        let text = fs::read_to_string(folder.join(&sample.file)).unwrap();
        let read = parse::parse(profile, &text);
        let detected = parse::detect(&platforms, &text).map(|profile| profile.key.to_string());
        if NOT_READ.iter().any(|(id, _)| *id == sample.id) {
            assert!(read.is_err() && detected.is_none(), "{} should not be read", sample.id);
            continue;
        }
        let mut score = |field, right: bool, got: &dyn std::fmt::Debug| {
            table.entry((sample.platform.clone(), field)).or_default().add(right);
            if !right {
                wrong.push(format!("{} {field}: {got:?} for {:?}", sample.id, sample.expected));
            }
        };
        score("detected", detected.as_deref() == Some(sample.platform.as_str()), &detected);
        let version_is_right = read
            .as_ref()
            .is_ok_and(|reading| sample.accept_versions.iter().any(|v| v == reading.facts.version.as_str()));
        score("version", version_is_right, &read.as_ref().map(|reading| &reading.facts.version));
        if let Ok(reading) = &read
            && sample.expected_from == "source"
        {
            for (field, right) in fields_right(&reading.facts, &sample.expected) {
                score(field, right, &reading.facts);
            }
        }
    }
    print_table(&table);
    wrong.iter().for_each(|line| report(line));
    let total = |field: &str| {
        table.iter().filter(|((_, of), _)| *of == field).fold(Score::default(), |sum, (_, score)| Score {
            right: sum.right + score.right,
            of: sum.of + score.of,
        })
    };
    for field in FIELDS {
        let Score { right, of } = total(field);
        let least = if matches!(field, "version" | "detected") { of * 100 } else { of * 95 };
        assert!(right * 100 >= least, "{field}: {right} of {of} right");
    }
}

fn fields_right(facts: &Facts, expected: &Expected) -> Vec<(&'static str, bool)> {
    let alike = |got: &Option<String>, expected: &str| {
        // Sources disagree on how much of a name is the model, and on whether the device counts as part of the path.
        got.as_deref().is_some_and(|got| got == expected || got.contains(expected) || expected.contains(got))
    };
    let same = |got: &Option<String>, expected: &str| {
        got.as_deref().is_some_and(|got| got.eq_ignore_ascii_case(expected))
    };
    let mut fields = Vec::new();
    let mut check = |field, right: &dyn Fn(&str) -> bool| {
        if let Some(expected) = expected.get(field) {
            fields.push((field, right(expected)));
        }
    };
    check("model", &|model| alike(&facts.model, model));
    check("serial", &|serial| same(&facts.serial, serial));
    check("hostname", &|hostname| same(&facts.hostname, hostname));
    check("image", &|image| alike(&facts.image, image));
    check("uptime", &|uptime| facts.uptime.map(|uptime| uptime.as_secs()) == Some(seconds(uptime)));
    fields
}

/// The expected uptimes are all in words; read here by other means than the library's.
fn seconds(words: &str) -> u64 {
    let words = words.replace("(s)", "");
    let tokens: Vec<&str> = words.split([' ', ',']).filter(|t| !t.is_empty() && *t != "and").collect();
    let unit = |word: &str| match word.as_bytes()[0] {
        b'y' => 31_536_000,
        b'w' => 604_800,
        b'd' => 86_400,
        b'h' => 3_600,
        b'm' => 60,
        _ => 1,
    };
    tokens.chunks(2).map(|pair| pair[0].parse::<u64>().unwrap() * unit(pair[1])).sum()
}

fn print_table(table: &BTreeMap<(String, &str), Score>) {
    report(&format!("{:<15}{}", "", FIELDS.map(|field| format!("{field:>10}")).concat()));
    let mut keys: Vec<&String> = table.keys().map(|(platform, _)| platform).collect();
    keys.dedup();
    for platform in keys {
        let cells = FIELDS.map(|field| match table.get(&(platform.clone(), field)) {
            Some(Score { right, of }) => format!("{:>10}", format!("{right}/{of}")),
            None => format!("{:>10}", "-"),
        });
        report(&format!("{platform:<15}{}", cells.concat()));
    }
}

#[test]
fn nothing_is_read_from_another_platforms_answer() {
    let Some((folder, samples)) = corpus() else { return };
    let platforms = Platforms::builtin();
    let mut foreign = 0;
    for sample in samples.iter().filter(|sample| platforms.find(&sample.platform).is_none()) {
        let text = fs::read_to_string(folder.join(&sample.file)).unwrap();
        let detected = parse::detect(&platforms, &text).map(|profile| profile.key.as_str());
        assert_eq!(detected, None, "{}", sample.id);
        foreign += 1;
    }
    report(&format!("{foreign} answers of other platforms: none taken for one of ours"));
    for sample in &samples {
        let text = fs::read_to_string(folder.join(&sample.file)).unwrap();
        for profile in platforms.iter().filter(|profile| profile.key.as_str() != sample.platform) {
            // An operator may call an IOS XE device `cisco_ios`, as Netmiko does, and gets the right version.
            let sibling = profile.key.as_str().starts_with("cisco_") && sample.platform.starts_with("cisco_");
            if let Ok(reading) = parse::parse(profile, &text) {
                let right = sample.accept_versions.iter().any(|v| v == reading.facts.version.as_str());
                assert!(sibling && right, "{} read by {}: {}", sample.id, profile.key, reading.facts.version);
            }
        }
    }
}
