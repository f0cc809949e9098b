//! A visit, explained to programs: one JSON object in one line.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::Serialize;

use super::record::Said;
use crate::device::Device;
use crate::failure::FailureKind;
use crate::observation::Outcome;
use crate::probe::Visit;

/// What there is to say. What isn't known is absent.
#[derive(Debug, Default, Serialize)]
struct Explained<'a> {
    device: &'a str,
    address: String,
    platform: &'a str,
    credential: &'a str,
    outcome: &'static str,
    /// The finished stages.
    stages_ms: BTreeMap<&'static str, f64>,
    took_ms: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    server: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    algorithms: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    host_key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    offered: Option<&'a str>,
    tried: &'a [String],
    notes: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt: Option<&'a str>,
    pager_turns: u32,
    exchanges: Vec<Said>,
    #[serde(flatten)]
    end: End<'a>,
}

/// How it ended.
#[derive(Debug, Default, Serialize)]
#[serde(untagged)]
enum End<'a> {
    Answered {
        profile: &'a str,
        revision: u32,
        pattern: &'a str,
        version: &'a str,
        model: Option<&'a str>,
        serial: Option<&'a str>,
        hostname: Option<&'a str>,
        image: Option<&'a str>,
    },
    Failed {
        failure: &'static str,
        stage: &'static str,
        detail: &'a str,
    },
    #[default]
    Unknown,
}

pub(super) fn explain(out: &mut impl Write, device: &Device, visit: &Visit) -> io::Result<()> {
    let Visit { observation, trace } = visit;
    let millis = |took: std::time::Duration| (took.as_secs_f64() * 1e4).round() / 10.0;
    let (outcome, end) = match &observation.outcome {
        Outcome::Answered { reading, .. } => {
            let facts = &reading.facts;
            let end = End::Answered {
                profile: reading.platform.as_str(),
                revision: reading.revision,
                pattern: &reading.pattern,
                version: facts.version.as_str(),
                model: facts.model.as_deref(),
                serial: facts.serial.as_deref(),
                hostname: facts.hostname.as_deref(),
                image: facts.image.as_deref(),
            };
            ("answered", end)
        }
        Outcome::Failed { failure, .. } => {
            let (failure, stage, detail) = (failure.kind.as_str(), failure.stage.as_str(), &failure.detail);
            ("failed", End::Failed { failure, stage, detail })
        }
    };
    let session = trace.session.as_ref();
    let exchanges = session.map(crate::transport::Session::exchanges).unwrap_or_default();
    let explained = Explained {
        outcome,
        stages_ms: observation.stages.iter().map(|(stage, took)| (stage.as_str(), millis(took))).collect(),
        took_ms: millis(observation.took),
        server: trace.server.as_deref(),
        algorithms: trace.algorithms.as_deref(),
        host_key: trace.host_key.as_deref(),
        offered: trace.offered.as_deref(),
        tried: &trace.tried,
        notes: &trace.notes,
        prompt: session.and_then(|session| session.prompt.as_deref()),
        pager_turns: session.map_or(0, |session| session.pager_turns),
        exchanges: exchanges.into_iter().map(Said::from).collect(),
        end,
        ..of(device)
    };
    print(out, &explained)
}

/// A visit that came to nothing before there was anything to explain.
pub(super) fn failed(
    out: &mut impl Write,
    device: &Device,
    kind: FailureKind,
    detail: &str,
) -> io::Result<()> {
    let end = End::Failed { failure: kind.as_str(), stage: "", detail };
    print(out, &Explained { outcome: "failed", end, ..of(device) })
}

fn of(device: &Device) -> Explained<'_> {
    Explained {
        device: device.id.as_str(),
        address: device.endpoint.to_string(),
        platform: device.platform.as_str(),
        credential: device.credential.as_str(),
        ..Explained::default()
    }
}

fn print(out: &mut impl Write, explained: &Explained<'_>) -> io::Result<()> {
    serde_json::to_writer(&mut *out, explained)?;
    writeln!(out)
}
