//! The record of a visit as a file: for a bug report, or to make a test of.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use serde::Serialize;

use crate::device::Device;
use crate::observation::Outcome;
use crate::probe::Visit;
use crate::transport::{Exchange, Session};

/// The file's form. What the device sent first is `init`, what it sent after each line is that line's `recv`.
#[derive(Debug, Serialize)]
struct Record<'a> {
    id: &'a str,
    platform: &'a str,
    has_shell: bool,
    /// What Enter was.
    command_newline: String,
    prompt: Option<&'a str>,
    version: Option<&'a str>,
    init: String,
    exchanges: Vec<Said>,
}

/// What was sent and what came after it.
#[derive(Debug, Serialize)]
pub(super) struct Said {
    send: String,
    recv: String,
}

impl From<Exchange> for Said {
    fn from(said: Exchange) -> Self {
        Self { send: said.send, recv: said.recv }
    }
}

/// Writes it, readable for its owner only: an answer may hold what is nobody else's business.
pub(super) fn write(file: &Path, device: &Device, visit: &Visit, session: &Session) -> io::Result<()> {
    let mut exchanges = session.exchanges().into_iter();
    let init = exchanges.next().map(|greeting| greeting.recv).unwrap_or_default();
    let (platform, version) = match &visit.observation.outcome {
        Outcome::Answered { reading, .. } => {
            (reading.platform.as_str(), Some(reading.facts.version.as_str()))
        }
        Outcome::Failed { .. } => (device.platform.as_str(), None),
    };
    let record = Record {
        id: device.id.as_str(),
        platform,
        has_shell: session.has_shell,
        command_newline: enter(session),
        prompt: session.prompt.as_deref(),
        version,
        init,
        exchanges: exchanges.map(Said::from).collect(),
    };
    let mut out = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(file)?;
    serde_json::to_writer_pretty(&mut out, &record)?;
    out.write_all(b"\n")
}

/// What the words that were sent end in.
fn enter(session: &Session) -> String {
    let exchanges = session.exchanges();
    let ends = exchanges.iter().filter(|said| said.send.trim().len() > 1).map(|said| {
        said.send.get(said.send.trim_end_matches(['\r', '\n']).len()..).unwrap_or_default().to_owned()
    });
    ends.into_iter().next().unwrap_or_default()
}
