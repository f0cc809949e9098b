//! The seeds of the fuzz targets, and a few thousand of their offspring, for ordinary tests.

use std::fs;
use std::path::{Path, PathBuf};

/// How many mutants of each seed are tried: enough to go some way from it, few enough for a test.
const MUTANTS: usize = 100;

/// Gives every seed of a target, and mutants of it that are the same at each run, to `check`.
pub(crate) fn replay(target: &str, check: impl Fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target);
    let mut files: Vec<PathBuf> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let seeds: Vec<Vec<u8>> = files.iter().map(|file| fs::read(file).unwrap()).collect();
    assert!(!seeds.is_empty(), "{} has no seeds", folder.display());
    let mut random = fastrand::Rng::with_seed(1);
    for seed in &seeds {
        check(seed);
        let mut mutant = seed.clone();
        for round in 0..MUTANTS {
            // Some way from the seed, then from the seed again.
            if round % 10 == 0 {
                mutant.clone_from(seed);
            }
            let other = random.choice(&seeds).unwrap();
            mutate(&mut mutant, other, &mut random);
            check(&mutant);
        }
    }
}

fn mutate(bytes: &mut Vec<u8>, other: &[u8], random: &mut fastrand::Rng) {
    let at = random.usize(..=bytes.len());
    let to = random.usize(at..=bytes.len()).min(at + 64);
    match random.u8(..5) {
        0 => drop(bytes.drain(at..to)),
        1 => bytes.extend_from_within(at..to),
        2 => bytes.insert(at, random.u8(..)),
        3 => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << random.u8(..8)),
        _ => {
            let from = random.usize(..=other.len());
            let piece = other.iter().skip(from).take(32).copied();
            bytes.splice(at..at, piece.collect::<Vec<_>>());
        }
    }
}
