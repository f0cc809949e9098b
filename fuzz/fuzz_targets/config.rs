//! `versweep::config::fuzzing::config` says what is checked.
#![no_main]

use libfuzzer_sys::fuzz_target;
use versweep::config::fuzzing::config;

fuzz_target!(|text: &str| config(text));
