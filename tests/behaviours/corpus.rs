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
        let profile = platforms.find(&sample.platform).unwrap_or_else(|| panic!("no {}", sample.platform));
        let text = fs::read_to_string(folder.join(&sample.file)).unwrap();
        let read = parse::parse(profile, &text);
        let detected = parse::detect(&platforms, &text).map(|profile| profile.key.to_string());
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
        if let Ok(reading) = &read {
            for (field, right) in fields_right(&reading.facts, &sample.expected) {
                if sample.expected_from == "source" {
                    score(field, right, &reading.facts);
                } else if !right {
                    report(&format!(
                        "{} {field} (derived): {:?} for {:?}",
                        sample.id, reading.facts, sample.expected
                    ));
                }
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
        let least = match field {
            "version" => 100,
            "detected" => 97,
            _ => 95,
        };
        let least = of * least;
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

/// What sources write: words, `6w5d11h55m45s`, a clock, the output of uptime(1). Read here by other means than the
/// library's.
fn seconds(words: &str) -> u64 {
    // `14:40:15 up 3 min,  1 user,  load average: ...`
    let words = words.split(" up ").last().unwrap().split(" user").next().unwrap();
    let words =
        words.trim_end_matches(|c: char| c.is_ascii_digit() && words.contains(",  ")).replace("(s)", "");
    let mut total = 0;
    let mut number = String::new();
    let mut clock: Vec<u64> = Vec::new();
    let mut in_unit = false;
    for c in words.chars().chain(" ".chars()) {
        match c {
            '0'..='9' => {
                in_unit = false;
                number.push(c);
            }
            ':' => clock.push(std::mem::take(&mut number).parse().unwrap()),
            'a'..='z' if !in_unit && !number.is_empty() => {
                let unit = match c {
                    'y' => 31_536_000,
                    'w' => 604_800,
                    'd' => 86_400,
                    'h' => 3_600,
                    'm' => 60,
                    _ => 1,
                };
                total += std::mem::take(&mut number).parse::<u64>().unwrap() * unit;
                in_unit = true;
            }
            _ if !clock.is_empty() && !number.is_empty() => {
                clock.push(std::mem::take(&mut number).parse().unwrap());
                let minutes_and_hours = clock.len() == 2;
                let clock = clock.drain(..).fold(0, |sum, part| sum * 60 + part);
                total += if minutes_and_hours { clock * 60 } else { clock };
            }
            _ => {}
        }
    }
    total
}

fn print_table(table: &BTreeMap<(String, &str), Score>) {
    report(&format!("{:<22}{}", "", FIELDS.map(|field| format!("{field:>10}")).concat()));
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
fn no_other_profile_reads_another_version_unnoticed() {
    let Some((folder, samples)) = corpus() else { return };
    let platforms = Platforms::builtin();
    let mut wrong = Vec::new();
    for sample in &samples {
        let text = fs::read_to_string(folder.join(&sample.file)).unwrap();
        let detected = parse::detect(&platforms, &text).map(|profile| profile.key.as_str());
        for profile in platforms.iter().filter(|profile| profile.key.as_str() != sample.platform) {
            let Ok(reading) = parse::parse(profile, &text) else { continue };
            let right = sample.accept_versions.iter().any(|v| v == reading.facts.version.as_str());
            if !right && detected.is_none_or(|detected| detected == profile.key.as_str()) {
                wrong.push(format!("{} read by {}: {}", sample.id, profile.key, reading.facts.version));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Every line cut, every line dropped, another sample behind: the version is right, or there is none.
#[test]
fn a_spoilt_answer_is_never_another_version() {
    let Some((folder, samples)) = corpus() else { return };
    let platforms = Platforms::builtin();
    let texts: Vec<String> =
        samples.iter().map(|sample| fs::read_to_string(folder.join(&sample.file)).unwrap()).collect();
    let mut wrong = Vec::new();
    let mut check = |sample: &Sample, text: &str, what: &str, blind: bool| {
        let profile = platforms.find(&sample.platform).unwrap();
        let detected = if blind { None } else { parse::detect(&platforms, text) };
        for profile in [Some(profile), detected].into_iter().flatten() {
            let Ok(reading) = parse::parse(profile, text) else { continue };
            if !sample.accept_versions.iter().any(|v| v == reading.facts.version.as_str()) {
                wrong.push(format!("{} {what}: {} reads {}", sample.id, profile.key, reading.facts.version));
            }
        }
    };
    for (sample, text) in samples.iter().zip(&texts) {
        // Past the first hundred lines stand ports, licences and packages.
        let lines: Vec<&str> = text.split_inclusive('\n').take(100).collect();
        for at in 0..lines.len() {
            check(sample, &lines[..at].concat(), &format!("cut at line {at}"), false);
            check(
                sample,
                &[&lines[..at], &lines[at + 1..]].concat().concat(),
                &format!("without line {at}"),
                false,
            );
        }
    }
    for (at, (sample, text)) in samples.iter().zip(&texts).enumerate() {
        for (step, (other, foreign)) in samples.iter().zip(&texts).enumerate() {
            if other.platform != sample.platform && (step + at) % 5 == 0 {
                check(sample, &format!("{text}\n{foreign}"), &format!("before {}", other.id), true);
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// Cut at any byte of a line that gives the version, and at bytes all over: the version is right, or there is none; and so
/// is each other field. Only what says of itself that its value may end an answer is believed there.
#[test]
fn an_answer_cut_within_a_line_is_never_another_one() {
    let Some((folder, samples)) = corpus() else { return };
    let platforms = Platforms::builtin();
    let mut wrong = Vec::new();
    for (at, sample) in samples.iter().enumerate() {
        let text = fs::read_to_string(folder.join(&sample.file)).unwrap();
        let profile = platforms.find(&sample.platform).unwrap();
        let whole = parse::parse(profile, &text).unwrap();
        if profile.source.split("[[pattern]]").any(|pattern| {
            pattern.contains(&format!("name = \"{}\"", whole.pattern))
                && pattern.contains("unterminated = true")
        }) {
            continue;
        }
        for cut in cuts(&text, whole.facts.version.as_str(), at) {
            let Ok(read) = parse::parse(profile, &text[..cut]) else { continue };
            if let Some(field) = differs(&read.facts, &whole.facts) {
                wrong.push(format!("{} cut at byte {cut}, {field}: {:?}", sample.id, read.facts));
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

fn cuts(text: &str, version: &str, seed: usize) -> Vec<usize> {
    let mut cuts: Vec<usize> = (seed % 37..text.len()).step_by(37).collect();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        if line.contains(version) {
            cuts.extend(start..start + line.len());
        }
        start += line.len();
    }
    cuts.retain(|cut| text.is_char_boundary(*cut));
    cuts
}

/// The field in which a piece says something else than the whole.
fn differs(piece: &Facts, whole: &Facts) -> Option<&'static str> {
    let alike = |piece: &Option<String>, whole: &Option<String>| piece.is_none() || piece == whole;
    [
        ("version", piece.version == whole.version),
        ("model", alike(&piece.model, &whole.model)),
        ("serial", alike(&piece.serial, &whole.serial)),
        ("hostname", alike(&piece.hostname, &whole.hostname)),
        ("image", alike(&piece.image, &whole.image)),
        ("uptime", piece.uptime.is_none() || piece.uptime == whole.uptime),
    ]
    .into_iter()
    .find_map(|(field, right)| (!right).then_some(field))
}
