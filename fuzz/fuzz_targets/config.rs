//! Reads any text as a configuration: it is taken or refused with messages, never a panic.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use versweep::config;

fuzz_target!(|text: &str| {
    let draft = config::draft_str(Path::new("fuzz.toml"), text, &|_| None);
    let _ = draft.problems.to_string();
});
