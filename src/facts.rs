//! What a device says of itself.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::device::PlatformKey;
use crate::version::Version;

/// The facts read out of one answer. Only the version must be there; a field that the answer doesn't give is absent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// The running OS version.
    pub version: Version,
    /// The hardware or virtual model.
    pub model: Option<String>,
    /// The chassis serial number.
    pub serial: Option<String>,
    /// The device's own host name.
    pub hostname: Option<String>,
    /// The boot image.
    pub image: Option<String>,
    /// How long it has been up, by its own account.
    pub uptime: Option<Duration>,
}

impl Facts {
    /// When the device booted, given when it was asked.
    #[must_use]
    pub fn boot_time(&self, asked_at: Timestamp) -> Option<Timestamp> {
        asked_at.checked_sub_signed(chrono::Duration::from_std(self.uptime?).ok()?)
    }
}

/// Facts together with how they were read, so that a better parser is never taken for a changed device (rule 11).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// The profile that read them.
    pub platform: PlatformKey,
    /// That profile's revision.
    pub revision: u32,
    /// The name of the version pattern that matched, for people who ask why.
    pub pattern: String,
    /// What was read.
    pub facts: Facts,
}
