//! One sweep of a benchmark, in a process of its own: orders in by a file, figures out on standard output.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use tokio::process::Command;
use tokio::time::{Instant, sleep};

use super::super::Exit;
use super::fleet::Target;
use super::ours::{Patience, Tally, Versweep};
use super::recorded::{Recording, Shelf, Whom};
use super::usage::{Usage, Used, sockets};
use crate::dialogue::Channel;
use crate::limits::{FILES_BESIDE_VISITS, require_open_files};
use crate::platform::Platforms;
use crate::sim::bare;
use crate::sweep::{Engine, Lanes};

/// Who sweeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Visitor {
    /// versweep, for the first time
    First,
    /// versweep, for the second time
    Again,
    /// versweep, in the devices' shells
    Shell,
    /// The same, for the second time
    ShellAgain,
    /// russh as it comes, by exec
    Bare,
    /// versweep with its store and metrics, of which the store knows nothing yet
    Learning,
    /// The same, for the next time: the expected-slowest first, nobody held off
    Learned,
    /// The same, for the next time: those that were dead are held off
    HeldOff,
}

impl Visitor {
    /// Whether it begins with what the visitor before it left in the store.
    pub(super) fn goes_on(self) -> bool {
        matches!(self, Self::Learned | Self::HeldOff)
    }

    fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}

/// How long what a sweep leaves behind may take to go: russh's tasks end when they see that their socket is closed.
const GONE_WITHIN: Duration = Duration::from_secs(2);

/// What a process is to do.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Orders {
    /// One after the other; those with a store share it.
    pub(super) visitors: Vec<Visitor>,
    pub(super) workers: u32,
    /// How long a device takes, login and answer together.
    pub(super) delay: Duration,
    /// What each step of a visit may take; without it, far more than it takes.
    pub(super) timeout: Option<Duration>,
    pub(super) targets: Vec<Target>,
}

/// The figures of one sweep.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Run {
    pub(super) visits: usize,
    pub(super) wall_seconds: f64,
    /// What all visits took together, or would take by their delays, shared among the workers.
    pub(super) ideal_seconds: f64,
    /// User and system time of the process for one visit.
    pub(super) cpu_ms_per_visit: f64,
    pub(super) peak_resident_bytes: u64,
    /// What the process grew by at its peak, for each visit under way.
    pub(super) resident_bytes_per_session: u64,
    pub(super) answered: usize,
    /// Ill devices that were told as what they are.
    pub(super) ill: usize,
    pub(super) failures: BTreeMap<String, usize>,
    /// Tasks and sockets that were still there after the sweep.
    pub(super) left_over: usize,
    /// What the store grew by for each visit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) store_bytes_per_visit: Option<f64>,
}

/// Runs sweeps in a process of their own.
///
/// # Errors
/// When the process can't be had or fails; it says why on standard error itself.
pub(super) async fn in_a_process(orders: &Orders) -> anyhow::Result<Vec<(Visitor, Run)>> {
    let program = std::env::current_exe().context("can't find this program's own file")?;
    let path = std::env::temp_dir().join(format!("versweep-bench-{}", uuid::Uuid::now_v7()));
    let file = OrdersFile(&path);
    std::fs::write(&path, serde_json::to_vec(orders)?)
        .with_context(|| format!("can't write {}", path.display()))?;
    let visitors: Vec<_> = orders.visitors.iter().map(|visitor| visitor.name()).collect();
    let output = Command::new(program)
        .args(["bench", "--visitors", &visitors.join(","), "--orders"])
        .arg(&path)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .context("can't start a sweep's process")?
        .wait_with_output()
        .await
        .context("can't wait for a sweep's process")?;
    drop(file);
    if !output.status.success() {
        bail!("the process of {} ended with {}", visitors.join(", "), output.status);
    }
    serde_json::from_slice(&output.stdout).context("can't read a sweep's figures")
}

/// A file that goes with this.
struct OrdersFile<'a>(&'a Path);

impl Drop for OrdersFile<'_> {
    fn drop(&mut self) {
        // Nothing reads it any more; one that stays is only litter.
        let _ = std::fs::remove_file(self.0);
    }
}

/// Does what the file says, in this process.
///
/// # Errors
/// Orders that can't be read, too few files, or figures that can't be had.
pub(super) async fn carry_out(path: &Path) -> anyhow::Result<Exit> {
    let mut text = Vec::new();
    let mut file = std::fs::File::open(path).with_context(|| format!("can't open {}", path.display()))?;
    file.read_to_end(&mut text).with_context(|| format!("can't read {}", path.display()))?;
    let orders: Orders = serde_json::from_slice(&text).context("can't read the orders")?;
    drop(text);
    // One file a visit; those that are still closing are few where visits are long, and all of them where they are not.
    let closing = if orders.delay.is_zero() { orders.workers as usize } else { 0 };
    require_open_files(orders.workers as usize + closing + FILES_BESIDE_VISITS)?;
    let runs = orders.sweep().await?;
    writeln!(std::io::stdout().lock(), "{}", serde_json::to_string(&runs)?)
        .context("can't print the figures")?;
    Ok(Exit::Done)
}

