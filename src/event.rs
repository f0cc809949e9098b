//! What is told to the outside: a change with its place in the order of all events.

use std::fmt::Write as _;

use crate::change::{Change, ChangeKind};
use crate::device::PlatformKey;

/// The longest text of a device's own making that goes into an event, in characters.
pub const TEXT_MAX: usize = 256;

/// One event, as the outbox holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its place in the order of all events: it grows, and gaps mean nothing.
    pub sequence: i64,
    /// What happened.
    pub change: Change,
    /// The platform that the device answered as; absent when it never answered.
    pub platform: Option<PlatformKey>,
}

impl Event {
    /// The stable identity: the same across retries, restarts and sinks.
    #[must_use]
    pub fn id(&self) -> String {
        self.change.id()
    }

    /// One sentence for people, safe for logs and terminals.
    #[must_use]
    pub fn message(&self) -> String {
        let Change { device, kind, .. } = &self.change;
        let (before, after) = (clean(&self.change.before), clean(&self.change.after));
        match kind {
            ChangeKind::Upgrade => format!("{device} was upgraded from {before} to {after}"),
            ChangeKind::Downgrade => format!("{device} was downgraded from {before} to {after}"),
            ChangeKind::Other => format!("{device} changed its version from {before} to {after}"),
            ChangeKind::Image => format!("{device} changed its boot image from {before} to {after}"),
            ChangeKind::Replaced => format!("{device} was replaced: it was {before} and is {after}"),
            ChangeKind::Rebooted => format!("{device} rebooted at {after}, same version"),
            ChangeKind::Unreachable => format!("{device} can't be read any more: {after}"),
            ChangeKind::Recovered => format!("{device} answers again"),
            ChangeKind::Parser => {
                format!("{device} is read differently by a newer profile: {before} is now {after}")
            }
        }
    }
}

/// A device's text made safe: at most [`TEXT_MAX`] characters, those that could move a cursor, break a line or turn the
/// reading direction written as escapes.
#[must_use]
pub fn clean(text: &str) -> String {
    let mut safe = String::with_capacity(text.len().min(TEXT_MAX));
    for (count, character) in text.chars().enumerate() {
        if count == TEXT_MAX {
            safe.push('…');
            break;
        }
        if character.is_control() || is_invisible(character) {
            let _infallible = write!(safe, "\\u{{{:x}}}", u32::from(character));
        } else {
            safe.push(character);
        }
    }
    safe
}

/// Line and paragraph separators, zero-width characters and direction marks.
fn is_invisible(character: char) -> bool {
    matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_devices_is_bounded_and_harmless() {
        assert_eq!(clean("17.9.4\n\u{1b}[2J\u{202e}"), "17.9.4\\u{a}\\u{1b}[2J\\u{202e}");
        let long = clean(&"x".repeat(5000));
        assert_eq!(long.chars().count(), TEXT_MAX + 1);
        assert!(long.ends_with('…'));
    }
}
