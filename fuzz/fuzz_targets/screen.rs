//! `versweep::dialogue::fuzzing::screen` says what is checked.
#![no_main]

use libfuzzer_sys::fuzz_target;
use versweep::dialogue::fuzzing::screen;

fuzz_target!(|bytes: &[u8]| screen(bytes));
