//! Configuration: what was typed is read table by table, [`Config`] is what it means. Everything is checked here, at the
//! border, and all errors are told at once.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::breaker;
use crate::credential::Credential;
use crate::device::{CredentialId, Selector};
use crate::diff::FlapRules;
use crate::dispatch::Limit;
use crate::document::{Document, Problem, Section};
use crate::holdoff;
use crate::platform::Platforms;
use crate::settings::{JumpHosts, Layers, References};
use crate::source::Source;
use crate::timetable::{Timetable, Windows};

mod care;
mod credentials;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod inventory;
mod jumps;
mod limits;
mod peer;
mod policies;
mod relabel;
mod secrets;
mod shown;
mod sinks;
mod ssh_file;
mod sweeps;
mod tables;
mod web;

pub use self::policies::{Policies, PolicySource, fetched_policies};
pub use self::sinks::{SinkConfig, SinkKind};
pub use self::web::{ExternalUrl, Web, WebFlags, listen_address, prefix};
pub use crate::document::Problems as ConfigErrors;

/// The most workers: beyond it one process has no file descriptors for their connections anyway.
pub const WORKERS_MAX: usize = 100_000;

/// The largest configuration file; hundreds of sweeps and groups fit in many times over.
const FILE_MAX: u64 = 16 * 1024 * 1024;

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

/// Thirteen months, so that a year can be compared with the one before.
const DEFAULT_KEEP_HISTORY: Duration = Duration::from_secs(400 * 86_400);

/// A whole configuration, resolved: durations are durations, secrets are read, references hold.
#[derive(Debug, Clone)]
pub struct Config {
    /// The file it came from.
    pub path: PathBuf,
    /// The file's text as others may see it.
    pub shown: Arc<str>,
    /// The HTTP server.
    pub web: Web,
    /// The database file.
    pub store: PathBuf,
    /// How long history, changes and sweeps are kept.
    pub keep_history: Duration,
    /// The cap on devices visited at once, all sweeps together.
    pub workers: usize,
    /// Further caps and budgets, by what devices have in common.
    pub limits: Vec<Limit>,
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
    /// What events say they come from: a URI reference.
    pub event_source: String,
    /// Inventory labels that `versweep_device_info` carries besides site and role.
    pub info_labels: Vec<String>,
    /// Whether `/metrics` has series per device.
    pub per_device_metrics: bool,
    /// Failed visits in a row that make a device unreachable.
    pub down_after: u32,
    /// When changes to and fro are flapping.
    pub flapping: FlapRules,
    /// After which time a changed version is read a second time; `None` takes the first reading.
    pub confirm_after: Option<Duration>,
    /// When a credential's breaker opens.
    pub breaker: breaker::Rules,
    /// How long dead devices are left alone.
    pub holdoff: holdoff::Rules,
    /// The whole of a graceful stop.
    pub grace: Duration,
    /// Which versions may run where.
    pub policies: Policies,
    /// Where devices come from, in the order of the file.
    pub inventory: Vec<Source>,
    /// The settings below each device's own.
    pub layers: Layers,
    /// The names of all credentials, also of those that could not be read.
    pub credential_names: BTreeSet<CredentialId>,
    /// All `[jump.NAME]` tables.
    pub jumps: JumpHosts,
    /// Whether all profiles of the user's folder could be read; `false` only in a [`Draft`] with problems.
    pub platforms_complete: bool,
    /// What is allowed and yet worth a look, one line each.
    pub warnings: Vec<String>,
}

impl Config {
    /// What the inventory's devices may refer to.
    #[must_use]
    pub fn references(&self) -> References<'_> {
        References {
            platforms: &self.platforms,
            platforms_complete: self.platforms_complete,
            credentials: &self.credential_names,
            jumps: &self.jumps,
        }
    }
}

/// A configuration as far as it could be understood, with what is wrong in it: for those who go on to look at the
/// inventory, so that all errors of all files are told at once.
#[derive(Debug)]
pub struct Draft {
    /// The configuration; a default stands wherever a value was refused.
    pub config: Config,
    /// What is wrong.
    pub problems: ConfigErrors,
}

impl Draft {
    /// The configuration, when nothing is wrong with it.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub fn finish(self) -> Result<Config, ConfigErrors> {
        if self.problems.is_empty() { Ok(self.config) } else { Err(self.problems) }
    }
}

/// What a configuration is read within.
#[derive(Clone, Copy)]
struct Surroundings<'a> {
    /// The file's folder, which relative paths start from.
    folder: &'a Path,
    /// The value of an environment variable.
    environment: &'a dyn Fn(&str) -> Option<String>,
    /// What the command line says.
    flags: &'a WebFlags,
}

/// Reads a configuration file and the secrets and profiles that it names. Nothing is changed or kept by it, so it can be
/// done again at any time.
///
/// # Errors
/// Everything that is wrong with it.
pub fn load(path: &Path) -> Result<Config, ConfigErrors> {
    draft(path).finish()
}

/// Like [`load`], for those who want to go on in spite of errors.
#[must_use]
pub fn draft(path: &Path) -> Draft {
    draft_with(path, &WebFlags::default())
}

/// Like [`draft`], with what the command line says over it.
#[must_use]
pub fn draft_with(path: &Path, flags: &WebFlags) -> Draft {
    let environment = |name: &str| std::env::var(name).ok();
    match read_text(path, FILE_MAX) {
        Ok(text) => draft_text(path, &text, &environment, flags),
        Err(problem) => {
            let mut draft = draft_text(path, "", &environment, flags);
            let file = path.display().to_string();
            draft.problems.0.push(Problem {
                file,
                problem: format!("can't be read: {problem}"),
                ..Problem::default()
            });
            draft
        }
    }
}

