//! The command line: one file per subcommand, exit codes, logging, signals.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};
use tokio_util::sync::CancellationToken;

mod backup;
mod bench;
pub mod changes;
mod check;
pub mod client;
mod completions;
mod demo;
pub mod devices;
mod events;
mod export;
mod history;
mod init;
mod inventory;
mod logging;
mod man;
mod parse;
mod past;
mod plan;
mod platforms;
mod probe;
mod report;
mod rows;
mod run;
mod schema;
mod signals;
mod sim;
mod sweep;
pub mod sweeps;
mod top;

/// The versions of a fleet's routers and switches: which runs what, and what changed.
#[derive(Debug, Parser)]
#[command(name = "versweep", version, about, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    #[command(flatten)]
    Moving(Moving),
    #[command(flatten)]
    AtOnce(AtOnce),
}

/// What goes on until it is done or told to stop.
#[derive(Debug, Subcommand)]
enum Moving {
    /// Run the daemon
    Run(run::Args),
    /// Sweep once, now, without a daemon
    Sweep(sweep::Args),
    /// Visit one device and explain every stage
    Probe(probe::Args),
    /// Tell how long each sweep will take, and what it waits for
    Plan(plan::Args),
    /// Look at every inventory source now and show what they come to
    Inventory(inventory::Args),
    /// Ask a running daemon for its devices
    Devices(devices::Args),
    /// Ask a running daemon for the latest changes
    Changes(changes::ChangesArgs),
    /// Ask a running daemon for its sweeps and their runs
    Sweeps(sweeps::SweepsArgs),
    /// Watch a running daemon: its sweeps, what waits and for what, failures, changes
    Top(top::Args),
    /// Run a simulated fleet of SSH routers on loopback addresses
    Sim(sim::Args),
    /// A simulated fleet, the daemon and a temporary store: the whole product in one command
    Demo(demo::Args),
    /// Sweep a simulated fleet and print how fast it went
    Bench(bench::Args),
}

/// What needs no runtime; a signal ends it as it ends any program.
#[derive(Debug, Subcommand)]
enum AtOnce {
    /// Read device output from files or standard input through a profile
    Parse(parse::Args),
    /// List the platform profiles, or print one
    Platforms(platforms::Args),
    /// Validate configuration, inventory and profiles
    Check(check::Args),
    /// Write a commented configuration and inventory for a first start
    Init(init::Args),
    /// List events that the sinks don't have, or have them told again
    Events(events::Args),
    /// Copy the store to a file while the daemon runs
    Backup(backup::Args),
    /// Show which versions a device ran, and what changed on it
    History(history::Args),
    /// Export changes, versions or devices from the store
    Export(export::Args),
    /// Report versions, drift, odd ones out and changes as Markdown or CSV
    Report(report::Args),
    /// Print the JSON Schema of the configuration or of an inventory
    Schema(schema::Args),
    /// Print a completion script for a shell
    Completions(completions::Args),
    /// Print the manual page, or write those of all subcommands
    Man(man::Args),
}

/// Where the configuration is.
#[derive(Debug, Args)]
pub(crate) struct ConfigFile {
    /// The configuration file
    #[arg(long = "config.file", value_name = "FILE", default_value = "/etc/versweep/versweep.toml")]
    pub(crate) path: PathBuf,
}

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people
    Table,
    /// One JSON object a line
    Json,
    /// Comma-separated values with a header
    Csv,
}

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// All is done.
    Done,
    /// Something failed.
    Failed,
    /// What `--fail-on` names was found.
    FailOn,
    /// The configuration or the arguments are wrong (EX_USAGE of sysexits.h).
    BadConfig,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::FailOn => 2,
            Exit::BadConfig => 64,
        })
    }
}

impl Cli {
    /// The program's own arguments.
    ///
    /// # Errors
    /// Arguments that are wrong, and the help or version that was asked for; [`refuse`] prints either.
    pub fn from_arguments() -> Result<Self, clap::Error> {
        Self::try_parse()
    }

    /// Runs the subcommand to its end.
    ///
    /// # Errors
    /// What kept it from doing its work; [`report`] prints it.
    pub fn run(self) -> anyhow::Result<Exit> {
        logging::start(matches!(self.command, Command::Moving(Moving::Run(_) | Moving::Demo(_))));
        match self.command {
            Command::Moving(command) => {
                if command.visits_as_usual() {
                    // Before the runtime has threads. Where it can't be had, visits are dearer, not wrong.
                    let _ = crate::transport::ssh::tune_process();
                }
                signals::run_until_signal(|stop| command.run(stop))
            }
            Command::AtOnce(command) => command.run(),
        }
    }
}

impl Moving {
    /// Whether this process is to be tuned for visits: not for the benchmark's baseline, which is to run as it comes, and
    /// not where that one would inherit it.
    fn visits_as_usual(&self) -> bool {
        match self {
            Self::Bench(args) => args.is_tuned(),
            _ => true,
        }
    }

    async fn run(self, stop: CancellationToken) -> anyhow::Result<Exit> {
        match self {
            Self::Run(args) => args.run(stop).await,
            Self::Sweep(args) => args.run(stop).await,
            Self::Probe(args) => args.run(stop).await,
            Self::Plan(args) => args.run(stop).await,
            Self::Inventory(args) => args.run(stop).await,
            Self::Devices(args) => devices::run(args).await.map(|()| Exit::Done),
            Self::Changes(args) => changes::run(args).await.map(|()| Exit::Done),
            Self::Sweeps(args) => sweeps::run(args).await.map(|()| Exit::Done),
            Self::Top(args) => args.run(stop).await,
            Self::Sim(args) => args.run(stop).await,
            Self::Demo(args) => args.run(stop).await,
            Self::Bench(args) => args.run(stop).await,
        }
    }
}

impl AtOnce {
    fn run(&self) -> anyhow::Result<Exit> {
        match self {
            Self::Parse(args) => parse::run(args),
            Self::Platforms(args) => platforms::run(args),
            Self::Check(args) => args.run(),
            Self::Init(args) => args.run(),
            Self::Events(args) => args.run(),
            Self::Backup(args) => args.run(),
            Self::History(args) => args.run(),
            Self::Export(args) => args.run(),
            Self::Report(args) => args.run(),
            Self::Schema(args) => args.run(),
            Self::Completions(args) => Ok(args.run()),
            Self::Man(args) => args.run(),
        }
    }
}

/// Prints why the arguments were refused, or the help that was asked for.
#[must_use]
pub fn refuse(refused: &clap::Error) -> Exit {
    // A terminal that is gone can't be told that it is.
    let _ = refused.print();
    if refused.use_stderr() { Exit::BadConfig } else { Exit::Done }
}

/// Prints an error and tells its exit code.
#[must_use]
#[expect(clippy::print_stderr, reason = "the last word of the program goes to standard error")]
pub fn report(error: &anyhow::Error) -> Exit {
    if let Some(errors) = error.downcast_ref::<crate::config::ConfigErrors>() {
        eprintln!("{errors}");
        return Exit::BadConfig;
    }
    eprintln!("versweep: {error:#}");
    Exit::Failed
}
