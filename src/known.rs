//! What is known of the fleet: the last successful facts and the last visit of each device, kept apart, because no
//! answer is never a change (rule 10).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::change::Change;
use crate::clock::Timestamp;
use crate::device::{CredentialId, Device};
use crate::facts::Reading;
use crate::failure::Failure;
use crate::observation::{SshSession, SweepId};
use crate::status::Totals;

/// The last successful answer of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownFacts {
    /// What was read.
    pub reading: Reading,
    /// When it last answered.
    pub seen_at: Timestamp,
    /// Since when it is known to run this version.
    pub version_since: Timestamp,
    /// When it booted, held steady within the jitter of its uptime line.
    pub boot_time: Option<Timestamp>,
}

/// The last visit of a device, answered or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastVisit {
    /// When it ended.
    pub at: Timestamp,
    /// How long it took.
    pub took: Duration,
    /// Why it failed; absent when the device answered.
    pub failure: Option<Failure>,
}

/// All that is known of one device. The default is a device never visited.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Known {
    /// The last successful facts: kept, with their age, however often the device fails.
    pub facts: Option<KnownFacts>,
    /// The last visit.
    pub visit: Option<LastVisit>,
    /// The SSH session of the last visit that came to one.
    pub ssh: Option<Box<SshSession>>,
    /// Failed visits since the last answer.
    pub consecutive_failures: u32,
    /// Whether it was reported unreachable and has not recovered since.
    pub unreachable: bool,
    /// How often its version changed.
    pub version_changes: u64,
    /// When its version last changed; absent when never seen to.
    pub last_version_change: Option<Timestamp>,
    /// Whether a host key that is not the known one was told, and the device has not answered since.
    pub host_key_told: bool,
    /// When the inventory ceased to have it; absent while it is there.
    pub removed: Option<Timestamp>,
    /// Its changes to and fro. Boxed, because most devices have none.
    pub flaps: Option<Box<Flaps>>,
    /// How it stands by each policy that covers it, by the policies' names.
    pub standings: Vec<PolicyStanding>,
    /// What its inventory source last knew it by: it is found again by that when it has another name. Absent where no
    /// source says.
    pub identity: Option<Arc<str>>,
}

/// The changes to and fro of one device, by axis.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Flaps {
    /// Unreachable and back.
    pub reach: Flap,
    /// Versions, parts, boots.
    pub facts: Flap,
}

/// The changes to and fro on one axis. The default is calm.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Flap {
    /// When the last changes were, oldest first; at most as many as make it flap.
    pub recent: Vec<Timestamp>,
    /// Since when `flapping` is told and its single changes are not; absent while they are.
    pub since: Option<Timestamp>,
    /// The version that people last heard of; empty on the axis of reachability.
    pub told: String,
}

static CALM: Flaps = Flaps {
    reach: Flap { recent: Vec::new(), since: None, told: String::new() },
    facts: Flap { recent: Vec::new(), since: None, told: String::new() },
};

impl Known {
    /// Whether the last visit was answered; `None` before the first.
    #[must_use]
    pub fn is_up(&self) -> Option<bool> {
        self.visit.as_ref().map(|visit| visit.failure.is_none())
    }

    /// Its changes to and fro; calm where there are none.
    #[must_use]
    pub fn flaps(&self) -> &Flaps {
        self.flaps.as_deref().unwrap_or(&CALM)
    }

    /// The one word for it.
    #[must_use]
    pub fn reach(&self) -> Reach {
        match (self.is_up(), self.unreachable) {
            (None, _) => Reach::Unvisited,
            (Some(true), _) => Reach::Up,
            (Some(false), false) => Reach::Failing,
            (Some(false), true) => Reach::Unreachable,
        }
    }
}

/// How the last visits left a device: the label `state` of `versweep_devices`, the API's `state`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reach {
    /// The last visit was answered.
    Up,
    /// It was not, too few times in a row to call the device unreachable.
    Failing,
    /// It has failed `down_after` times in a row and not answered since.
    Unreachable,
    /// Not visited yet.
    Unvisited,
}

impl Reach {
    /// All of them, in the order of the documentation.
    pub const ALL: [Self; 4] = [Self::Up, Self::Failing, Self::Unreachable, Self::Unvisited];

    /// The name used in metrics and JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Failing => "failing",
            Self::Unreachable => "unreachable",
            Self::Unvisited => "unvisited",
        }
    }

    /// The one of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reach| reach.as_str() == name)
    }
}

/// What a policy says of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PolicyResult {
    /// It runs what it should.
    Preferred,
    /// It runs what it may.
    Approved,
    /// It runs something else.
    Drifted,
    /// It runs what it must not.
    Banned,
    /// Nobody can say: it was never read, or its version has no order against a ban.
    Unknown,
    /// It was read too long ago.
    Stale,
}

impl PolicyResult {
    /// All of them, in the order of the documentation.
    pub const ALL: [Self; 6] =
        [Self::Preferred, Self::Approved, Self::Drifted, Self::Banned, Self::Unknown, Self::Stale];

    /// The name used in metrics, events and JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Preferred => "preferred",
            Self::Approved => "approved",
            Self::Drifted => "drifted",
            Self::Banned => "banned",
            Self::Unknown => "unknown",
            Self::Stale => "stale",
        }
    }

    /// The one of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|result| result.as_str() == name)
    }
}

/// A policy's result with its reason; all devices that run the same share one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The result.
    pub result: PolicyResult,
    /// Why, for people.
    pub why: String,
}

