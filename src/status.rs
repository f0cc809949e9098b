//! What the daemon is doing now, and the counters that outlive a restart: plain numbers, for `/metrics` and pages.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::change::ChangeKind;
use crate::clock::Timestamp;
use crate::device::CredentialId;
use crate::failure::{FailureKind, Stage};
use crate::observation::SweepId;

/// What one sweep is doing now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SweepStatus {
    /// The run that is on; absent between runs.
    pub running: Option<SweepId>,
    /// Devices that this run is to visit.
    pub total: usize,
    /// Devices being visited at this moment.
    pub busy: usize,
    /// Devices that answered in this run.
    pub answered: usize,
    /// Devices that failed in this run.
    pub failed: usize,
    /// Of those that answered or failed, the ones that another sweep visited for this one.
    pub fresh: usize,
    /// When the next run is due by the schedule.
    pub next: Option<Timestamp>,
}

impl SweepStatus {
    /// The part of the run that is done, 0 to 1; 1 between runs.
    #[must_use]
    pub fn progress(&self) -> f64 {
        if self.running.is_none() || self.total == 0 {
            return 1.0;
        }
        #[expect(clippy::cast_precision_loss, reason = "device counts are far below 2^52")]
        let ratio = (self.answered + self.failed) as f64 / self.total as f64;
        ratio
    }
}

/// How far a sink has come with its events.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SinkStatus {
    /// Events delivered since the store was made.
    pub deliveries: u64,
    /// Failed tries since the daemon's start.
    pub failures: u64,
    /// Events not delivered yet.
    pub pending: u64,
    /// When the oldest of them happened.
    pub oldest_pending: Option<Timestamp>,
    /// Devices whose events are held, because the sink refused one.
    pub held_devices: u64,
    /// Events given up since the store was made.
    pub dead: u64,
    /// Events that were given up and can be asked for again.
    pub kept: u64,
    /// Events that were given up and are not kept any more.
    pub dropped: u64,
}

/// One credential's gate, as the outside sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct GateStatus {
    /// The credential.
    pub credential: CredentialId,
    /// Whether its breaker is open.
    pub open: bool,
    /// Its logins a second, where it has a budget.
    pub logins_per_second: Option<f64>,
}

/// One value of a `[[workers.limit]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitStatus {
    /// What the limit goes by.
    pub by: String,
    /// The value that devices have in common.
    pub value: String,
    /// Visits to them that go on.
    pub busy: usize,
    /// Visits at once; absent where only logins are limited.
    pub max: Option<usize>,
}

/// Devices of the runs that are on and not visited yet, by what they wait for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Waiting {
    /// A free worker, or their turn to log in.
    pub worker: usize,
    /// The time that the sweep's spread, or the pause before a second reading, gives them.
    pub spread: usize,
    /// A place within a `[[workers.limit]]`, by what that goes by.
    pub limit: BTreeMap<String, usize>,
    /// A login that the budget of their credential, or of their limit, has no room for yet.
    pub budget: usize,
    /// The end of a visit that another run pays them.
    pub visited: usize,
    /// The end of their sweep's blackout.
    pub blackout: usize,
}

/// How long a sweep is expected to take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SweepForecast {
    /// The `[[sweep]]`'s name.
    pub sweep: Arc<str>,
    /// A run that visits all its devices.
    pub expected: Duration,
    /// The shortest time from one due run to the next; absent where none is scheduled.
    pub period: Option<Duration>,
}

/// One inventory source, as the outside sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceStatus {
    /// The source's name.
    pub source: String,
    /// Devices of the list in force.
    pub devices: usize,
    /// Entries of it that are not used.
    pub dropped: usize,
    /// A list that waits for a confirmation; absent while none waits.
    pub pending: Option<PendingList>,
    /// Why the last look brought nothing that could be used; absent when it was good.
    pub failure: Option<RefreshFailure>,
    /// When the source was last looked at; absent before the first time.
    pub looked: Option<Timestamp>,
    /// When a look was last good; absent before the first one since the daemon's start.
    pub good: Option<Timestamp>,
}

/// An inventory list that waits until somebody says that it is right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingList {
    /// Its devices.
    pub devices: usize,
    /// What confirms it: it stands for the devices that are missing from it.
    pub token: String,
}

/// Why a look at an inventory source brought nothing that can be used: a closed set, the metric label `reason`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RefreshFailure {
    /// The file or folder can't be read.
    Unreadable,
    /// The server can't be connected to, or its certificate is not trusted.
    Unreachable,
    /// No whole answer within the timeout.
    Timeout,
    /// The server refuses the credentials: 401 or 403.
    Denied,
    /// The server answers with another status than success.
    Status,
    /// What came is not an inventory of that form, or is too large.
    Garbage,
    /// Something is wrong with a device of a list that is written for versweep.
    Invalid,
    /// More devices are missing than `max_shrink` allows; the list waits for a confirmation.
    Shrunk,
}

impl RefreshFailure {
    /// All of them, in the order of the documentation.
    pub const ALL: [Self; 8] = [
        Self::Unreadable,
        Self::Unreachable,
        Self::Timeout,
        Self::Denied,
        Self::Status,
        Self::Garbage,
        Self::Invalid,
        Self::Shrunk,
    ];

    /// The name used in metrics, logs and JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable",
            Self::Unreachable => "unreachable",
            Self::Timeout => "timeout",
            Self::Denied => "denied",
            Self::Status => "status",
            Self::Garbage => "garbage",
            Self::Invalid => "invalid",
            Self::Shrunk => "shrunk",
        }
    }

    /// The reason of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == name)
    }
}

/// The last time that something was fetched from a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchStatus {
    /// Whether it was good, and taken.
    pub success: bool,
    /// When that was.
    pub at: Timestamp,
}

/// The last reload of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReloadStatus {
    /// Whether it was taken.
    pub successful: bool,
    /// When one was last taken.
    pub success_at: Timestamp,
}

/// Upper bounds of the stage histogram's buckets in seconds; +Inf is implied.
pub const STAGE_BUCKETS: [f64; 12] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// A histogram of durations over [`STAGE_BUCKETS`].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Histogram {
    /// Observations by bucket, not cumulative; the last one is +Inf.
    pub buckets: [u64; STAGE_BUCKETS.len() + 1],
    /// The sum of all observations in seconds.
    pub sum: f64,
}

impl Histogram {
    /// Counts one duration.
    pub fn observe(&mut self, took: Duration) {
        let seconds = took.as_secs_f64();
        let bucket = STAGE_BUCKETS.iter().position(|&bound| seconds <= bound).unwrap_or(STAGE_BUCKETS.len());
        self.buckets[bucket] += 1;
        self.sum += seconds;
    }

    /// How many were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }
}

/// Counters, kept in the store so that a restart doesn't reset them (the stage histogram begins anew).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Totals {
    /// Visits that ended. A device that was not visited (`breaker`, `cancelled`) is not among them.
    pub visits: u64,
    /// Failed visits by kind, and devices not visited.
    pub failures: BTreeMap<FailureKind, u64>,
    /// Changes by kind.
    pub changes: BTreeMap<ChangeKind, u64>,
    /// Sweeps that ended, complete or not, by name.
    pub sweeps: BTreeMap<String, u64>,
    /// Ticks that found their sweep running, by name.
    pub skipped: BTreeMap<String, u64>,
    /// Ticks that fell into their sweep's blackout, by name.
    pub blackouts: BTreeMap<String, u64>,
    /// Stage durations since the daemon's start.
    pub stages: BTreeMap<Stage, Histogram>,
}
