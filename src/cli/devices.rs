//! `versweep devices`: what a running daemon knows of its devices.

use std::io::{self, Write};

use serde_json::Value;

use super::export::PastLine;
use super::past::{Lines, StoreArgs, label, moment, selector, unless_gone};
use crate::cli::client::{self, AskArgs, Output};
use crate::cli::rows::Rows;
use crate::clock::Timestamp;

/// Lists the devices of a running daemon with their versions.
#[derive(Debug, Clone, clap::Args)]
pub struct DevicesArgs {
    /// Only devices in whose name, address, platform, model, version or labels this occurs.
    #[arg(value_name = "TEXT")]
    pub filter: Option<String>,
    /// Only devices in this state: up, failing, unreachable, unvisited.
    #[arg(long)]
    pub state: Option<String>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would take a comment here for the help of the command")]
    pub ask: AskArgs,
}

/// The devices of a running daemon, or of the store at a past time.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  versweep devices --state unreachable --output json\n  versweep devices --at 2026-10-01"
)]
pub(crate) struct Args {
    #[command(flatten)]
    now: DevicesArgs,
    /// What each device was known to run at this time, out of the store: a date, an RFC 3339 time, or so long ago, such as 7d
    #[arg(long, value_name = "TIME", value_parser = moment, conflicts_with_all = ["filter", "state", "url"])]
    at: Option<Timestamp>,
    /// With --at: only devices with this label at their last visit, or with this platform
    #[arg(long, value_name = "LABEL=VALUE", value_parser = label, requires = "at")]
    select: Vec<(String, String)>,
    #[command(flatten)]
    store: StoreArgs,
}

/// Prints the devices to standard output.
pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    match args.at {
        None => list(&args.now, &mut io::stdout()).await,
        Some(at) => unless_gone(past(&args, at, io::stdout().lock())),
    }
}

fn past(args: &Args, at: Timestamp, out: impl Write) -> anyhow::Result<()> {
    let output = match args.now.ask.output {
        Output::Table => super::Output::Table,
        Output::Json => super::Output::Json,
    };
    let mut lines = Lines::new(output, out);
    for past in args.store.reader()?.fleet_at(at, &selector(&args.select))? {
        lines.add(&PastLine::of(&past))?;
    }
    lines.finish()
}

/// Asks page by page and writes the devices in the order of their names.
///
/// # Errors
/// Those of [`client::get_json`] and [`client::line`].
pub async fn list(args: &DevicesArgs, out: &mut impl Write) -> anyhow::Result<()> {
    let headings = ["DEVICE", "STATE", "VERSION", "MODEL", "PLATFORM", "ANSWERED", "FAILURE"];
    let mut rows = Rows::new(out, args.ask.output, &headings);
    let mut cursor: Option<String> = None;
    loop {
        let mut query = vec![("limit", "1000")];
        query.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
        query.extend(args.filter.as_deref().map(|text| ("q", text)));
        query.extend(args.state.as_deref().map(|state| ("state", state)));
        let answer = client::get_json(&args.ask.daemon, "/api/v1/devices", &query).await?;
        for device in answer["devices"].as_array().into_iter().flatten() {
            rows.add(device, Value::to_string, |device| row(device).into())?;
        }
        // A cursor that does not move on would never end.
        match answer["next"].as_str() {
            Some(next) if cursor.as_deref() != Some(next) => cursor = Some(next.to_owned()),
            _ => break,
        }
    }
    rows.finish()
}

fn row(device: &Value) -> [String; 7] {
    ["device", "state", "version", "model", "platform", "last_success", "failure"].map(|field| match field {
        "failure" => client::cell(&device[field]["reason"]),
        "last_success" => client::instant(&device[field]),
        _ => client::cell(&device[field]),
    })
}
