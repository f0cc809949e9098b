//! `versweep bench`: sweeps a simulated fleet and tells what a visit costs. The fleet has processes of its own, and so has
//! every sweep, so that each figure is of one sweep alone.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::ValueEnum;
use tokio_util::sync::CancellationToken;

use super::Exit;
use super::sim::duration;
use crate::platform::Platforms;
use crate::sim::SimPlatform;

mod fleet;
mod ours;
mod recorded;
mod report;
mod run;
mod scenario;
mod usage;

use fleet::{FleetArgs, RemoteFleet};
use report::Report;
use run::{Orders, Run, Visitor};
use scenario::{Figures, ROUNDS, Scenario};

/// The arguments of `versweep bench`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  versweep bench --devices 2000 --delay 2s --workers 256 --output json\n\n\
    Scenarios F and G, the daemon's own work, are benches: cargo bench --bench render, cargo bench --bench diff."
)]
pub(crate) struct Args {
    /// A fleet with targets: its figures are the defaults of the others, in three rounds
    #[arg(long, value_enum)]
    scenario: Option<Scenario>,
    /// How many simulated devices [default: 2000, or the scenario's]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    devices: Option<u32>,
    /// How many visits at once [default: 256, or the scenario's]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    workers: Option<u32>,
    /// How long each device takes to answer [default: 2s, or the scenario's]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    delay: Option<Duration>,
    /// How long each device takes to log in
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = duration)]
    login_delay: Duration,
    /// What each step of a visit may take [default: far more than it takes, or the scenario's]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    timeout: Option<Duration>,
    /// The first address of the fleet, in 127.0.0.0/8
    #[arg(long, value_name = "ADDRESS", default_value_t = Ipv4Addr::new(127, 9, 0, 0))]
    listen: Ipv4Addr,
    /// Who sweeps, one after the other: `again` is versweep's second sweep, which knows the devices' ways of logging in
    /// [default: first,again,bare, or the scenario's]
    #[arg(long, value_enum, value_delimiter = ',')]
    visitors: Vec<Visitor>,
    /// How often each of them sweeps; the medians are told [default: 1, with a scenario 3]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: Option<u32>,
    /// Fail when versweep's first sweep takes longer than this many times the ideal
    #[arg(long, value_name = "RATIO")]
    max_ratio: Option<f64>,
    /// How the figures are printed
    #[arg(long, value_enum, default_value_t = Format::Table)]
    output: Format,
    /// Carry out one sweep of a benchmark: the file that it reads its orders from
    #[arg(long, value_name = "FILE", hide = true)]
    orders: Option<PathBuf>,
}

/// How far behind a fleet another one's addresses begin: room for a million devices.
const BESIDE: u32 = 1 << 20;

/// How the figures are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Table,
    /// One JSON object
    Json,
}

impl Args {
    /// Whether this process sweeps as the daemon does.
    pub(crate) fn is_tuned(&self) -> bool {
        self.orders.is_some() && self.visitors.first().is_some_and(|visitor| *visitor != Visitor::Bare)
    }

    /// Sweeps and prints.
    ///
    /// # Errors
    /// A fleet that can't be had, too few files, or figures that can't be read.
    pub(crate) async fn run(self, stop: CancellationToken) -> anyhow::Result<Exit> {
        if let Some(orders) = &self.orders {
            return run::carry_out(orders).await;
        }
        tokio::select! {
            report = self.measure() => self.tell(&report?),
            // The processes are killed as their handles are dropped.
            () = stop.cancelled() => Ok(Exit::Failed),
        }
    }

    /// The scenario's figures, where the command line doesn't say others.
    fn figures(&self) -> Figures {
        let usual = self.scenario.map_or_else(Figures::default, Scenario::figures);
        Figures {
            devices: self.devices.unwrap_or(usual.devices),
            workers: self.workers.unwrap_or(usual.workers),
            delay: self.delay.unwrap_or(usual.delay),
            timeout: self.timeout.or(usual.timeout),
            ..usual
        }
    }

