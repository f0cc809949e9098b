//! How `versweep sweep` prints: lines as they come, then a summary by platform and version.

use std::collections::BTreeMap;
use std::io::{self, Write};

use comfy_table::{Table, presets};
use indicatif::ProgressBar;
use serde::Serialize;

use super::drift::Drift;
use super::row::Row;
use crate::cli::Output;

/// What was counted over a sweep.
#[derive(Debug, Default, Serialize)]
pub(super) struct Tally {
    pub(super) devices: u64,
    pub(super) answered: u64,
    pub(super) failed: u64,
    pub(super) changed: u64,
    /// Whether all devices were visited: `false` after Ctrl-C.
    pub(super) complete: bool,
    /// Devices by platform and version.
    pub(super) versions: BTreeMap<String, BTreeMap<String, u64>>,
    /// Failed devices by kind.
    pub(super) failures: BTreeMap<&'static str, u64>,
    /// Devices that break a policy.
    pub(super) drifted: Vec<Drift>,
}

/// The last line of `sweep --output json`.
#[derive(Serialize)]
struct Summary<'a> {
    summary: &'a Tally,
}

/// Prints to standard output, around the progress bar on standard error.
pub(super) struct Printer {
    output: Output,
    bar: ProgressBar,
    tally: Tally,
}

impl Printer {
    pub(super) fn new(output: Output, bar: ProgressBar) -> Self {
        Self { output, bar, tally: Tally::default() }
    }

    pub(super) fn row(&mut self, row: &Row) -> anyhow::Result<()> {
        let line = match self.output {
            Output::Json => format!("{}\n", serde_json::to_string(row)?),
            Output::Csv => csv_line(row, self.tally.devices == 0)?,
            Output::Table => format!("{}\n", sentence(row)),
        };
        self.count(row);
        self.bar.suspend(|| io::stdout().lock().write_all(line.as_bytes()))?;
        self.bar.inc(1);
        Ok(())
    }

    fn count(&mut self, row: &Row) {
        self.tally.devices += 1;
        self.tally.changed += u64::from(row.changed);
        if let Some(kind) = row.failure {
            self.tally.failed += 1;
            *self.tally.failures.entry(kind).or_default() += 1;
        } else if let Some(version) = &row.version {
            self.tally.answered += 1;
            let versions = self.tally.versions.entry(row.platform.clone()).or_default();
            *versions.entry(version.clone()).or_default() += 1;
        }
    }

    /// Prints the summary and gives back what was counted.
    pub(super) fn finish(mut self, complete: bool, drifted: Vec<Drift>) -> anyhow::Result<Tally> {
        self.bar.finish_and_clear();
        self.tally.complete = complete;
        self.tally.drifted = drifted;
        let mut out = io::stdout().lock();
        match self.output {
            Output::Json => writeln!(out, "{}", serde_json::to_string(&Summary { summary: &self.tally })?)?,
            // A summary would be no row of the table; it is told by the exit code.
            Output::Csv => {}
            Output::Table => summary(&mut out, &self.tally)?,
        }
        out.flush()?;
        Ok(self.tally)
    }
}

fn csv_line(row: &Row, first: bool) -> anyhow::Result<String> {
    let mut writer = csv::WriterBuilder::new().has_headers(first).from_writer(Vec::new());
    writer.serialize(row)?;
    Ok(String::from_utf8(writer.into_inner().map_err(|error| error.into_error())?)?)
}

fn sentence(row: &Row) -> String {
    let device = &row.device;
    match (&row.version, row.failure) {
        (Some(version), _) => {
            let model = row.model.as_deref().unwrap_or("-");
            let change = match (&row.previous_version, row.changed) {
                (Some(previous), _) => format!("  changed from {previous}"),
                (None, true) => "  changed".to_owned(),
                (None, false) => String::new(),
            };
            format!(
                "{device:<24} {:<14} {version:<24} {model:<20} {:>6} ms{change}",
                row.platform, row.took_ms
            )
        }
        (None, kind) => {
            let (kind, stage) = (kind.unwrap_or("failed"), row.stage.unwrap_or("-"));
            let detail = row.detail.as_deref().unwrap_or_default();
            format!("{device:<24} {:<14} failed: {kind} at {stage}: {detail}", row.platform)
        }
    }
}

fn summary(out: &mut impl Write, tally: &Tally) -> io::Result<()> {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(["PLATFORM", "VERSION", "DEVICES"]);
    for (platform, versions) in &tally.versions {
        for (version, devices) in versions {
            table.add_row([platform.clone(), version.clone(), devices.to_string()]);
        }
    }
    for (kind, devices) in &tally.failures {
        table.add_row(["failed".to_owned(), (*kind).to_owned(), devices.to_string()]);
    }
    writeln!(out, "\n{}\n", table.trim_fmt())?;
    for Drift { device, policy, result, why, .. } in &tally.drifted {
        writeln!(out, "{device:<24} {result} by policy {policy}: {why}")?;
    }
    let stopped = if tally.complete { "" } else { "; stopped before all were visited" };
    writeln!(
        out,
        "{} devices: {} answered, {} failed, {} changed{stopped}",
        tally.devices, tally.answered, tally.failed, tally.changed
    )
}
