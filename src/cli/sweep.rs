//! `versweep sweep`: one sweep now, without a daemon, into the same store.

use std::collections::HashSet;
use std::io::{self, IsTerminal as _};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressStyle};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::past::{label, selector};
use super::{ConfigFile, Exit, Output};
use crate::activity::{NOTES_WAITING, Note, Notes, Reason};
use crate::clock::{Clock, SystemClock};
use crate::config::{ConfigErrors, WebFlags};
use crate::daemon::{Ask, PATIENCE, World, flushed, open_store, reopen};
use crate::device::{Device, DeviceId, Selector};
use crate::document::{Problem, Problems};
use crate::known::{SELECTION, Snapshot};
use crate::limits;
use crate::observation::SweepId;
use crate::status::SweepStatus;
use crate::sweep::{self, Engine, Lanes, Outlet, Plan, Stop};
use crate::timetable::Windows;
use crate::transport::ssh::{SshTransport, tune_process};

mod drift;
mod print;
mod row;

use print::Printer;
use row::Row;

/// Sweep once, now, without a daemon: a line per device as it completes, then a summary.
///
/// What is found goes into the store of the configuration, against which changes are told. A daemon that runs on the same
/// store is not disturbed: the sweep is refused, and `curl -X POST http://127.0.0.1:9948/-/sweep` asks the daemon for one.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: versweep sweep --config.file versweep.toml --select site=ams --fail-on failure"
)]
pub(crate) struct Args {
    #[command(flatten)]
    config: ConfigFile,
    /// Sweep what this [[sweep]] selects; all devices by default
    #[arg(long, value_name = "NAME")]
    sweep: Option<String>,
    /// Only devices with this label; more of one label widen, of different labels narrow
    #[arg(long, value_name = "LABEL=VALUE", value_parser = label)]
    select: Vec<(String, String)>,
    /// How results are printed
    #[arg(long, value_enum, default_value = "table")]
    output: Output,
    /// Exit with 2 when this was found
    #[arg(long, value_enum)]
    fail_on: Vec<FailOn>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FailOn {
    /// A device runs what a policy that covers it doesn't allow
    Drift,
    /// A device's facts differ from the last known ones
    Change,
    /// A device could not be read
    Failure,
}

impl Args {
    pub(super) async fn run(self, stop: CancellationToken) -> anyhow::Result<Exit> {
        tune_process()?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let loaded = World::load_until(&stop, &self.config.path, &WebFlags::default(), &clock).await?;
        let Some(world) = loaded else { return Ok(Exit::Failed) };
        let asked = stop.run_until_cancelled(world.asked(Ask::All, PATIENCE)).await;
        let Some(world) = asked else { return Ok(Exit::Failed) };
        limits::require_open_files(world.config.workers + limits::FILES_BESIDE_VISITS)?;
        self.require_policy(&world)?;
        let mut plan = self.plan(&world)?;
        let swept: HashSet<DeviceId> = plan.devices.iter().map(|device| device.id.clone()).collect();
        let (recorder, couriers) = open_store(&world, &clock)?;
        world.keep_lists();
        recorder.notes.send(world.note()).await?;
        recorder.notes.send(world.source_news()).await?;
        flushed(&recorder.notes).await?;

        plan.before = recorder.snapshot.load_full();
        let mut listing = Listing {
            printer: Printer::new(self.output, bar(plan.devices.len())),
            before: Arc::clone(&plan.before),
            world: &world,
        };
        let complete = listing.follow(plan, recorder.notes, stop).await?;
        recorder.done.await??;
        couriers.ended(None).await;
        let drifted = drift::of(&recorder.snapshot.load(), &swept);
        let tally = listing.printer.finish(complete, drifted)?;
        let found = self.fail_on.iter().any(|what| match what {
            FailOn::Drift => !tally.drifted.is_empty(),
            FailOn::Change => tally.changed > 0,
            FailOn::Failure => tally.failed > 0,
        });
        Ok(match (complete, found) {
            (false, _) => Exit::Failed,
            (true, true) => Exit::FailOn,
            (true, false) => Exit::Done,
        })
    }

    /// Without a policy nothing drifts: who asks for an exit code then would take silence for health.
    fn require_policy(&self, world: &World<SshTransport>) -> Result<(), ConfigErrors> {
        if !self.fail_on.contains(&FailOn::Drift) || !world.config.policies.all().is_empty() {
            return Ok(());
        }
        Err(Problems(vec![Problem {
            file: self.config.path.display().to_string(),
            key: "policy".to_owned(),
            problem: "there is none, so nothing is drift".to_owned(),
            allowed: "a [[policy]] for --fail-on drift, or --fail-on change".to_owned(),
            ..Problem::default()
        }]))
    }

    fn plan(&self, world: &World<SshTransport>) -> anyhow::Result<Plan<SshTransport>> {
        let configured = match &self.sweep {
            None => Selector::default(),
            Some(name) => {
                let sweep = world.config.sweeps.iter().find(|sweep| sweep.name == *name);
                sweep
                    .with_context(|| format!("no [[sweep]] named {name:?} in the configuration"))?
                    .select
                    .clone()
            }
        };
        let narrowed = selector(&self.select);
        let selected = |device: &&Arc<Device>| configured.matches(device) && narrowed.matches(device);
        let whole = self.select.is_empty();
        Ok(Plan {
            id: SweepId::starting(world.prober.clock.now()),
            name: self.sweep.as_deref().filter(|_| whole).unwrap_or(SELECTION).into(),
            reason: Reason::Command,
            devices: world.inventory.devices.iter().filter(selected).cloned().collect(),
            spread: Duration::ZERO,
            prober: Arc::clone(&world.prober),
            before: Arc::default(),
            care: world.care(),
            blackout: Windows::default(),
            fresh_for: Duration::ZERO,
        })
    }
}

/// Stands between the sweep and the recorder: prints each result on its way.
struct Listing<'a> {
    printer: Printer,
    /// What was known before the sweep: changes are told against it.
    before: Arc<Snapshot>,
    world: &'a World<SshTransport>,
}

impl Listing<'_> {
    /// Runs the sweep; `true` when it visited all that it was to visit.
    async fn follow(
        &mut self,
        plan: Plan<SshTransport>,
        recorder: Notes,
        stop: CancellationToken,
    ) -> anyhow::Result<bool> {
        let (notes, mut passing) = mpsc::channel(NOTES_WAITING);
        let (status, _) = watch::channel(SweepStatus::default());
        let engine = Engine::with_rules(self.world.rules());
        let engine = engine.on(Lanes::one_per_core().context("no threads for visits")?);
        reopen(&engine, &self.before.breakers, self.world.prober.clock.now());
        let outlet = Outlet { notes, status };
        let sweep_stop = Stop { drain: stop, ..Stop::default() };
        let sweep = tokio::spawn(async move { sweep::run(&engine, plan, &outlet, &sweep_stop).await });
        while let Some(note) = passing.recv().await {
            if let Note::Visited(observation) = &note {
                self.printer.row(&Row::new(observation, &self.before, self.world))?;
            }
            recorder.send(note).await.context("the recorder has ended")?;
        }
        Ok(sweep.await??.complete)
    }
}

/// A progress bar on a terminal; nothing elsewhere.
fn bar(devices: usize) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(devices as u64);
    let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} devices, {elapsed} gone, {eta} left");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}
