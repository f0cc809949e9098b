//! `versweep bench`: sweeps a simulated fleet in a process of its own, and tells what a visit costs.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::ValueEnum;
use serde::Serialize;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Exit;
use super::sim::duration;
use crate::limits::{FILES_BESIDE_VISITS, require_open_files};
use crate::platform::Platforms;
use crate::sim::{SimPlatform, bare};

mod fleet;
mod ours;
mod usage;

use fleet::{FleetArgs, RemoteFleet, Target};
use usage::{NoLockedMemory, Usage};

/// The arguments of `versweep bench`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  versweep bench --devices 2000 --delay 2s --workers 256 --output json")]
pub(crate) struct Args {
    /// How many simulated devices
    #[arg(long, value_name = "N", default_value_t = 2000, value_parser = clap::value_parser!(u32).range(1..))]
    devices: u32,
    /// How many visits at once
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..))]
    workers: u32,
    /// How long each device takes to answer
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = duration)]
    delay: Duration,
    /// How long each device takes to log in
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = duration)]
    login_delay: Duration,
    /// The first address of the fleet, in 127.0.0.0/8
    #[arg(long, value_name = "ADDRESS", default_value_t = Ipv4Addr::new(127, 9, 0, 0))]
    listen: Ipv4Addr,
    /// Leave out the same sweep by bare russh
    #[arg(long)]
    skip_bare: bool,
    /// Fail when the sweep takes longer than this many times the ideal
    #[arg(long, value_name = "RATIO")]
    max_ratio: Option<f64>,
    /// How the figures are printed
    #[arg(long, value_enum, default_value_t = Format::Table)]
    output: Format,
}

/// How the figures are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Table,
    /// One JSON object
    Json,
}

/// The figures of one run.
#[derive(Debug, Clone, Serialize)]
struct Report {
    devices: u32,
    workers: u32,
    delay_seconds: f64,
    wall_seconds: f64,
    /// All delays laid end to end and shared among the workers: devices x delay / workers.
    ideal_seconds: f64,
    /// What whole waves of visits would take: the last wave need not be full and takes as long.
    waves_seconds: f64,
    /// Wall time over the ideal; absent without a delay.
    ratio: Option<f64>,
    /// User and system time of this process for one visit.
    cpu_ms_per_visit: f64,
    peak_resident_bytes: u64,
    /// What the process grew by at its peak, for each visit under way.
    resident_bytes_per_session: u64,
    answered: usize,
    failures: BTreeMap<&'static str, usize>,
    bare: Option<Bare>,
}

/// The same sweep by russh as it comes.
#[derive(Debug, Clone, Serialize)]
struct Bare {
    wall_seconds: f64,
    cpu_ms_per_visit: f64,
    failed: usize,
    /// Our CPU for one visit over the bare one's.
    cpu_ratio: f64,
}

impl Args {
    /// Sweeps and prints.
    ///
    /// # Errors
    /// A fleet that can't be had, too few files, or figures that can't be read.
    pub(crate) async fn run(self, stop: CancellationToken) -> anyhow::Result<Exit> {
        tokio::select! {
            report = self.measure() => self.tell(&report?),
            // The fleet's process is killed as its handle is dropped.
            () = stop.cancelled() => Ok(Exit::Failed),
        }
    }

    async fn measure(&self) -> anyhow::Result<Report> {
        // One file per visit, and one that is still closing.
        require_open_files(self.workers as usize * 2 + FILES_BESIDE_VISITS)?;
        let platforms = Arc::new(Platforms::builtin());
        let args = FleetArgs {
            devices: self.devices,
            workers: self.workers,
            listen: self.listen,
            delay: self.delay,
            login_delay: self.login_delay,
            platforms: asked_once(&platforms),
        };
        let fleet = RemoteFleet::start(&args).await?;
        let mut report = self.sweep_ours(&fleet.targets, &platforms).await?;
        if !self.skip_bare {
            let cpu = report.cpu_ms_per_visit;
            report.bare = Some(self.sweep_bare(&fleet.targets, &platforms, cpu).await?);
        }
        fleet.end().await?;
        Ok(report)
    }

