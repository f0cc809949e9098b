//! `versweep export`: what the store holds, for other programs.

use std::io::{self, BufWriter};
use std::ops::ControlFlow;

use anyhow::ensure;
use clap::ValueEnum;
use serde::Serialize;

use super::past::{FilterArgs, Line, Lines, StoreArgs, labels, moment, unless_gone};
use super::{Exit, Output};
use crate::clock::{Clock as _, SystemClock, Timestamp};
use crate::device::Labels;
use crate::event::clean;
use crate::store::{ChangeFilter, ChangeRow, PastVersion, VersionRow};

/// Export changes, versions or devices from the store, oldest first; also while the daemon runs.
///
/// Texts from devices are cut at 256 characters, and control characters in them are replaced. In CSV a text that a
/// spreadsheet would take for a formula begins with an apostrophe.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  versweep export changes --since 30d --select site=ams --output csv > changes.csv\n  \
                  versweep export versions --device core1.ams --output json"
)]
pub(crate) struct Args {
    /// What to export
    #[arg(value_enum)]
    what: What,
    #[command(flatten)]
    store: StoreArgs,
    #[command(flatten)]
    filter: FilterArgs,
    /// For devices: as the fleet was at this time; now by default
    #[arg(long, value_name = "TIME", value_parser = moment)]
    at: Option<Timestamp>,
    /// How to print
    #[arg(long, value_enum, default_value = "csv")]
    output: Output,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    /// Each change that was found
    Changes,
    /// Each version that a device was seen to run, from when to when
    Versions,
    /// What each device was known to run at one time
    Devices,
}

impl Args {
    pub(super) fn run(&self) -> anyhow::Result<Exit> {
        let reader = self.store.reader()?;
        let filter = self.filter.filter()?;
        self.refuse_what_means_nothing(&filter)?;
        let mut lines = Lines::new(self.output, BufWriter::new(io::stdout().lock()));
        let mut told = Ok(());
        match self.what {
            What::Changes => {
                reader.each_change(&filter, |row| go_on(&mut told, lines.add(&ChangeLine::of(&row))))?
            }
            What::Versions => {
                reader.each_version(&filter, |row| go_on(&mut told, lines.add(&VersionLine::of(&row))))?;
            }
            What::Devices => {
                let at = self.at.unwrap_or_else(|| SystemClock.now());
                let is_meant =
                    |past: &&PastVersion| filter.device.as_ref().is_none_or(|device| past.device == *device);
                let fleet = reader.fleet_at(at, &filter.select)?;
                told = fleet.iter().filter(is_meant).try_for_each(|past| lines.add(&PastLine::of(past)));
            }
        }
        unless_gone(told.and_then(|()| lines.finish()))?;
        Ok(Exit::Done)
    }

    /// A filter that would silently choose everything is an error.
    fn refuse_what_means_nothing(&self, filter: &ChangeFilter) -> anyhow::Result<()> {
        let devices = self.what == What::Devices;
        ensure!(
            devices || self.at.is_none(),
            "--at is for devices; changes and versions take --since and --until"
        );
        ensure!(
            !devices || (filter.since.is_none() && filter.until.is_none()),
            "devices are told as of one time: use --at"
        );
        ensure!(self.what == What::Changes || filter.kinds.is_empty(), "--kind is for changes");
        Ok(())
    }
}

/// Goes on unless the row could not be printed.
fn go_on(told: &mut anyhow::Result<()>, result: anyhow::Result<()>) -> ControlFlow<()> {
    match result {
        Ok(()) => ControlFlow::Continue(()),
        Err(error) => {
            *told = Err(error);
            ControlFlow::Break(())
        }
    }
}

/// One change.
#[derive(Debug, Serialize)]
pub(crate) struct ChangeLine {
    at: Timestamp,
    device: Option<String>,
    source: Option<String>,
    kind: &'static str,
    subject: String,
    before: String,
    after: String,
    why: String,
    confirmed: bool,
    platform: Option<String>,
    labels: Labels,
    sweep: Option<String>,
    id: String,
}

impl ChangeLine {
    pub(crate) fn of(row: &ChangeRow) -> Self {
        let change = &row.stored.change;
        Self {
            at: change.at,
            device: change.device().map(ToString::to_string),
            source: change.of.source().map(str::to_owned),
            kind: change.kind.as_str(),
            subject: clean(&change.subject),
            before: clean(&change.before),
            after: clean(&change.after),
            why: clean(&change.why),
            confirmed: change.confirmed,
            platform: row.stored.platform.as_ref().map(ToString::to_string),
            labels: row.labels.clone(),
            sweep: change.sweep.map(|sweep| sweep.to_string()),
            id: change.id(),
        }
    }
}

impl Line for ChangeLine {
    const NAMES: &'static [&'static str] = &[
        "at",
        "device",
        "source",
        "kind",
        "subject",
        "before",
        "after",
        "why",
        "confirmed",
        "platform",
        "labels",
        "sweep",
        "id",
    ];

    fn cells(&self) -> Vec<String> {
        vec![
            self.at.to_rfc3339(),
            self.device.clone().unwrap_or_default(),
            self.source.clone().unwrap_or_default(),
            self.kind.to_owned(),
            self.subject.clone(),
            self.before.clone(),
            self.after.clone(),
            self.why.clone(),
            self.confirmed.to_string(),
            self.platform.clone().unwrap_or_default(),
            labels(&self.labels),
            self.sweep.clone().unwrap_or_default(),
            self.id.clone(),
        ]
    }
}

/// One version of one device.
#[derive(Debug, Serialize)]
pub(crate) struct VersionLine {
    device: String,
    platform: String,
    version: String,
    first_seen: Timestamp,
    last_seen: Timestamp,
    current: bool,
    labels: Labels,
}

impl VersionLine {
    pub(crate) fn of(row: &VersionRow) -> Self {
        Self {
            device: row.device.to_string(),
            platform: row.platform.to_string(),
            version: clean(&row.version),
            first_seen: row.first_seen,
            last_seen: row.last_seen,
            current: row.current,
            labels: row.labels.clone(),
        }
    }
}

impl Line for VersionLine {
    const NAMES: &'static [&'static str] =
        &["device", "platform", "version", "first_seen", "last_seen", "current", "labels"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.device.clone(),
            self.platform.clone(),
            self.version.clone(),
            self.first_seen.to_rfc3339(),
            self.last_seen.to_rfc3339(),
            self.current.to_string(),
            labels(&self.labels),
        ]
    }
}

/// What one device was known to run.
#[derive(Debug, Serialize)]
pub(crate) struct PastLine {
    device: String,
    platform: String,
    version: String,
    since: Timestamp,
    seen: Timestamp,
    labels: Labels,
}

impl PastLine {
    pub(crate) fn of(past: &PastVersion) -> Self {
        Self {
            device: past.device.to_string(),
            platform: past.platform.to_string(),
            version: clean(&past.version),
            since: past.since,
            seen: past.seen,
            labels: past.labels.clone(),
        }
    }
}

impl Line for PastLine {
    const NAMES: &'static [&'static str] = &["device", "platform", "version", "since", "seen", "labels"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.device.clone(),
            self.platform.clone(),
            self.version.clone(),
            self.since.to_rfc3339(),
            self.seen.to_rfc3339(),
            labels(&self.labels),
        ]
    }
}
