//! What the commands that look into the store share: which store, which rows, how they are printed.

use std::io::{self, Write};
use std::path::PathBuf;

use anyhow::Context as _;
use chrono::{SecondsFormat, TimeDelta};
use comfy_table::Table;
use serde::Serialize;

use super::{ConfigFile, Output, client};
use crate::change::ChangeKind;
use crate::clock::{self, Clock as _, SystemClock, Timestamp};
use crate::config::{self, ConfigErrors};
use crate::device::{DeviceId, Labels, Selector};
use crate::document::Problem;
use crate::duration::HumanDuration;
use crate::store::{ChangeFilter, Reader};

/// Which store to look into. A daemon may run on it: nothing is written and nobody waits.
#[derive(Debug, clap::Args)]
pub(crate) struct StoreArgs {
    #[command(flatten)]
    pub(crate) config: ConfigFile,
    /// The store, instead of the one that the configuration names
    #[arg(long, value_name = "FILE")]
    pub(crate) store: Option<PathBuf>,
}

impl StoreArgs {
    /// The store's path. Only that is asked of the configuration: secrets that this user can't read are no reason to refuse.
    /// A file that can't be read at all is, or the default path's store would be taken.
    pub(crate) fn path(&self) -> Result<PathBuf, ConfigErrors> {
        if let Some(store) = &self.store {
            return Ok(store.clone());
        }
        let draft = config::draft(&self.config.path);
        let concern = |problem: &Problem| problem.key.is_empty() || problem.key == "store.path";
        let problems: Vec<_> = draft.problems.0.into_iter().filter(concern).collect();
        if problems.is_empty() { Ok(draft.config.store) } else { Err(ConfigErrors(problems)) }
    }

    pub(crate) fn reader(&self) -> anyhow::Result<Reader> {
        Ok(Reader::open(&self.path()?)?)
    }
}

/// Which rows are meant.
#[derive(Debug, clap::Args)]
pub(crate) struct FilterArgs {
    /// Only of this device
    #[arg(long, value_name = "NAME")]
    pub(crate) device: Option<String>,
    /// Only of devices with this label at their last visit, or with this platform; more of one label widen, of different
    /// labels narrow
    #[arg(long, value_name = "LABEL=VALUE", value_parser = label)]
    pub(crate) select: Vec<(String, String)>,
    /// From this time on: a date, an RFC 3339 time, or so long ago, such as 7d
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub(crate) since: Option<Timestamp>,
    /// Before this time
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub(crate) until: Option<Timestamp>,
    /// Only changes of this kind, such as upgrade; may be given more than once
    #[arg(long, value_name = "KIND", value_parser = kind)]
    pub(crate) kind: Vec<ChangeKind>,
}

impl FilterArgs {
    pub(crate) fn filter(&self) -> anyhow::Result<ChangeFilter> {
        let device = self.device.as_deref().map(DeviceId::new).transpose().context("--device")?;
        Ok(ChangeFilter {
            device,
            kinds: self.kind.clone(),
            select: selector(&self.select),
            since: self.since,
            until: self.until,
        })
    }
}

/// The selector of such pairs.
pub(crate) fn selector(pairs: &[(String, String)]) -> Selector {
    let mut selector = Selector::default();
    for (name, value) in pairs {
        selector.0.entry(name.clone()).or_default().push(value.clone());
    }
    selector
}

/// `label=value`.
pub(crate) fn label(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write label=value, such as site=ams")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// An instant, or so long before now.
pub(crate) fn moment(text: &str) -> Result<Timestamp, String> {
    if let Some(at) = clock::instant(text) {
        return Ok(at);
    }
    let ago = text.parse::<HumanDuration>().ok().and_then(|ago| TimeDelta::from_std(ago.0).ok());
    ago.and_then(|ago| SystemClock.now().checked_sub_signed(ago)).ok_or_else(|| {
        "write a date (2026-10-01), a time with its offset (2026-10-01T12:00:00Z), or so long ago (7d)"
            .to_owned()
    })
}

fn kind(text: &str) -> Result<ChangeKind, String> {
    ChangeKind::from_name(text).ok_or_else(|| {
        let names: Vec<&str> = ChangeKind::ALL.iter().map(|kind| kind.as_str()).collect();
        format!("there are: {}", names.join(", "))
    })
}

/// A row that may be printed in any way. The names are an API, and those of the JSON fields.
pub(crate) trait Line: Serialize {
    const NAMES: &'static [&'static str];
    /// As many as there are names.
    fn cells(&self) -> Vec<String>;
}

/// Prints rows as they come; a table when it is whole.
pub(crate) struct Lines<W: Write> {
    output: Output,
    table: Table,
    out: W,
    first: bool,
}

impl<W: Write> Lines<W> {
    pub(crate) fn new(output: Output, out: W) -> Self {
        Self { output, table: client::table(&[]), out, first: true }
    }

    pub(crate) fn add<L: Line>(&mut self, line: &L) -> anyhow::Result<()> {
        let first = std::mem::replace(&mut self.first, false);
        match self.output {
            Output::Json => Ok(writeln!(self.out, "{}", serde_json::to_string(line)?)?),
            Output::Csv => {
                if first {
                    self.out.write_all(&csv_record(L::NAMES.iter().map(|name| (*name).to_owned()))?)?;
                }
                Ok(self.out.write_all(&csv_record(line.cells().into_iter().map(harmless))?)?)
            }
            Output::Table => {
                if first {
                    self.table.set_header(L::NAMES.iter().map(|name| name.replace('_', " ").to_uppercase()));
                }
                self.table.add_row(line.cells().iter().map(|cell| client::cell(&cell.as_str().into())));
                Ok(())
            }
        }
    }

    pub(crate) fn finish(mut self) -> anyhow::Result<()> {
        if self.output == Output::Table && !self.first {
            writeln!(self.out, "{}", self.table.trim_fmt())?;
        }
        Ok(self.out.flush()?)
    }
}

/// What a reader that went away, such as `head`, leaves behind is no error.
pub(crate) fn unless_gone(result: anyhow::Result<()>) -> anyhow::Result<()> {
    match result {
        Err(error)
            if error
                .downcast_ref::<io::Error>()
                .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe) =>
        {
            Ok(())
        }
        result => result,
    }
}

fn csv_record(cells: impl Iterator<Item = String>) -> anyhow::Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(cells.collect::<Vec<_>>())?;
    Ok(writer.into_inner().map_err(|error| error.into_error())?)
}

/// A cell that a spreadsheet takes for a text and not for a formula: what a device said may begin like one.
pub(crate) fn harmless(cell: String) -> String {
    if cell.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{cell}") } else { cell }
}

/// An instant to the second.
pub(crate) fn second(at: Timestamp) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// `site=ams;role=core`.
pub(crate) fn labels(labels: &Labels) -> String {
    labels.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(";")
}
