//! `versweep::dialogue::fuzzing::prompt` says what is checked.
#![no_main]

use libfuzzer_sys::fuzz_target;
use versweep::dialogue::fuzzing::prompt;

fuzz_target!(|text: &str| prompt(text));
