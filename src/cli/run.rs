//! `versweep run`: the daemon.

use tokio_util::sync::CancellationToken;

use super::{ConfigFile, Exit};
use crate::daemon::Daemon;

/// Run the daemon until SIGINT or SIGTERM; SIGHUP reloads the configuration.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: versweep run --config.file /etc/versweep/versweep.toml")]
pub(crate) struct Args {
    #[command(flatten)]
    config: ConfigFile,
}

impl Args {
    pub(super) async fn run(self, stop: CancellationToken) -> anyhow::Result<Exit> {
        let Some(daemon) = Daemon::build(&self.config.path, &stop).await? else { return Ok(Exit::Done) };
        daemon.run(stop).await?;
        Ok(Exit::Done)
    }
}
