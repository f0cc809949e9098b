//! What it costs to recognise and read an answer. The targets: a mean under 60 microseconds an answer for reading, under
//! 1 ms for detection over all profiles, and under 50 ms for compiling them all, of which a start needs none.

use std::fs;
use std::hint::black_box;
use std::path::{Path, PathBuf};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use versweep::parse;
use versweep::platform::Platforms;

fn answers() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/platforms");
    let children = |folder: &Path| -> Vec<PathBuf> {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).collect()
    };
    let mut answers = Vec::new();
    for folder in children(&root) {
        let platform = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        for file in children(&folder).iter().filter(|file| file.extension().is_some_and(|e| e == "txt")) {
            answers.push((platform.clone(), fs::read_to_string(file).unwrap_or_default()));
        }
    }
    answers
}

fn reading(criterion: &mut Criterion) {
    let platforms = Platforms::builtin();
    let answers = answers();
    let mut group = criterion.benchmark_group("reading");
    group.throughput(Throughput::Elements(answers.len() as u64));
    group.bench_function("detect and parse, all fixtures", |bencher| {
        bencher.iter(|| {
            for (_, text) in &answers {
                let profile = parse::detect(&platforms, black_box(text));
                black_box(profile.map(|profile| parse::parse(profile, text)).is_some());
            }
        });
    });
    group.bench_function("parse, all fixtures", |bencher| {
        bencher.iter(|| {
            for (platform, text) in &answers {
                let profile = platforms.find(platform);
                black_box(profile.map(|profile| parse::parse(profile, black_box(text))).is_some());
            }
        });
    });
    group.bench_function("detect alone over all profiles, all fixtures", |bencher| {
        bencher.iter(|| {
            for (_, text) in &answers {
                black_box(parse::detect(&platforms, black_box(text)).is_some());
            }
        });
    });
    group.finish();
    // The mean hides the dearest: every pattern goes over every line of the longest answer.
    if let Some((platform, longest)) = answers.iter().max_by_key(|(_, text)| text.len()) {
        let name = format!("detect alone, the longest fixture ({platform}, {} bytes)", longest.len());
        criterion.bench_function(&name, |bencher| {
            bencher.iter(|| black_box(parse::detect(&platforms, black_box(longest)).is_some()));
        });
    }
    // What a start does: it compiles none.
    criterion.bench_function("start: the list of profiles", |bencher| {
        bencher.iter(|| black_box(Platforms::builtin_anew().keys().count()));
    });
    // A start compiles none; who asks for all, as the first detection does, waits this long, once a process.
    criterion.bench_function("compile one profile", |bencher| {
        bencher.iter(|| black_box(Platforms::builtin_anew().find("cisco_ios").is_some()));
    });
    let mut slow = criterion.benchmark_group("all profiles");
    slow.sample_size(20);
    slow.bench_function("compile", |bencher| {
        bencher.iter(|| black_box(Platforms::builtin_anew().iter().count()))
    });
    slow.finish();
}

criterion_group!(benches, reading);
criterion_main!(benches);
