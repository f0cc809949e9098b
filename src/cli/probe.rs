//! `versweep probe`: one device, explained stage by stage (rule 20).

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use clap::ValueEnum;
use tokio_util::sync::CancellationToken;

use super::{ConfigFile, Exit};
use crate::clock::{Clock, SystemClock};
use crate::config::WebFlags;
use crate::daemon::{Ask, PATIENCE, World};
use crate::device::Device;
use crate::failure::FailureKind;
use crate::observation::{Outcome, SweepId};

mod explain;
mod json;
mod record;

/// Visit one device and explain every stage. Nothing is recorded but a host key that is learned.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: versweep probe --config.file versweep.toml core1.ams")]
pub(crate) struct Args {
    #[command(flatten)]
    config: ConfigFile,
    /// The device's name in the inventory
    device: String,
    /// How to explain it: for people, or as one JSON object for programs
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
    /// Write what was said on both sides to this file, as JSON, without secrets
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
}

/// How a visit is explained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For people
    Text,
    /// One JSON object
    Json,
}

impl Args {
    pub(super) async fn run(self, stop: CancellationToken) -> anyhow::Result<Exit> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let loaded = World::load_until(&stop, &self.config.path, &WebFlags::default(), &clock).await?;
        let Some(kit) = loaded else { return Ok(Exit::Failed) };
        let asked = stop.run_until_cancelled(kit.asked(Ask::Unknown, PATIENCE)).await;
        let Some(kit) = asked else { return Ok(Exit::Failed) };
        let device =
            kit.inventory.devices.iter().find(|device| device.id.as_str() == self.device).with_context(
                || format!("no device {:?} in the inventory of {}", self.device, self.config.path.display()),
            )?;
        let sweep = SweepId::starting(SystemClock.now());
        let visit = tokio::select! {
            () = stop.cancelled() => None,
            visit = kit.prober.explain(device, sweep) => Some(visit),
        };
        let mut out = io::stdout().lock();
        let Some(visit) = visit else {
            self.broken_off(&mut out, device)?;
            return Ok(Exit::Failed);
        };
        match self.output {
            Output::Text => explain::explain(&mut out, device, &visit)?,
            Output::Json => json::explain(&mut out, device, &visit)?,
        }
        if let (Some(file), Some(session)) = (&self.record, &visit.trace.session) {
            record::write(file, device, &visit, session)
                .with_context(|| format!("cannot write the record to {}", file.display()))?;
            writeln!(
                io::stderr(),
                "recorded in {}: look through it before you give it away",
                file.display()
            )?;
        }
        Ok(if matches!(visit.observation.outcome, Outcome::Answered { .. }) {
            Exit::Done
        } else {
            Exit::Failed
        })
    }

    /// A signal came before the visit's end. The connection is closed; the device may have been logged in to.
    fn broken_off(&self, out: &mut impl Write, device: &Device) -> io::Result<()> {
        let detail = "broken off before the device had answered; nothing was recorded";
        match self.output {
            Output::Text => writeln!(out, "failed: {}: {detail}", FailureKind::Cancelled),
            Output::Json => json::failed(out, device, FailureKind::Cancelled, detail),
        }
    }
}
