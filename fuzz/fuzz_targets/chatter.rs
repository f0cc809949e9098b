//! `versweep::dialogue::fuzzing::chatter` says what is checked.
#![no_main]

use libfuzzer_sys::fuzz_target;
use versweep::dialogue::fuzzing::chatter;

fuzz_target!(|bytes: &[u8]| chatter(bytes));
