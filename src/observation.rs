//! One visit to one device, as it went.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::device::{DeviceId, SshAlgorithms};
use crate::facts::Reading;
use crate::failure::{Failure, Stage};

/// A sweep's identity: a UUIDv7, unique across machines and sorted by time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SweepId(Uuid);

impl SweepId {
    /// A new identity for a sweep that starts at that instant.
    #[must_use]
    pub fn starting(at: Timestamp) -> Self {
        let seconds = u64::try_from(at.timestamp()).unwrap_or(0);
        let stamp = uuid::Timestamp::from_unix(uuid::NoContext, seconds, at.timestamp_subsec_nanos());
        Self(Uuid::new_v7(stamp))
    }
}

impl fmt::Display for SweepId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for SweepId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Uuid::from_str(text).map(Self)
    }
}

/// How long each stage took; a stage that wasn't reached, or not finished, is absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StageTimes {
    /// Name lookup and TCP connect.
    pub connect: Option<Duration>,
    /// Key exchange.
    pub kex: Option<Duration>,
    /// Authentication.
    pub auth: Option<Duration>,
    /// All commands together.
    pub command: Option<Duration>,
}

impl StageTimes {
    /// The finished stages with their times.
    pub fn iter(&self) -> impl Iterator<Item = (Stage, Duration)> {
        [
            (Stage::Connect, self.connect),
            (Stage::Kex, self.kex),
            (Stage::Auth, self.auth),
            (Stage::Command, self.command),
        ]
        .into_iter()
        .filter_map(|(stage, took)| took.map(|took| (stage, took)))
    }
}

/// The raw text of an answer, shared and bounded by the transport's output cap.
pub type RawText = Arc<str>;

/// How a visit ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The device answered and the answer could be read.
    Answered {
        /// What was read.
        reading: Reading,
        /// What it was read from.
        raw: RawText,
    },
    /// It did not.
    Failed {
        /// Why.
        failure: Failure,
        /// What had come by then, where something had.
        raw: Option<RawText>,
    },
}

/// The SSH session of a visit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SshSession {
    /// The server's identification line, made printable.
    pub server: String,
    /// The algorithms in use: key exchange, host key, cipher, MAC, with `, ` between them.
    pub algorithms: String,
}

impl SshSession {
    /// Those of its algorithms that only `legacy_ssh` offers (rule 17): what the device could not do without.
    pub fn legacy(&self) -> impl Iterator<Item = &str> {
        self.algorithms.split(", ").filter(|name| SshAlgorithms::LEGACY.contains(name))
    }
}

/// One visit's result: owned, free of handles, so that it can travel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    /// Which device, by the name that it had when the visit began.
    pub device: DeviceId,
    /// What its inventory source knows it by: it may have another name by now. Absent where no source says.
    pub identity: Option<Arc<str>>,
    /// In which sweep.
    pub sweep: SweepId,
    /// When the visit ended.
    pub at: Timestamp,
    /// How long it took, over all attempts of this sweep's last one.
    pub took: Duration,
    /// How long its stages took.
    pub stages: StageTimes,
    /// How many times the device was tried in this sweep, this time included.
    pub attempts: u32,
    /// Whether two visits of this sweep read the same version.
    pub confirmed: bool,
    /// The SSH session, where it came to one. Boxed, because it travels far and is looked at rarely.
    pub ssh: Option<Box<SshSession>>,
    /// How it ended.
    pub outcome: Outcome,
}
