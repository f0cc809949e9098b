//! `versweep probe`: one device, explained stage by stage (rule 20).

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use tokio_util::sync::CancellationToken;

use super::{ConfigFile, Exit};
use crate::clock::{Clock, SystemClock};
use crate::daemon::{Ask, Before, World};
use crate::event::clean;
use crate::observation::{Outcome, SweepId};
use crate::probe::Visit;
use crate::transport::Trace;

mod record;

/// How much of an answer is shown.
const LINES_SHOWN: usize = 60;

/// Visit one device and explain every stage. Nothing is recorded but a host key that is learned.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: versweep probe --config.file versweep.toml core1.ams")]
pub(crate) struct Args {
    #[command(flatten)]
    config: ConfigFile,
    /// The device's name in the inventory
    device: String,
    /// Write what was said on both sides to this file, as JSON, without secrets
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
}

impl Args {
    pub(super) async fn run(self, stop: CancellationToken) -> anyhow::Result<Exit> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let kit = World::load(&self.config.path, &clock, &Before::Kept)?.asked(Ask::Unknown).await;
        let device =
            kit.devices.iter().find(|device| device.id.as_str() == self.device).with_context(|| {
                format!("no device {:?} in the inventory of {}", self.device, self.config.path.display())
            })?;
        let sweep = SweepId::starting(SystemClock.now());
        let visit = tokio::select! {
            () = stop.cancelled() => return Ok(Exit::Failed),
            visit = kit.prober.explain(device, sweep) => visit,
        };
        let mut out = io::stdout().lock();
        writeln!(
            out,
            "{} at {}, platform {}, credential {}",
            device.id,
            device.endpoint,
            device.platform.as_str(),
            device.credential
        )?;
        explain(&mut out, &visit)?;
        if let (Some(file), Some(session)) = (&self.record, &visit.trace.session) {
            record::write(file, device, &visit, session)
                .with_context(|| format!("cannot write the record to {}", file.display()))?;
            writeln!(out, "recorded in {}: look through it before you give it away", file.display())?;
        }
        Ok(if matches!(visit.observation.outcome, Outcome::Answered { .. }) {
            Exit::Done
        } else {
            Exit::Failed
        })
    }
}

fn explain(out: &mut impl Write, visit: &Visit) -> io::Result<()> {
    let Visit { observation, trace } = visit;
    for (stage, took) in observation.stages.iter() {
        writeln!(out, "  {:<8} {:>9.1} ms", stage.as_str(), took.as_secs_f64() * 1000.0)?;
    }
    writeln!(out, "  {:<8} {:>9.1} ms", "total", observation.took.as_secs_f64() * 1000.0)?;
    let details =
        [("server", &trace.server), ("algorithms", &trace.algorithms), ("host key", &trace.host_key)];
    for (name, value) in details {
        if let Some(value) = value {
            writeln!(out, "{name}: {}", clean(value))?;
        }
    }
    for note in &trace.notes {
        writeln!(out, "note: {}", clean(note))?;
    }
    match &observation.outcome {
        Outcome::Answered { reading, raw } => {
            let facts = &reading.facts;
            writeln!(
                out,
                "read by profile {} revision {}, pattern {}",
                reading.platform, reading.revision, reading.pattern
            )?;
            writeln!(out, "  version  {}", facts.version)?;
            let fields = [
                ("model", &facts.model),
                ("serial", &facts.serial),
                ("hostname", &facts.hostname),
                ("image", &facts.image),
            ];
            for (name, value) in fields {
                writeln!(out, "  {name:<8} {}", value.as_deref().unwrap_or("-"))?;
            }
            if let Some(booted) = facts.boot_time(observation.at) {
                writeln!(out, "  booted   {}", booted.format("%Y-%m-%d %H:%M:%S UTC"))?;
            }
            words(out, trace, Some(raw))
        }
        Outcome::Failed { failure, raw } => {
            writeln!(out, "failed: {} at {}: {}", failure.kind, failure.stage, clean(&failure.detail))?;
            words(out, trace, raw.as_deref())
        }
    }
}

/// What was said in a shell on both sides; by exec only the answer, since the commands are the profile's.
fn words(out: &mut impl Write, trace: &Trace, raw: Option<&str>) -> io::Result<()> {
    let Some(session) = trace.session.as_ref().filter(|session| session.has_shell) else {
        return raw.map_or(Ok(()), |raw| transcript(out, raw));
    };
    let prompt = session
        .prompt
        .as_deref()
        .map_or_else(|| "not learned".to_owned(), |prompt| clean(prompt).to_string());
    writeln!(out, "shell: prompt {prompt}, {} pages turned", session.pager_turns)?;
    let mut lines = 0;
    for exchange in session.exchanges() {
        if !exchange.send.is_empty() {
            writeln!(out, "  > {}", exchange.send.trim_end_matches(['\r', '\n']).escape_debug())?;
        }
        for line in exchange.recv.lines().filter(|line| !line.trim().is_empty()) {
            lines += 1;
            if lines <= LINES_SHOWN {
                writeln!(out, "  < {}", clean(line.trim_end()))?;
            }
        }
    }
    let left = lines.saturating_sub(LINES_SHOWN);
    if left > 0 { writeln!(out, "  < and {left} lines more") } else { Ok(()) }
}

fn transcript(out: &mut impl Write, raw: &str) -> io::Result<()> {
    writeln!(out, "the device said:")?;
    for line in raw.lines().take(LINES_SHOWN) {
        writeln!(out, "  | {}", clean(line))?;
    }
    let left = raw.lines().count().saturating_sub(LINES_SHOWN);
    if left > 0 { writeln!(out, "  | and {left} lines more") } else { Ok(()) }
}
