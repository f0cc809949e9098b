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
use tokio::time::Instant;

use super::super::Exit;
use super::fleet::Target;
use super::ours;
use super::usage::{Usage, Used};
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
}

/// What a process is to do.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Orders {
    pub(super) visitor: Visitor,
    pub(super) workers: u32,
    /// How long a device takes, login and answer together.
    pub(super) delay: Duration,
    pub(super) targets: Vec<Target>,
}

/// The figures of one sweep.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Run {
    pub(super) wall_seconds: f64,
    /// User and system time of the process for one visit.
    pub(super) cpu_ms_per_visit: f64,
    pub(super) peak_resident_bytes: u64,
    /// What the process grew by at its peak, for each visit under way.
    pub(super) resident_bytes_per_session: u64,
    pub(super) answered: usize,
    pub(super) failures: BTreeMap<String, usize>,
}

/// Runs a sweep in a process of its own.
///
/// # Errors
/// When the process can't be had or fails; it says why on standard error itself.
pub(super) async fn in_a_process(orders: &Orders) -> anyhow::Result<Run> {
    let program = std::env::current_exe().context("can't find this program's own file")?;
    let path = std::env::temp_dir().join(format!("versweep-bench-{}", uuid::Uuid::now_v7()));
    let file = OrdersFile(&path);
    std::fs::write(&path, serde_json::to_vec(orders)?)
        .with_context(|| format!("can't write {}", path.display()))?;
    let visitor = orders.visitor.to_possible_value().map(|value| value.get_name().to_owned());
    let output = Command::new(program)
        .args(["bench", "--visitors", &visitor.unwrap_or_default(), "--orders"])
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
        bail!("the process of {:?} ended with {}", orders.visitor, output.status);
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
    let run = orders.sweep().await?;
    writeln!(std::io::stdout().lock(), "{}", serde_json::to_string(&run)?)
        .context("can't print the figures")?;
    Ok(Exit::Done)
}

impl Orders {
    async fn sweep(self) -> anyhow::Result<Run> {
        let platforms = Arc::new(Platforms::builtin());
        match self.visitor {
            Visitor::Bare => self.by_bare_russh(&platforms).await,
            Visitor::First => self.by_versweep(platforms, Channel::Exec, false).await,
            Visitor::Again => self.by_versweep(platforms, Channel::Exec, true).await,
            Visitor::Shell => self.by_versweep(platforms, Channel::Shell, false).await,
            Visitor::ShellAgain => self.by_versweep(platforms, Channel::Shell, true).await,
        }
    }

    async fn by_versweep(
        &self,
        platforms: Arc<Platforms>,
        channel: Channel,
        again: bool,
    ) -> anyhow::Result<Run> {
        let visitor = ours::Versweep::of(&self.targets, platforms, channel, self.delay)?;
        let engine = Engine::new(self.workers as usize).on(Lanes::one_per_core()?);
        if again {
            visitor.sweep(&engine).await?;
        }
        let before = Usage::begin()?;
        let began = Instant::now();
        let tally = visitor.sweep(&engine).await?;
        let wall = began.elapsed();
        Ok(self.figures(wall, before.end()?, tally.answered, tally.failures))
    }

    async fn by_bare_russh(&self, platforms: &Platforms) -> anyhow::Result<Run> {
        let asked = self.targets.iter().map(|target| {
            let profile = platforms.find(&target.platform);
            let command = profile.and_then(|profile| profile.commands.first());
            let command = command.with_context(|| format!("no profile asks {}", target.platform))?;
            Ok((target.address, command.clone()))
        });
        let asked = asked.collect::<anyhow::Result<Vec<_>>>()?;
        let before = Usage::begin()?;
        let began = Instant::now();
        let failed = bare::sweep(asked, self.workers as usize).await;
        let wall = began.elapsed();
        let failures = BTreeMap::from([("failed".to_owned(), failed)]);
        let failures = failures.into_iter().filter(|(_, count)| *count > 0).collect();
        Ok(self.figures(wall, before.end()?, self.targets.len().saturating_sub(failed), failures))
    }

    #[expect(clippy::cast_precision_loss, reason = "fleets are far below 2^52 devices")]
    fn figures(&self, wall: Duration, used: Used, answered: usize, failures: BTreeMap<String, usize>) -> Run {
        let at_once = (self.workers as usize).min(self.targets.len()).max(1);
        Run {
            wall_seconds: wall.as_secs_f64(),
            cpu_ms_per_visit: used.cpu.as_secs_f64() * 1e3 / self.targets.len() as f64,
            peak_resident_bytes: used.peak,
            resident_bytes_per_session: used.growth / at_once as u64,
            answered,
            failures,
        }
    }
}
