//! A visit, explained to people stage by stage.

use std::io::{self, Write};
use std::time::Duration;

use crate::device::Device;
use crate::event::clean;
use crate::facts::Reading;
use crate::observation::{Observation, Outcome};
use crate::probe::Visit;
use crate::transport::Trace;

/// How much of an answer is shown.
const LINES_SHOWN: usize = 60;

/// Explains a visit to people.
pub(super) fn explain(out: &mut impl Write, device: &Device, visit: &Visit) -> io::Result<()> {
    let Visit { observation, trace } = visit;
    writeln!(
        out,
        "{} at {}, platform {}, credential {}",
        device.id,
        device.endpoint,
        device.platform.as_str(),
        device.credential
    )?;
    times(out, observation)?;
    session(out, trace)?;
    match &observation.outcome {
        Outcome::Answered { reading, raw } => {
            facts(out, reading, observation)?;
            words(out, trace, Some(raw))
        }
        Outcome::Failed { failure, raw } => {
            writeln!(out, "failed: {} at {}: {}", failure.kind, failure.stage, clean(&failure.detail))?;
            words(out, trace, raw.as_deref())
        }
    }
}

/// How long each stage took; of one that failed, until it did.
fn times(out: &mut impl Write, observation: &Observation) -> io::Result<()> {
    let mut line = |name: &str, took: Duration, more: &str| {
        writeln!(out, "  {name:<8} {:>9.1} ms{more}", took.as_secs_f64() * 1000.0)
    };
    let mut finished = Duration::ZERO;
    for (stage, took) in observation.stages.iter() {
        finished += took;
        line(stage.as_str(), took, "")?;
    }
    if let Outcome::Failed { failure, .. } = &observation.outcome
        && observation.stages.iter().all(|(stage, _)| stage != failure.stage)
    {
        line(failure.stage.as_str(), observation.took.saturating_sub(finished), "  failed")?;
    }
    line("total", observation.took, "")
}

fn session(out: &mut impl Write, trace: &Trace) -> io::Result<()> {
    let details =
        [("server", &trace.server), ("algorithms", &trace.algorithms), ("host key", &trace.host_key)];
    for (name, value) in details {
        if let Some(value) = value {
            writeln!(out, "{name}: {}", clean(value))?;
        }
    }
    if let Some(offered) = &trace.offered {
        writeln!(out, "login: offered {}", clean(offered))?;
    }
    for tried in &trace.tried {
        writeln!(out, "login: tried {}", clean(tried))?;
    }
    for note in &trace.notes {
        writeln!(out, "note: {}", clean(note))?;
    }
    Ok(())
}

fn facts(out: &mut impl Write, reading: &Reading, observation: &Observation) -> io::Result<()> {
    let facts = &reading.facts;
    let Reading { platform, revision, pattern, .. } = reading;
    writeln!(out, "read by profile {platform} revision {revision}, pattern {pattern}")?;
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
    Ok(())
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