impl Orders {
    async fn sweep(self) -> anyhow::Result<Vec<(Visitor, Run)>> {
        let platforms = Arc::new(Platforms::builtin());
        let shelf = Shelf::new()?;
        let mut runs = Vec::with_capacity(self.visitors.len());
        for visitor in &self.visitors {
            let platforms = Arc::clone(&platforms);
            let run = match visitor {
                Visitor::Bare => self.by_bare_russh(&platforms).await?,
                Visitor::First => self.by_versweep(platforms, Channel::Exec, false).await?,
                Visitor::Again => self.by_versweep(platforms, Channel::Exec, true).await?,
                Visitor::Shell => self.by_versweep(platforms, Channel::Shell, false).await?,
                Visitor::ShellAgain => self.by_versweep(platforms, Channel::Shell, true).await?,
                Visitor::Learning | Visitor::Learned => {
                    self.with_a_store(platforms, &shelf, Whom::All).await?
                }
                Visitor::HeldOff => self.with_a_store(platforms, &shelf, Whom::NotHeldOff).await?,
            };
            runs.push((*visitor, run));
        }
        Ok(runs)
    }

    fn versweep(&self, platforms: Arc<Platforms>, channel: Channel) -> anyhow::Result<(Versweep, Engine)> {
        let patience = self.timeout.map_or(Patience::Beyond(self.delay), Patience::Step);
        let visitor = Versweep::of(&self.targets, platforms, channel, patience)?;
        let engine = Engine::new(self.workers as usize).on(Lanes::one_per_core()?);
        Ok((visitor, engine))
    }

    async fn by_versweep(
        &self,
        platforms: Arc<Platforms>,
        channel: Channel,
        again: bool,
    ) -> anyhow::Result<Run> {
        let (visitor, engine) = self.versweep(platforms, channel)?;
        if again {
            visitor.sweep(&engine).await?;
        }
        let before = Before::now(&engine)?;
        let tally = visitor.sweep(&engine).await?;
        let run = self.figures(&before, &tally)?;
        Ok(Run { left_over: before.left_over(&engine).await?, ..run })
    }

    async fn with_a_store(
        &self,
        platforms: Arc<Platforms>,
        shelf: &Shelf,
        whom: Whom,
    ) -> anyhow::Result<Run> {
        let bytes = shelf.bytes();
        let (visitor, engine) = self.versweep(platforms, Channel::Exec)?;
        let recording = Recording::open(shelf, &visitor).await?;
        let before = Before::now(&engine)?;
        let tally = recording.sweep(&visitor, &engine, whom).await?;
        let run = self.figures(&before, &tally)?;
        let left_over = before.left_over(&engine).await?;
        recording.close().await?;
        let grown = shelf.bytes().saturating_sub(bytes);
        Ok(Run {
            ideal_seconds: tally.work.as_secs_f64() / f64::from(self.workers),
            left_over,
            store_bytes_per_visit: Some(number(grown) / number(tally.visits() as u64)),
            ..run
        })
    }

    async fn by_bare_russh(&self, platforms: &Platforms) -> anyhow::Result<Run> {
        let asked = self.targets.iter().map(|target| {
            let profile = platforms.find(&target.platform);
            let command = profile.and_then(|profile| profile.commands.first());
            let command = command.with_context(|| format!("no profile asks {}", target.platform))?;
            Ok((target.address, command.clone()))
        });
        let asked = asked.collect::<anyhow::Result<Vec<_>>>()?;
        let before = Before::now(&Engine::new(1))?;
        let failed = bare::sweep(asked, self.workers as usize).await;
        let failures = BTreeMap::from([("failed".to_owned(), failed)]);
        let tally = Tally {
            answered: self.targets.len().saturating_sub(failed),
            failures: failures.into_iter().filter(|(_, count)| *count > 0).collect(),
            ..Tally::default()
        };
        self.figures(&before, &tally)
    }

    fn figures(&self, before: &Before, tally: &Tally) -> anyhow::Result<Run> {
        let wall = before.began.elapsed();
        let used: Used = before.usage.end()?;
        let at_once = (self.workers as usize).min(self.targets.len()).max(1);
        let visits = number(tally.visits().max(1) as u64);
        Ok(Run {
            visits: tally.visits(),
            wall_seconds: wall.as_secs_f64(),
            ideal_seconds: visits * self.delay.as_secs_f64() / f64::from(self.workers),
            cpu_ms_per_visit: used.cpu.as_secs_f64() * 1e3 / visits,
            peak_resident_bytes: used.peak,
            resident_bytes_per_session: used.growth / at_once as u64,
            answered: tally.answered,
            ill: tally.ill,
            failures: tally.failures.clone(),
            left_over: 0,
            store_bytes_per_visit: None,
        })
    }
}

/// How things stood before a sweep.
struct Before {
    usage: Usage,
    began: Instant,
    tasks: usize,
    sockets: usize,
}

impl Before {
    fn now(engine: &Engine) -> anyhow::Result<Self> {
        let (tasks, sockets) = (tasks(engine), sockets()?);
        Ok(Self { usage: Usage::begin()?, began: Instant::now(), tasks, sockets })
    }

    /// How many tasks and sockets the sweep has left behind.
    async fn left_over(&self, engine: &Engine) -> anyhow::Result<usize> {
        let until = Instant::now() + GONE_WITHIN;
        loop {
            let left = tasks(engine).saturating_sub(self.tasks) + sockets()?.saturating_sub(self.sockets);
            if left == 0 || Instant::now() > until {
                return Ok(left);
            }
            sleep(Duration::from_millis(10)).await;
        }
    }
}

fn tasks(engine: &Engine) -> usize {
    engine.tasks() + tokio::runtime::Handle::current().metrics().num_alive_tasks()
}

#[expect(clippy::cast_precision_loss, reason = "fleets and stores are far below 2^52 devices and bytes")]
fn number(count: u64) -> f64 {
    count as f64
}
