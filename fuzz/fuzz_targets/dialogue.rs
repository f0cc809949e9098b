//! Lets a device say anything, cut in any way, with pauses in between: no panic, no growth, and at most one end.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use versweep::dialogue::{Action, Dialogue, Event, Rules};

fuzz_target!(|pieces: Vec<&[u8]>| {
    let rules = Rules { enable: Some("enable".to_owned()), ..Rules::default() };
    let commands = ["show version".to_owned(), "show clock".to_owned()];
    let mut dialogue = Dialogue::new(&Arc::new(rules), &commands, 4096);
    let mut ends = 0;
    for piece in pieces {
        // An empty piece is a pause.
        let event = if piece.is_empty() { Event::Quiet } else { Event::Bytes(piece) };
        for action in dialogue.step(event) {
            match action {
                Action::Done(outputs) => {
                    ends += 1;
                    assert!(outputs.iter().all(|output| output.len() <= 16 * 4096));
                }
                Action::Fail(_, detail) => {
                    ends += 1;
                    assert!(detail.len() < 1024);
                }
                Action::Send(_) | Action::SendSecret(..) => {}
            }
        }
    }
    dialogue.step(Event::Closed);
    assert!(ends <= 1);
});