    async fn sweep_ours(&self, targets: &[Target], platforms: &Arc<Platforms>) -> anyhow::Result<Report> {
        let sweep =
            ours::Sweep::over(targets, Arc::clone(platforms), self.workers, self.delay + self.login_delay)?;
        let _as_the_daemon_does = NoLockedMemory::from_now_on();
        let before = Usage::begin()?;
        let began = Instant::now();
        let tally = sweep.run().await?;
        let wall = began.elapsed().as_secs_f64();
        let used = before.end()?;
        let (devices, workers) = (f64::from(self.devices), f64::from(self.workers));
        let delay = (self.delay + self.login_delay).as_secs_f64();
        let ideal = devices * delay / workers;
        Ok(Report {
            devices: self.devices,
            workers: self.workers,
            delay_seconds: delay,
            wall_seconds: wall,
            ideal_seconds: ideal,
            waves_seconds: (devices / workers).ceil() * delay,
            ratio: (ideal > 0.0).then(|| wall / ideal),
            cpu_ms_per_visit: used.cpu.as_secs_f64() * 1e3 / devices,
            peak_resident_bytes: used.peak,
            resident_bytes_per_session: used.growth / u64::from(self.workers.min(self.devices)),
            answered: tally.answered,
            failures: tally.failures,
            bare: None,
        })
    }

    async fn sweep_bare(&self, targets: &[Target], platforms: &Platforms, ours: f64) -> anyhow::Result<Bare> {
        let asked = targets
            .iter()
            .map(|target| {
                let profile = platforms.find(&target.platform);
                let command = profile.and_then(|profile| profile.commands.first());
                let command = command.with_context(|| format!("no profile asks {}", target.platform))?;
                Ok((target.address, command.clone()))
            })
            .collect::<anyhow::Result<Vec<_>>>()?;
        let before = Usage::begin()?;
        let began = Instant::now();
        let failed = bare::sweep(asked, self.workers as usize).await;
        let wall_seconds = began.elapsed().as_secs_f64();
        let cpu_ms_per_visit = before.end()?.cpu.as_secs_f64() * 1e3 / f64::from(self.devices);
        // A clock tick is the least that can be told; less than that divides by nothing.
        Ok(Bare { wall_seconds, cpu_ms_per_visit, failed, cpu_ratio: ours / cpu_ms_per_visit.max(1e-3) })
    }

    fn tell(&self, report: &Report) -> anyhow::Result<Exit> {
        let text = match self.output {
            Format::Table => table(report),
            Format::Json => serde_json::to_string(report)?,
        };
        writeln!(std::io::stdout().lock(), "{text}").context("can't print the figures")?;
        let failed: usize = report.failures.values().sum();
        if failed > 0 {
            bail!("{failed} of {} visits failed: the figures don't count", report.devices);
        }
        match (self.max_ratio, report.ratio) {
            (Some(allowed), Some(ratio)) if ratio > allowed => {
                bail!("the sweep took {ratio:.3} times the ideal, {allowed} is allowed")
            }
            _ => Ok(Exit::Done),
        }
    }
}

/// The simulated platforms that are asked one command a visit, so that every device takes one delay.
fn asked_once(platforms: &Platforms) -> Vec<SimPlatform> {
    let one = |key| platforms.find(key).is_some_and(|profile| profile.commands.len() == 1);
    SimPlatform::ALL.into_iter().filter(|platform| one(platform.key())).collect()
}

fn table(report: &Report) -> String {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    let mut row = |name: &str, value: String| {
        table.add_row([name.to_owned(), value]);
    };
    row("devices", report.devices.to_string());
    row("visits at once", report.workers.to_string());
    row("delay", format!("{:.2} s", report.delay_seconds));
    row("wall", format!("{:.2} s", report.wall_seconds));
    row("ideal", format!("{:.2} s ({:.2} s in whole waves)", report.ideal_seconds, report.waves_seconds));
    row("wall / ideal", report.ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.3}")));
    row("CPU per visit", format!("{:.3} ms", report.cpu_ms_per_visit));
    row("peak memory", format!("{:.1} MiB", mebibytes(report.peak_resident_bytes)));
    row("memory per open session", format!("{} KiB", report.resident_bytes_per_session / 1024));
    row("answered", report.answered.to_string());
    for (kind, count) in &report.failures {
        row(&format!("failed: {kind}"), count.to_string());
    }
    if let Some(bare) = &report.bare {
        row("bare russh: wall", format!("{:.2} s", bare.wall_seconds));
        row("bare russh: CPU per visit", format!("{:.3} ms", bare.cpu_ms_per_visit));
        row("bare russh: failed", bare.failed.to_string());
        row("CPU, ours / bare", format!("{:.2}", bare.cpu_ratio));
    }
    table.to_string()
}

#[expect(clippy::cast_precision_loss, reason = "for people; memory is far below 2^52 bytes")]
fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / (1024.0 * 1024.0)
}
