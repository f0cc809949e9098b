//! `versweep::transport::ssh::fuzz_known_hosts` says what is checked.
#![no_main]

use libfuzzer_sys::fuzz_target;
use versweep::transport::ssh::fuzz_known_hosts;

fuzz_target!(|text: &str| fuzz_known_hosts(text));
