//! `versweep backup`: a copy of the store, also while the daemon writes to it.

use std::io::{self, Write as _};
use std::path::PathBuf;

use super::{ConfigFile, Exit};
use crate::config::{self, ConfigErrors};
use crate::document::Problem;
use crate::store;

/// Copy the store to a file while the daemon runs.
///
/// The copy is whole and consistent, holds all that was committed when it began, and is readable for its owner and group
/// only. To restore it: stop the daemon, take the store with its -wal and -shm files away, put the copy in its place.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: versweep backup /var/backups/versweep.db")]
pub(crate) struct Args {
    #[command(flatten)]
    config: ConfigFile,
    /// The store to copy, instead of the one that the configuration names
    #[arg(long, value_name = "FILE")]
    store: Option<PathBuf>,
    /// The file to write; it must not be there yet
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

impl Args {
    pub(super) fn run(&self) -> anyhow::Result<Exit> {
        let store = self.store()?;
        store::backup(&store, &self.file)?;
        writeln!(io::stdout(), "{} copied to {}", store.display(), self.file.display())?;
        Ok(Exit::Done)
    }

    /// Only the store's path is asked for: secrets that this user can't read are no reason to refuse a backup. A file
    /// that can't be read at all is, or the backup would be one of the default path's store.
    fn store(&self) -> Result<PathBuf, ConfigErrors> {
        if let Some(store) = &self.store {
            return Ok(store.clone());
        }
        let draft = config::draft(&self.config.path);
        let concern = |problem: &Problem| problem.key.is_empty() || problem.key == "store.path";
        let problems: Vec<_> = draft.problems.0.into_iter().filter(concern).collect();
        if problems.is_empty() { Ok(draft.config.store) } else { Err(ConfigErrors(problems)) }
    }
}
