//! Reads any text as a device's answer: detection, then every profile. Nothing may panic, run away, or come out
//! unbounded or unprintable.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use versweep::parse::{VALUE_MAX, detect, parse};
use versweep::platform::Platforms;

static PLATFORMS: LazyLock<Platforms> = LazyLock::new(Platforms::builtin);

fuzz_target!(|answer: &str| {
    let _ = detect(&PLATFORMS, answer);
    for profile in PLATFORMS.iter() {
        if let Ok(reading) = parse(profile, answer) {
            let version = reading.facts.version.as_str();
            assert!(!version.is_empty() && version.chars().count() <= VALUE_MAX);
            assert!(!version.chars().any(char::is_control));
        }
    }
});
