//! `versweep events`: what the sinks don't have, and having them told again. It reads and writes the store itself, beside a
//! daemon that may be running.

use std::io::{self, Write};
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use chrono::SecondsFormat;
use serde_json::json;

use super::{ConfigFile, Exit};
use crate::cli::client::{self, Output};
use crate::cli::rows::Rows;
use crate::clock::Timestamp;
use crate::config::{self, ConfigErrors};
use crate::device::DeviceId;
use crate::document::Problem;
use crate::store::{Again, MailRoom, Undelivered};

/// List events that the sinks don't have, or have them told again
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  versweep events list --state dead\n  versweep events replay --sink tickets\n  \
                        versweep events replay --sink tickets --since 2026-11-25T06:00:00Z"
)]
pub(crate) struct Args {
    #[command(flatten)]
    config: ConfigFile,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// List events that wait (pending), were refused or wait behind one that was (held), or were given up (dead)
    List(List),
    /// Have a sink told events again: its dead letters, or those that --id, --since and --until name
    Replay(Replay),
}

#[derive(Debug, clap::Args)]
struct List {
    /// Only of this sink
    #[arg(long)]
    sink: Option<String>,
    /// Only those in this state
    #[arg(long, value_parser = ["pending", "held", "dead"])]
    state: Option<String>,
    /// At most so many of each sink and state
    #[arg(long, default_value_t = 100)]
    limit: usize,
    /// How to print
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

#[derive(Debug, clap::Args)]
struct Replay {
    /// The sink to tell them
    #[arg(long)]
    sink: String,
    /// An event by its id; may be given several times
    #[arg(long = "id", value_name = "ID", conflicts_with_all = ["since", "until"])]
    ids: Vec<String>,
    /// Events that happened at this instant or later, RFC 3339; also those that were delivered
    #[arg(long, value_name = "TIME")]
    since: Option<Timestamp>,
    /// Events that happened before this instant, RFC 3339
    #[arg(long, value_name = "TIME")]
    until: Option<Timestamp>,
}

impl Args {
    pub(super) fn run(&self) -> anyhow::Result<Exit> {
        let mut room = MailRoom::open(&self.store()?)?;
        let out = &mut io::stdout().lock();
        match &self.what {
            What::List(list) => list.run(&room, out)?,
            What::Replay(replay) => replay.run(&mut room, out)?,
        }
        Ok(Exit::Done)
    }

    /// Only the store's path is asked for: secrets that this user can't read matter to nobody here.
    fn store(&self) -> Result<PathBuf, ConfigErrors> {
        let draft = config::draft(&self.config.path);
        let concern = |problem: &Problem| problem.key.is_empty() || problem.key == "store.path";
        let problems: Vec<_> = draft.problems.0.into_iter().filter(concern).collect();
        if problems.is_empty() { Ok(draft.config.store) } else { Err(ConfigErrors(problems)) }
    }
}

impl List {
    fn run(&self, room: &MailRoom, out: &mut impl Write) -> anyhow::Result<()> {
        let headings = ["SINK", "STATE", "WHEN", "ID", "TRIES", "ERROR"];
        let mut rows = Rows::new(out, self.output, &headings);
        for sink in sinks(room, self.sink.as_deref())? {
            for found in room.undelivered(&sink, self.limit)? {
                if self.state.as_deref().is_some_and(|state| state != found.state.as_str()) {
                    continue;
                }
                rows.add(&found, |found| json(found).to_string(), |found| row(found).into())?;
            }
        }
        rows.finish()
    }
}

impl Replay {
    fn run(&self, room: &mut MailRoom, out: &mut impl Write) -> anyhow::Result<()> {
        let again = match (&self.ids[..], self.since, self.until) {
            ([], None, None) => Again::Dead,
            ([], since, until) => Again::Between(
                since.unwrap_or(Timestamp::UNIX_EPOCH),
                until.unwrap_or(Timestamp::from_timestamp_nanos(i64::MAX)),
            ),
            (ids, ..) => Again::Ids(ids.to_vec()),
        };
        let [sink] = &sinks(room, Some(&self.sink))?[..] else { bail!("no sink {:?}", self.sink) };
        let told = room.again(sink, &again)?;
        if told == 0 && !self.ids.is_empty() {
            bail!(
                "no event with such an id is kept and was passed by {sink}; `versweep events list` shows ids"
            );
        }
        let events = if told == 1 { "event goes" } else { "events go" };
        client::line(
            out,
            &format!("{told} {events} to {sink} again, within half a minute when the daemon runs"),
        )
    }
}

/// The sinks that the store knows, or the one of that name.
fn sinks(room: &MailRoom, wanted: Option<&str>) -> anyhow::Result<Vec<String>> {
    let known = room.sinks()?;
    let Some(wanted) = wanted else { return Ok(known) };
    let found = known.iter().find(|sink| *sink == wanted).cloned();
    let found = found.with_context(|| {
        format!(
            "the store knows no sink {wanted:?}, only: {}",
            if known.is_empty() { "none".to_owned() } else { known.join(", ") }
        )
    })?;
    Ok(vec![found])
}

fn row(found: &Undelivered) -> [String; 6] {
    let when = found.event.change.at.to_rfc3339_opts(SecondsFormat::Secs, true);
    let tries = found.tries.to_string();
    [found.sink.clone(), found.state.as_str().to_owned(), when, found.event.id(), tries, found.error.clone()]
}

fn json(found: &Undelivered) -> serde_json::Value {
    let time = |time: Timestamp| time.to_rfc3339_opts(SecondsFormat::Millis, true);
    json!({
        "sink": found.sink,
        "state": found.state.as_str(),
        "id": found.event.id(),
        "time": time(found.event.change.at),
        "device": found.event.change.device().map(DeviceId::as_str),
        "source": found.event.change.of.source(),
        "kind": found.event.change.kind.as_str(),
        "message": found.event.message(),
        "tries": found.tries,
        "error": found.error,
        "dead_at": found.dead_at.map(time),
    })
}
