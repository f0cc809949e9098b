//! Configuration: `ConfigFile` is what was typed, [`Config`] what it means. Everything is checked here, at the border,
//! and all errors are told at once.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::credential::Credential;
use crate::device::{CredentialId, Selector};
use crate::platform::Platforms;

/// A whole configuration, resolved: durations are durations, secrets are read, references hold.
#[derive(Debug, Clone)]
pub struct Config {
    /// The file it came from.
    pub path: PathBuf,
    /// Addresses of the HTTP server.
    pub listen: Vec<SocketAddr>,
    /// The database file.
    pub store: PathBuf,
    /// How long history, changes and sweeps are kept.
    pub keep_history: Duration,
    /// The cap on devices visited at once, all sweeps together.
    pub workers: usize,
    /// The known_hosts file that versweep writes learned keys to.
    pub known_hosts: PathBuf,
    /// Further known_hosts files, read only.
    pub extra_known_hosts: Vec<PathBuf>,
    /// All credentials.
    pub credentials: BTreeMap<CredentialId, Arc<Credential>>,
    /// The built-in profiles with those of the user's folder over them.
    pub platforms: Arc<Platforms>,
    /// The sweeps, in the order of the file.
    pub sweeps: Vec<SweepConfig>,
    /// The sinks, in the order of the file.
    pub sinks: Vec<SinkConfig>,
    /// Inventory labels that `versweep_device_info` carries besides site and role.
    pub info_labels: Vec<String>,
    /// Whether `/metrics` has series per device.
    pub per_device_metrics: bool,
    /// Failed visits in a row that make a device unreachable.
    pub down_after: u32,
    /// The whole of a graceful stop.
    pub grace: Duration,
}

/// One `[[sweep]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SweepConfig {
    /// Its name: unique, a metric label.
    pub name: String,
    /// When it is due.
    pub schedule: ScheduleConfig,
    /// Which devices it visits.
    pub select: Selector,
    /// Starts are spread over this time by a stable hash of the device; zero for none.
    pub spread: Duration,
}

/// When a sweep is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScheduleConfig {
    /// A cron expression, seconds first, in a named time zone.
    Cron {
        /// The expression; it is known to parse.
        expression: String,
        /// The zone.
        timezone: chrono_tz::Tz,
    },
    /// A period, counted from the daemon's start; the first sweep is due at once.
    Every(Duration),
    /// Only on demand.
    Never,
}

/// One `[[sink]]`: where change events go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SinkConfig {
    /// The systemd journal, with structured fields.
    Journal,
    /// A file of JSON lines.
    Jsonl {
        /// The file.
        path: PathBuf,
    },
}

impl SinkConfig {
    /// The sink's name: its cursor in the store and its metric label.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Journal => "journal",
            Self::Jsonl { .. } => "jsonl",
        }
    }
}
