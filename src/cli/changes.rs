//! `versweep changes`: the latest changes that a running daemon found.

use std::io::{self, Write};

use clap::Args;
use serde_json::Value;

use crate::cli::client::{self, AskArgs};
use crate::cli::rows::Rows;

/// Lists the latest changes, newest first.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Example: versweep changes --kind upgrade --limit 20")]
pub struct ChangesArgs {
    /// Only changes of this device.
    #[arg(long)]
    pub device: Option<String>,
    /// Only changes of this kind, such as upgrade, downgrade, unreachable.
    #[arg(long)]
    pub kind: Option<String>,
    /// At most so many, 1 to 5000.
    #[arg(long, default_value_t = 100)]
    pub limit: u16,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would take a comment here for the help of the command")]
    pub ask: AskArgs,
}

/// Prints the changes to standard output.
///
/// # Errors
/// Those of [`list`].
pub async fn run(args: ChangesArgs) -> anyhow::Result<()> {
    list(&args, &mut io::stdout()).await
}

/// Asks and writes the changes.
///
/// # Errors
/// Those of [`client::get_json`] and [`client::line`].
pub async fn list(args: &ChangesArgs, out: &mut impl Write) -> anyhow::Result<()> {
    let limit = args.limit.to_string();
    let mut query = vec![("limit", limit.as_str())];
    query.extend(args.device.as_deref().map(|device| ("device", device)));
    query.extend(args.kind.as_deref().map(|kind| ("kind", kind)));
    let answer = client::get_json(&args.ask.daemon, "/api/v1/changes", &query).await?;
    let mut rows = Rows::new(out, args.ask.output, &["WHEN", "DEVICE", "CHANGE", "BEFORE", "AFTER"]);
    for change in answer["changes"].as_array().into_iter().flatten() {
        rows.add(change, Value::to_string, |change| row(change).into())?;
    }
    rows.finish()
}

fn row(change: &Value) -> [String; 5] {
    ["at", "device", "kind", "before", "after"].map(|field| match field {
        "at" => client::instant(&change[field]),
        "device" => match change["source"].as_str() {
            Some(source) => format!("inventory source {source}"),
            None => client::cell(&change[field]),
        },
        _ => client::cell(&change[field]),
    })
}
