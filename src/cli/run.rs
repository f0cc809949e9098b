//! `versweep run`: the daemon.

use std::net::SocketAddr;
use std::path::PathBuf;

use tokio_util::sync::CancellationToken;

use super::{ConfigFile, Exit};
use crate::config::{self, ExternalUrl, WebFlags};
use crate::daemon::Daemon;

/// Run the daemon until SIGINT or SIGTERM; SIGHUP reloads the configuration.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: versweep run --config.file /etc/versweep/versweep.toml")]
pub(crate) struct Args {
    #[command(flatten)]
    config: ConfigFile,
    #[command(flatten)]
    web: WebArgs,
}

/// The web surface; each stands over the key of `[web]`.
#[derive(Debug, clap::Args)]
struct WebArgs {
    /// Address to listen on, in place of listen; may be repeated. :9948 is every address
    #[arg(long = "web.listen-address", value_name = "ADDRESS", value_parser = config::listen_address)]
    listen: Vec<SocketAddr>,
    /// Take the sockets that systemd hands over, in place of listen
    #[arg(long = "web.systemd-socket", conflicts_with = "listen")]
    systemd_socket: bool,
    /// TLS, client certificates, passwords and headers, in exporter-toolkit's format
    #[arg(long = "web.config.file", value_name = "FILE")]
    config_file: Option<PathBuf>,
    /// How the outside reaches the server, for links on pages
    #[arg(long = "web.external-url", value_name = "URL")]
    external_url: Option<ExternalUrl>,
    /// What stands before the path of each request; the path of the external URL unless given
    #[arg(long = "web.route-prefix", value_name = "PATH", value_parser = config::prefix)]
    route_prefix: Option<String>,
    /// Whether reloads, sweeps and other changes can be asked for over HTTP
    #[arg(long = "web.enable-lifecycle", value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    lifecycle: Option<bool>,
}

impl From<WebArgs> for WebFlags {
    fn from(args: WebArgs) -> Self {
        Self {
            listen: args.listen,
            systemd_socket: args.systemd_socket,
            config_file: args.config_file,
            external_url: args.external_url,
            route_prefix: args.route_prefix,
            lifecycle: args.lifecycle,
        }
    }
}

impl Args {
    pub(super) async fn run(self, stop: CancellationToken) -> anyhow::Result<Exit> {
        let daemon = Daemon::build_with(&self.config.path, self.web.into(), &stop).await?;
        let Some(daemon) = daemon else { return Ok(Exit::Done) };
        daemon.run(stop).await?;
        Ok(Exit::Done)
    }
}
