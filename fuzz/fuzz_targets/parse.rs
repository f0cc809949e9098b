//! `versweep::parse::fuzzing::answer` says what is checked.
#![no_main]

use libfuzzer_sys::fuzz_target;
use versweep::parse::fuzzing::answer;

fuzz_target!(|text: &str| answer(text));