/// Like [`draft`], with the file's text and the environment given: for tests, and for configurations made by programs.
/// `path` names the file in messages, and its folder is where relative paths start.
#[must_use]
pub fn draft_str(path: &Path, text: &str, environment: &dyn Fn(&str) -> Option<String>) -> Draft {
    draft_text(path, text, environment, &WebFlags::default())
}

fn draft_text(
    path: &Path,
    text: &str,
    environment: &dyn Fn(&str) -> Option<String>,
    flags: &WebFlags,
) -> Draft {
    let document = Document::new(&path.display().to_string(), text);
    let folder = path.parent().unwrap_or(Path::new(""));
    let around = Surroundings { folder, environment, flags };
    let table = document.parse();
    let mut config = read(path, &document.root(table.as_ref()), &around);
    let problems = document.into_problems();
    // In a configuration with mistakes a secret may stand anywhere.
    if problems.is_empty() {
        config.shown = shown::shown(text).into();
    }
    Draft { config, problems }
}

/// The tables that a configuration may have.
const TABLES: [&str; 21] = [
    "breaker",
    "holdoff",
    "web",
    "store",
    "workers",
    "ssh",
    "credentials",
    "jump",
    "platforms",
    "defaults",
    "platform",
    "group",
    "inventory",
    "sweep",
    "sink",
    "events",
    "metrics",
    "changes",
    "daemon",
    "policies",
    "policy",
];

fn read(path: &Path, root: &Section<'_>, around: &Surroundings<'_>) -> Config {
    let folder = around.folder;
    let mut warnings = Vec::new();
    root.only(&TABLES);

    let store = root.section("store");
    store.only(&["path", "keep_history"]);
    let store_path = tables::path(&store, "path", folder, || PathBuf::from("/var/lib/versweep/versweep.db"));
    let ssh = root.section("ssh");
    ssh.only(&["known_hosts", "extra_known_hosts", "config"]);
    let metrics = root.section("metrics");
    metrics.only(&["per_device", "info_labels"]);
    let changes = root.section("changes");
    changes.only(&["down_after", "confirm", "confirm_after", "flapping", "flapping_window"]);
    let daemon = root.section("daemon");
    daemon.only(&["grace"]);

    let before = root.document().problem_count();
    let platforms = tables::platforms(root, folder);
    let platforms_complete = root.document().problem_count() == before;
    let credential_names = credentials::names(root);
    let jumps = jumps::jumps(root, &platforms, &credential_names);
    let references = References {
        platforms: &platforms,
        platforms_complete,
        credentials: &credential_names,
        jumps: &jumps,
    };
    let mut extra_known_hosts = tables::paths(&ssh, "extra_known_hosts", folder);
    let ssh_file = ssh_file::read(&ssh, around, &jumps, &mut extra_known_hosts, &mut warnings);
    let layers = tables::layers(root, &references, &mut warnings);

    Config {
        path: path.to_owned(),
        shown: "".into(),
        web: web::web(root, around, &mut warnings),
        known_hosts: tables::path(&ssh, "known_hosts", folder, || store_path.with_file_name("known_hosts")),
        extra_known_hosts,
        keep_history: tables::duration(&store, "keep_history", DEFAULT_KEEP_HISTORY, [DAY, 36_500 * DAY]),
        workers: limits::workers(root, 256),
        limits: limits::limits(root),
        credentials: credentials::credentials(root, around, &mut warnings),
        sweeps: sweeps::sweeps(root, &references),
        sinks: sinks::sinks(root, &references, around, &mut warnings),
        event_source: sinks::source(root),
        info_labels: tables::info_labels(&metrics),
        per_device_metrics: metrics.get("per_device").and_then(|item| item.boolean()).unwrap_or(true),
        down_after: down_after(&changes),
        flapping: care::flapping(&changes),
        confirm_after: care::confirm_after(&changes),
        breaker: care::breaker(root),
        holdoff: care::holdoff(root),
        grace: tables::duration(&daemon, "grace", 30 * SECOND, [SECOND, HOUR]),
        inventory: inventory::sources(root, around, &mut warnings),
        policies: policies::policies(root, around, &references, &store_path, &mut warnings),
        store: store_path,
        layers: Layers { ssh: ssh_file, ..layers },
        platforms: Arc::new(platforms),
        platforms_complete,
        credential_names,
        jumps,
        warnings,
    }
}

/// Three failed visits in a row: one is the network's noise, two a maintenance window's end.
fn down_after(changes: &Section<'_>) -> u32 {
    changes
        .get("down_after")
        .and_then(|item| item.number(1..=1000))
        .and_then(|n| u32::try_from(n).ok())
        .unwrap_or(3)
}

/// A text file of at most so many bytes.
fn read_text(path: &Path, max: u64) -> Result<String, String> {
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(max + 1).read_to_string(&mut text));
    match read {
        Err(error) => Err(secrets::describe(&error)),
        Ok(_) if text.len() as u64 > max => Err(format!("larger than {} MiB", max >> 20)),
        Ok(_) => Ok(text),
    }
}

/// One `[[sweep]]`.
#[derive(Debug, Clone, PartialEq)]
pub struct SweepConfig {
    /// Its name: unique, a metric label.
    pub name: String,
    /// When it is due.
    pub timetable: Timetable,
    /// Which devices it visits.
    pub select: Selector,
    /// Starts are spread over this time by a stable hash of the device; zero for none.
    pub spread: Duration,
    /// When it does not log in.
    pub blackout: Windows,
    /// A result of another sweep that is younger than this is taken instead of a visit.
    pub fresh_for: Duration,
}
