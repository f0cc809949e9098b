//! `versweep completions`: what a shell needs to complete versweep's arguments.

use std::io;

use clap::CommandFactory as _;
use clap_complete::Shell;

use super::{Cli, Exit};

/// Print a completion script for a shell.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: versweep completions bash > /etc/bash_completion.d/versweep")]
pub(crate) struct Args {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

impl Args {
    pub(super) fn run(&self) -> Exit {
        clap_complete::generate(self.shell, &mut Cli::command(), "versweep", &mut io::stdout());
        Exit::Done
    }
}
