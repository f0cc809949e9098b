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
    /// What only some devices tell. Boxed, because most don't.
    #[serde(default)]
    pub more: Option<Box<More>>,
}

/// What only some devices tell of themselves.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct More {
    /// The units of a stack, the supervisors of a chassis, the routing engines: at most [`LIST_MAX`].
    pub members: Vec<Member>,
    /// Patches on top of the version, such as SMUs and hotfixes, by name: at most [`LIST_MAX`].
    pub patches: Vec<String>,
    /// What it would boot next, where the answer says so.
    pub next_boot: Option<String>,
}

/// The most members, and the most patches, that are taken from one answer.
pub const LIST_MAX: usize = 64;

/// One part of a device that runs software of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its number or name, as the device prints it.
    pub name: String,
    /// The version that it runs.
    pub version: Option<Version>,
    /// Its model.
    pub model: Option<String>,
    /// Its serial number.
    pub serial: Option<String>,
}

impl Facts {
    /// Whether all members that tell their version run the same one; `None` where none tells.
    #[must_use]
    pub fn members_consistent(&self) -> Option<bool> {
        let mut versions = self.more.as_ref()?.members.iter().filter_map(|member| member.version.as_ref());
        let first = versions.next()?;
        Some(versions.all(|version| version == first))
    }

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
