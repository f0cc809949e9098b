//! The fleet of a benchmark: `versweep sim` in a process of its own, so that its work isn't counted as ours.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail};
use serde::Deserialize;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::cli::sim::READY;
use crate::duration::HumanDuration;
use crate::sim::SimPlatform;

/// The longest inventory that is read: some hundred thousand devices.
const INVENTORY_LIMIT: u64 = 64 * 1024 * 1024;

/// What the fleet is to be.
#[derive(Debug)]
pub(super) struct FleetArgs {
    pub(super) devices: u32,
    pub(super) workers: u32,
    pub(super) listen: Ipv4Addr,
    pub(super) delay: Duration,
    pub(super) login_delay: Duration,
    pub(super) platforms: Vec<SimPlatform>,
}

/// One device of the fleet, as its inventory tells.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub(super) name: String,
    pub(super) address: SocketAddr,
    pub(super) platform: String,
}

/// A fleet in another process, which is killed when this is dropped.
#[derive(Debug)]
pub(super) struct RemoteFleet {
    child: Child,
    pub(super) targets: Vec<Target>,
}

impl RemoteFleet {
    /// Starts the fleet; when it returns, all its devices listen.
    ///
    /// # Errors
    /// When the process doesn't start, or ends before its devices listen; it says why on standard error itself.
    pub(super) async fn start(args: &FleetArgs) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("can't find this program's own file")?;
        let platforms: Vec<_> = args.platforms.iter().map(|platform| platform.key()).collect();
        let mut child = Command::new(program)
            .args(["sim", "--port", "0", "--end-with-parent"])
            .args(["--devices", &args.devices.to_string(), "--listen", &args.listen.to_string()])
            .args(["--delay", &HumanDuration(args.delay).to_string()])
            .args(["--login-delay", &HumanDuration(args.login_delay).to_string()])
            .args(["--platforms", &platforms.join(",")])
            // Twice, because a session may still be closing while the next one opens.
            .args(["--sessions", &(u64::from(args.workers) * 2).to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("can't start the simulated fleet")?;
        let targets = read_inventory(&mut child).await?;
        Ok(Self { child, targets })
    }

    /// Kills the fleet's process and waits for its end.
    ///
    /// # Errors
    /// When the kernel doesn't let us.
    pub(super) async fn end(mut self) -> anyhow::Result<()> {
        self.child.kill().await.context("can't end the simulated fleet")
    }
}

async fn read_inventory(child: &mut Child) -> anyhow::Result<Vec<Target>> {
    let output = child.stdout.take().context("the simulated fleet has no standard output")?;
    let mut lines = BufReader::new(output.take(INVENTORY_LIMIT)).lines();
    let mut text = String::new();
    loop {
        match lines.next_line().await.context("can't read from the simulated fleet")? {
            Some(line) if line == READY => break,
            Some(line) => {
                text.push_str(&line);
                text.push('\n');
            }
            None => bail!("the simulated fleet ended before it listened"),
        }
    }
    let inventory: Inventory = toml::from_str(&text).context("can't read the simulated fleet's inventory")?;
    Ok(inventory.device.into_iter().map(Target::from).collect())
}

#[derive(Deserialize)]
struct Inventory {
    device: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    name: String,
    address: IpAddr,
    port: u16,
    platform: String,
}

impl From<Entry> for Target {
    fn from(entry: Entry) -> Self {
        Self {
            name: entry.name,
            address: SocketAddr::new(entry.address, entry.port),
            platform: entry.platform,
        }
    }
}
