//! `versweep backup`: a copy of the store, also while the daemon writes to it.

use std::io::{self, Write as _};
use std::path::PathBuf;

use super::Exit;
use super::past::StoreArgs;
use crate::store;

/// Copy the store to a file while the daemon runs.
///
/// The copy is whole and consistent, holds all that was committed when it began, and is readable for its owner and group
/// only. To restore it: stop the daemon, take the store with its -wal and -shm files away, put the copy in its place.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: versweep backup /var/backups/versweep.db")]
pub(crate) struct Args {
    #[command(flatten)]
    store: StoreArgs,
    /// The file to write; it must not be there yet
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

impl Args {
    pub(super) fn run(&self) -> anyhow::Result<Exit> {
        let store = self.store.path()?;
        store::backup(&store, &self.file)?;
        writeln!(io::stdout(), "{} copied to {}", store.display(), self.file.display())?;
        Ok(Exit::Done)
    }
}
