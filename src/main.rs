//! The `versweep` program: arguments in, an exit code out. This is the only place that exits.

use std::process::ExitCode;

use versweep::cli::{Cli, Exit};

fn main() -> ExitCode {
    let cli = match Cli::from_arguments() {
        Ok(cli) => cli,
        Err(refused) => return versweep::cli::refuse(&refused).into(),
    };
    let exit = cli.run().unwrap_or_else(|error| versweep::cli::report(&error));
    Exit::into(exit)
}
