//! `versweep history`: one device's past, for people.

use std::io::{self, BufWriter, Write};
use std::ops::ControlFlow;

use super::export::VersionLine;
use super::past::{Lines, StoreArgs, moment, second, unless_gone};
use super::{Exit, Output};
use crate::clock::Timestamp;
use crate::device::{DeviceId, Labels};
use crate::event::{Event, clean};
use crate::store::{ChangeFilter, ChangeRow, Reader};
use crate::textdiff;

/// Show which versions a device ran, from when to when, and what changed on it.
///
/// Reads the store, also while the daemon runs. `versweep export` gives the same of many devices to other programs.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: versweep history core1.ams --diff")]
pub(crate) struct Args {
    /// The device
    #[arg(value_name = "DEVICE")]
    device: String,
    #[command(flatten)]
    store: StoreArgs,
    /// From this time on: a date, an RFC 3339 time, or so long ago, such as 90d
    #[arg(long, value_name = "TIME", value_parser = moment)]
    since: Option<Timestamp>,
    /// Before this time
    #[arg(long, value_name = "TIME", value_parser = moment)]
    until: Option<Timestamp>,
    /// With each change what the device said, compared with what it had said before
    #[arg(long)]
    diff: bool,
}

impl Args {
    pub(super) fn run(&self) -> anyhow::Result<Exit> {
        let device =
            DeviceId::new(&self.device).map_err(|error| anyhow::anyhow!("{:?}: {error}", self.device))?;
        let reader = self.store.reader()?;
        let filter = ChangeFilter {
            device: Some(device),
            since: self.since,
            until: self.until,
            ..ChangeFilter::default()
        };
        let (mut versions, mut changes) = (Vec::new(), Vec::new());
        reader.each_version(&filter, |row| {
            versions.push(VersionLine::of(&row));
            ControlFlow::Continue(())
        })?;
        reader.each_change(&filter, |row| {
            changes.push(row);
            ControlFlow::Continue(())
        })?;
        if versions.is_empty() && changes.is_empty() {
            anyhow::bail!(
                "nothing is known of {} in this time: it never answered, or its name is another one",
                self.device
            );
        }
        let mut out = BufWriter::new(io::stdout().lock());
        unless_gone(self.print(&reader, &versions, &changes, &mut out))?;
        Ok(Exit::Done)
    }

    fn print(
        &self,
        reader: &Reader,
        versions: &[VersionLine],
        changes: &[ChangeRow],
        out: &mut impl Write,
    ) -> anyhow::Result<()> {
        let mut lines = Lines::new(Output::Table, &mut *out);
        versions.iter().try_for_each(|line| lines.add(line))?;
        lines.finish()?;
        if !changes.is_empty() {
            writeln!(out)?;
        }
        for row in changes {
            let change = &row.stored.change;
            let event = Event {
                sequence: 0,
                change: change.clone(),
                platform: row.stored.platform.clone(),
                model: None,
                labels: Labels::default(),
            };
            let doubt = if change.confirmed { "" } else { ", read once" };
            writeln!(out, "{}  {} ({}{doubt})", second(change.at), event.message(), clean(&change.why))?;
            if self.diff {
                write!(out, "{}", difference(reader, row)?)?;
            }
        }
        Ok(out.flush()?)
    }
}

/// What the device said at a change against what it had said before; nothing where either was not kept.
fn difference(reader: &Reader, row: &ChangeRow) -> anyhow::Result<String> {
    let number = row.stored.number;
    let (Some(before), Some(after)) = (reader.raw_before_change(number)?, reader.raw_of_change(number)?)
    else {
        return Ok(String::new());
    };
    let at = format!("the answer of {}", second(row.stored.change.at));
    Ok(textdiff::unified(&before.text, &after.text, ["the answer kept before", &at]))
}
