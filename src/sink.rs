//! Where change events go. A sink delivers a handful of events in order, or says how far it came; which events are next,
//! and when to try again, is the courier's matter.

mod journal;
mod jsonl;

use std::io;

pub use self::journal::{Journal, SOCKET, message_id};
pub use self::jsonl::{JsonLine, Jsonl};
use crate::event::Event;

/// A place for events.
#[derive(Debug)]
pub enum Sink {
    /// The systemd journal.
    Journal(Journal),
    /// A file of JSON lines.
    Jsonl(Jsonl),
}

/// How far a delivery came.
#[derive(Debug)]
pub struct Delivery {
    /// So many events of the beginning are delivered for good.
    pub count: usize,
    /// What stopped the others.
    pub error: Option<io::Error>,
}

impl Sink {
    /// Delivers events in order. Blocks; from async code use `spawn_blocking`.
    #[must_use]
    pub fn deliver(&mut self, events: &[Event]) -> Delivery {
        match self {
            Self::Journal(journal) => journal.deliver(events),
            Self::Jsonl(jsonl) => jsonl.deliver(events),
        }
    }
}
