//! What changed on a device between its last known facts and a new answer, and around it: its place in the inventory, its
//! host key, its standing by a policy. And what changed with a source of the inventory.

use std::fmt;
use std::sync::Arc;

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
    /// Patches came or went, the version is the same.
    Patched,
    /// The boot image differs, the version doesn't.
    Image,
    /// The members of a stack or chassis differ: one came, went, was exchanged, or runs another version.
    Members,
    /// Another device stands in its place: serial number or model differ.
    Replaced,
    /// It shows another host key than the known one, so nobody logs in.
    HostKey,
    /// It answered for the first time. News, never an alert: nothing changed.
    FirstSeen,
    /// The inventory no longer has it.
    Removed,
    /// The inventory has it again.
    Returned,
    /// Its source, which knows it by a stable identity, calls it by another name.
    Renamed,
    /// It has failed `down_after` times in a row.
    Unreachable,
    /// It answers again after `unreachable`.
    Recovered,
    /// It booted since the last visit and runs the same version.
    Rebooted,
    /// What it runs no longer complies with a policy that covers it.
    PolicyLost,
    /// What it runs complies again.
    PolicyRegained,
    /// Read differently by a newer profile; the device itself may be the same. Never an alert.
    Parser,
    /// It changes to and fro; its single changes are not told until it is calm.
    Flapping,
    /// A source of the inventory can't be used, and its last good list stays in force.
    SourceFailed,
    /// A source of the inventory is good again.
    SourceRecovered,
}

impl ChangeKind {
    /// All kinds, in the order of the documentation.
    pub const ALL: [Self; 21] = [
        Self::Upgrade,
        Self::Downgrade,
        Self::Other,
        Self::Patched,
        Self::Image,
        Self::Members,
        Self::Replaced,
        Self::HostKey,
        Self::FirstSeen,
        Self::Removed,
        Self::Returned,
        Self::Renamed,
        Self::Unreachable,
        Self::Recovered,
        Self::Rebooted,
        Self::PolicyLost,
        Self::PolicyRegained,
        Self::Parser,
        Self::Flapping,
        Self::SourceFailed,
        Self::SourceRecovered,
    ];

    /// The name used in metrics, the store, events and JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Upgrade => "upgrade",
            Self::Downgrade => "downgrade",
            Self::Other => "other",
            Self::Patched => "patched",
            Self::Image => "image",
            Self::Members => "members",
            Self::Replaced => "replaced",
            Self::HostKey => "host_key",
            Self::FirstSeen => "first_seen",
            Self::Removed => "removed",
            Self::Returned => "returned",
            Self::Renamed => "renamed",
            Self::Unreachable => "unreachable",
            Self::Recovered => "recovered",
            Self::Rebooted => "rebooted",
            Self::PolicyLost => "policy_lost",
            Self::PolicyRegained => "policy_regained",
            Self::Parser => "parser",
            Self::Flapping => "flapping",
            Self::SourceFailed => "source_failed",
            Self::SourceRecovered => "source_recovered",
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
        self.is_version_change()
            || matches!(self, Self::Patched | Self::Image | Self::Members | Self::Replaced)
    }
}

impl fmt::Display for ChangeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Who changed. A name of one sort is never taken for one of the other.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Whose {
    /// A device.
    Device(DeviceId),
    /// A source of the inventory, by its name: no device, wherever devices are listed, counted or selected.
    Source(Arc<str>),
}

impl Whose {
    /// The device, where it is one.
    #[must_use]
    pub fn device(&self) -> Option<&DeviceId> {
        match self {
            Self::Device(device) => Some(device),
            Self::Source(_) => None,
        }
    }

    /// The inventory source's name, where it is one.
    #[must_use]
    pub fn source(&self) -> Option<&str> {
        match self {
            Self::Device(_) => None,
            Self::Source(source) => Some(source),
        }
    }

    /// The name alone; what it is a name of, the kind of the change says.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Device(device) => device.as_str(),
            Self::Source(source) => source,
        }
    }
}

impl From<DeviceId> for Whose {
    fn from(device: DeviceId) -> Self {
        Self::Device(device)
    }
}

impl fmt::Display for Whose {
    /// For people: no device can have a name with a space in it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Device(device) => device.fmt(f),
            Self::Source(source) => write!(f, "inventory source {source}"),
        }
    }
}

/// One change of one device, or of one source of the inventory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Of whom.
    pub of: Whose,
    /// The sweep that found it; absent where none did, such as for a device that left the inventory at a reload.
    pub sweep: Option<SweepId>,
    /// When it was found: the end of the visit, the reload, or the look at the source.
    pub at: Timestamp,
    /// What kind.
    pub kind: ChangeKind,
    /// What the kind is about where one sweep may find several: the policy of `policy_lost` and `policy_regained`, and
    /// `facts` or `reachability` for `flapping`; empty for all others.
    pub subject: String,
    /// What was there before; empty where nothing was.
    pub before: String,
    /// What is there now.
    pub after: String,
    /// Why it is taken for this kind, for people.
    pub why: String,
    /// Whether more than one reading says so; `false` only for what was read once.
    pub confirmed: bool,
}

impl Change {
    /// The identity of the change and of its event: the same across retries, restarts and sinks. One sweep finds one
    /// change of a kind and subject on a device at most once; outside sweeps the instant takes the sweep's place.
    #[must_use]
    pub fn id(&self) -> String {
        let found = match self.sweep {
            Some(sweep) => sweep.to_string(),
            // As fine as the store keeps it, or a restart would change it.
            None => self.at.timestamp_micros().to_string(),
        };
        let colon = if self.subject.is_empty() { "" } else { ":" };
        format!("{found}:{}:{}{colon}{}", self.kind, self.of.name(), self.subject)
    }

    /// The device, where it is one's.
    #[must_use]
    pub fn device(&self) -> Option<&DeviceId> {
        self.of.device()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_found_by_its_name() {
        for kind in ChangeKind::ALL {
            assert_eq!(ChangeKind::from_name(kind.as_str()), Some(kind));
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
        assert_eq!(ChangeKind::from_name("Upgrade"), None);
    }

    #[test]
    fn an_identity_names_where_it_was_found_and_what_it_is_about() {
        let at = Timestamp::from_timestamp(1_790_000_000, 123_456_789).unwrap();
        let mut change = Change {
            of: DeviceId::new("core1").unwrap().into(),
            sweep: Some("01900000-0000-7000-8000-000000000001".parse().unwrap()),
            at,
            kind: ChangeKind::Upgrade,
            subject: String::new(),
            before: "1".into(),
            after: "2".into(),
            why: String::new(),
            confirmed: true,
        };
        assert_eq!(change.id(), "01900000-0000-7000-8000-000000000001:upgrade:core1");
        change = Change { sweep: None, kind: ChangeKind::PolicyLost, subject: "core-xr".into(), ..change };
        assert_eq!(change.id(), "1790000000123456:policy_lost:core1:core-xr");
        let of = Whose::Source("sd".into());
        change = Change { of, kind: ChangeKind::SourceFailed, subject: String::new(), ..change };
        assert_eq!(change.id(), "1790000000123456:source_failed:sd");
    }
}