impl Verdict {
    /// A result with its reason.
    #[must_use]
    pub fn new(result: PolicyResult, why: impl Into<String>) -> Self {
        Self { result, why: why.into() }
    }
}

/// A policy, as those see it who only read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyInfo {
    /// Its name.
    pub name: String,
    /// Since when it asks for what it asks for.
    pub since: Timestamp,
    /// Whom it covers and what it asks for, as one text: when that differs, the policy has changed.
    pub asks: String,
    /// Until when drift from it is no breach; absent without a grace.
    pub grace_until: Option<Timestamp>,
}

/// The last result of a policy that said whether a device complies: what the next one is compared with, also across
/// restarts, times in which nobody can say, and while the device is flapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// Preferred, approved, drifted or banned.
    pub result: PolicyResult,
    /// Whether that was within the policy.
    pub complied: bool,
}

/// One device by one policy that covers it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyStanding {
    /// The policy.
    pub policy: Arc<PolicyInfo>,
    /// What it says now.
    pub verdict: Arc<Verdict>,
    /// Whether the device complies now: preferred, approved, or drifted within the grace of a changed policy; absent where
    /// nobody can say. The value of `versweep_device_compliant`.
    pub complies: Option<bool>,
    /// What people last heard or could have heard of it; absent where it never said anything for sure.
    pub held: Option<Held>,
}

/// One device of the inventory with what is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceState {
    /// The device.
    pub device: Arc<Device>,
    /// What is known.
    pub known: Known,
}

/// The name that a run of chosen devices goes by in the store and in what is told: it belongs to no `[[sweep]]`, and none
/// may have it.
pub const SELECTION: &str = "selection";

/// A sweep that ran, as history keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SweepRecord {
    /// Its identity.
    pub id: SweepId,
    /// The `[[sweep]]` it belongs to, or [`SELECTION`].
    pub name: String,
    /// What started it.
    pub reason: String,
    /// When it began.
    pub started: Timestamp,
    /// When it ended; absent while it runs. One that a crash cut off ended with the last visit that was committed.
    pub ended: Option<Timestamp>,
    /// Devices it was to visit.
    pub devices: u64,
    /// Devices that answered.
    pub answered: u64,
    /// Devices that failed.
    pub failed: u64,
    /// Whether it visited all it was to visit: `false` when it was stopped.
    pub complete: bool,
}

/// A credential whose breaker is open: nobody logs in with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenBreaker {
    /// The credential.
    pub credential: CredentialId,
    /// Since when.
    pub since: Timestamp,
    /// Nobody tries before that instant; then one device that is known to be good may.
    pub until: Timestamp,
}

/// An immutable picture of the fleet, for all that only reads: `/metrics`, pages, the API.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// Every device of the inventory, sorted by name.
    pub devices: Vec<Arc<DeviceState>>,
    /// The latest changes, newest first, bounded.
    pub recent_changes: Vec<Arc<Change>>,
    /// The newest record of each sweep, ended or running; of one that is running also the newest that ended.
    pub last_sweeps: Vec<SweepRecord>,
    /// Of each sweep by name, when the newest complete run ended.
    pub last_complete: BTreeMap<String, Timestamp>,
    /// The breakers that are open, by credential.
    pub breakers: Vec<OpenBreaker>,
    /// The policies in force, by name.
    pub policies: Vec<Arc<PolicyInfo>>,
    /// The counters.
    pub totals: Totals,
}

impl Snapshot {
    /// The device of that name.
    #[must_use]
    pub fn device(&self, name: &str) -> Option<&Arc<DeviceState>> {
        let place = self.devices.binary_search_by(|state| state.device.id.as_str().cmp(name));
        place.ok().map(|place| &self.devices[place])
    }

    /// The newest run of that sweep: the one that is on, or else the last that ended. What the clock said at their starts
    /// doesn't tell, for it may have been set back in between.
    #[must_use]
    pub fn newest_run(&self, sweep: &str) -> Option<&SweepRecord> {
        let running = self.last_sweeps.iter().filter(|run| run.name == sweep && run.ended.is_none());
        running.max_by_key(|run| run.started).or_else(|| self.last_ended(sweep))
    }

    /// The last run of that sweep that ended.
    #[must_use]
    pub fn last_ended(&self, sweep: &str) -> Option<&SweepRecord> {
        self.last_sweeps.iter().rfind(|run| run.name == sweep && run.ended.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By its start, a run of before the clock was set back stayed the newest until the clock had caught up.
    #[test]
    fn the_run_that_is_on_is_the_newest_whatever_the_clock_said() {
        let at = |seconds| Timestamp::from_timestamp(1_790_000_000 + seconds, 0).unwrap();
        let run = |name: &str, started, ended: Option<i64>| SweepRecord {
            id: SweepId::starting(at(started)),
            name: name.to_owned(),
            reason: "schedule".to_owned(),
            started: at(started),
            ended: ended.map(at),
            devices: 1,
            answered: 0,
            failed: 0,
            complete: ended.is_some(),
        };
        let (ahead, on, other) =
            (run("all", 5_000, Some(5_001)), run("all", 3, None), run("core", 9, Some(10)));
        let last_sweeps = vec![on.clone(), ahead.clone(), other.clone()];
        let snapshot = Snapshot { last_sweeps, ..Snapshot::default() };
        assert_eq!(snapshot.newest_run("all"), Some(&on));
        assert_eq!(snapshot.last_ended("all"), Some(&ahead));
        assert_eq!(snapshot.newest_run("core"), Some(&other));
        assert_eq!(snapshot.newest_run("none"), None);
    }
}
