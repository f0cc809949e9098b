//! What is told to the outside: a change with its place in the order of all events.

use crate::change::{Change, ChangeKind};
use crate::device::PlatformKey;
use crate::text::tamed;

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
            ChangeKind::Patched => format!("{device} was patched: it had {before} and has {after}"),
            ChangeKind::Image => format!("{device} changed its boot image from {before} to {after}"),
            ChangeKind::Members => format!("{device} has other members: it had {before} and has {after}"),
            ChangeKind::Replaced => format!("{device} was replaced: it was {before} and is {after}"),
            ChangeKind::HostKey => format!("{device} shows another host key, no login was tried: {after}"),
            ChangeKind::FirstSeen => format!("{device} answered for the first time: {after}"),
            ChangeKind::Removed => format!("{device} was removed from the inventory"),
            ChangeKind::Returned => format!("{device} is in the inventory again"),
            ChangeKind::Rebooted => format!("{device} rebooted at {after}, same version"),
            ChangeKind::Unreachable => format!("{device} can't be read any more: {after}"),
            ChangeKind::Recovered => format!("{device} answers again"),
            ChangeKind::PolicyLost => {
                let policy = clean(&self.change.subject);
                format!("{device} no longer complies with policy {policy}: {before} is now {after}")
            }
            ChangeKind::PolicyRegained => {
                let policy = clean(&self.change.subject);
                format!("{device} complies with policy {policy} again: {before} is now {after}")
            }
            // The end of an episode says so in `before`.
            ChangeKind::Flapping if before == ChangeKind::Flapping.as_str() => {
                let axis = clean(&self.change.subject);
                format!("{device} is no longer flapping ({axis}): {after}")
            }
            ChangeKind::Flapping => {
                let axis = clean(&self.change.subject);
                format!("{device} is flapping ({axis}): {after}; told again when it is calm")
            }
            ChangeKind::Parser => {
                format!("{device} is read differently by a newer profile: {before} is now {after}")
            }
        }
    }
}

/// A device's text for logs, events and terminals: bounded, and nothing in it acts.
#[must_use]
pub fn clean(text: &str) -> String {
    tamed(text, TEXT_MAX).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::device::DeviceId;

    fn flapping(before: &str, after: &str) -> String {
        let change = Change {
            device: DeviceId::new("core1").unwrap(),
            sweep: None,
            at: Timestamp::UNIX_EPOCH,
            kind: ChangeKind::Flapping,
            subject: "facts".into(),
            before: before.into(),
            after: after.into(),
            why: String::new(),
            confirmed: true,
        };
        Event { sequence: 1, change, platform: None }.message()
    }

    /// The end of an episode once read as another beginning.
    #[test]
    fn a_device_that_is_calm_again_is_not_said_to_flap() {
        assert_eq!(
            flapping("17.9.4", "17.12.3"),
            "core1 is flapping (facts): 17.12.3; told again when it is calm"
        );
        assert_eq!(
            flapping("flapping", "calm, runs 17.9.4"),
            "core1 is no longer flapping (facts): calm, runs 17.9.4"
        );
    }
}
