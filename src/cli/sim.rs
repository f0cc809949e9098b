//! `versweep sim`: a simulated fleet to try things on.

use std::io::Write;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use rustix::process::{Signal, set_parent_process_death_signal};
use tokio_util::sync::CancellationToken;

use super::Exit;
use crate::duration::{DurationError, HumanDuration};
use crate::sim::{Faults, Fleet, KeyExchange, PASSWORD, SimConfig, SimPlatform, USERNAME, parse_share};
use crate::transport::ssh::tune_process;

/// The arguments of `versweep sim`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  \
    versweep sim --devices 100 --listen 127.1.0.0 --port 2222 --delay 2s --upgrade-every 10s \\\n    \
    --faults refuse=5%,silent=2% --inventory devices.toml\n\n\
    Faults: refuse, drop, silent, stall, reset, password, hang, mute, drip, flood, garbage, not_ssh, host_key.\n\
    The user is versweep, the password versweep.")]
pub(crate) struct Args {
    /// How many devices
    #[arg(long, value_name = "N", default_value_t = 20)]
    devices: usize,
    /// The first address, in 127.0.0.0/8; devices follow one by one, without .0 and .255
    #[arg(long, value_name = "ADDRESS", default_value_t = Ipv4Addr::new(127, 1, 0, 0))]
    listen: Ipv4Addr,
    /// The port of all devices; 0 for a free one
    #[arg(long, value_name = "P", default_value_t = 2222)]
    port: u16,
    /// From a command to its answer
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = duration)]
    delay: Duration,
    /// From a login to its reply
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = duration)]
    login_delay: Duration,
    /// How far delays vary either way
    #[arg(long, value_name = "SHARE", default_value = "0%", value_parser = parse_share)]
    jitter: f64,
    /// The same seed gives the same fleet
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// One device changes its version this often
    #[arg(long, value_name = "TIME", value_parser = duration)]
    upgrade_every: Option<Duration>,
    /// Which share of the devices is ill, and how: refuse=5%,silent=2%
    #[arg(long, value_name = "KIND=SHARE,...", default_value = "")]
    faults: Faults,
    /// Only these platforms, dealt out in turn
    #[arg(long, value_name = "A,B,...", value_delimiter = ',')]
    platforms: Vec<SimPlatform>,
    /// Which key exchange the devices offer: curve25519, or dh-group14 as old routers do
    #[arg(long, value_name = "NAME", default_value = "curve25519")]
    key_exchange: KeyExchange,
    /// How many sessions at once the file limit must allow
    #[arg(long, value_name = "N", default_value_t = 1024)]
    sessions: usize,
    /// Write the inventory to this file instead of standard output
    #[arg(long, value_name = "FILE")]
    inventory: Option<PathBuf>,
    /// End when the process that started this one ends
    #[arg(long, hide = true)]
    end_with_parent: bool,
}

/// The last line of an inventory on standard output: whoever reads it knows that all devices listen.
pub(super) const READY: &str = "# all devices listen";

impl Args {
    /// Serves until `stop`.
    ///
    /// # Errors
    /// A fleet that can't be had, or an inventory that can't be written.
    pub(crate) async fn run(self, stop: CancellationToken) -> anyhow::Result<Exit> {
        if self.end_with_parent {
            set_parent_process_death_signal(Some(Signal::TERM))
                .context("can't tie this process to its parent")?;
        }
        if !(0.0..=1.0).contains(&self.jitter) {
            bail!("--jitter {} is out of range: give 0% to 100%", self.jitter);
        }
        // Simulated keys protect nothing. Where the limit can't be lowered, the fleet is slower, not wrong.
        let _ = tune_process();
        let fleet = Fleet::start(self.config()).await?;
        publish(&fleet, self.inventory.as_deref())?;
        if !self.end_with_parent {
            greet(&fleet);
        }
        stop.cancelled().await;
        fleet.stop().await;
        Ok(Exit::Done)
    }

    fn config(&self) -> SimConfig {
        SimConfig {
            devices: self.devices,
            first_address: self.listen,
            port: self.port,
            command_delay: self.delay,
            login_delay: self.login_delay,
            jitter: self.jitter,
            seed: self.seed,
            upgrade_every: self.upgrade_every,
            faults: self.faults.clone(),
            platforms: self.platforms.clone(),
            sessions: self.sessions,
            key_exchange: self.key_exchange,
            ..SimConfig::default()
        }
    }
}

fn publish(fleet: &Fleet, file: Option<&Path>) -> anyhow::Result<()> {
    let inventory = fleet.inventory_toml();
    match file {
        Some(path) => std::fs::write(path, inventory)
            .with_context(|| format!("can't write the inventory to {}", path.display())),
        None => {
            let mut out = std::io::stdout().lock();
            writeln!(out, "{inventory}\n{READY}")
                .and_then(|()| out.flush())
                .context("can't print the inventory")
        }
    }
}

#[expect(clippy::print_stderr, reason = "standard output is the inventory's")]
fn greet(fleet: &Fleet) {
    let [first, .., last] = fleet.devices() else { return };
    eprintln!(
        "{} devices listen on {} to {}, port {}; user {USERNAME}, password {PASSWORD}; Ctrl-C ends them",
        fleet.devices().len(),
        first.address(),
        last.address(),
        first.port(),
    );
}

/// A duration with its unit, such as `2s`, `500ms` or `1m30s`.
pub(super) fn duration(text: &str) -> Result<Duration, DurationError> {
    text.parse::<HumanDuration>().map(|human| human.0)
}
