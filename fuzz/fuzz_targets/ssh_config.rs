//! `versweep::ssh_config::fuzzing::ssh_config` says what is checked.
#![no_main]

use libfuzzer_sys::fuzz_target;
use versweep::ssh_config::fuzzing::ssh_config;

fuzz_target!(|text: &str| ssh_config(text));
