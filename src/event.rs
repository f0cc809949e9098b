//! What is told to the outside: a change with its place in the order of all events, or a digest of many that are alike.

use std::fmt;

use crate::change::{Change, ChangeKind};
use crate::clock::Timestamp;
use crate::device::{DeviceId, Labels, PlatformChoice, PlatformKey, Selector};
use crate::text::tamed;

mod digest;
mod template;

pub use digest::{DEVICES_MAX, Digest, Fold, fold};
pub use template::{PLACES, Template, TemplateError};

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
    /// The model that it told, as it was when this happened.
    pub model: Option<String>,
    /// The labels that the inventory gave it when this happened.
    pub labels: Labels,
}

/// How much somebody should care.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// News that nobody has to act on.
    Info,
    /// Likely planned, and worth knowing.
    Notice,
    /// Likely unwanted.
    Warning,
}

impl Severity {
    /// All, the least first.
    pub const ALL: [Self; 3] = [Self::Info, Self::Notice, Self::Warning];

    /// How much a kind of change matters.
    #[must_use]
    pub fn of(kind: ChangeKind) -> Self {
        match kind {
            ChangeKind::Unreachable
            | ChangeKind::Replaced
            | ChangeKind::Downgrade
            | ChangeKind::HostKey
            | ChangeKind::Removed
            | ChangeKind::PolicyLost
            | ChangeKind::Flapping
            | ChangeKind::SourceFailed => Self::Warning,
            ChangeKind::Upgrade
            | ChangeKind::Other
            | ChangeKind::Patched
            | ChangeKind::Image
            | ChangeKind::Members
            | ChangeKind::Rebooted
            | ChangeKind::Recovered
            | ChangeKind::Returned
            | ChangeKind::Renamed
            | ChangeKind::PolicyRegained
            | ChangeKind::SourceRecovered => Self::Notice,
            ChangeKind::Parser | ChangeKind::FirstSeen => Self::Info,
        }
    }

    /// The name used in the configuration and in events.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Notice => "notice",
            Self::Warning => "warning",
        }
    }

    /// The severity of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|severity| severity.as_str() == name)
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Which events a sink is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The kinds; empty for all.
    pub kinds: Vec<ChangeKind>,
    /// At least this much.
    pub severity: Severity,
    /// Of which devices. A source of the inventory has no labels, so that whoever selects is not told of one.
    pub select: Selector,
}

impl Default for Route {
    fn default() -> Self {
        Self { kinds: Vec::new(), severity: Severity::Info, select: Selector::default() }
    }
}

impl Route {
    /// Whether an event goes this way.
    #[must_use]
    pub fn takes(&self, event: &Event) -> bool {
        let kind = event.change.kind;
        let platform = event.platform.clone().map_or(PlatformChoice::Auto, PlatformChoice::Named);
        (self.kinds.is_empty() || self.kinds.contains(&kind))
            && Severity::of(kind) >= self.severity
            && match event.change.device() {
                Some(device) => self.select.chooses(device, &platform, &event.labels),
                None => self.select.0.is_empty(),
            }
    }
}

/// One thing to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Post {
    /// An event.
    Event(Event),
    /// Many events of one sweep that are alike.
    Digest(Digest),
}

impl Post {
    /// The stable identity: the same across retries, restarts and sinks.
    #[must_use]
    pub fn id(&self) -> String {
        match self {
            Self::Event(event) => event.id(),
            Self::Digest(digest) => digest.id(),
        }
    }

    /// Its place in the order of all events.
    #[must_use]
    pub fn sequence(&self) -> i64 {
        match self {
            Self::Event(event) => event.sequence,
            Self::Digest(digest) => digest.sequence,
        }
    }

    /// The kind of the change, or of all changes.
    #[must_use]
    pub fn kind(&self) -> ChangeKind {
        match self {
            Self::Event(event) => event.change.kind,
            Self::Digest(digest) => digest.kind,
        }
    }

    /// When it was found; of a digest, the last of its changes.
    #[must_use]
    pub fn at(&self) -> Timestamp {
        match self {
            Self::Event(event) => event.change.at,
            Self::Digest(digest) => digest.at,
        }
    }

    /// The device, where it is one.
    #[must_use]
    pub fn device(&self) -> Option<&DeviceId> {
        match self {
            Self::Event(event) => event.change.device(),
            Self::Digest(_) => None,
        }
    }

    /// The source of the inventory, where it is one's.
    #[must_use]
    pub fn source(&self) -> Option<&str> {
        match self {
            Self::Event(event) => event.change.of.source(),
            Self::Digest(_) => None,
        }
    }

    /// One sentence for people, safe for logs and terminals.
    #[must_use]
    pub fn message(&self) -> String {
        match self {
            Self::Event(event) => event.message(),
            Self::Digest(digest) => digest.message(),
        }
    }
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
        let Change { of, kind, .. } = &self.change;
        let device = clean(&of.to_string());
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
            ChangeKind::Renamed => {
                format!("{device} is what was {before}: its source calls it by another name")
            }
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
            ChangeKind::SourceFailed => {
                format!("{device} can't be used ({after}): {}", clean(&self.change.why))
            }
            ChangeKind::SourceRecovered => format!("{device} is good again, it was {before}"),
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

    fn flapping(before: &str, after: &str) -> String {
        let change = Change {
            of: DeviceId::new("core1").unwrap().into(),
            sweep: None,
            at: Timestamp::UNIX_EPOCH,
            kind: ChangeKind::Flapping,
            subject: "facts".into(),
            before: before.into(),
            after: after.into(),
            why: String::new(),
            confirmed: true,
        };
        Event { sequence: 1, change, platform: None, model: None, labels: Labels::default() }.message()
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
