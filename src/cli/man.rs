//! `versweep man`: the manual pages, made from the same words as `--help`.

use std::fs;
use std::io::{self, Write as _};
use std::path::PathBuf;

use anyhow::Context as _;
use clap::CommandFactory as _;
use clap_mangen::Man;

use super::{Cli, Exit};

/// Print the manual page, or write those of all subcommands into a folder.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: versweep man | man -l -")]
pub(crate) struct Args {
    /// Write versweep.1 and one page for each subcommand into this folder
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
}

impl Args {
    pub(super) fn run(&self) -> anyhow::Result<Exit> {
        let Some(folder) = &self.folder else {
            Man::new(Cli::command()).render(&mut io::stdout()).context("writing the manual page")?;
            return Ok(Exit::Done);
        };
        fs::create_dir_all(folder).with_context(|| format!("making the folder {}", folder.display()))?;
        clap_mangen::generate_to(Cli::command(), folder)
            .with_context(|| format!("writing manual pages into {}", folder.display()))?;
        writeln!(io::stdout(), "manual pages written into {}", folder.display())?;
        Ok(Exit::Done)
    }
}
