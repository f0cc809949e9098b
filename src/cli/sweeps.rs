//! `versweep sweeps`: what the sweeps of a running daemon are doing, and what they did.

use std::io::{self, Write};

use clap::Args;
use serde_json::Value;

use crate::cli::client::{self, AskArgs};
use crate::cli::rows::Rows;

/// Lists the sweeps of a running daemon with their progress, or the runs that there were.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Example: versweep sweeps --runs --sweep all --limit 10")]
pub struct SweepsArgs {
    /// The runs that there were, newest first, instead of what is going on
    #[arg(long)]
    pub runs: bool,
    /// Only of this sweep
    #[arg(long, value_name = "NAME")]
    pub sweep: Option<String>,
    /// At most so many runs, 1 to 5000
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=5000))]
    pub limit: u16,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would take a comment here for the help of the command")]
    pub ask: AskArgs,
}

const SWEEP: [&str; 7] = ["SWEEP", "NOW", "BUSY", "LAST SUCCESS", "ANSWERED", "FAILED", "NEXT"];
const RUN: [&str; 8] = ["STARTED", "SWEEP", "WHY", "ENDED", "DEVICES", "ANSWERED", "FAILED", "COMPLETE"];

/// Makes a row of a table.
type Row = fn(&Value) -> Vec<String>;

/// Prints the sweeps or runs to standard output.
///
/// # Errors
/// Those of [`list`].
pub async fn run(args: SweepsArgs) -> anyhow::Result<()> {
    list(&args, &mut io::stdout()).await
}

/// Asks and writes the sweeps or runs.
///
/// # Errors
/// Those of [`client::get_json`] and [`client::line`].
pub async fn list(args: &SweepsArgs, out: &mut impl Write) -> anyhow::Result<()> {
    let (headings, values, row) = if args.runs {
        (&RUN[..], runs(args).await?, of_run as Row)
    } else {
        (&SWEEP[..], sweeps(args).await?, of_sweep as Row)
    };
    let mut rows = Rows::new(out, args.ask.output, headings);
    for value in &values {
        rows.add(value, Value::to_string, |value| row(value).into())?;
    }
    rows.finish()
}

async fn sweeps(args: &SweepsArgs) -> anyhow::Result<Vec<Value>> {
    let answer = client::get_json(&args.ask.daemon, "/api/v1/sweeps", &[]).await?;
    let mut sweeps = answer["sweeps"].as_array().cloned().unwrap_or_default();
    if let Some(name) = &args.sweep {
        sweeps.retain(|sweep| sweep["sweep"] == **name);
        anyhow::ensure!(!sweeps.is_empty(), "the daemon has no sweep `{name}`");
    }
    Ok(sweeps)
}

async fn runs(args: &SweepsArgs) -> anyhow::Result<Vec<Value>> {
    let limit = args.limit.to_string();
    let mut query = vec![("limit", limit.as_str())];
    query.extend(args.sweep.as_deref().map(|sweep| ("sweep", sweep)));
    let answer = client::get_json(&args.ask.daemon, "/api/v1/runs", &query).await?;
    let runs = answer["runs"].as_array().cloned().unwrap_or_default();
    if runs.is_empty() {
        // A name that nobody has ends here.
        sweeps(args).await?;
    }
    Ok(runs)
}

/// What it is doing; of a sweep that waits, how its last run went.
fn of_sweep(sweep: &Value) -> Vec<String> {
    let is_running = !sweep["running"].is_null();
    let now = match sweep["progress"].as_f64() {
        Some(progress) if is_running => format!("{:.0} % of {}", progress * 100.0, sweep["devices"]),
        _ => "waiting".to_owned(),
    };
    let counts = if is_running { sweep } else { &sweep["last"] };
    vec![
        client::cell(&sweep["sweep"]),
        now,
        client::cell(&sweep["busy"]),
        client::instant(&sweep["last_success"]),
        client::cell(&counts["answered"]),
        client::cell(&counts["failed"]),
        client::instant(&sweep["next"]),
    ]
}

fn of_run(run: &Value) -> Vec<String> {
    let fields = ["started", "sweep", "reason", "ended", "devices", "answered", "failed", "complete"];
    let cell = |field| match field {
        "started" | "ended" => client::instant(&run[field]),
        _ => client::cell(&run[field]),
    };
    fields.map(cell).to_vec()
}
