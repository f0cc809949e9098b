//! `versweep changes`: the latest changes that a running daemon found.

use clap::Args;

use crate::cli::client::{self, AskArgs, Output};

/// Lists the latest changes, newest first.
///
/// Example: versweep changes --kind upgrade --limit 20
#[derive(Debug, Clone, Args)]
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

/// Asks and prints.
///
/// # Errors
/// Those of [`client::get_json`] and [`client::print`].
pub async fn run(args: ChangesArgs) -> anyhow::Result<()> {
    let limit = args.limit.to_string();
    let mut query = vec![("limit", limit.as_str())];
    query.extend(args.device.as_deref().map(|device| ("device", device)));
    query.extend(args.kind.as_deref().map(|kind| ("kind", kind)));
    let answer = client::get_json(&args.ask.url, "/api/v1/changes", &query).await?;
    let mut table = client::table(&["WHEN", "DEVICE", "CHANGE", "BEFORE", "AFTER"]);
    for change in answer["changes"].as_array().into_iter().flatten() {
        match args.ask.output {
            Output::Json => client::print(&change.to_string())?,
            Output::Table => {
                let row =
                    ["at", "device", "kind", "before", "after"].map(|field| client::cell(&change[field]));
                table.add_row(row);
            }
        }
    }
    if args.ask.output == Output::Table {
        client::print(&table.trim_fmt())?;
    }
    Ok(())
}