    async fn measure(&self) -> anyhow::Result<Report> {
        let figures = self.figures();
        let delay = figures.delay + self.login_delay;
        let fleet = RemoteFleet::start(&self.fleet(&figures, self.listen, 1)).await?;
        let beside = match figures.beside_a {
            true => Some(self.fleet_of_a(&figures, fleet.processes()).await?),
            false => None,
        };
        let visitors = if self.visitors.is_empty() { figures.visitors } else { &self.visitors };
        let mut runs = BTreeMap::<Visitor, Vec<Run>>::new();
        let mut runs_of_a = Vec::new();
        for _ in 0..self.rounds.unwrap_or_else(|| self.scenario.map_or(1, |_| ROUNDS)) {
            // Those that go on with a store belong into its process.
            for visitors in visitors.chunk_by(|_, next| next.goes_on()) {
                let orders = Orders {
                    visitors: visitors.to_vec(),
                    workers: figures.workers,
                    delay,
                    timeout: figures.timeout,
                    targets: fleet.targets().cloned().collect(),
                };
                for (visitor, run) in run::in_a_process(&orders).await? {
                    runs.entry(visitor).or_default().push(run);
                }
            }
            if let Some((fleet, workers)) = &beside {
                let orders = Orders {
                    visitors: vec![Visitor::First],
                    workers: *workers,
                    delay: Duration::ZERO,
                    timeout: None,
                    targets: fleet.targets().cloned().collect(),
                };
                runs_of_a.extend(run::in_a_process(&orders).await?.into_iter().map(|(_, run)| run));
            }
        }
        fleet.end().await?;
        if let Some((fleet, _)) = beside {
            fleet.end().await?;
        }
        let mut report = Report::of(figures.devices, figures.workers, delay, &runs);
        report.beside_a = report::median(&runs_of_a);
        report.timeout_seconds = figures.timeout.map(|timeout| timeout.as_secs_f64());
        report.goals = self.scenario.map(|scenario| scenario.goals(&report)).unwrap_or_default();
        Ok(report)
    }

    fn fleet(&self, figures: &Figures, listen: Ipv4Addr, processes: usize) -> FleetArgs {
        FleetArgs {
            devices: figures.devices,
            workers: figures.workers,
            listen,
            delay: figures.delay,
            login_delay: self.login_delay,
            platforms: asked_once(&Platforms::builtin()),
            faults: figures.faults,
            key_exchange: figures.key_exchange,
            processes,
        }
    }

    /// Scenario A's fleet behind this one's addresses, and its workers; no larger than the fleet that it stands beside. It has
    /// as many processes: with each more the kernel has more to wake and to switch to, which is charged to whoever sends.
    async fn fleet_of_a(&self, figures: &Figures, processes: usize) -> anyhow::Result<(RemoteFleet, u32)> {
        let of_a = Scenario::A.figures();
        let of_a = Figures { devices: of_a.devices.min(figures.devices), ..of_a };
        let listen = Ipv4Addr::from_bits(self.listen.to_bits().saturating_add(BESIDE));
        let fleet = RemoteFleet::start(&self.fleet(&of_a, listen, processes)).await?;
        Ok((fleet, of_a.workers))
    }

    fn tell(&self, report: &Report) -> anyhow::Result<Exit> {
        let text = match self.output {
            Format::Table => report.table(),
            Format::Json => serde_json::to_string(report)?,
        };
        writeln!(std::io::stdout().lock(), "{text}").context("can't print the figures")?;
        if report.left_over().is_some_and(|left| left > 0.0) {
            bail!("a sweep left tasks or sockets behind: a defect of versweep's own, please report it");
        }
        let failed = report.failed();
        if failed > 0 {
            bail!("{failed} of {} visits failed: the figures don't count", report.devices);
        }
        match (self.max_ratio, report.ratio()) {
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
