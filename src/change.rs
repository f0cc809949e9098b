//! What changed on a device between its last known facts and a new answer.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::device::DeviceId;
use crate::observation::SweepId;

/// The kinds of change (rule 13). The name is the metric label and the event type, so variants are an API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// A newer version by the platform's ordering.
    Upgrade,
    /// An older version by the platform's ordering.
    Downgrade,
    /// Another version that can't be ordered against the last one.
    Other,
    /// The boot image differs, the version doesn't.
    Image,
    /// Another device stands in its place: serial number or model differ.
    Replaced,
    /// It booted since the last visit and runs the same version.
    Rebooted,
    /// It has failed `down_after` times in a row.
    Unreachable,
    /// It answers again after `unreachable`.
    Recovered,
    /// Read differently by a newer profile; the device itself may be the same. Never an alert.
    Parser,
}

impl ChangeKind {
    /// All kinds, in the order of the documentation.
    pub const ALL: [Self; 9] = [
        Self::Upgrade,
        Self::Downgrade,
        Self::Other,
        Self::Image,
        Self::Replaced,
        Self::Rebooted,
        Self::Unreachable,
        Self::Recovered,
        Self::Parser,
    ];

    /// The name used in metrics, the store, events and JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Upgrade => "upgrade",
            Self::Downgrade => "downgrade",
            Self::Other => "other",
            Self::Image => "image",
            Self::Replaced => "replaced",
            Self::Rebooted => "rebooted",
            Self::Unreachable => "unreachable",
            Self::Recovered => "recovered",
            Self::Parser => "parser",
        }
    }

    /// The kind of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// Whether the running version itself is another one now.
    #[must_use]
    pub fn is_version_change(self) -> bool {
        matches!(self, Self::Upgrade | Self::Downgrade | Self::Other)
    }

    /// Whether the device itself is different now: not merely reachable, rebooted or read anew.
    #[must_use]
    pub fn is_of_facts(self) -> bool {
        self.is_version_change() || matches!(self, Self::Image | Self::Replaced)
    }
}

impl fmt::Display for ChangeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One change of one device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Which device.
    pub device: DeviceId,
    /// The sweep that found it.
    pub sweep: SweepId,
    /// When it was found: the end of the visit.
    pub at: Timestamp,
    /// What kind.
    pub kind: ChangeKind,
    /// What was there before; empty where nothing was.
    pub before: String,
    /// What is there now.
    pub after: String,
}

impl Change {
    /// The identity of the change and of its event: the same across retries, restarts and sinks, because one sweep
    /// finds one change of a kind on a device at most once.
    #[must_use]
    pub fn id(&self) -> String {
        format!("{}:{}:{}", self.sweep, self.kind, self.device)
    }
}
