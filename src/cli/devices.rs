//! `versweep devices`: what a running daemon knows of its devices.

use std::io::{self, Write};

use clap::Args;
use serde_json::Value;

use crate::cli::client::{self, AskArgs, Output};

/// Lists the devices of a running daemon with their versions.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Example: versweep devices --state unreachable --output json")]
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

/// Prints the devices to standard output.
///
/// # Errors
/// Those of [`list`].
pub async fn run(args: DevicesArgs) -> anyhow::Result<()> {
    list(&args, &mut io::stdout()).await
}

/// Asks page by page and writes the devices in the order of their names.
///
/// # Errors
/// Those of [`client::get_json`] and [`client::line`].
pub async fn list(args: &DevicesArgs, out: &mut impl Write) -> anyhow::Result<()> {
    let headings = ["DEVICE", "STATE", "VERSION", "MODEL", "PLATFORM", "ANSWERED", "FAILURE"];
    let mut table = client::table(&headings);
    let mut cursor: Option<String> = None;
    loop {
        let mut query = vec![("limit", "1000")];
        query.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
        query.extend(args.filter.as_deref().map(|text| ("q", text)));
        query.extend(args.state.as_deref().map(|state| ("state", state)));
        let answer = client::get_json(&args.ask.url, "/api/v1/devices", &query).await?;
        for device in answer["devices"].as_array().into_iter().flatten() {
            match args.ask.output {
                Output::Json => client::line(out, &device.to_string())?,
                Output::Table => drop(table.add_row(row(device))),
            }
        }
        // A cursor that does not move on would never end.
        match answer["next"].as_str() {
            Some(next) if cursor.as_deref() != Some(next) => cursor = Some(next.to_owned()),
            _ => break,
        }
    }
    match args.ask.output {
        Output::Json => Ok(()),
        Output::Table => client::line(out, &table.trim_fmt()),
    }
}

fn row(device: &Value) -> [String; 7] {
    ["device", "state", "version", "model", "platform", "last_success", "failure"].map(|field| match field {
        "failure" => client::cell(&device[field]["reason"]),
        "last_success" => client::instant(&device[field]),
        _ => client::cell(&device[field]),
    })
}
