//! `versweep::dialogue::fuzzing::manners` says what is checked.
#![no_main]

use libfuzzer_sys::fuzz_target;
use versweep::dialogue::fuzzing::manners;

fuzz_target!(|bytes: &[u8]| manners(bytes));
